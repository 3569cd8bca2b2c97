"""What lint says about a page for patients, and that the page decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import DefinitionError
from tests.patient_pages import APPROVAL, PAGE, TRIAL, definition, write_definition
from trial_defs.definition.language import TrialWords
from trial_defs.definition.lint import lint_folder, meaning_of
from trial_defs.definition.loader import OUR_TRIALS, load_trials, read_trial
from trial_defs.definition.packed import pack, unpack
from trial_defs.definition.patient_page import LINE, MOST_LINES

TODAY = date(2026, 11, 1)


def _lint(folder: Path, catalogue: Catalogue, page: Mapping[str, Any], today: date = TODAY) -> list[str]:
    write_definition(folder, page)
    found = lint_folder(folder, catalogue, None, today=today).problems
    return [f"{problem.path}: {problem.message}" for problem in found]


def test_a_whole_page_has_no_warning(catalogue: Catalogue, tmp_path: Path) -> None:
    assert _lint(tmp_path, catalogue, PAGE) == []


@pytest.mark.parametrize("field", APPROVAL)
@pytest.mark.parametrize("value", [None, " "])
def test_each_field_of_the_approval_is_needed(
    field: str, value: str | None, catalogue: Catalogue, tmp_path: Path
) -> None:
    approval = {name: text for name, text in APPROVAL.items() if name != field}
    if value is not None:
        approval[field] = value
    assert _lint(tmp_path, catalogue, {**PAGE, "approval": approval}) == [
        f"patient_page.approval.{field}: is missing; without it the page is not shown"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"approval": {**APPROVAL, "date": "2026-11-02"}},
            "patient_page.approval.date: 2026-11-02 is in the future; until then the page is not shown",
        ),
        (
            {"approval": {**APPROVAL, "date": "5 October"}},
            'patient_page.approval.date: is not a date; write it like "2026-11-24"',
        ),
        (
            {"approval": {**APPROVAL, "date": "2026-02-30"}},
            'patient_page.approval.date: is not a date; write it like "2026-11-24"',
        ),
        (
            {"approval": {**APPROVAL, "language": "German"}},
            'patient_page.approval.language: is not a language tag; write it like "en", "de" or "zh-Hans"',
        ),
        ({"summary": ""}, "patient_page.summary: is missing; say in plain words what the study is about"),
        ({"asks": []}, "patient_page.asks: is missing; list what the study asks of the patient"),
        ({"risks": [" "]}, "patient_page.risks.0: is empty; write the text or take the line out"),
        (
            {"asks": ["Come", "<b>Stay</b>"]},
            "patient_page.asks.1: has HTML in it, which patients would read as it is written; write plain text",
        ),
        (
            {"summary": "Fever&nbsp;possible"},
            "patient_page.summary: has HTML in it, which patients would read as it is written; write plain text",
        ),
        (
            {"summary": "字" * (LINE * MOST_LINES // 2 + 1), "asks": ["a"], "risks": [], "questions_to_ask": []},
            "patient_page: its texts fill about 28 lines of 80 letters; shorten them to 26, which print on one page",
        ),
    ],
)
def test_what_cannot_be_shown_is_named(
    change: Mapping[str, Any], said: str, catalogue: Catalogue, tmp_path: Path
) -> None:
    assert _lint(tmp_path, catalogue, {**PAGE, **change}) == [said]


def test_a_comparison_and_an_ampersand_are_no_html(catalogue: Catalogue, tmp_path: Path) -> None:
    assert _lint(tmp_path, catalogue, {**PAGE, "summary": "For people < 70 years; Q&A; 3<4"}) == []


def test_an_approval_of_today_is_in_force(catalogue: Catalogue, tmp_path: Path) -> None:
    assert _lint(tmp_path, catalogue, {**PAGE, "approval": {**APPROVAL, "date": "2026-11-01"}}) == []
    assert _lint(tmp_path, catalogue, {**PAGE, "approval": {**APPROVAL, "date": "2999-01-01"}}, date.max) == []


def test_an_unknown_word_is_refused_with_its_place(catalogue: Catalogue, tmp_path: Path) -> None:
    path = write_definition(tmp_path, {**PAGE, "sumary": "x"})
    with pytest.raises(DefinitionError, match=r"patient_page\.sumary.*is not a word of this language.*summary"):
        read_trial(path, catalogue)


def test_a_page_leaves_the_meaning_of_a_definition_as_it_was_and_is_kept_when_packed(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    with_page, without = (TrialWords.model_validate(definition(page)) for page in (PAGE, None))
    assert meaning_of(with_page) == meaning_of(without)
    trial = read_trial(write_definition(tmp_path, PAGE), catalogue)
    assert trial.patient_page is not None
    assert unpack(pack([trial], catalogue.hash), catalogue.hash)[trial.hash] == trial
    assert trial.id == TRIAL


def test_no_definition_of_ours_has_a_page_because_none_is_approved(catalogue: Catalogue) -> None:
    trials = load_trials([OUR_TRIALS], catalogue).trials
    assert trials
    assert [trial.id for trial in trials.values() if trial.patient_page] == []
