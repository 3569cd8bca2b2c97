"""Lists that arrived in part: what they still decide, and what they leave open."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest

from cds_hooks.report import report_of
from mappings.chart.chart import Chart, ChartBuilder
from mappings.chart.dates import oldest_arrived
from mappings.chart.decoding import decode
from mappings.concepts.catalogue import Catalogue
from tests.edges.asking import AS_OF, Json
from tests.mappings.charts import LOINC, RXNORM, SUBJECT, a_condition, a_patient, an_observation, code, quantity
from tests.small_trial import a_trial
from trial_defs.engine.evaluation import match

PLATELETS = {"value": {"of": "platelets", "is": "< 50 10*9/L"}}
TWO_COUNTS = {"value": {"of": "platelets", "is": "< 50 10*9/L", "runs": 2}}


def a_count(number: float, day: str, **more: object) -> Json:
    value = {"valueQuantity": quantity(number, "10*9/L")}
    return an_observation("777-3", value, id=f"count-{day}", effectiveDateTime=day, **more)


def prednisone(milligrams: int, kind: str = "MedicationRequest") -> Json:
    daily = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    dosage = [{"timing": daily, "doseAndRate": [{"doseQuantity": quantity(milligrams, "mg")}]}]
    drug: Json = {"resourceType": kind, "id": f"{kind}-1", "status": "active", "subject": SUBJECT,
                  "medicationCodeableConcept": code(RXNORM, "8640")}  # fmt: skip
    if kind == "MedicationRequest":
        return drug | {"intent": "order", "authoredOn": "2026-01-01", "dosageInstruction": dosage}
    return drug | {"effectivePeriod": {"start": "2026-01-01"}, "dosage": dosage}


def page(*resources: Json, total: int | None = None) -> bytes:
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in resources]}
    return json.dumps(bundle | ({} if total is None else {"total": total})).encode()


TYPES = ("Condition", "Observation", "MedicationRequest", "MedicationStatement", "MedicationAdministration",
         "Procedure", "Immunization", "ResearchSubject", "Consent", "Flag")  # fmt: skip


def a_cut_chart(cut: str, *resources: Json, newest_first: bool = False, missing: int = 5) -> Chart:
    """The chart of a hook call in which the list of one type announces more records than it holds."""
    builder = ChartBuilder("p1")
    builder.add(json.dumps(a_patient()).encode(), "Patient")
    known = (*resources, a_condition(onsetDateTime="2020-03-01"))
    for kind in TYPES:
        found = [each for each in known if each["resourceType"] == kind]
        total = len(found) + missing if kind == cut else None
        builder.add(page(*found, total=total), kind, newest_first=newest_first and kind == cut)
    chart = builder.build()
    assert chart.states[cut] == "incomplete"
    return chart


def says(asks: Json, chart: Chart, catalogue: Catalogue, kind: str = "include") -> str:
    trial = a_trial(catalogue, {kind: asks})
    found = report_of(match([trial], chart, catalogue, AS_OF, UTC), "r1", catalogue)
    criterion: Any = found["trials"][0]["cohorts"][0]["criteria"][0]
    return f"{criterion['outcome']}: {criterion['reason']}" if criterion["reason"] else str(criterion["outcome"])


NEWER, OLDER, OLDEST = a_count(24, "2026-10-20"), a_count(30, "2026-10-10"), a_count(180, "2026-10-01")


@pytest.mark.parametrize(
    ("newest_first", "counts", "expected"),
    [
        (True, [NEWER, OLDER], "met"),
        (False, [NEWER, OLDER], "unknown: not-readable"),
        (True, [OLDER, NEWER], "unknown: not-readable"),  # asked for in this order, and not given in it
        (True, [NEWER], "unknown: not-readable"),  # another one of its day may be missing
        (True, [NEWER, OLDER | {"effectiveDateTime": None, "issued": "2026-10-10T08:00:00Z"}], "unknown: not-readable"),
    ],
)
def test_a_newest_value_counts_if_the_list_came_newest_first(
    newest_first: bool, counts: list[Json], expected: str, catalogue: Catalogue
) -> None:
    given = [{key: value for key, value in each.items() if value is not None} for each in counts]
    assert says(PLATELETS, a_cut_chart("Observation", *given, newest_first=newest_first), catalogue) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([NEWER], "unknown: not-readable"),
        ([NEWER, OLDER], "unknown: not-readable"),  # one more of the older day may come between
        ([NEWER, OLDER, OLDEST], "met"),
        ([a_count(180, "2026-10-20"), OLDER], "not-met"),  # the newest alone decides against it
    ],
)
def test_consecutive_results_on_a_cut_list_are_not_readable_unless_both_surely_follow_each_other(
    counts: list[Json], expected: str, catalogue: Catalogue
) -> None:
    assert says(TWO_COUNTS, a_cut_chart("Observation", *counts, newest_first=True), catalogue) == expected
    unordered = says(TWO_COUNTS, a_cut_chart("Observation", *counts), catalogue)
    assert unordered == "unknown: not-readable"


def test_an_event_found_in_its_window_decides_and_none_found_does_not(catalogue: Catalogue) -> None:
    low = {"value": {"of": "platelets", "is": "< 50 10*9/L", "pick": "any", "within": "3 mo"}}
    assert says(low, a_cut_chart("Observation", NEWER), catalogue) == "met"
    assert says(low, a_cut_chart("Observation", OLDEST), catalogue) == "unknown: not-readable"
    long_ago = a_count(180, "2025-01-01")
    # The list reaches back behind the window, so all that lies in it is there.
    assert says(low, a_cut_chart("Observation", OLDEST, long_ago, newest_first=True), catalogue) == "not-met"


def test_the_sum_of_drugs_that_were_not_all_read_is_a_least_one(catalogue: Catalogue) -> None:
    below, above = ({"value": {"of": "glucocorticoid-dose", "is": limit}} for limit in ("<= 20 mg/d", ">= 10 mg/d"))
    cut = a_cut_chart("MedicationRequest", prednisone(15))
    assert says(below, cut, catalogue) == "unknown: not-readable"
    assert says(above, cut, catalogue) == "met"
    assert says(below, a_cut_chart("MedicationRequest", prednisone(25)), catalogue) == "not-met"
    # A statement that is missing may say that less is taken than was ordered.
    assert says(above, a_cut_chart("MedicationStatement", prednisone(15)), catalogue) == "unknown: not-readable"


def test_a_diagnosis_that_is_too_young_may_stand_elsewhere_with_an_earlier_onset(catalogue: Catalogue) -> None:
    asks = {"condition": {"is": "interstitial-lung-disease", "lasting": "6 mo"}}
    young = a_condition("J84.9", id="ild", onsetDateTime="2026-09-01")
    assert says(asks, a_cut_chart("Condition", young), catalogue) == "unknown: not-readable"
    assert says(asks, a_cut_chart("Procedure", young), catalogue) == "not-met"


def test_a_diagnosis_that_was_not_read_may_contradict_a_negative_result(catalogue: Catalogue) -> None:
    hiv = an_observation("56888-1", {"valueCodeableConcept": code("http://snomed.info/sct", "260385009")})
    asks = {"value": {"of": "hiv", "is": "positive"}}
    assert says(asks, a_cut_chart("Condition", hiv), catalogue, "exclude") == "unknown: not-readable"
    assert says(asks, a_cut_chart("Procedure", hiv), catalogue, "exclude") == "met"


def test_a_saturation_may_have_been_taken_under_oxygen_that_was_not_read(catalogue: Catalogue) -> None:
    asks = {"value": {"of": "oxygen-saturation", "is": "> 91 %"}}
    saturation = an_observation("59408-5", {"valueQuantity": quantity(97, "%")})
    assert says(asks, a_cut_chart("Procedure", saturation), catalogue) == "unknown: not-readable"
    assert says(asks, a_cut_chart("Immunization", saturation), catalogue) == "met"


def test_a_change_is_that_of_two_results_that_surely_follow_each_other(catalogue: Catalogue) -> None:
    asks = {"change": {"of": "platelets", "is": "<= -10 %", "over": "6 mo"}}
    fallen = [a_count(100, "2026-10-20"), a_count(180, "2026-06-20"), a_count(180, "2026-03-01")]
    assert says(asks, a_cut_chart("Observation", *fallen, newest_first=True), catalogue) == "met"
    assert says(asks, a_cut_chart("Observation", *fallen), catalogue) == "unknown: not-readable"
    same = [a_count(180, "2026-10-20"), a_count(180, "2026-07-01"), a_count(180, "2026-06-20")]
    assert says(asks, a_cut_chart("Observation", *same, newest_first=True), catalogue) == "unknown: not-readable"
    assert says(asks, a_cut_chart("Observation", *same[:2], fallen[2], newest_first=True), catalogue) == "not-met"


def test_the_order_of_arrival_is_believed_only_while_the_dates_bear_it_out() -> None:
    def ends_at(*days: str | None) -> str | None:
        records = [{"resourceType": "Observation", "id": str(n), "status": "final", "code": code(LOINC, "1-1")}
                   | ({"effectiveDateTime": day} if day else {"issued": "2026-10-01T00:00:00Z"})
                   for n, day in enumerate(days)]  # fmt: skip
        return oldest_arrived([decode(json.dumps(record).encode()) for record in records])

    assert ends_at("2026-10-20", "2026-10-19T08:00:00+08:00", "2026-10-19", "2025-01") == "2025-01"
    assert ends_at("2026-10-19", "2026-10-20T05:00:00Z") == "2026-10-20T05:00:00Z"  # within a day, whatever the zone
    assert ends_at("2026-10-19", "2026-10-25", "2026-01-01") is None
    assert ends_at("2026-10-19", None) is None
    assert ends_at() is None
