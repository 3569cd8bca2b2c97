"""The mutation proof itself: what it changes, and that a case which checks nothing is found out."""

from __future__ import annotations

import pytest

from mappings.concepts.catalogue import Catalogue
from tests.mutation.mutants import changed, changed_criteria, lengths, limits, steps
from tests.mutation.prove import Explanation, Fate, Mutant, Proof, judged, mutants_of, report
from trial_defs.definition.language import CriterionWords
from trial_defs.definition.loader import OUR_TRIALS

TRIAL = OUR_TRIALS / "CT1190B-SLE-SSC.yaml"


def _criterion(asked: object, **more: object) -> CriterionWords:
    return CriterionWords.model_validate({"id": "I1", "source": "s", "text": "t", "include": asked, **more})


def _changes(asked: object) -> set[str]:
    words = _criterion(asked).include
    assert words is not None
    return {what for what, _ in changed(words)}


@pytest.mark.parametrize(
    ("number", "beside"), [("25", ("24", "26")), ("1.5", ("1.4", "1.6")), ("0.25", ("0.24", "0.26"))]
)
def test_a_number_moves_by_one_step_of_its_last_digit(number: str, beside: tuple[str, str]) -> None:
    assert steps(number) == beside


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (">= 25 10*9/L", {"> 25 10*9/L", "< 25 10*9/L", ">= 24 10*9/L", ">= 26 10*9/L", ">= 25 10*6/L"}),
        ("< LLN", {"<= LLN", ">= LLN", "< 0.9 LLN", "< 1.1 LLN", "< ULN"}),
        ("positive", {"negative"}),
        ("45..70 %", {"44..70 %", "46..70 %", "45..69 %", "45..71 %", ">= 45 %", "<= 70 %"}),
        (
            "<= ULN + 4 s",
            {"< ULN + 4 s", "> ULN + 4 s", "<= 0.9 ULN + 4 s", "<= 1.1 ULN + 4 s", "<= LLN + 4 s", "<= ULN",
             "<= ULN + 3 s", "<= ULN + 5 s", "<= ULN + 4 ms"},
        ),
    ],
)  # fmt: skip
def test_a_limit_is_changed_in_number_comparator_and_unit(limit: str, expected: set[str]) -> None:
    assert {text for _, text in limits(limit)} == expected


def test_a_length_of_time_is_a_step_longer_a_step_shorter_and_in_the_wrong_unit() -> None:
    assert [text for _, text in lengths("6 mo")] == ["5 mo", "7 mo", "6 a"]
    assert [text for _, text in lengths("1 wk")] == ["2 wk", "1 mo"]


def test_combinators_turn_and_lose_their_parts() -> None:
    found = _changes({"any": [{"sex": "male"}, {"not": {"condition": {"is": "epilepsy", "when": "ever"}}}]})
    assert {"any -> all", "any: male left out", "any: (epilepsy) left out", "not dropped"} <= found
    assert {"sex male -> female", "epilepsy: when ever -> active", "epilepsy: absent ask -> presume"} <= found


def test_a_criterion_changes_sides_and_loses_its_guard() -> None:
    found = {what for what, _ in changed_criteria(_criterion({"sex": "male"}, only_if={"sex": "female"}))}
    assert found == {
        "include -> exclude", "sex male -> female", "only_if dropped", "only_if turned round",
        "only_if: sex female -> male",
    }  # fmt: skip


def test_a_question_for_a_person_is_no_mutant_by_itself() -> None:
    assert list(changed_criteria(_criterion({"judgement": {"ask": "Is it severe?"}}))) == []


def test_a_mutant_that_no_case_notices_survives_and_one_that_a_case_notices_does_not(catalogue: Catalogue) -> None:
    proof = Proof(TRIAL, catalogue)
    limit = next(m for m in mutants_of(TRIAL) if m.name.endswith("I4.sledai: sledai-2k: >= 7 {score} -> >= 8 {score}"))
    assert not proof.fate(limit).survived
    proof.cases = [read for read in proof.cases if "I4.sledai" not in read.case.expect and not read.case.verdict]
    assert proof.fate(limit).survived


def test_a_limit_that_the_language_refuses_is_not_held_against_the_cases(catalogue: Catalogue) -> None:
    words = _criterion({"value": {"of": "hemoglobin", "is": ">= 9000 g/L"}})
    assert Proof(TRIAL, catalogue).fate(Mutant("T", ("sle",), "I1", "9000", criterion=words)).refused


def test_a_survivor_needs_an_explanation_and_an_explanation_a_survivor() -> None:
    why = Explanation(mutants=("T sle I1: *", "T sle I9: gone"), because="No chart could tell the difference.")
    verdict = judged(["T sle I1: a -> b", "T sle I2: c -> d"], [why])
    assert (verdict.unexplained, verdict.idle) == (("T sle I2: c -> d",), ("T sle I9: gone",))
    assert not verdict.passed


def test_the_report_counts_and_gives_each_reason_once() -> None:
    why = Explanation(mutants=("T sle *",), because="No chart could tell the difference.")
    fates = [Fate(Mutant("T", ("sle",), "I1", "a -> b")), Fate(Mutant("T", ("sle",), "I1", "c -> d"), killed_by="x")]
    text = report(fates, judged(["T sle I1: a -> b"], [why]))
    assert "| T | 2 | 0 | 1 | 1 | 0 |" in text
    assert text.count("No chart could tell the difference.") == 1
