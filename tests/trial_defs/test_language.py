"""The definition language refuses what it does not understand, and says where and what would be accepted."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from mappings.concepts.catalogue import Catalogue
from mappings.facts import Polarity
from mappings.time.times import Period
from mappings.yaml_files import DefinitionError, read_yaml
from trial_defs.definition import expressions as x
from trial_defs.definition.compiler import Compiler
from trial_defs.definition.language import CriterionWords
from trial_defs.definition.loader import load_trials, read_trial

WHOLE = """
id: DEMO-1
version: 1
title: An invented trial
short_title: Invented
source: {document: invented.txt, read_on: 2026-11-01}
recruiting: {status: recruiting}
before:
  - id: I1
    source: first point
    text: Platelets at least 25
    include: INCLUDE
cohorts:
  sle:
    title: Lupus
    gate: {condition: {is: systemic-lupus-erythematosus}}
"""
VALUE = '{value: {of: platelets, is: ">= 25 10*9/L"}}'


def _written(folder: Path, include: str = VALUE, whole: str = WHOLE) -> Path:
    path = folder / "demo.yaml"
    path.write_text(whole.replace("INCLUDE", include), "utf-8")
    return path


def _asks(folder: Path, include: str, catalogue: Catalogue) -> x.Expression:
    return read_trial(_written(folder, include), catalogue).cohorts[0].criteria[0].asks


def _complaints(folder: Path, include: str, catalogue: Catalogue, whole: str = WHOLE) -> str:
    with pytest.raises(DefinitionError) as caught:
        read_trial(_written(folder, include, whole), catalogue)
    return str(caught.value)


def test_a_limit_is_compiled_into_the_concepts_own_unit(tmp_path: Path, catalogue: Catalogue) -> None:
    asks = _asks(tmp_path, '{value: {of: hemoglobin, is: ">= 6 g/dL"}}', catalogue)
    assert isinstance(asks, x.Value)
    assert asks.test == x.Bound(">=", Decimal(6), "g/dL", Decimal(60))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("<= 3 ULN", x.Bound("<=", Decimal(3), "ULN", Decimal(3), "ULN")),
        ("< LLN", x.Bound("<", Decimal(1), "LLN", Decimal(1), "LLN")),
    ],
)
def test_a_limit_may_be_a_multiple_of_normal(
    tmp_path: Path, catalogue: Catalogue, limit: str, expected: x.Bound
) -> None:
    asks = _asks(tmp_path, f'{{value: {{of: alt, is: "{limit}"}}}}', catalogue)
    assert isinstance(asks, x.Value)
    assert asks.test == expected


def test_a_limit_may_lie_an_amount_above_normal(tmp_path: Path, catalogue: Catalogue) -> None:
    asks = _asks(tmp_path, '{value: {of: prothrombin-time, is: "<= ULN + 4 s"}}', catalogue)
    assert isinstance(asks, x.Value)
    assert asks.test == x.Bound("<=", Decimal(1), "ULN", Decimal(1), "ULN", Decimal(4))


def test_an_amount_above_normal_may_be_smaller_than_any_plausible_value(tmp_path: Path, catalogue: Catalogue) -> None:
    asks = _asks(tmp_path, '{value: {of: aptt, is: "<= ULN + 2 s"}}', catalogue)
    assert isinstance(asks, x.Value)
    assert asks.test == x.Bound("<=", Decimal(1), "ULN", Decimal(1), "ULN", Decimal(2))


def test_a_limit_may_be_a_closed_range_or_a_polarity(tmp_path: Path, catalogue: Catalogue) -> None:
    ranged = _asks(tmp_path, '{value: {of: lvef, is: "45..70 %"}}', catalogue)
    spoken = _asks(tmp_path, "{value: {of: hiv, is: positive}}", catalogue)
    assert isinstance(ranged, x.Value)
    assert isinstance(ranged.test, x.Between)
    assert isinstance(spoken, x.Value)
    assert spoken.test is Polarity.POSITIVE


def test_lengths_of_time_are_calendar_periods(tmp_path: Path, catalogue: Catalogue) -> None:
    asks = _asks(tmp_path, "{treatment: {of: rituximab, when: within 6 mo, absent: presume}}", catalogue)
    assert isinstance(asks, x.Treatment)
    assert asks.within == Period(6, "mo")


@pytest.mark.parametrize(
    ("include", "complaint"),
    [
        ('{valeu: {of: platelets, is: ">= 25 10*9/L"}}', "is a mapping with exactly one verb: all, any, not"),
        ("{age: {is: positive}}", 'age has a limit in years: "18..70 a"'),
        ('{value: {of: plateletz, is: ">= 25 10*9/L"}}', '"plateletz" is not a concept of the catalogue'),
        ('{value: {of: rituximab, is: ">= 25 mg/d"}}', '"rituximab" is a treatment, this verb takes a result'),
        ('{value: {of: platelets, is: "at least 25"}}', "is not a limit; write it like"),
        ('{value: {of: platelets, is: ">= 25 mm[Hg]"}}', '"mm[Hg]" cannot be converted to 10*9/L'),
        ('{value: {of: platelets, is: ">= 25000000 10*9/L"}}', "lies outside the plausible range"),
        ('{value: {of: lvef, is: "70..45 %"}}', "the lower end comes first"),
        ('{value: {of: platelets, is: ">= 25 10*9/L", vaule: 3}}', "is not a word of this language"),
        ('{value: {of: platelets, is: ">= 25 10*9/L", within: soon}}', "a length of time is a whole number and one of"),
        ("{value: {of: hiv, is: positive, absent: presume}}", '"hiv" is never presumed absent'),
        ('{value: {of: platelets, is: ">= 25 10*9/L", stable_for: 2 wk}}', 'asked of a dose; "platelets" is none'),
        ('{value: {of: cyclophosphamide-cycles, is: ">= 6 {count}", pick: any}}', "is known for today only"),
        ('{value: {of: azathioprine-dose-per-kg, is: "<= 2 mg/kg/d", within: 6 mo}}', "is known for today only"),
        ('{value: {of: methotrexate-dose, is: "<= 20 mL/d"}}', '"mL/d" cannot be converted to mg/wk'),
        ("{condition: {is: epilepsy, when: current}}", 'a condition is "active", not "current"'),
        ("{condition: {is: epilepsy, when: lately}}", 'is one of "active" (conditions)'),
        ("{treatment: {of: rituximab, when: active}}", 'a treatment is "current", not "active"'),
        ('{change: {of: mrss, is: "10..20 %", over: 6 mo}}', "a change has one limit"),
        ("{at_least: {n: 3, of: [{sex: male}]}}", "asks for 3 of 1"),
    ],
)
def test_an_unusable_expression_is_named_with_its_place(
    tmp_path: Path, catalogue: Catalogue, include: str, complaint: str
) -> None:
    complaints = _complaints(tmp_path, include, catalogue)
    assert complaint in complaints
    assert "before.0" in complaints
    assert "demo.yaml" in complaints


def test_a_tolerance_that_is_none_is_named(tmp_path: Path, catalogue: Catalogue) -> None:
    whole = WHOLE.replace("include: INCLUDE", f"include: {VALUE}\n    near: quite close")
    assert 'a tolerance is "10 %" of the limit' in _complaints(tmp_path, "", catalogue, whole)


def test_a_criterion_with_both_sides_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    whole = WHOLE.replace("include: INCLUDE", f"include: {VALUE}\n    exclude: {VALUE}")
    assert "has exactly one of include and exclude" in _complaints(tmp_path, "", catalogue, whole)


def test_every_problem_of_a_file_is_reported_at_once(tmp_path: Path, catalogue: Catalogue) -> None:
    both = '{all: [{value: {of: nonsense, is: ">= 1 g/L"}}, {value: {of: platelets, is: ">= 1 s"}}]}'
    complaints = _complaints(tmp_path, both, catalogue).splitlines()
    assert len(complaints) == 2


_WRONG_PART = '{value: {of: plateletz, is: ">= 1 g/L"}}'


@pytest.mark.parametrize(
    "include",
    [
        _WRONG_PART,
        f"{{all: [{{sex: female}}, {_WRONG_PART}]}}",
        f"{{any: [{{sex: female}}, {_WRONG_PART}]}}",
        f"{{not: {_WRONG_PART}}}",
        f"{{at_least: {{n: 1, of: [{{sex: female}}, {_WRONG_PART}]}}}}",
        '{change: {of: plateletz, is: ">= 10 %", over: 6 mo}}',
        '{change: {of: mrss, is: "10..20 %", over: 6 mo}}',
        "{condition: {is: plateletz}}",
        "{treatment: {of: [rituximab, plateletz], when: ever}}",
        "{age: {is: positive}}",
    ],
)
def test_what_has_no_meaning_becomes_no_expression(catalogue: Catalogue, include: str) -> None:
    """An error is a value of its own: it is never read as another kind of question, at any depth."""
    source = f"{{id: I1, source: first point, text: Platelets, include: {include}}}"
    words = CriterionWords.model_validate(read_yaml(source.encode(), Path()))
    compiler = Compiler(catalogue, Path())
    assert compiler.criterion(words, "") is None
    assert compiler.problems


def test_a_broken_criterion_hides_no_problem_of_its_cohort(tmp_path: Path, catalogue: Catalogue) -> None:
    again = f"\n    criteria: [{{id: I1, source: again, text: again, include: {VALUE}}}]\n    without: [I9]"
    complaints = _complaints(tmp_path, _WRONG_PART, catalogue, WHOLE.rstrip() + again)
    assert '"plateletz" is not a concept' in complaints
    assert 'the criterion id "I1" stands here twice' in complaints
    assert '"I9" is not a common criterion' in complaints


def test_a_criterion_id_stands_once_in_a_cohort(tmp_path: Path, catalogue: Catalogue) -> None:
    again = f"\n    criteria: [{{id: I1, source: again, text: again, include: {VALUE}}}]"
    assert 'the criterion id "I1" stands here twice' in _complaints(tmp_path, VALUE, catalogue, WHOLE.rstrip() + again)


def test_a_cohort_may_only_replace_a_common_criterion(tmp_path: Path, catalogue: Catalogue) -> None:
    whole = WHOLE.rstrip() + "\n    without: [I9]"
    assert '"I9" is not a common criterion' in _complaints(tmp_path, VALUE, catalogue, whole)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    assert '"id" stands here twice' in _complaints(tmp_path, VALUE, catalogue, WHOLE + "\nid: DEMO-2\n")


def test_a_bad_file_never_takes_the_good_ones_down(tmp_path: Path, catalogue: Catalogue) -> None:
    _written(tmp_path)
    (tmp_path / "broken.yaml").write_text("id: [", "utf-8")
    loaded = load_trials([tmp_path], catalogue)
    assert set(loaded.trials) == {"DEMO-1"}
    assert "is not readable YAML" in str(loaded.problems[0])


def test_a_sites_definition_replaces_ours_of_the_same_id(tmp_path: Path, catalogue: Catalogue) -> None:
    ours, site = tmp_path / "ours", tmp_path / "site"
    ours.mkdir()
    site.mkdir()
    _written(ours)
    _written(site, whole=WHOLE.replace("version: 1", "version: 2"))
    assert load_trials([ours, site], catalogue).trials["DEMO-1"].version == 2


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, catalogue: Catalogue) -> None:
    assert "there is no such folder" in str(load_trials([tmp_path / "nowhere"], catalogue).problems[0])
