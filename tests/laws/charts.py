"""Charts for the laws: those of the case files, changed at random as real charts are uneven."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from app.definitions.served import OUR_CONCEPTS
from cds_hooks.report import report_of
from mappings.chart.chart import Chart, ChartBuilder
from mappings.concepts.catalogue import OUR_SYSTEM, Catalogue, load_catalogue
from tests.builders import PATIENT, bundle_of
from tests.case_files import Case, all_cases
from trial_defs.definition.expressions import Trial, concepts_of
from trial_defs.definition.loader import OUR_TRIALS, load_trials
from trial_defs.engine.attestation import NO_ATTESTATIONS, Attestations
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Match

Json = dict[str, Any]
Outcomes = Mapping[tuple[str, str, str], tuple[str, str | None]]

# The same charts on every run, and no more of them than a minute allows. LAW_EXAMPLES=1000 looks longer, at random.
_EXAMPLES = os.environ.get("LAW_EXAMPLES")
bounded = settings(
    derandomize=_EXAMPLES is None,
    database=None,
    deadline=None,
    max_examples=int(_EXAMPLES or 50),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@lru_cache(maxsize=1)
def our_catalogue() -> Catalogue:
    return load_catalogue([OUR_CONCEPTS])


@lru_cache(maxsize=1)
def our_trials() -> tuple[Trial, ...]:
    return tuple(load_trials([OUR_TRIALS], our_catalogue()).trials.values())


@lru_cache(maxsize=1)
def _cases() -> Sequence[Case]:
    return all_cases()


@dataclass(frozen=True)
class Situation:
    """A chart's resources, the Patient first, and the day on which it is read."""

    resources: tuple[Json, ...]
    today: date

    @property
    def records(self) -> tuple[Json, ...]:
        return self.resources[1:]

    def with_records(self, records: Iterable[Json]) -> Situation:
        return Situation((self.resources[0], *records), self.today)


def situation_of(case: Case) -> Situation:
    entries = bundle_of(case.chart, case.as_of, our_catalogue())["entry"]
    return Situation(tuple(copy.deepcopy(entry["resource"]) for entry in entries), case.as_of)


def examples(which: Callable[[Case], bool] = lambda _: True) -> Iterator[Situation]:
    """The charts of the cases as they stand."""
    yield from map(situation_of, filter(which, _cases()))


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A chart of some case, with a few of its records changed or gone."""
    case = situation_of(draw(st.sampled_from(_cases())))
    for record in case.records:
        if draw(st.integers(0, 5)) == 0:
            draw(st.sampled_from(_CHANGES))(record, draw, case.today)
    return case.with_records(record for record in case.records if not record.pop("_gone", False))


Change = Callable[[Json, st.DrawFn, date], None]


def _gone(record: Json, _: st.DrawFn, __: date) -> None:
    record["_gone"] = record["resourceType"] != "Condition"


def _rescaled(record: Json, draw: st.DrawFn, _: date) -> None:
    if quantity := record.get("valueQuantity"):
        quantity["value"] = float(
            Decimal(str(quantity["value"])) * draw(st.sampled_from([Decimal(n) for n in ("0.2", "0.9", "1.1", "4")]))
        )


def _compared(record: Json, draw: st.DrawFn, _: date) -> None:
    if quantity := record.get("valueQuantity"):
        quantity["comparator"] = draw(st.sampled_from(["<", "<=", ">", ">="]))


def _dated(record: Json, draw: st.DrawFn, today: date) -> None:
    day = (today - timedelta(draw(st.sampled_from([0, 1, 14, 28, 29, 90, 91, 181, 400, 4000])))).isoformat()
    for key in ("effectiveDateTime", "onsetDateTime", "occurrenceDateTime"):
        if key in record:
            record[key] = day
    for key in ("effectivePeriod", "performedPeriod", "period"):
        if key in record:
            record[key] = {"start": day} | ({"end": day} if draw(st.booleans()) else {})


def _restated(record: Json, draw: st.DrawFn, _: date) -> None:
    if record["resourceType"] == "Observation":
        record["status"] = draw(st.sampled_from(["preliminary", "amended", "entered-in-error", "cancelled"]))
    if record["resourceType"] == "Condition":
        code = draw(st.sampled_from(["resolved", "remission", "inactive", "recurrence"]))
        record["clinicalStatus"] = {"coding": [{"system": "x", "code": code}]}


def _recoded(record: Json, draw: st.DrawFn, _: date) -> None:
    """The concept's own code becomes one that EHRs send."""
    key = next((k for k in ("code", "medicationCodeableConcept", "vaccineCode") if k in record), None)
    if key is None:
        return
    entry = our_catalogue().concepts.get(record[key]["coding"][0]["code"])
    codes = entry.codes.items() if entry else ()
    known = [(_ADDRESS[s], c) for s, found in codes if s in _ADDRESS for c in found if not c.endswith("*")]
    if known:
        system, code = draw(st.sampled_from(known))
        record[key] = {"coding": [{"system": system, "code": code}]}


_ADDRESS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "icd10": "http://hl7.org/fhir/sid/icd-10-cm",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "cvx": "http://hl7.org/fhir/sid/cvx",
}
_CHANGES: Sequence[Change] = (_gone, _rescaled, _compared, _dated, _restated, _recoded)


# -- reading ----------------------------------------------------------------------------------------------------------


def chart_of(situation: Situation) -> Chart:
    return builder_of(situation).build()


def builder_of(situation: Situation) -> ChartBuilder:
    entries = [{"resource": resource} for resource in situation.resources]
    builder = ChartBuilder(PATIENT)
    builder.add(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode(), None)
    builder.whole_chart()
    return builder


def matched(situation: Situation, chart: Chart | None = None, attestations: Attestations = NO_ATTESTATIONS) -> Match:
    today = datetime.combine(situation.today, datetime.min.time(), UTC)
    chart = chart or chart_of(situation)
    return match(our_trials(), chart, our_catalogue(), today, UTC, attestations=attestations)


def report(situation: Situation, chart: Chart | None = None) -> Json:
    return report_of(matched(situation, chart), "r1", our_catalogue())


def outcomes(found: Match) -> Outcomes:
    """Outcome and reason of every criterion, and the verdict of every cohort."""
    said: dict[tuple[str, str, str], tuple[str, str | None]] = {}
    for trial in found.trials:
        for cohort in trial.cohorts:
            place = (trial.trial.id, cohort.cohort.id)
            said[(*place, "")] = (cohort.verdict.value, str(cohort.recheck_on))
            for finding in cohort.findings:
                said[(*place, finding.criterion.id)] = (finding.outcome.value, finding.reason)
    return said


# -- which records a criterion may look at ----------------------------------------------------------------------------

_INPUTS = {
    "creatinine-clearance": ("creatinine", "body-weight"),
    "egfr": ("creatinine",),
    "qtc": ("qt-interval", "heart-rate"),
    "glucocorticoid-dose": ("glucocorticoid",),
}


def looked_at(concepts: Iterable[str]) -> frozenset[str]:
    """These concepts and what their values may be calculated from."""
    named = tuple(concepts)
    known = our_catalogue().concepts
    ruling_out = (each for name in named if name in known for each in known[name].ruled_out_by)
    return frozenset((*named, *(each for name in named for each in _INPUTS.get(name, ())), *ruling_out))


@lru_cache(maxsize=1024)
def seen_as(concept: str) -> frozenset[str]:
    """Every concept under which a record of this one is found."""
    return frozenset(our_catalogue().ancestors(concept))


def concepts_in(record: Json) -> frozenset[str]:
    """Every concept under which this record, or a component of it, is found."""
    codes = [record.get(key) for key in ("code", "medicationCodeableConcept", "vaccineCode")]
    codings = [coding for code in codes if code for coding in code["coding"]]
    found = {c for coding in codings for c in our_catalogue().find(coding.get("system", ""), coding["code"])}
    if record["resourceType"] == "ResearchSubject":
        found.add("trial-participation")
    return frozenset(a for concept in found for a in seen_as(concept))


def gate_concepts(trial: str, cohort: str) -> frozenset[str]:
    found = next(c for t in our_trials() if t.id == trial for c in t.cohorts if c.id == cohort)
    return frozenset(concepts_of(found.gate))


def an_observation(concept: str, number: str, today: date, **more: Any) -> Json:
    entry = our_catalogue().concepts[concept]
    value = {"value": float(number), "unit": entry.unit, "code": entry.unit, "system": "http://unitsofmeasure.org"}
    return {
        "resourceType": "Observation",
        "id": f"added-{concept}",
        "status": "final",
        "code": {"coding": [{"system": OUR_SYSTEM, "code": concept}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": (today - timedelta(1)).isoformat(),
        "valueQuantity": value,
    } | more
