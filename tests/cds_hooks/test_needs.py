"""What to order next: the fewest items that would settle the most, over several trials and cohorts."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from tests import small_trial
from tests.builders import PATIENT, body_of
from tests.case_files import all_cases
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Finding, Match, Outcome, Verdict
from trial_defs.planning.needs import EFFORT, needs_of, what_next

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
LUPUS: dict[str, Any] = {
    "patient": {"sex": "female", "born": "1990-05-01"},
    "conditions": {"systemic-lupus-erythematosus": {"onset": "2020-03-01"}},
}
Json = dict[str, Any]


def value(concept: str, test: str) -> Json:
    return {"value": {"of": concept, "is": test}}


def a_trial(catalogue: Catalogue, name: str, *criteria: Json) -> Trial:
    return small_trial.a_trial(catalogue, *criteria, id=name)


def matched(catalogue: Catalogue, *trials: Trial, **results: Any) -> Match:
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(LUPUS | {"results": results.pop("results", {})}, AS_OF.date(), catalogue), None)
    builder.whole_chart()
    return match(trials, builder.build(), catalogue, AS_OF, UTC)


def titles(catalogue: Catalogue, *trials: Trial, **more: Any) -> list[str]:
    return [need.order.title for need in what_next(matched(catalogue, *trials, **more).trials, catalogue)]


def test_one_blood_count_settles_what_two_trials_wait_for(catalogue: Catalogue) -> None:
    one = a_trial(catalogue, "ONE", {"include": value("platelets", ">= 50 10*9/L")})
    other = a_trial(
        catalogue,
        "OTHER",
        {"include": value("hemoglobin", ">= 80 g/L")},
        {"include": value("neutrophils", ">= 1 10*9/L")},
    )
    (need,) = needs_of(matched(catalogue, one, other).trials, catalogue)
    assert need.order.title.startswith("Complete blood count")
    assert need.settles == {("ONE", "sle", "C1.x"), ("OTHER", "sle", "C1.x"), ("OTHER", "sle", "C2.x")}
    assert list(need.concepts) == ["platelets", "hemoglobin", "neutrophils"]


def test_a_clinician_asks_first_and_takes_a_biopsy_last(catalogue: Catalogue) -> None:
    trial = a_trial(
        catalogue,
        "ALL",
        {"include": {"condition": {"is": "lupus-nephritis", "lasting": "6 mo"}}},
        {"include": value("lvef", ">= 45 %")},
        {"include": value("fvc-percent-predicted", ">= 50 %")},
        {"include": value("qtc", "<= 470 ms")},
        {"include": value("platelets", ">= 50 10*9/L")},
        {"include": value("urine-protein-24h", ">= 1 g/(24.h)")},
        {"include": value("sledai-2k", ">= 6 {score}")},
        {"exclude": {"treatment": {"of": "live-vaccine", "when": "within 6 wk"}}},
    )
    needs = what_next(matched(catalogue, trial).trials, catalogue)
    hows = [need.order.how for need in needs]
    assert hows == [
        "ask", "examination", "urine-test", "blood-test", "ecg", "lung-function", "imaging", "procedure",
    ]  # fmt: skip
    assert needs[0].order.title.startswith("Ask about: ")
    assert "biopsy" in needs[-1].order.title
    assert [EFFORT[how] for how in hows] == sorted(EFFORT[how] for how in hows)


def test_a_diagnosis_that_a_test_finds_is_not_asked_about(catalogue: Catalogue) -> None:
    trial = a_trial(
        catalogue,
        "T",
        {"exclude": {"condition": {"is": "pregnancy"}}},
        {"exclude": value("hcg", "positive")},
    )
    (need,) = what_next(matched(catalogue, trial).trials, catalogue)
    assert (need.order.how, len(need.settles)) == ("blood-test", 2)


def test_one_draw_of_blood_is_told_once_however_many_codes_it_has(catalogue: Catalogue) -> None:
    values = [value(name, ">= 1 g/L") for name in ("igg", "iga", "igm")]
    trial = a_trial(catalogue, "T", *({"include": each} for each in values))
    assert titles(catalogue, trial) == ["Immunoglobulins G, A, M"]


def test_of_alternatives_only_the_cheapest_is_ordered(catalogue: Catalogue) -> None:
    either = {"any": [value("lvef", ">= 45 %"), value("platelets", ">= 50 10*9/L")]}
    assert titles(catalogue, a_trial(catalogue, "T", {"include": either})) == ["Complete blood count with differential"]


def test_of_alternatives_the_one_that_is_needed_anyway_is_ordered(catalogue: Catalogue) -> None:
    either = {"any": [value("lvef", ">= 45 %"), value("platelets", ">= 50 10*9/L")]}
    echo = a_trial(catalogue, "ECHO", {"include": value("lvef", ">= 50 %")})
    needs = needs_of(matched(catalogue, a_trial(catalogue, "T", {"include": either}), echo).trials, catalogue)
    assert [(n.order.title, len(n.settles)) for n in needs] == [("Echocardiography", 2)]


def test_where_none_may_hold_every_one_is_ordered(catalogue: Catalogue) -> None:
    either = {"any": [value("hbsag", "positive"), value("hiv", "positive")]}
    assert len(titles(catalogue, a_trial(catalogue, "T", {"exclude": either}))) == 2


def test_where_all_must_hold_every_one_is_ordered(catalogue: Catalogue) -> None:
    both = {"all": [value("lvef", ">= 45 %"), value("platelets", ">= 50 10*9/L")]}
    assert len(titles(catalogue, a_trial(catalogue, "T", {"include": both}))) == 2
    not_both = {"not": {"any": [value("hbsag", "positive"), value("hiv", "positive")]}}
    assert len(titles(catalogue, a_trial(catalogue, "T", {"include": not_both}))) == 2


def test_what_is_settled_already_is_not_ordered(catalogue: Catalogue) -> None:
    both = {"all": [value("lvef", ">= 45 %"), value("platelets", ">= 50 10*9/L")]}
    trial = a_trial(catalogue, "T", {"include": both})
    assert titles(catalogue, trial, results={"platelets": "180 10*9/L"}) == ["Echocardiography"]


@pytest.mark.parametrize(
    ("result", "ordered"),
    [
        ({"value": "180 10*9/L", "taken": "2026-01-01"}, True),  # too old
        ({"value": "90000 10*9/L"}, True),  # not plausible
        ({"value": "180 10*9/L", "status": "preliminary"}, False),  # on its way
        ({"value": "180 %"}, False),  # there, in a unit that somebody has to be asked about
    ],
)
def test_a_test_is_ordered_only_where_a_new_result_would_help(
    catalogue: Catalogue, result: Json, ordered: bool
) -> None:
    trial = a_trial(catalogue, "T", {"include": value("platelets", ">= 50 10*9/L")})
    assert bool(titles(catalogue, trial, results={"platelets": result})) is ordered


def test_a_cohort_that_is_out_asks_for_nothing(catalogue: Catalogue) -> None:
    out = a_trial(
        catalogue, "OUT", {"include": value("hemoglobin", ">= 80 g/L")}, {"include": value("lvef", ">= 45 %")}
    )
    assert titles(catalogue, out, results={"hemoglobin": "40 g/L"}) == []


def test_a_guard_that_is_open_is_ordered_too(catalogue: Catalogue) -> None:
    guarded = {"only_if": value("hbsag", "positive"), "exclude": value("hbv-dna", "positive")}
    assert len(titles(catalogue, a_trial(catalogue, "T", guarded))) == 2


def test_what_is_ordered_settles_every_criterion_it_says_when_it_comes_out_well(
    catalogue: Catalogue, trials: dict[str, Trial]
) -> None:
    """Over our own trials: take any candidate's chart without some results; giving them back settles the criteria."""
    tried = 0
    for case in all_cases():
        if case.verdict != Verdict.LIKELY_ELIGIBLE or not case.chart.get("results"):
            continue
        gone = dict(list(case.chart["results"].items())[::3])
        poor = dict(case.chart) | {"results": {c: r for c, r in case.chart["results"].items() if c not in gone}}
        needs = needs_of(_read(poor, case.as_of, trials, catalogue).trials, catalogue)
        rich = _read(case.chart, case.as_of, trials, catalogue)
        waited_for = {place: [n for n in needs if place in n.settles] for need in needs for place in need.settles}
        for place, tests in waited_for.items():
            if {concept for need in tests for concept in need.concepts} <= set(gone):
                found = _finding(rich, *place)
                tried += 1
                assert found.outcome is not Outcome.UNKNOWN or found.reason != "missing", place
    assert tried > 20


def _finding(found: Match, trial: str, cohort: str, criterion: str) -> Finding:
    return next(
        f for t in found.trials if t.trial.id == trial for c in t.cohorts if c.cohort.id == cohort
        for f in c.findings if f.criterion.id == criterion
    )  # fmt: skip


def _read(chart: Any, day: Any, trials: dict[str, Trial], catalogue: Catalogue) -> Match:
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(chart, day, catalogue), None)
    builder.whole_chart()
    return match(trials.values(), builder.build(), catalogue, datetime.combine(day, time(), UTC), UTC)
