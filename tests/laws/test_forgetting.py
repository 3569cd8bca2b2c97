"""Forgetting never helps: a record that says less turns no criterion to met."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.charts import Json, Situation, bounded, examples, matched, our_catalogue, outcomes, situations
from trial_defs.engine.findings import Outcome

_CODED = {
    "Condition": "code",
    "Procedure": "code",
    "Immunization": "vaccineCode",
    "MedicationRequest": "medicationCodeableConcept",
    "MedicationStatement": "medicationCodeableConcept",
    "MedicationAdministration": "medicationCodeableConcept",
}
FORGOTTEN: tuple[Json, ...] = (
    {"coding": [{"system": "urn:example:unmapped", "code": "X1"}]},
    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "masked"}]},
    {"text": "Záznam v cizím jazyce"},
    {"text": "Unknown"},
    {},
)


def _forgettable(chart: Situation) -> list[int]:
    return [place for place, record in enumerate(chart.records) if _CODED.get(record["resourceType"], "") in record]


def _with_code(chart: Situation, place: int, code: Json) -> Situation:
    records = [copy.deepcopy(record) for record in chart.records]
    records[place][_CODED[records[place]["resourceType"]]] = code
    return chart.with_records(records)


def _helped(before: Situation, after: Situation) -> Iterator[object]:
    """The criteria that are met after, and were not before."""
    known = outcomes(matched(before))
    for key, (outcome, _) in outcomes(matched(after)).items():
        if outcome == Outcome.MET and known.get(key, (outcome, ""))[0] != Outcome.MET:
            yield key


# Results: the law covers records whose words leave the concept possible


def _results(chart: Situation) -> list[int]:
    """The places of results with a name of their concept, alone on their day: two of one day may be one result."""
    days = Counter(_day_and_code(record) for record in chart.records)
    known = our_catalogue().concepts
    return [
        place
        for place, record in enumerate(chart.records)
        if record["resourceType"] == "Observation"
        and days[_day_and_code(record)] == 1
        and (entry := known.get(_concept_of(record)))
        and entry.kind == "result"
        and entry.names
    ]


def _concept_of(record: Json) -> str:
    coding = record.get("code", {}).get("coding", [{}])[0]
    found = our_catalogue().find(coding.get("system", ""), coding.get("code", ""))
    return found[0] if found else ""


def _day_and_code(record: Json) -> tuple[str, str]:
    return _concept_of(record), str(record.get("effectiveDateTime", ""))[:10]


def _only_named(chart: Situation, place: int) -> Situation:
    records = [copy.deepcopy(record) for record in chart.records]
    name = our_catalogue().concepts[_concept_of(records[place])].names[0]
    records[place]["code"] = {"coding": [{"system": "urn:example:local", "code": "L1", "display": name}]}
    return chart.with_records(records)


@bounded
@given(situations(), st.data())
def test_a_result_that_only_its_words_name_turns_no_criterion_to_met(chart: Situation, data: st.DataObject) -> None:
    if places := _results(chart):
        forgotten = _only_named(chart, data.draw(st.sampled_from(places)))
        assert list(_helped(chart, forgotten)) == []


def test_no_result_of_the_cases_helps_by_being_forgotten() -> None:
    for chart in list(examples())[::40]:
        for place in _results(chart):
            assert list(_helped(chart, _only_named(chart, place))) == [], chart.records[place]


@bounded
@given(situations(), st.data())
def test_a_record_that_is_no_longer_understood_turns_no_criterion_to_met(chart: Situation, data: st.DataObject) -> None:
    places = _forgettable(chart)
    if places:
        place = data.draw(st.sampled_from(places))
        code = data.draw(st.sampled_from(FORGOTTEN))
        assert list(_helped(chart, _with_code(chart, place, code))) == []


@pytest.mark.parametrize("code", FORGOTTEN, ids=lambda code: str(code)[:40])
def test_no_record_of_the_cases_helps_by_being_forgotten(code: Json) -> None:
    for chart in list(examples())[::60]:
        for place in _forgettable(chart):
            assert list(_helped(chart, _with_code(chart, place, code))) == [], chart.records[place]


# Dates and doses

_DATES = (
    "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued", "onsetDateTime", "onsetPeriod", "onsetAge",
    "performedDateTime", "performedPeriod", "authoredOn", "occurrenceDateTime", "whenHandedOver", "whenPrepared",
    "period",
)  # fmt: skip
_DOSES = ("dosage", "dosageInstruction")


def _holding(chart: Situation, keys: tuple[str, ...]) -> list[int]:
    return [place for place, record in enumerate(chart.records) if not record.keys().isdisjoint(keys)]


def _without(chart: Situation, place: int, keys: tuple[str, ...]) -> Situation:
    records = [copy.deepcopy(record) for record in chart.records]
    for key in keys:
        records[place].pop(key, None)
    return chart.with_records(records)


@pytest.mark.parametrize("keys", [_DATES, _DOSES], ids=["dates", "doses"])
@bounded
@given(situations(), st.data())
def test_a_record_without_its_date_or_dose_turns_no_criterion_to_met(
    keys: tuple[str, ...], chart: Situation, data: st.DataObject
) -> None:
    if places := _holding(chart, keys):
        place = data.draw(st.sampled_from(places))
        assert list(_helped(chart, _without(chart, place, keys))) == [], chart.records[place]


@pytest.mark.parametrize("keys", [_DATES, _DOSES], ids=["dates", "doses"])
def test_no_date_and_no_dose_of_the_cases_helps_by_being_forgotten(keys: tuple[str, ...]) -> None:
    for chart in list(examples())[::200]:
        for place in _holding(chart, keys):
            assert list(_helped(chart, _without(chart, place, keys))) == [], chart.records[place]
