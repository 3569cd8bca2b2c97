"""An invented entry of a registry, imported into a folder: what a reviewer begins with."""

from __future__ import annotations

import json
from pathlib import Path

from mappings.concepts.catalogue import Catalogue
from trial_defs.registry.definition_file import as_yaml
from trial_defs.registry.draft import draft_of
from trial_defs.registry.record import read_record

TRIAL = "NCT09999999"
ELIGIBILITY = """\
Inclusion Criteria:

* Systemic lupus erythematosus
* Platelets at least 75 x 10^9/L
* Hemoglobin >= 9 g/dL and ALT <= 3 x ULN, in the opinion of the investigator
* Willing to come to the visits

Exclusion Criteria:

* Severe hypertension
* Epilepsy
* Known HIV infection
"""


def imported(folder: Path, catalogue: Catalogue, eligibility: str = ELIGIBILITY) -> Path:
    """The draft's file in `folder`, with the entry beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    entry = {
        "protocolSection": {
            "identificationModule": {
                "nctId": TRIAL,
                "briefTitle": "Invented cells in lupus",
                "officialTitle": "Invented",
            },
            "statusModule": {"overallStatus": "RECRUITING"},
            "conditionsModule": {"conditions": ["Systemic lupus erythematosus"]},
            "eligibilityModule": {"eligibilityCriteria": eligibility},
        }
    }
    raw = json.dumps(entry).encode()
    (folder / f"{TRIAL}.source.json").write_bytes(raw)
    draft = draft_of(read_record(raw), catalogue)
    text = as_yaml(draft, catalogue, trial_id=TRIAL, document=f"{TRIAL}.source.json", read_on="2026-11-01")
    path = folder / f"{TRIAL}.yaml"
    path.write_text(text.replace("before:\n", "# a reviewer's own comment\nbefore:\n", 1), "utf-8")
    return path
