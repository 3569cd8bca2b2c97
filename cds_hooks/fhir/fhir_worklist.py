"""A worklist as FHIR R4: a List of candidates, and a ResearchSubject for each with what became of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from cds_hooks.fhir.fhir_match import verdict_words
from cds_hooks.fhir.fhir_study import extension
from cds_hooks.report import instant
from trial_defs.engine.findings import Verdict

Json = dict[str, Any]

# "eligible" is never among them: that is the investigator's word. Our own status is beside each.
_STATUS: Mapping[str, str] = {
    "new": "candidate",
    "contacted": "candidate",
    "declined": "not-registered",
    "consented": "screening",
    "enrolled": "on-study",
    "screen-failure": "ineligible",
}
_EMPTY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown"}]}


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a worklist. `patient` is the id within the EHR."""

    id: str
    ehr: str
    tenant: str
    patient: str
    trial: str
    title: str
    verdict: Verdict
    cohort: str
    definition_hash: str
    status: str
    recheck_on: date | None
    changed_at: datetime


def worklist_bundle(lines: Sequence[Listed], base: str, now: datetime) -> Json:
    """A Bundle (collection): the List first, in the order of the lines. `base` is that of our own FHIR endpoint."""
    subjects = [_subject(line, base) for line in lines]
    resources = [_list(lines, now), *subjects]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": instant(now),
        "entry": [{"fullUrl": _address(each["id"]), "resource": each} for each in resources],
    }


def _address(resource_id: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'worklist/{resource_id}')}"


def _list(lines: Sequence[Listed], now: datetime) -> Json:
    entries = [
        {
            "flag": verdict_words(line.verdict),
            "date": instant(line.changed_at),
            "item": {"reference": _address(line.id)},
        }
        for line in lines
    ]
    return {
        "resourceType": "List",
        "id": "worklist",
        "status": "current",
        "mode": "snapshot",
        "title": "Candidates for clinical trials",
        "date": instant(now),
        **({"entry": entries} if entries else {"emptyReason": _EMPTY}),
    }


def _subject(line: Listed, base: str) -> Json:
    where = [extension("ehr", valueString=line.ehr)]
    if line.tenant:
        where.append(extension("tenant", valueString=line.tenant))
    if line.recheck_on:
        where.append(extension("recheck-on", valueDate=line.recheck_on.isoformat()))
    return {
        "resourceType": "ResearchSubject",
        "id": line.id,
        "extension": [
            extension("verdict", valueCode=line.verdict.value),
            extension("cohort", valueString=line.cohort),
            extension("definition-hash", valueString=line.definition_hash),
            extension("worklist-status", valueCode=line.status),
            *where,
        ],
        "status": _STATUS[line.status],
        "study": {"reference": f"{base}/ResearchStudy/{line.trial}", "display": line.title},
        "individual": {"reference": f"Patient/{line.patient}"},
    }
