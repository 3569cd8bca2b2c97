"""Windows tied to an event: the result in use, the onset of a disease, a treatment that went on."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import DefinitionError
from tests.edges.asking import Asked, Json, condition, treatment, value
from tests.mappings.charts import SNOMED, SUBJECT, a_condition, an_observation, code, quantity
from tests.small_trial import a_trial, words_of
from trial_defs.definition.lint import lint_trial
from trial_defs.definition.rendering import criterion_words

TRANSFUSION = treatment("transfusion", when="within 7 d", before={"result": "hemoglobin"}, absent="presume")
HEMOGLOBIN = value("hemoglobin", ">= 70 g/L", clear_of={"of": "transfusion", "for": "7 d"})


def a_count(day: str = "2026-10-10", number: float = 8.2) -> Json:
    return an_observation("718-7", {"valueQuantity": quantity(number, "g/dL")}, id=f"hb-{day[:10]}",
                          effectiveDateTime=day)  # fmt: skip


def red_cells(day: str = "2026-10-06", **more: object) -> Json:
    return {"resourceType": "Procedure", "id": f"rbc-{day[:10]}", "status": "completed", "subject": SUBJECT,
            "code": code(SNOMED, "116863004"), "performedDateTime": day} | more  # fmt: skip


@pytest.mark.parametrize(
    ("given", "count", "transfusion", "hemoglobin"),
    [
        ("2026-10-06", "2026-10-10", "not-met", "unknown: missing"),
        ("2026-10-03", "2026-10-10", "not-met", "unknown: missing"),
        ("2026-10-02", "2026-10-10", "met", "met"),
        ("2026-10-11", "2026-10-10", "met", "met"),
        ("2026-10-10", "2026-10-10", "unknown: imprecise", "unknown: missing"),
        ("2026-10-10T14:00:00Z", "2026-10-10T08:00:00Z", "met", "met"),
        ("2026-10-10T06:00:00Z", "2026-10-10T08:00:00Z", "not-met", "unknown: missing"),
        ("2026-10", "2026-10-10", "unknown: imprecise", "unknown: missing"),
        ("2026-09", "2026-10-20", "met", "met"),
        # a count that is too old is not in use: the next would be taken today
        ("2026-10-28", "2026-06-01", "not-met", "unknown: stale"),
        ("2026-05-30", "2026-06-01", "met", "unknown: stale"),
    ],
)
def test_a_count_after_red_cells_shows_nothing_and_is_told(
    given: str, count: str, transfusion: str, hemoglobin: str, ask: Asked
) -> None:
    chart = (red_cells(given), a_count(count))
    assert ask(TRANSFUSION, *chart, kind="exclude").says == transfusion
    assert ask(HEMOGLOBIN, *chart).says == hemoglobin


def test_the_words_name_the_count_and_what_was_given_before_it(ask: Asked) -> None:
    chart = (red_cells(), a_count())
    found = ask(TRANSFUSION, *chart, kind="exclude")
    assert found.explanation.endswith(
        " on 2026-10-06; Hemoglobin 8.2 g/dL (82 g/L) on 2026-10-10; repeat the test, more than 7 days after it"
    )
    assert found.cohort["verdict"] == "near-miss"
    assert {each["resource"] for each in found.criterion["evidence"]} == {"Procedure/rbc-2026-10-06",
                                                                        "Observation/hb-2026-10-10"}  # fmt: skip
    count = ask(HEMOGLOBIN, *chart)
    assert "8.2 g/dL (82 g/L) on 2026-10-10 does not count" in count.explanation
    assert "on 2026-10-06" in count.explanation


def test_only_the_newest_count_is_in_use(ask: Asked) -> None:
    later = a_count("2026-10-20")
    assert ask(TRANSFUSION, red_cells(), a_count(), later, kind="exclude").says == "met"
    assert ask(HEMOGLOBIN, red_cells(), a_count(), later).says == "met"


def test_a_count_below_the_limit_fails_in_spite_of_red_cells(ask: Asked) -> None:
    assert ask(HEMOGLOBIN, red_cells(), a_count(number=6.9)).says == "not-met"


def test_without_a_count_the_window_ends_today(ask: Asked) -> None:
    found = ask(TRANSFUSION, red_cells("2026-10-28"), kind="exclude")
    assert found.says == "not-met"
    assert found.cohort["recheckOn"] == "2026-11-05"


# -- the onset of a disease -------------------------------------------------------------------------------------------

TUMOR = condition("malignancy", when="ever", began_within="2 a", around={"onset": "dermatomyositis"}, absent="presume")


def a_tumor(onset: str, **more: object) -> Json:
    return a_condition("C50.9", id="tumor", onsetDateTime=onset) | more


def a_myositis(onset: str | None, name: str = "dm") -> Json:
    return a_condition("M33.10", id=name, onsetDateTime=onset)


@pytest.mark.parametrize(
    ("tumor", "myositis", "expected"),
    [
        ("2018-05-01", ["2020-05-01"], "not-met"),
        ("2018-04-30", ["2020-05-01"], "met"),
        ("2022-05-01", ["2020-05-01"], "not-met"),
        ("2022-05-02", ["2020-05-01"], "met"),
        ("2018", ["2020-05-01"], "unknown: imprecise"),
        ("2019", ["2020"], "not-met"),
        ("2022", ["2020"], "unknown: imprecise"),
        ("2024", ["2020"], "met"),
        ("2022-05-01", ["2024-01-01", "2017-01-01"], "met"),  # the first entry is the onset
        ("2022-05-01", [None], "unknown: imprecise"),
        ("2022-05-01", [], "unknown: missing"),
    ],
)
def test_a_tumor_around_the_onset_of_the_myositis(
    tumor: str, myositis: list[str | None], expected: str, ask: Asked
) -> None:
    entries = [a_myositis(onset, f"dm{n}") for n, onset in enumerate(myositis)]
    assert ask(TUMOR, a_tumor(tumor), *entries, kind="exclude").says == expected


def test_without_a_tumor_there_is_nothing_to_count(ask: Asked) -> None:
    found = ask(TUMOR, a_myositis("2020-05-01"), kind="exclude")
    assert (found.says, found.criterion["basis"]) == ("met", "presumed")


# -- under a treatment ------------------------------------------------------------------------------------------------

UNDER = value("sledai-2k", ">= 7 {score}", at_least="3 mo", after={"start": ["methotrexate", "leflunomide"]})


def a_score(day: str = "2026-10-10") -> Json:
    system = "https://trialcards.org/fhir/CodeSystem/concept"
    return an_observation("x", {"valueQuantity": quantity(9, "{score}")}, code=code(system, "sledai-2k"),
                          effectiveDateTime=day)  # fmt: skip


def methotrexate(start: str | None, end: str | None = None, status: str = "active") -> Json:
    period = {key: day for key, day in (("start", start), ("end", end)) if day}
    return {"resourceType": "MedicationStatement", "id": "mtx", "status": status, "subject": SUBJECT,
            "medicationCodeableConcept": code("http://www.nlm.nih.gov/research/umls/rxnorm", "6851"),
            "effectivePeriod": period}  # fmt: skip


@pytest.mark.parametrize(
    ("drug", "says"),
    [
        (methotrexate("2026-07-10"), "met"),
        (methotrexate("2026-07-11"), "unknown: missing"),
        (methotrexate("2024-01-01", "2026-10-09", "completed"), "unknown: missing"),
        (methotrexate("2024-01-01", "2026-10-20", "completed"), "met"),
        (methotrexate("2026-07"), "unknown: imprecise"),
        (methotrexate(None), "unknown: imprecise"),
        (methotrexate("2024-01-01", None, "stopped"), "unknown: imprecise"),
    ],
)
def test_a_score_under_a_treatment_that_had_lasted_long_enough(drug: Json, says: str, ask: Asked) -> None:
    found = ask(UNDER, a_score(), drug)
    assert found.says == says
    if says == "met":
        assert found.criterion["basis"] == "derived"
    presumed = {"value": UNDER["value"] | {"absent": "presume"}}
    expected = {"unknown: missing": "not-met"}.get(says, says)
    assert ask(presumed, a_score(), drug).says == expected


def test_a_score_below_the_limit_is_no_question_of_treatment(ask: Asked) -> None:
    lower = {"value": UNDER["value"] | {"is": ">= 12 {score}"}}
    assert ask(lower, a_score(), methotrexate("2024-01-01")).says == "not-met"


# -- the language -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asks", "message"),
    [
        (treatment("transfusion", when="ever", before={"result": "hemoglobin"}), "has no window"),
        (treatment("transfusion", when="within 7 d", before={"result": "lupus-nephritis"}), "is a diagnosis"),
        (treatment("transfusion", when="within 7 d", before={"start": "rituximab"}), "counts from result or onset"),
        (treatment("transfusion", when="within 7 d", lasting="3 d", before={"result": "hemoglobin"}),
         "with a window only"),
        (condition("malignancy", when="ever", around={"onset": "dermatomyositis"}), "began_within"),
        (value("sledai-2k", ">= 7 {score}", at_least="3 mo"), "at_least and after go together"),
        (value("sledai-2k", ">= 7 {score}", after={"start": "rituximab"}), "at_least and after go together"),
        (value("sledai-2k", ">= 7 {score}", at_least="3 mo", before={"start": "rituximab"}), "not before it"),
        (value("sledai-2k", ">= 7 {score}", at_least="3 mo", after={"start": "rituximab"}, pick="any"), "newest"),
        (value("hemoglobin", "<= 70 g/L", clear_of={"of": "transfusion", "for": "7 d"}), "is beside a least value"),
        (value("hemoglobin", ">= 70 g/L", clear_of={"of": "transfusion", "for": "7 d"}, runs=2), "newest result"),
        (value("hemoglobin", ">= 70 g/L", clear_of={"of": "nonsense", "for": "7 d"}), "not a concept"),
    ],
)  # fmt: skip
def test_a_window_that_cannot_be_counted_is_refused(asks: Json, message: str, catalogue: Catalogue) -> None:
    with pytest.raises(DefinitionError, match=message):
        a_trial(catalogue, {"include": asks})


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ({"include": treatment("ivig", when="within 7 d", before={"result": "x", "onset": "y"})}, "exactly one event"),
        ({"include": treatment("ivig", when="within 7 d", before={})}, "exactly one event"),
        (
            {"include": treatment("transfusion", when="within 7 d", before={"result": "x"}, after={"result": "x"})},
            "one of before, after and around",
        ),
        ({"include": HEMOGLOBIN, "step": {"text": "t", "within": "1 d"}}, "exactly one act"),
        ({"include": HEMOGLOBIN, "step": {"text": "t", "before": "apheresis"}}, "exactly one distance"),
    ],
)  # fmt: skip
def test_a_word_that_says_two_things_or_none_is_refused(criterion: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        words_of(criterion)


def test_lint_objects_to_a_result_that_the_cohort_does_not_use(catalogue: Catalogue) -> None:
    lupus = {"include": condition("systemic-lupus-erythematosus")}
    alone = lint_trial(a_trial(catalogue, lupus, {"exclude": TRANSFUSION}), catalogue)
    assert [message for _, message in alone] == [
        "counts from the result of hemoglobin, which no criterion of this cohort asks for"
    ]
    assert lint_trial(a_trial(catalogue, lupus, {"exclude": TRANSFUSION}, {"include": HEMOGLOBIN}), catalogue) == []
    itself = condition("dermatomyositis", began_within="2 a", around={"onset": "dermatomyositis"})
    found = lint_trial(a_trial(catalogue, lupus, {"exclude": itself}), catalogue)
    assert "dermatomyositis is counted from itself; name the event that the text means" in [m for _, m in found]


def test_a_step_keeps_its_distance_as_data(catalogue: Catalogue) -> None:
    step = {"text": "count within 24 hours before apheresis", "within": "24 h", "before": "apheresis"}
    criterion = a_trial(catalogue, {"include": HEMOGLOBIN, "step": step}).cohorts[0].criteria[0]
    assert criterion.step == step["text"]
    assert criterion.planned is not None
    assert (criterion.planned.side, criterion.planned.act, str(criterion.planned.within)) == (
        "before",
        "apheresis",
        "24 h",
    )
    assert criterion_words(criterion, catalogue)["step"] == step
