"""Charts that others wrote, in the forms in which the doors take them: a Bundle, a hook call, an export."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cds_hooks.protocol.services import CHART, Offer
from docs.mapped import chart_files
from mappings.concepts.catalogue import OUR_SYSTEM
from mappings.resource_types import BY_NAME

Json = dict[str, Any]

# One disease of every cohort that is served.
GATES = (
    "systemic-lupus-erythematosus", "lupus-nephritis", "immune-thrombocytopenia", "anca-vasculitis", "dermatomyositis",
    "diffuse-cutaneous-systemic-sclerosis", "sjogren-disease", "rheumatoid-arthritis",
)  # fmt: skip


def resources_of(chart: Json) -> list[Json]:
    return [entry["resource"] for entry in chart.get("entry", ()) if "resource" in entry]


def whole_charts(folder: Path) -> Iterator[tuple[Path, Json]]:
    """The files below the folder that are the chart of one patient, each as a Bundle."""
    for path, raw in chart_files(folder):
        chart = json.loads(raw)
        if sum(each.get("resourceType") == "Patient" for each in resources_of(chart)) == 1:
            yield path, chart


def as_if_ill(chart: Json) -> Json:
    """The same chart of a living patient with every disease that a trial is about: every criterion is asked."""
    content: Json = json.loads(json.dumps(chart))
    entry = next(e for e in content["entry"] if e.get("resource", {}).get("resourceType") == "Patient")
    patient = entry["resource"]
    for name in [name for name in patient if name.startswith("deceased")]:
        del patient[name]
    subject = {"reference": f"Patient/{patient['id']}" if "id" in patient else entry["fullUrl"]}
    ill = [{"resourceType": "Condition", "id": name, "subject": subject, "code": _code(name)} for name in GATES]
    return content | {"entry": [*content["entry"], *({"resource": each} for each in ill)]}


def _code(concept: str) -> Json:
    return {"coding": [{"system": OUR_SYSTEM, "code": concept}]}


def hook_call(chart: Json, offer: Offer) -> Json:
    """The call that an EHR with this chart would make, everything prefetched."""
    resources = resources_of(chart)
    patient = next(resource for resource in resources if resource["resourceType"] == "Patient")
    prefetch = {
        part.key: _searchset(resource for resource in resources if resource["resourceType"] == part.resource_type)
        for part in CHART
        if part.resource_type != "Patient"
    }
    prefetch["patient"] = patient
    # In some Bundles the Patient has no id yet: the server that takes them in would give one.
    context = {"userId": "Practitioner/p1", "patientId": patient.get("id", "p1"), "encounterId": "e1"}
    return {"hook": offer.hook, "hookInstance": str(uuid.uuid4()), "context": context, "prefetch": prefetch}


def _searchset(resources: Iterable[Json]) -> Json:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in resources]}


def as_stored(chart: Json, name: str) -> Json:
    """The chart as a FHIR server keeps it: ids of the server's own, and references between its records by these ids.

    `name` becomes the id of the patient, and the start of every other id, so that many charts fit into one export.
    """
    addresses: dict[str, str] = {}
    entries = []
    for number, entry in enumerate(each for each in chart["entry"] if "resource" in each):
        resource = json.loads(json.dumps(entry["resource"]))
        kind, old = resource["resourceType"], resource.get("id")
        resource["id"] = name if kind == "Patient" else f"{name}-{number}"
        for address in (entry.get("fullUrl"), f"{kind}/{old}" if old else None):
            if address:
                addresses.setdefault(address, f"{kind}/{resource['id']}")
        entries.append({"resource": resource})
    for entry in entries:
        _redirect(entry["resource"], addresses)
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _redirect(value: Any, addresses: dict[str, str]) -> None:
    """Replace every reference below `value` that is one of these addresses, whatever version of it is named."""
    if isinstance(value, list):
        for each in value:
            _redirect(each, addresses)
    elif isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str):
            value["reference"] = addresses.get(reference.partition("/_history/")[0], reference)
        for each in value.values():
            _redirect(each, addresses)


def subjects_of(chart: Json) -> set[str | None]:
    """The references by which the records that a trial may read name their patient; None for a record without one."""
    records = [each for each in resources_of(chart) if each["resourceType"] in BY_NAME]
    return {_subject(record) for record in records if record["resourceType"] != "Patient"}


def _subject(record: Json) -> str | None:
    found = (record.get(member) for member in BY_NAME[record["resourceType"]].subject)
    subject = next((each for each in found if isinstance(each, dict)), {})
    return subject.get("reference")
