"""Writes docs/mapped.md: of charts that others wrote, what was understood, what was refused and why.

.venv/bin/python -m docs.mapped [FOLDER]     FOLDER holds FHIR JSON files, one origin per sub-folder

A file is a Bundle with one patient's chart, or a single resource, which is then the whole chart of its patient.
Without FOLDER the charts beside this project are read (`../shared/patients`).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mappings.chart import decoding, fhir
from mappings.chart.chart import Chart, ChartBuilder, ChartError
from mappings.chart.dates import date_text
from mappings.concepts.catalogue import SYSTEMS, Catalogue, load_catalogue
from mappings.facts import Certainty
from mappings.patient_facts import PatientFacts, facts_of
from mappings.readers import observations
from mappings.time.clock import Clock

ROOT = Path(__file__).parents[1]
CHARTS = ROOT.parent / "shared" / "patients"
AS_OF = datetime(2026, 12, 1, tzinfo=UTC)
_SHOWN = 40  # codes without a concept
Json = dict[str, Any]


# What is read


def chart_files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every JSON file of the folder as the Bundle of a chart, in the order of the paths."""
    for path in sorted(folder.rglob("*.json")):
        raw = path.read_bytes()
        content = json.loads(raw)
        is_bundle = content.get("resourceType") == "Bundle"
        yield path, raw if is_bundle else json.dumps(whole_chart_of(content)).encode()


def whole_chart_of(resource: Json) -> Json:
    """A Bundle that holds this resource and its patient, who is made up where the resource only refers to one."""
    resources = [resource]
    if resource.get("resourceType") != "Patient":
        resources.append({"resourceType": "Patient", "id": _patient_of(resource)})
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}


def _patient_of(resource: Json) -> str:
    subject: Json = next((resource[name] for name in ("subject", "patient", "individual") if name in resource), {})
    local = str(subject.get("reference", "")).partition("/_history/")[0]
    return local.rpartition("/")[2] or "p1"


# What is counted


@dataclass
class Concept:
    """The records of one concept: `read` by kind, `refused` by reason."""

    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


@dataclass
class Tally:
    """Everything counted over many charts."""

    charts: Counter[str] = field(default_factory=Counter)  # by origin
    no_chart: Counter[str] = field(default_factory=Counter)  # origin -> files that are no chart of one patient
    concepts: dict[str, Concept] = field(default_factory=dict)
    records: Counter[str] = field(default_factory=Counter)  # by resource type
    excluded: Counter[tuple[str, str]] = field(default_factory=Counter)  # (resource type, reason)
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)  # (system, code) of no concept
    known_observations: int = 0

    def of(self, concept: str) -> Concept:
        return self.concepts.setdefault(concept, Concept())


def tally_of(files: Iterable[tuple[Path, bytes]], catalogue: Catalogue, folder: Path) -> Tally:
    """Read every chart at AS_OF and count."""
    tally = Tally()
    for path, raw in files:
        origin = path.relative_to(folder).parts[0]
        builder = ChartBuilder(None)
        try:
            builder.add(raw, None)
            builder.whole_chart()
            chart = builder.build()
        except ChartError:
            tally.no_chart[origin] += 1
            continue
        tally.charts[origin] += 1
        facts = facts_of(chart, catalogue, AS_OF, UTC)
        _count_sources(facts, tally)
        _count_facts(facts, tally)
        _count_left_out(chart, catalogue, tally)
    return tally


def _count_sources(facts: PatientFacts, tally: Tally) -> None:
    for source in facts.sources:
        tally.records[source.resource_type] += source.count
        for reason, count in source.excluded:
            tally.excluded[source.resource_type, reason] += count


def _count_facts(facts: PatientFacts, tally: Tally) -> None:
    """Every record under its most specific concept."""
    for name, entry in facts.catalogue.concepts.items():
        below = {result.source for child in entry.includes for result in facts.results(child)}
        for result in facts.results(name):
            if result.formula is None and result.source not in below:
                if result.problem:
                    tally.of(name).refused[result.problem.value] += 1
                else:
                    tally.of(name).read["observation"] += 1
        for episode in facts.episodes(name):
            if episode.member == name and episode.certainty is not Certainty.TEXT_ONLY:
                tally.of(name).read[episode.kind] += 1
            elif episode.member == name:
                tally.of(name).refused["by name only"] += 1


def _count_left_out(chart: Chart, catalogue: Catalogue, tally: Tally) -> None:
    """Observations that no concept has a result of: their code is of no concept, or they say nothing that counts."""
    clock = Clock(AS_OF, UTC)
    for _, observation in chart.of(fhir.Observation):
        codes = [decoding.code_of(observation), *(component.code for component in decoding.parts_of(observation) or ())]
        codings = [coding for code in codes if code for coding in code.coding]
        concepts = {found[0] for coding in codings if (found := _find(coding, catalogue))}
        tally.known_observations += bool(concepts)
        if not concepts:
            tally.unknown.update({_name_of(coding) for coding in codings})
        if concepts and (reason := _why_left_out(observation, clock)):
            for concept in concepts:
                tally.of(concept).refused[reason] += 1


def _find(coding: fhir.Coding, catalogue: Catalogue) -> tuple[str, ...]:
    return catalogue.find(coding.system, coding.code) if coding.system and coding.code else ()


def _name_of(coding: fhir.Coding) -> tuple[str, str]:
    system = coding.system or "no system"
    short = next((name for name, addresses in SYSTEMS.items() if system in addresses), system)
    return short, coding.code or "no code"


def _why_left_out(observation: fhir.Observation, clock: Clock) -> str | None:
    standing = observations.standing_of(observation.status)
    if standing in ("entered-in-error", "cancelled"):
        return standing
    if observation.modifier_extension or observation.implicit_rules:
        return "modifier-extension"
    if clock.is_future(date_text(observation)):
        return "future"
    valued: list[fhir.Observation | fhir.Component] = [observation, *(decoding.parts_of(observation) or ())]
    if not any(observations.says_something(each) for each in valued):
        return "no-value"
    return None


# What is written

_REASONS = """\
- `egfr` in mL/min: an indexed rate without its 1.73 m². Indexed or not are two quantities; which one was meant is not
  guessed. No trial here takes it for a creatinine clearance.
- `leukocytes` in uL: a volume, not a count in one.
- `oxygen-saturation`, imprecise: taken under oxygen, so it says nothing of room air.
- `hiv-rna`, `inr`, `egfr`, imprecise: text that is no result.
- `body-height` of 25 cm: outside what is plausible for the concept.
- *by name only*: an entry without a code that is known, named in its text; it is put to a person.
"""


def document(tally: Tally, catalogue: Catalogue) -> str:
    """docs/mapped.md."""
    known, every = tally.known_observations, tally.records["Observation"]
    sections = [
        ["# What was understood of charts that others wrote", ""],
        [
            "Made by `python -m docs.mapped` from public synthetic charts: generated ones, test data of other",
            f"projects, examples of specifications. Read as of {AS_OF:%Y-%m-%d}; nothing was changed before reading.",
            f"Of {every} Observations {known} carry a code of a concept; the others are about what no trial here asks",
            "(social history, questionnaires, allergies, examples of rare forms). Every refusal has a reason, and a",
            "refused value is *unknown* in a match, never silence.",
        ],
        ["", "## Charts", "", *_charts(tally)],
        ["", "## By concept", "", *_by_concept(tally, catalogue)],
        ["", "What the refusals are:", "", *_REASONS.splitlines()],
        ["", "## By resource type", "", *_by_type(tally)],
        ["", "## Observation codes of no concept", "", *_unknown(tally)],
    ]
    return "\n".join(line for section in sections for line in section) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def _charts(tally: Tally) -> list[str]:
    origins = sorted(tally.charts | tally.no_chart)
    rows = [(f"`{name}`", tally.charts[name], tally.no_chart[name] or "") for name in origins]
    note = "Not one patient's: lists of other resources, several patients, results without their patient."
    return [note, "", *_table(("origin", "charts read", "not one patient's chart"), rows)]


def _by_concept(tally: Tally, catalogue: Catalogue) -> list[str]:
    note = "A record counts under its most specific concept."
    rows = [
        (f"`{name}`", _counts(tally.concepts[name].read), _counts(tally.concepts[name].refused))
        for name in catalogue.concepts
        if name in tally.concepts
    ]
    return [note, "", *_table(("concept", "mapped", "refused, and why"), rows)]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items(), key=_most))


def _most(item: tuple[Any, int]) -> tuple[int, Any]:
    return -item[1], item[0]


def _by_type(tally: Tally) -> list[str]:
    reasons: dict[str, Counter[str]] = {}
    for (name, reason), count in tally.excluded.items():
        reasons.setdefault(name, Counter())[reason] += count
    rows = [(name, count, _counts(reasons.get(name, Counter()))) for name, count in tally.records.items() if count]
    return _table(("resource type", "records", "left out, and why"), rows)


def _unknown(tally: Tally) -> list[str]:
    shown = sorted(tally.unknown.items(), key=_most)[:_SHOWN]
    note = f"{len(tally.unknown)} codes; the {len(shown)} most frequent. Each was looked at: no criterion asks for it."
    return [note, "", *_table(("system", "code", "Observations"), ((s, f"`{c}`", count) for (s, c), count in shown))]


def written_from(folder: Path) -> str:
    """The document from the charts of a folder."""
    catalogue = load_catalogue([ROOT / "mappings" / "concepts"])
    return document(tally_of(chart_files(folder), catalogue, folder), catalogue)


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else CHARTS
    if not folder.is_dir():
        sys.stderr.write(f"{folder}: there is no such folder\n")
        return 1
    (ROOT / "docs" / "mapped.md").write_text(written_from(folder), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
