"""The rules that guard an author, each with the words it says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from mappings.concepts.catalogue import Catalogue
from tests.case_files import FOLDER
from tests.small_trial import words_of
from trial_defs.definition.compiler import compile_trial
from trial_defs.definition.language import TrialWords
from trial_defs.definition.lint import (
    KnownVersion,
    changed_silently,
    lint_folder,
    lint_trial,
    meaning_of,
    never_met,
    read_cases,
    read_versions,
    versions_text,
    without_cases,
)
from trial_defs.definition.loader import OUR_TRIALS

LUPUS = {"id": "I1.sle", "source": "s", "text": "t", "include": {"condition": {"is": "systemic-lupus-erythematosus"}}}
TODAY = date(2026, 11, 1)
GATE = {"condition": {"is": "systemic-lupus-erythematosus"}}


def _words(*criteria: Mapping[str, Any], **more: Any) -> TrialWords:
    return words_of(LUPUS, *criteria, **{"id": "T", **more})


def _criterion(name: str, **asked: Any) -> dict[str, Any]:
    return {"id": name, "source": "s", "text": "t", **asked}


def _value(**words: Any) -> dict[str, Any]:
    return {"value": {"is" if key == "is_" else key: value for key, value in words.items()}}


def _said(catalogue: Catalogue, *criteria: Mapping[str, Any], **more: Any) -> list[str]:
    trial = compile_trial(_words(*criteria, **more), catalogue, Path("T.yaml"), "")
    return [f"{where}: {message}" for where, message in lint_trial(trial, catalogue)]


def test_an_exclusion_of_the_gates_disease_turns_every_candidate_away(catalogue: Catalogue) -> None:
    for disease in ("systemic-lupus-erythematosus", "autoimmune-disease"):
        (said,) = _said(catalogue, _criterion("E1.own", exclude={"condition": {"is": disease, "when": "ever"}}))
        assert said.startswith("sle.E1.own: excludes everybody with systemic-lupus-erythematosus, which the gate asks")
    other = {"is": "autoimmune-disease", "excepting": ["systemic-lupus-erythematosus"]}
    assert _said(catalogue, _criterion("E1.other", exclude={"condition": other})) == []
    judged = {"all": [{"condition": {"is": "autoimmune-disease"}}, {"judgement": {"ask": "Is it another one?"}}]}
    assert _said(catalogue, _criterion("E1.other", exclude=judged)) == []


def test_a_negative_result_is_not_excluded(catalogue: Catalogue) -> None:
    negative = _criterion("E1.hcg", exclude=_value(of="hcg", is_="negative"), only_if={"sex": "female"})
    (said,) = _said(catalogue, negative)
    assert said == "sle.E1.hcg: excludes a negative hcg; if the text requires the negative result, include it"
    assert _said(catalogue, _criterion("E1.cd19", exclude=_value(of="cd19-expression", is_="negative"))) == []


def test_a_gate_asks_something_of_the_record(catalogue: Catalogue) -> None:
    (said,) = _said(catalogue, gate={"judgement": {"ask": "Which disease?"}})
    assert said.startswith("sle.gate: asks nothing of the record, so that every patient passes")


def test_an_inclusion_that_no_case_meets_is_named(catalogue: Catalogue, tmp_path: Path) -> None:
    trial = compile_trial(
        _words(_criterion("I2.hb", include=_value(of="hemoglobin", is_=">= 8 g/dL"))), catalogue, Path("T.yaml"), ""
    )
    path = tmp_path / "T.yaml"
    case = {"case": "misses", "cohort": "sle", "expect": {"I2.hb": "not-met"}}
    path.write_text(yaml.safe_dump({"cases": [case]}))
    assert never_met(trial, path) == [
        ("I2.hb", "no case of a candidate meets it; write one that does, or read the text again")
    ]
    path.write_text(yaml.safe_dump({"cases": [case, {"case": "fits", "cohort": "sle", "verdict": "likely-eligible"}]}))
    assert never_met(trial, path) == []


def test_our_definitions_break_no_rule(catalogue: Catalogue) -> None:
    known = read_versions(OUR_TRIALS.parent / "versions.yaml")
    assert lint_folder(OUR_TRIALS, catalogue, known, FOLDER, today=TODAY).problems == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"include": _value(of="hemoglobin", is_=">= 80 g/L")}, {"include": _value(of="hemoglobin", is_="< 8 g/dL")}),
        ({"include": _value(of="hemoglobin", is_=">= 80 g/L")}, {"exclude": _value(of="hemoglobin", is_=">= 80 g/L")}),
        ({"include": _value(of="lvef", is_="45..70 %")}, {"exclude": _value(of="lvef", is_="< 75 %")}),
        ({"include": _value(of="alt", is_="<= 2 ULN")}, {"include": _value(of="alt", is_="> 2 ULN")}),
        ({"include": _value(of="ana", is_="positive")}, {"exclude": _value(of="ana", is_="positive")}),
        (
            {"include": {"all": [_value(of="lvef", is_=">= 50 %"), {"sex": "male"}]}},
            {"exclude": {"any": [_value(of="lvef", is_="> 40 %"), {"sex": "female"}]}},
        ),
    ],
)
def test_criteria_that_no_patient_meets_at_once_are_named(
    catalogue: Catalogue, one: dict[str, Any], other: dict[str, Any]
) -> None:
    found = _said(catalogue, _criterion("I2.one", **one), _criterion("E1.other", **other))
    assert any("meets I2.one and E1.other at once; read the text again" in line for line in found), found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"include": _value(of="hemoglobin", is_=">= 80 g/L")}, {"exclude": _value(of="hemoglobin", is_="< 8 g/dL")}),
        ({"include": _value(of="alt", is_="<= 2 ULN")}, {"include": _value(of="alt", is_="> 20 U/L")}),
        (
            {"include": {"any": [_value(of="lvef", is_=">= 50 %"), {"sex": "male"}]}},
            {"include": _value(of="lvef", is_="< 50 %")},
        ),
        (
            {"include": _value(of="lvef", is_=">= 50 %"), "only_if": {"sex": "male"}},
            {"include": _value(of="lvef", is_="< 50 %"), "only_if": {"sex": "female"}},
        ),
    ],
)
def test_criteria_that_leave_something_are_left_alone(
    catalogue: Catalogue, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert _said(catalogue, _criterion("I2.one", **one), _criterion("E1.other", **other)) == []


def test_what_is_required_cannot_be_excluded(catalogue: Catalogue) -> None:
    epilepsy = {"condition": {"is": "epilepsy", "when": "ever"}}
    found = _said(catalogue, _criterion("I2.epilepsy", include=epilepsy), _criterion("E1.epilepsy", exclude=epilepsy))
    assert found == ["sle.E1.epilepsy: excludes exactly what I2.epilepsy requires"]


def test_a_result_without_a_window_would_speak_for_ever(catalogue: Catalogue) -> None:
    timeless = catalogue.concepts["platelets"].model_copy(update={"current_for": None})
    bare = Catalogue({**catalogue.concepts, "platelets": timeless}, catalogue.by_code, catalogue.by_prefix, "")
    count = _criterion("I2.platelets", include=_value(of="platelets", is_=">= 25 10*9/L"))
    assert "platelets has no window: any result, however old, would speak" in _said(bare, count)[0]
    within = _criterion("I2.platelets", include=_value(of="platelets", is_=">= 25 10*9/L", within="4 wk"))
    assert _said(bare, within) == []


def test_silence_about_a_measurement_is_no_low_value(catalogue: Catalogue) -> None:
    low = _criterion("E1.low", exclude=_value(of="neutrophils", is_="< 0.5 10*9/L", absent="presume"))
    assert "no result of neutrophils would count as 0 and pass the limit" in _said(catalogue, low)[0]
    dose = _criterion("I2.dose", include=_value(of="glucocorticoid-dose", is_="<= 20 mg/d", absent="presume"))
    assert _said(catalogue, dose) == []


def test_a_class_with_an_infection_in_it_is_not_presumed_absent(catalogue: Catalogue) -> None:
    wide = catalogue.concepts["immunodeficiency"].model_copy(update={"includes": ("hiv",)})
    other = Catalogue({**catalogue.concepts, "immunodeficiency": wide}, catalogue.by_code, catalogue.by_prefix, "")
    weak = _criterion("E1.weak", exclude={"condition": {"is": "immunodeficiency", "absent": "presume"}})
    assert "immunodeficiency includes hiv, which is never presumed absent" in _said(other, weak)[0]


def test_a_cohort_asks_for_the_disease_that_opens_it(catalogue: Catalogue) -> None:
    cohorts = {
        "sle": {"title": "Lupus", "gate": GATE, "criteria": [_criterion("I1.age", include={"age": {"is": ">= 18 a"}})]}
    }
    assert _said(catalogue, cohorts=cohorts) == [
        "sle.gate: systemic-lupus-erythematosus opens the cohort, and no inclusion criterion asks for it; add one"
    ]


def test_a_kind_of_the_disease_asks_for_it_as_well(catalogue: Catalogue) -> None:
    kind = _criterion("I1.dm", include={"condition": {"is": "dermatomyositis"}})
    gate = {"condition": {"is": "idiopathic-inflammatory-myopathy"}}
    assert _said(catalogue, cohorts={"iim": {"title": "Myositis", "gate": gate, "criteria": [kind]}}) == []


def test_an_id_has_one_meaning_in_all_cohorts(catalogue: Catalogue) -> None:
    def cohort(limit: str) -> dict[str, Any]:
        count = _criterion("I2.platelets", include=_value(of="platelets", is_=limit))
        return {"title": "Lupus", "gate": GATE, "criteria": [LUPUS, count]}

    found = _said(catalogue, cohorts={"one": cohort(">= 25 10*9/L"), "two": cohort(">= 30 10*9/L")})
    assert found == [
        "two.I2.platelets: means something else than I2.platelets in one; an id means the same wherever it stands"
    ]


def test_a_judgement_is_a_question(catalogue: Catalogue) -> None:
    found = _said(catalogue, _criterion("I2.severe", include={"judgement": {"ask": "The disease is severe"}}))
    assert found == ["sle.I2.severe: the judgement asks nothing; write it as a question that ends with a question mark"]


def test_a_computed_criterion_without_a_case_is_named_and_a_question_needs_none(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    severe = _criterion("I3.severe", include={"judgement": {"ask": "Is it severe?"}})
    count = _criterion("I2.platelets", include=_value(of="platelets", is_=">= 25 10*9/L"))
    trial = compile_trial(_words(count, severe), catalogue, Path("T.yaml"), "")
    path = tmp_path / "T.yaml"
    path.write_text(
        yaml.safe_dump({"charts": {"c": {"cohort": "sle"}}, "cases": [{"chart": "c", "expect": {"I1.sle": "met"}}]})
    )
    assert read_cases(path) == {"sle": {"I1.sle"}}
    assert [name for name, _ in without_cases(trial, read_cases(path))] == ["I2.platelets"]
    assert "no case says what it comes to" in without_cases(trial, read_cases(path))[0][1]


def test_a_trial_without_a_file_of_cases_is_named(catalogue: Catalogue, tmp_path: Path) -> None:
    problems = lint_folder(OUR_TRIALS, catalogue, None, tmp_path, today=TODAY).problems
    assert len(problems) == 5
    assert problems[0].message == "there is no file of cases for CNCT19-AID"


COUNT = _criterion("I2.platelets", include=_value(of="platelets", is_=">= 25 10*9/L"))


def test_a_changed_meaning_needs_a_new_version() -> None:
    known = {"T": meaning_of(_words(COUNT))}
    other = _words({**COUNT, "include": _value(of="platelets", is_=">= 26 10*9/L")})
    assert changed_silently("T", meaning_of(_words(COUNT)), known) is None
    assert changed_silently("T", meaning_of(other), known) == (
        "means something else than the recorded version 1; raise `version`, then run with --record"
    )
    raised = meaning_of(other).model_copy(update={"version": 2})
    assert changed_silently("T", raised, known) == (
        "a new version is not recorded; `trialcards trials lint --record` records it"
    )
    assert changed_silently("T", raised, {"T": raised.model_copy(update={"version": 3})}) == (
        "version 2 is older than the recorded 3"
    )
    assert "is not recorded" in (changed_silently("T", raised, {}) or "")


@pytest.mark.parametrize(
    "change",
    [
        {"near": "none"},
        {"include": None, "exclude": _value(of="platelets", is_=">= 25 10*9/L")},
        {"only_if": {"sex": "male"}},
        {"id": "I2.count"},
    ],
)
def test_what_decides_is_part_of_the_meaning(change: dict[str, Any]) -> None:
    assert meaning_of(_words({**COUNT, **change})).meaning != meaning_of(_words(COUNT)).meaning


def test_words_for_people_are_not_part_of_the_meaning() -> None:
    reworded = _words({**COUNT, "text": "other", "reading": "read so", "source": "elsewhere"}, title="other")
    assert meaning_of(reworded).meaning == meaning_of(_words(COUNT)).meaning


def test_recorded_versions_are_read_as_they_were_written(tmp_path: Path) -> None:
    known = {"T": KnownVersion(version=3, meaning="sha256:" + "0" * 64)}
    path = tmp_path / "versions.yaml"
    path.write_text(versions_text(known))
    assert read_versions(path) == known
    assert read_versions(tmp_path / "none.yaml") == {}
