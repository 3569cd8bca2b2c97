"""The lists of an eligibility text: headings, joining lines, notes, cohorts, and what never stands bare."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from trial_defs.registry.criteria import Drafted
from trial_defs.registry.draft import UNHEADED, Draft, draft_of
from trial_defs.registry.record import Record
from trial_defs.registry.splitting import outline, sections


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    return load_catalogue((OUR_CONCEPTS, *pack_folders(None)))


def draft(text: str, *conditions: str) -> Draft:
    return draft_of(Record("NCT00000001", "An invented study", text, conditions=conditions), catalogue())


def computed(text: str, *conditions: str) -> list[Drafted]:
    return [each for each in draft(text, *conditions).criteria if each.is_computed]


def is_bare(each: Drafted) -> bool:
    return each.question is None and "judgement" not in str(each.asks)


@pytest.mark.parametrize(
    ("heading", "side", "about"),
    [
        ("Exclusion Criteria:", "exclusion", None),
        ("EXCLUSION CRITERIA", "exclusion", None),
        ("**Exclusion Criteria**", "exclusion", None),
        ("[Exclusion Criteria]", "exclusion", None),
        ("Exclusion Criteria.", "exclusion", None),
        ("Exclusion:", "exclusion", None),
        ("Exclusions Criteria:", "exclusion", None),
        ("Key Exclusion Criteria:", "exclusion", None),
        ("1.2 Exclusion criteria - medical", "exclusion", None),
        ("Exclusion Criteria (reference):", "exclusion", None),
        ("Non-inclusion criteria:", "exclusion", None),
        ("Subjects will be excluded if:", "exclusion", None),
        ("Exclusion Criteria (ESRD group):", "exclusion", "ESRD group"),
        ("Part 2: Key Exclusion Criteria", "exclusion", "Part 2"),
        ("Exclusion criteria for lupus nephritis:", "exclusion", "lupus nephritis"),
        ("Inclusions Criteria:", "inclusion", None),
        ("Subjects will be included if:", "inclusion", None),
        ("PATIENT CHARACTERISTICS:", "inclusion", None),
        ("B. EXCLUSION CRITERIA", "exclusion", None),
    ],
)
def test_a_heading_of_any_form_is_known(heading: str, side: str, about: str | None) -> None:
    found = sections(f"Inclusion Criteria:\n\n* Consent\n\n{heading}\n\n* Pregnancy\n")
    assert [(each.side, each.about) for each in found][1:] == [(side, about)]


@pytest.mark.parametrize(
    "line",
    [
        "* Failure to meet the inclusion criteria",
        "* Other protocol-defined inclusion/exclusion criteria apply.",
        "* These exclusion criteria may be waived by the sponsor",
        "* Recruits who meet all of the inclusion criteria at screening",
    ],
)
def test_a_criterion_that_names_the_criteria_is_no_heading(line: str) -> None:
    assert len(sections(f"Inclusion Criteria:\n\n* Consent\n\nExclusion Criteria:\n\n{line}\n* Pregnancy\n")) == 2


def test_text_before_the_first_heading_is_inclusion_with_a_question() -> None:
    found = computed("Patients need:\n\n1. Platelets ≥ 50 x 10^9/L\n\nExclusion Criteria:\n\n* Pregnancy")
    assert [(each.side, each.name) for each in found] == [("inclusion", "platelets"), ("exclusion", "pregnancy")]
    assert found[0].question == UNHEADED


def value(of: str, limit: str) -> dict[str, Any]:
    return {"value": {"of": of, "is": limit}}


def test_a_joining_line_becomes_any_or_at_least_over_its_points() -> None:
    points = "  * Anti-dsDNA positive\n  * Anti-Sm positive\n  * Hemoglobin < 10 g/dL\n"
    parts = [value("anti-dsdna", "positive"), value("anti-sm", "positive"), value("hemoglobin", "< 10 g/dL")]
    (one,) = computed(f"Inclusion Criteria:\n\n* At least one of the following:\n\n{points}")
    assert one.asks == {"any": parts}
    (two,) = computed(f"Inclusion Criteria:\n\n* Two or more of the following criteria:\n\n{points}")
    assert two.asks == {"at_least": {"n": 2, "of": parts}}
    (inline,) = computed(
        "Inclusion Criteria:\n\n* At least one of the following: anti-dsDNA positive; anti-Sm positive"
    )
    assert inline.asks == {"any": parts[:2]}


def test_what_may_not_be_so_under_an_inclusion_is_excluded() -> None:
    found = computed("Inclusion Criteria:\n\n* Must not have any of the following:\n\n  * Epilepsy\n  * Dialysis\n")
    assert [(each.side, each.name) for each in found] == [("exclusion", "epilepsy"), ("exclusion", "dialysis")]


def test_all_of_a_list_excludes_only_together() -> None:
    (found,) = computed("Exclusion Criteria:\n\n* All of the following:\n\n  * LVEF < 40%\n  * QTc > 480 ms\n")
    assert found.asks == {"all": [value("lvef", "< 40 %"), value("qtc", "> 480 ms")]}


def test_points_joined_by_or_are_alternatives() -> None:
    (found,) = computed("Inclusion Criteria:\n\n* Anti-dsDNA positive OR\n* Anti-Sm positive\n* Consent")
    assert found.asks == {"any": [value("anti-dsdna", "positive"), value("anti-sm", "positive")]}


@pytest.mark.parametrize("note", ["* Note: for liver metastases ≤ 5 x ULN", "* Except in Gilbert's syndrome"])
def test_a_note_belongs_to_the_point_before_it(note: str) -> None:
    found = draft(f"Inclusion Criteria:\n\n* ALT ≤ 3 x ULN\n{note}\n").criteria
    assert [each.name for each in found] == ["alt"]
    assert not is_bare(found[0])


def test_a_list_under_a_negated_line_of_exclusions_is_asked_whole() -> None:
    found = draft(
        "Exclusion Criteria:\n\n* Not meeting any of the following:\n\n  * LVEF > 50%\n  * eGFR > 60 mL/min\n"
    )
    (asked,) = found.criteria
    assert not asked.is_computed
    assert "LVEF" in str(asked.asks)


def test_a_time_before_the_first_dose_is_a_window() -> None:
    (found,) = computed("Exclusion Criteria:\n\n* Radiotherapy within 2 weeks of the first dose")
    assert found.asks == {"treatment": {"of": "radiotherapy", "when": "within 2 wk"}}


def test_a_title_over_a_list_is_no_criterion_and_a_population_is_a_cohort() -> None:
    text = "Exclusion Criteria\n\nStroke patients:\n\n1. Epilepsy\n\nHealthy volunteers:\n\n1. Pregnancy\n"
    assert [(each.name, each.about) for each in computed(text)] == [
        ("epilepsy", "Stroke patients"),
        ("pregnancy", "Healthy volunteers"),
    ]
    (hepatic,) = outline("PATIENT CHARACTERISTICS:\n\nHepatic\n\n* ALT ≤ 3 x ULN\n")
    assert hepatic.title


def test_a_line_broken_by_the_width_of_the_page_is_one_point() -> None:
    text = (
        "Exclusion Criteria:\n* Participants with an active infection that needs treatment within the last\n"
        "     4 weeks before\n     randomization\n* Pregnancy\n"
    )
    (points,) = [[text[p.start : p.end] for p in outline(text)]]
    assert len(points) == 2


# -- nothing bare


@pytest.mark.parametrize(
    "exclusion",
    [
        "Secondary hypertension",
        "Hypertension poorly controlled by two drugs",
        "CKD grade 4-5",
        "Chronic kidney disease (CKD) grade 4-5",
        "Severe or uncontrolled asthma",
        "Allogeneic stem cell transplant within 6 weeks",
        "Deep vein thrombosis requiring anticoagulation within 6 months",
        "Severe heart failure, arrhythmia",
        "Planned major surgery within 4 weeks",
        "CNS disease: hydrocephalus, ataxia",
    ],
)
def test_a_qualifier_beside_a_disease_or_treatment_is_asked(exclusion: str) -> None:
    found = computed(f"Exclusion Criteria:\n\n* {exclusion}")
    assert not [each.asks for each in found if is_bare(each)]


@pytest.mark.parametrize(
    "exclusion", ["Patients with a history of epilepsy", "Women who are pregnant or lactating", "Known dementia"]
)
def test_the_usual_frame_of_a_criterion_changes_nothing(exclusion: str) -> None:
    found = computed(f"Exclusion Criteria:\n\n* {exclusion}")
    assert found
    assert all(is_bare(each) for each in found)


@pytest.mark.parametrize(
    ("condition", "exclusion"),
    [
        ("Endometrial Cancer", "Other malignancy"),
        ("Endometrial Cancer", "Malignancy within 5 years"),
        ("Pulmonary Arterial Hypertension", "Pulmonary hypertension"),
        ("Alzheimer Disease", "Dementia"),
        ("Candidiasis", "Infection"),
        ("Ischemic Stroke", "Stroke"),
        ("Lupus Nephritis", "Autoimmune disease"),
    ],
)
def test_the_disease_of_the_trial_is_never_a_bare_exclusion(condition: str, exclusion: str) -> None:
    found = computed(f"Inclusion Criteria:\n\n* Consent\n\nExclusion Criteria:\n\n* {exclusion}", condition)
    assert found
    assert not any(is_bare(each) for each in found)


@pytest.mark.parametrize(
    "exclusion",
    [
        "Negative pregnancy test required",
        "Portal hypertension",
        "Infection ruled out",
        "Planning to become pregnant",
        "Decline in FVC of 5%",
        "FEV1/FVC < 70%",
        "At risk of torsades de pointes",
        "COVID-19 vaccination within 14 days",
        "First-degree relative with schizophrenia",
        "Albuminuria with UACR > 300 mg/g",
        "Severe reaction to cyclophosphamide in the past",
    ],
)
def test_what_only_sounds_like_it_is_left_to_a_person(exclusion: str) -> None:
    assert computed(f"Exclusion Criteria:\n\n* {exclusion}") == []


def test_a_member_of_a_list_that_was_not_read_is_asked_for_itself() -> None:
    found = draft("Exclusion Criteria:\n\n* Epilepsy or hydrocephalus").criteria
    assert [each.name for each in found] == ["epilepsy", "text"]


def test_an_alternative_that_was_not_read_puts_a_question_beside_a_limit() -> None:
    (found,) = computed("Inclusion Criteria:\n\n* A positive biopsy or hemoglobin < 10 g/dL")
    assert "by “or”" in str(found.question)
    (found,) = computed("Exclusion Criteria:\n\n* On a ventilator and ferritin > 1000 ug/L")
    assert found.question


def test_every_word_stands_in_a_criterion_or_a_question() -> None:
    text = (
        "Inclusion Criteria:\n\n* Age ≥ 18 years\n* Something odd\n\nExclusion Criteria:\n\n* Severe asthma (grade 3)"
    )
    left = draft(text).unaccounted
    assert left.words == ()
    assert left.of == 11
