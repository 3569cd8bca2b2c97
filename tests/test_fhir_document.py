"""docs/fhir.md against the service: every extension is explained, every example works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from app.web.examples import WHOLE_CHART
from cds_hooks.fhir.fhir_match import bundle_of
from cds_hooks.fhir.fhir_study import group_of, study_of
from cds_hooks.fhir.fhir_worklist import Listed, worklist_bundle
from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue, load_catalogue
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Verdict

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "fhir.md").read_text("utf-8")
NOW = datetime(2026, 11, 1, tzinfo=UTC)
OURS = "https://trialcards.org/fhir/StructureDefinition/"


def _extensions(element: object) -> Iterator[str]:
    if isinstance(element, dict):
        for key in ("extension", "modifierExtension"):
            yield from (each["url"] for each in element.get(key, ()))
        for value in element.values():
            yield from _extensions(value)
    elif isinstance(element, list):
        for each in element:
            yield from _extensions(each)


def test_every_extension_is_explained_and_none_besides(catalogue: Catalogue, trials: Mapping[str, Trial]) -> None:
    builder = ChartBuilder(None)
    builder.add(msgspec.json.encode(WHOLE_CHART), None)
    found = match(trials.values(), builder.build(), catalogue, NOW, UTC)
    emitted: list[object] = [bundle_of(found, catalogue, "https://trialcards.example/fhir", "report")]
    for trial in trials.values():
        emitted += [study_of(trial, catalogue), *(group_of(trial, cohort, catalogue) for cohort in trial.cohorts)]
    row = Listed("1", "st", "a", "p", "T", "T", Verdict.NEAR_MISS, "sle", "sha256:1", "new", date(2026, 11, 1), NOW)
    emitted.append(worklist_bundle([row], "https://trialcards.example/fhir", NOW))
    names = {url.removeprefix(OURS) for each in emitted for url in _extensions(each) if url.startswith(OURS)}
    table = TEXT[TEXT.index("| extension | on | what |") :].partition("\n\n")[0]
    explained = {name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])}
    # No definition is signed yet, so none says by whom.
    assert names == explained - {"signed-off"}


def test_the_value_set_and_the_order_of_the_document_are_taken(tmp_path: Path) -> None:
    (value_set,) = re.findall(r"```json\n(.+?)```", TEXT, re.S)
    (order,) = re.findall(r"```yaml\n(.+?)```", TEXT, re.S)
    (tmp_path / "platelets.json").write_text(value_set)
    (tmp_path / "orders.yaml").write_text(order)
    catalogue = load_catalogue([ROOT / "mappings" / "concepts", tmp_path])
    code = json.loads(value_set)["expansion"]["contains"][0]
    assert catalogue.find(code["system"], code["code"]) == ("platelets",)
    entry = catalogue.concepts["platelets"].order
    assert entry is not None
    assert entry.title in order
