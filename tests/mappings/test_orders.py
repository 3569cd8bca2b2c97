"""Draft orders read as if signed and given: which count, from when to when, and what the chart would then say."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from app.definitions.served import Definitions
from mappings.chart.chart import Chart, ChartBuilder, ChartError
from mappings.concepts.catalogue import Catalogue
from mappings.draft_orders import Planned, as_if_given, only_about, planned, read_drafts
from mappings.facts import Result
from mappings.patient_facts import PatientFacts, facts_of
from mappings.time.clock import Clock
from mappings.time.times import start_of_day
from tests.builders import PATIENT, body_of
from tests.orders import a_drug_order, a_service_order, a_vaccine_due, body, bundle, coded, daily, for_days

TODAY = date(2026, 11, 1)
CLOCK = Clock(datetime(2026, 11, 1, 12, tzinfo=UTC), UTC)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Definitions().now.catalogue


def a_chart(catalogue: Catalogue, **spec: Any) -> Chart:
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(spec, TODAY, catalogue), None)
    builder.whole_chart()
    return builder.build()


def read(catalogue: Catalogue, *orders: Json, selected: list[str] | None = None) -> tuple[Planned, ...]:
    return planned(read_drafts(body(*orders), PATIENT, selected), a_chart(catalogue), catalogue, CLOCK)


def with_orders(
    catalogue: Catalogue, chart: Chart, *orders: Json, on: date = TODAY, once: bool = False
) -> PatientFacts:
    found = planned(read_drafts(body(*orders), PATIENT), chart, catalogue, CLOCK)
    moment = CLOCK.as_of if on == TODAY else start_of_day(on, UTC)
    return facts_of(as_if_given(chart, found, catalogue, CLOCK, once=once), catalogue, moment, UTC)


def dose(facts: PatientFacts) -> Result:
    return facts.results("glucocorticoid-dose")[0]


@pytest.mark.parametrize(
    ("dosage", "last"),
    [
        (None, TODAY),
        ({"text": "1000 mg IV once"}, TODAY),
        ({"text": "200 mg SC weekly"}, None),
        ({"text": "500 mg every 6 months"}, None),
        (daily(40), None),
        ({"timing": {"code": {"coding": [{"code": "BID"}]}}}, None),
        (daily(1000, **for_days(3)), date(2026, 11, 3)),
        (daily(1000, count=3), date(2026, 11, 3)),
        (daily(1000, count=4, periodUnit="wk"), date(2026, 11, 22)),
        (daily(1000, count=3, periodUnit="mo"), date(2027, 1, 1)),
        (daily(1000, boundsPeriod={"start": "2026-10-20", "end": "2026-11-09"}), date(2026, 11, 9)),
        ({"timing": {"event": ["2026-11-01", "2026-11-15"]}}, date(2026, 11, 15)),
    ],
)
def test_an_order_ends_where_its_instruction_ends_and_one_without_rhythm_is_given_once(
    catalogue: Catalogue, dosage: Json | None, last: date | None
) -> None:
    (order,) = read(catalogue, a_drug_order("rituximab", *([dosage] if dosage else [])))
    assert (order.concepts, order.first, order.last) == (("rituximab",), TODAY, last)


@pytest.mark.parametrize(
    ("words", "concept"),
    [
        ("Varicella vaccination", "live-vaccine"),
        ("Measles, mumps and rubella immunisation", "live-vaccine"),
        ("Chickenpox shot", "live-vaccine"),
        ("Yellow fever jab", "live-vaccine"),
        ("Give Varivax 0.5 mL SC", "live-vaccine"),
        ("Zostavax", "live-vaccine"),
        ("MMR", "live-vaccine"),
        ("Nasal flu vaccine", "live-vaccine"),
        ("Oral typhoid vaccine", "live-vaccine"),
        ("Masernimpfung", "live-vaccine"),
        ("Impfung gegen Varizellen", "live-vaccine"),
        ("CART therapy", "car-t-therapy"),
        ("Chimeric antigen receptor T-cell therapy", "car-t-therapy"),
        ("Yescarta infusion", "car-t-therapy"),
        ("Ritux 1 g", "rituximab"),
        ("RTX infusion", "rituximab"),
        ("Transfuse 2 units PRBC", "transfusion"),
        ("Erythrozytenkonzentrat", "transfusion"),
        ("Influenza vaccination", None),
        ("Zoster vaccine recombinant", None),
        ("Varicella zoster IgG", None),
        ("Varicella zoster PCR", None),
        ("Rotavirus", None),
        ("Rubella immunity status", None),
        ("MMR vaccination counselling", None),
        ("Type and cross-match 2 units PRBC", None),
    ],
)
def test_a_service_in_words_orders_what_its_words_name(catalogue: Catalogue, words: str, concept: str | None) -> None:
    found = read(catalogue, a_service_order("-", code={"text": words}))
    assert [order.concepts for order in found] == ([(concept,)] if concept else [])


def test_an_order_that_names_a_later_day_begins_then_and_one_of_the_past_today(catalogue: Catalogue) -> None:
    later = a_service_order("major-surgery", occurrenceDateTime="2026-11-22")
    before = a_drug_order("rituximab", daily(1, boundsPeriod={"start": "2026-01-01"}))
    assert [order.first for order in read(catalogue, later, before)] == [date(2026, 11, 22), TODAY]


@pytest.mark.parametrize(
    "order",
    [
        a_drug_order("rituximab", status="cancelled"),
        a_drug_order("rituximab", status="stopped"),
        a_drug_order("rituximab", doNotPerform=True),
        a_drug_order("rituximab", subject={"reference": "Patient/other"}),
        a_drug_order("rituximab", modifierExtension=[{"url": "urn:unknown"}]),
        a_service_order("major-surgery", doNotPerform=True),
        a_service_order("major-surgery", status="revoked"),
        a_vaccine_due("live-vaccine", "contraindicated"),
        a_drug_order("no-such-concept"),
        {"resourceType": "NutritionOrder", "id": "n", "status": "draft"},
        {"resourceType": "ServiceRequest"},
        {"resourceType": "ImmunizationRecommendation", "recommendation": "none"},
        {},
    ],
)
def test_what_is_over_refused_anothers_or_unknown_is_no_order(catalogue: Catalogue, order: Json) -> None:
    assert read(catalogue, order) == ()


@pytest.mark.parametrize("subject", [None, {"reference": f"https://ehr.example/r4/Patient/{PATIENT}"}])
@pytest.mark.parametrize("status", [None, "draft", "active", "on-a-whim"])
def test_an_order_counts_without_subject_or_with_a_status_of_its_own(
    catalogue: Catalogue, subject: Json | None, status: str | None
) -> None:
    assert len(read(catalogue, a_drug_order("rituximab", subject=subject, status=status))) == 1


def test_older_names_of_orders_are_understood(catalogue: Catalogue) -> None:
    drug = a_drug_order("rituximab", resourceType="MedicationOrder")
    surgery = a_service_order("major-surgery", resourceType="ProcedureRequest")
    assert [order.source for order in read(catalogue, drug, surgery)] == [
        "MedicationOrder/draft-rituximab",
        "ProcedureRequest/draft-major-surgery",
    ]


def test_only_selected_orders_count_by_type_and_id_and_an_unknown_selection_is_passed_over(
    catalogue: Catalogue,
) -> None:
    orders = a_drug_order("rituximab"), a_drug_order("belimumab"), a_drug_order("ivig", id=None)
    chosen = ["https://ehr.example/r4/MedicationRequest/draft-belimumab/_history/2", "MedicationRequest/gone"]
    assert [order.concepts for order in read(catalogue, *orders, selected=chosen)] == [("belimumab",)]
    assert read(catalogue, *orders, selected=[]) == ()


def test_a_drug_is_found_contained_beside_the_order_and_by_its_words(catalogue: Catalogue) -> None:
    by_reference: Json = {"medicationCodeableConcept": None, "id": "1"}
    contained = a_drug_order(
        "-",
        **by_reference,
        medicationReference={"reference": "#m"},
        contained=[{"resourceType": "Medication", "id": "m", "code": coded("rituximab")}],
    )
    beside = a_drug_order("-", **by_reference | {"id": "2"}, medicationReference={"reference": "Medication/m2"})
    worded = a_drug_order("-", id="3", medicationCodeableConcept=coded("4711", "Rituximab 1000 mg IV", "urn:local"))
    sent = bundle(contained, beside, worded, {"resourceType": "Medication", "id": "m2", "code": coded("belimumab")})
    drafts = read_drafts(json.dumps(sent).encode(), PATIENT)
    builder = ChartBuilder(PATIENT)
    builder.add(body_of({}, TODAY, catalogue), None)
    assert drafts.medications
    builder.add(drafts.medications, "Medication")
    found = planned(drafts, builder.build(), catalogue, CLOCK)
    assert [(order.concepts, order.by_text) for order in found] == [
        (("rituximab",), False),
        (("belimumab",), False),
        (("rituximab",), True),
    ]


@pytest.mark.parametrize(
    "medication",
    [
        {"medicationReference": {"reference": "Medication/gone", "display": "rituximab 500 mg/50 mL"}},
        {"medicationReference": {"display": "Rituximab"}},
        {"medicationReference": {"reference": "#gone", "display": "rituximab"}},
        {"medication": {"reference": {"reference": "Medication/gone", "display": "rituximab"}}},
        {"medicationReference": {"reference": "Medication/empty", "display": "rituximab"}},
    ],
)
def test_the_words_beside_a_reference_are_read_where_the_medication_says_nothing(
    catalogue: Catalogue, medication: Json
) -> None:
    order = a_drug_order("-", medicationCodeableConcept=None, **medication)
    assert [(each.concepts, each.by_text) for each in read(catalogue, order)] == [(("rituximab",), True)]


def test_the_words_beside_a_reference_do_not_speak_against_its_medication(catalogue: Catalogue) -> None:
    reference = {"reference": "#m", "display": "rituximab"}
    contained = [{"resourceType": "Medication", "id": "m", "code": coded("belimumab")}]
    order = a_drug_order("-", medicationCodeableConcept=None, medicationReference=reference, contained=contained)
    assert [(each.concepts, each.by_text) for each in read(catalogue, order)] == [(("belimumab",), False)]


@pytest.mark.parametrize(
    ("words", "concept"),
    [
        ("Hemodialysis", "dialysis"),
        ("Transfusion of packed red cells", "transfusion"),
        ("Transfuse 2 units platelets", "transfusion"),
        ("Rituximab infusion", "rituximab"),
        ("CAR-T cell infusion", "car-t-therapy"),
        ("Kidney transplantation", "organ-transplant"),
    ],
)
def test_a_service_in_words_is_read_by_them(catalogue: Catalogue, words: str, concept: str) -> None:
    for code in ({"text": words}, {"coding": [{"system": "urn:local", "code": "4711", "display": words}]}):
        order = a_service_order("-", code=code)
        assert [(each.concepts, each.by_text) for each in read(catalogue, order)] == [((concept,), True)]
    detailed = a_service_order("-", code={"text": "As discussed"}, orderDetail=[{"text": words}])
    assert [each.concepts for each in read(catalogue, detailed)] == [(concept,)]


@pytest.mark.parametrize(
    "order",
    [
        {"code": {"text": "Rituximab level"}},
        {"code": {"text": "Anti-rituximab antibodies"}},
        {"code": {"text": "Hemodialysis consult"}},
        {"code": {"text": "Dialysis catheter placement"}},
        {"code": {"text": "No transfusion"}},
        {"code": {"text": "Lupus nephritis clinic"}},
        {"code": {"text": "Rituximab"}, "category": [{"coding": [{"code": "108252007"}]}]},
        {"code": {"text": "Rituximab"}, "doNotPerform": True},
    ],
)
def test_a_service_that_only_mentions_a_treatment_is_no_order_for_it(catalogue: Catalogue, order: Json) -> None:
    assert read(catalogue, a_service_order("-", **order)) == ()


def test_the_code_of_a_service_decides_before_its_words_and_its_category(catalogue: Catalogue) -> None:
    order = a_service_order(
        "dialysis", code=coded("dialysis", "CAR-T evaluation"), category=[{"coding": [{"code": "108252007"}]}]
    )
    assert [(each.concepts, each.by_text) for each in read(catalogue, order)] == [(("dialysis",), False)]


def test_a_medication_that_was_not_sent_is_asked_for_and_nothing_that_is_no_id() -> None:
    elsewhere = [
        a_drug_order("-", medicationCodeableConcept=None, id=str(n), medicationReference={"reference": reference})
        for n, reference in enumerate(("Medication/m", "Medication/..", "Medication/m?_include=x", "Patient/1"))
    ]
    builder = ChartBuilder(PATIENT)
    builder.want_medications(read_drafts(body(*elsewhere), PATIENT).wanted)
    assert builder.missing_medications() == ("Medication/m",)


def test_whether_orders_may_matter_is_known_before_the_chart_is_read(catalogue: Catalogue) -> None:
    pointing = a_drug_order("-", medicationCodeableConcept=None, medicationReference={"reference": "Medication/m"})
    expected = {
        body(a_drug_order("rituximab")): True,
        body(pointing): True,
        body(a_vaccine_due("live-vaccine")): True,
        body(a_drug_order("amoxicillin")): False,
        body(): False,
    }
    for sent, matters in expected.items():
        assert read_drafts(sent, PATIENT).may_matter(catalogue) is matters


@pytest.mark.parametrize(
    "sent", [b"{}", b"[]", b'{"resourceType": "Patient"}', b'{"resourceType": "Bundle", "entry": 1}']
)
def test_what_is_no_bundle_is_refused_without_repeating_it(sent: bytes) -> None:
    with pytest.raises(ChartError, match="a FHIR Bundle of draft orders is needed"):
        read_drafts(sent, PATIENT)


def test_the_chart_with_an_order_has_what_it_would_leave_behind(catalogue: Catalogue) -> None:
    facts = with_orders(
        catalogue,
        a_chart(catalogue),
        a_drug_order("rituximab"),
        a_service_order("dialysis"),
        a_vaccine_due("live-vaccine"),
    )
    found = {e.source: e.kind for c in ("rituximab", "dialysis", "live-vaccine") for e in facts.episodes(c)}
    assert found == {
        "MedicationRequest/draft-rituximab": "drug",
        "ServiceRequest/draft-dialysis": "procedure",
        "ImmunizationRecommendation/vaccines": "immunization",
    }


def test_the_chart_itself_is_left_as_it_was(catalogue: Catalogue) -> None:
    chart = a_chart(catalogue)
    with_orders(catalogue, chart, a_drug_order("rituximab"))
    assert facts_of(chart, catalogue, CLOCK.as_of, UTC).episodes("rituximab") == ()


PREDNISONE = {"prednisone": {"since": "2024-01-01", "dose": "10 mg/d"}}


@pytest.mark.parametrize(
    ("order", "day", "expected"),
    [
        (a_drug_order("prednisone", daily(10)), TODAY, 10),  # renewed, not doubled
        (a_drug_order("prednisone", daily(40)), TODAY, 40),  # changed, not added
        (a_drug_order("prednisone", daily(40, **for_days(5))), date(2026, 11, 5), 40),
        (a_drug_order("prednisone", daily(40, **for_days(5))), date(2026, 11, 6), 10),  # and back
        (a_drug_order("methylprednisolone", {"text": "1000 mg IV once"}), TODAY, 1260),  # beside it: 1000 x 1.25
        (a_drug_order("methylprednisolone", {"text": "1000 mg IV once"}), date(2026, 11, 2), 10),
    ],
)
def test_an_order_takes_the_place_of_the_same_drug_for_as_long_as_it_runs(
    catalogue: Catalogue, order: Json, day: date, expected: int
) -> None:
    found = dose(with_orders(catalogue, a_chart(catalogue, treatments=PREDNISONE), order, on=day))
    assert found.value is not None
    assert found.value.exact == expected


def test_an_order_without_an_end_may_be_read_as_given_once(catalogue: Catalogue) -> None:
    order, tomorrow = a_drug_order("belimumab", {"text": "200 mg SC weekly"}), date(2026, 11, 2)
    going_on, once = (
        with_orders(catalogue, a_chart(catalogue), order, on=tomorrow, once=once).episodes("belimumab")[0]
        for once in (False, True)
    )
    assert (going_on.ongoing, once.ongoing) == (True, False)


def test_an_order_that_is_in_the_chart_already_is_not_counted_twice(catalogue: Catalogue) -> None:
    signed = a_drug_order("prednisone", daily(10), id="x", status="active", authoredOn="2026-01-01")
    chart = a_chart(catalogue, resources=[signed])
    found = dose(with_orders(catalogue, chart, signed | {"status": "draft"}))
    assert found.value is not None
    assert found.value.exact == 10


def test_a_count_from_before_a_drug_that_lowers_it_says_nothing_after(catalogue: Catalogue) -> None:
    chart = a_chart(catalogue, results={"lymphocytes": "1.2 10*9/L", "platelets": "200 10*9/L"})
    facts = with_orders(catalogue, chart, a_drug_order("fludarabine"))
    assert list(facts.results("lymphocytes")) == []
    assert len(facts.results("platelets")) == 1


def test_a_chart_about_some_concepts_keeps_their_results_and_everything_that_is_no_result(catalogue: Catalogue) -> None:
    results = {"lymphocytes": "1.2 10*9/L", "platelets": "200 10*9/L", "creatinine": "0.8 mg/dL"}
    chart = a_chart(catalogue, results=results, treatments=PREDNISONE)
    small = facts_of(only_about(chart, {"lymphocytes", "glucocorticoid-dose"}, catalogue), catalogue, CLOCK.as_of, UTC)
    assert [len(small.results(concept)) for concept in results] == [1, 0, 0]
    assert dose(small).value == dose(facts_of(chart, catalogue, CLOCK.as_of, UTC)).value
    calculated = only_about(chart, {"creatinine-clearance"}, catalogue)
    assert calculated is chart
