"""Writes docs/understood.md: of records from national profiles and converters, how many fall into which class.

.venv/bin/python -m docs.understood [--check] [FOLDER]     FOLDER holds FHIR JSON files, one family per sub-folder

Each file is one record, read as the whole chart of its patient. Without FOLDER the records beside this project are read
(`../shared/world-fhir`); where there are none, --check has nothing to compare and ends with 0.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from docs.mapped import whole_chart_of
from mappings.chart import decoding, fhir
from mappings.chart.chart import ChartBuilder, ChartError
from mappings.concepts.catalogue import Catalogue, load_catalogue, system_name
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from mappings.patient_facts import PatientFacts, facts_of
from mappings.time.clock import Clock

ROOT = Path(__file__).parents[1]
RECORDS = ROOT.parent / "shared" / "world-fhir"
PAGE = ROOT / "docs" / "understood.md"
Class = Literal["speaks", "other", "set aside", "not understood"]
CLASSES: tuple[Class, ...] = ("speaks", "other", "set aside", "not understood")
KINDS: Mapping[str, str] = {
    "Condition": "diagnoses",
    "MedicationRequest": "drugs",
    "MedicationStatement": "drugs",
    "MedicationAdministration": "drugs",
    "MedicationDispense": "drugs",
    "Procedure": "procedures",
    "Immunization": "vaccinations",
    "AllergyIntolerance": "allergies",
    "Observation": "results",
}
# A late moment, so that no example counts as of the future.
_CLOCK = Clock(datetime(2040, 1, 1, tzinfo=UTC), UTC)
Counts = Mapping[tuple[str, str], Counter[Class]]
_INTRODUCTION = """# How much of other countries' records is understood

Made by `python -m docs.understood` from {records} records of {families} families: examples of national profiles and
the output of one converter. Each record is read alone, as the whole chart of its patient. It falls into one class:

- *speaks*: a code or a name says a concept of the catalogue;
- *other*: certainly something else, by a code of a classification that is held whole or by words that are all
  understood;
- *set aside*: entered in error, refuted, not given, without a value or not in the form of FHIR; a report counts it by
  its reason;
- *not understood*: it leaves open what it may be ([safety.md](safety.md) has the table). Of results, which are never
  presumed, it is one without a LOINC code that no name of a concept explains: the value is *missing*.
"""


def class_of(resource: dict[str, Any], catalogue: Catalogue) -> Class:
    """The class of one record."""
    name = resource["resourceType"]
    member = "patient" if name in ("Immunization", "AllergyIntolerance") else "subject"
    resource = resource | {member: {"reference": "Patient/p1"}}  # some examples name a patient by an identifier only
    builder = ChartBuilder(None)
    try:
        builder.add(json.dumps(whole_chart_of(resource)).encode(), None)
        builder.whole_chart()
        chart = builder.build()
    except ChartError:
        return "set aside"
    facts = facts_of(chart, catalogue, _CLOCK.as_of, UTC)
    if not chart.records.get(name):
        return "set aside"
    if any(record.resource_type == name for record in facts.not_understood):
        return "not understood"
    if any(source.resource_type == name and source.excluded for source in facts.sources):
        return "set aside"
    if _speaks(facts, catalogue):
        return "speaks"
    return "not understood" if name == "Observation" and not _is_coded_whole(resource, catalogue) else "other"


def _speaks(facts: PatientFacts, catalogue: Catalogue) -> bool:
    return any(
        facts.episodes(name) or facts.allergies(name) or facts.called(name) or any(True for _ in facts.results(name))
        for name in catalogue.concepts
        if name not in _CALCULATED
    )


_CALCULATED = frozenset({"age", "sex", "glucocorticoid-dose", "creatinine-clearance", "egfr", "qtc"})


def _is_coded_whole(resource: dict[str, Any], catalogue: Catalogue) -> bool:
    """Whether the code of a result, or of each of its parts, is one of LOINC."""
    found = decoding.decode(json.dumps(resource).encode())
    code = decoding.code_of(found) if isinstance(found, fhir.Observation) else None
    return code is not None and any(system_name(fhir.clean(c.system or "")) == "loinc" for c in code.coding)


def records_of(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(family, record) of every file whose type is counted."""
    for path in sorted(folder.rglob("*.json")):
        resource = json.loads(path.read_bytes())
        if isinstance(resource, dict) and resource.get("resourceType") in KINDS:
            yield path.parent.name, resource


def count(folder: Path, catalogue: Catalogue) -> Counts:
    found: dict[tuple[str, str], Counter[Class]] = defaultdict(Counter)
    for family, resource in records_of(folder):
        found[family, KINDS[resource["resourceType"]]][class_of(resource, catalogue)] += 1
    return found


def page(counts: Counts) -> str:
    """The page, with a table by family and one by kind of record."""
    families = sorted({family for family, _ in counts})
    total = sum((each.total() for each in counts.values()), 0)
    parts = [_INTRODUCTION.format(records=total, families=len(families))]
    for head, place in (("family", 0), ("records", 1)):
        groups: dict[str, Counter[Class]] = defaultdict(Counter)
        for key, numbers in counts.items():
            groups[key[place]] += numbers
        parts.append(_table(head, groups))
    return "\n".join(parts)


def _table(head: str, groups: Mapping[str, Counter[Class]]) -> str:
    lines = [f"| {head} | {' | '.join(CLASSES)} |", "|---" * (len(CLASSES) + 1) + "|"]
    for name, numbers in sorted(groups.items()):
        lines.append(f"| {name} | {' | '.join(str(numbers[each]) for each in CLASSES)} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    folder = next((Path(each) for each in arguments if not each.startswith("--")), RECORDS)
    if not folder.is_dir():
        sys.stderr.write(f"{folder}: there is no such folder; nothing was counted\n")
        return 0 if "--check" in arguments else 2
    text = page(count(folder, load_catalogue([OUR_CONCEPTS, *pack_folders(None)])))
    if "--check" not in arguments:
        PAGE.write_text(text, "utf-8")
    elif PAGE.read_text("utf-8") != text:
        sys.stderr.write("docs/understood.md is out of date: run python -m docs.understood\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
