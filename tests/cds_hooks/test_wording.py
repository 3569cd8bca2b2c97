"""How values, dates, drugs and distances are said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from cds_hooks.words.numbers import interval_words, number_words, quantity_words, unit_words
from cds_hooks.words.wording import (
    counted,
    episode_words,
    explanation,
    open_words,
    recruiting_words,
    result_words,
    short_title,
    titles_of,
)
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Certainty, Dose, Episode, Interval, Polarity, Range, Reason
from mappings.time.times import Period, parse_moment
from tests.cds_hooks.matches import a_diagnosis, a_result
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Basis, Finding, Margin, Open, Outcome

TITLES = titles_of(None)


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("10*9/L", "× 10⁹/L"), ("10*12/L", "× 10¹²/L"), ("g/(24.h)", "g/24 h"), ("mm[Hg]", "mmHg"), ("{score}", ""),
        ("mL/min/{1.73_m2}", "mL/min/1.73 m²"), ("[IU]/mL", "IU/mL"), ("m[IU]/mL", "mIU/mL"), ("ug/L", "µg/L"),
        ("umol/L", "µmol/L"), ("mg/d", "mg/day"), ("a", "years"), ("%", "%"), ("U/L", "U/L"), ("mg/dL", "mg/dL"),
    ],
)  # fmt: skip
def test_units_are_written_as_by_hand(unit: str, shown: str) -> None:
    assert unit_words(unit) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [("180", "180"), ("1.80E+2", "180"), ("0.5", "0.5"), ("88.12345", "88.12"), ("123456", "123456"), ("0", "0"),
     ("-1.50", "-1.5"), ("0.00012345", "0.0001234"), ("1E+30", "1000000000000000000000000000000")],
)  # fmt: skip
def test_numbers_are_rounded_for_reading(number: str, shown: str) -> None:
    assert number_words(Decimal(number)) == shown


def test_a_rounded_value_never_looks_like_the_limit_that_it_misses() -> None:
    assert number_words(Decimal("2.49996"), beside=Decimal("2.5")) == "2.49996"
    assert number_words(Decimal("2.5"), beside=Decimal("2.5")) == "2.5"


def test_titres_and_classes_have_their_own_form() -> None:
    assert quantity_words(Decimal(80), "{titer}") == "1:80"
    assert quantity_words(Decimal(2), "{class}") == "II"  # behind "NYHA functional class"


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (Interval(None, Decimal(10), high_open=True), "< 10 mg/d"),
        (Interval(None, Decimal(10)), "≤ 10 mg/d"),
        (Interval(Decimal(3), None, low_open=True), "> 3 mg/d"),
        (Interval(Decimal(3), Decimal(5)), "3 to 5 mg/d"),
        (Interval(None, None), "an open value"),
    ],
)
def test_a_value_known_from_one_side_says_so(interval: Interval, shown: str) -> None:
    assert interval_words(interval, "mg/d") == shown.replace("mg/d", "mg/day")


def test_a_result_is_one_line_with_its_date() -> None:
    assert result_words(a_result("platelets", "180", "10*9/L"), TITLES) == "Platelets 180 × 10⁹/L on 2026-10-20"
    partial = a_result("platelets", "180", "10*9/L", taken="2026-10")
    assert result_words(partial, TITLES).endswith("on 2026-10")
    assert result_words(structs.replace(partial, taken=None), TITLES).endswith(", undated")
    assert result_words(a_result("hbsag", Polarity.NEGATIVE), TITLES) == "Hbsag negative on 2026-10-20"


def test_a_number_that_a_limit_is_held_against_is_not_told_as_a_polarity() -> None:
    both = structs.replace(a_result("alt", "20", "U/L"), polarity=Polarity.NEGATIVE)
    assert result_words(both, TITLES).startswith("Alt 20 U/L")
    assert result_words(both, TITLES, polarity=True).startswith("Alt negative (20 U/L)")


def test_a_calculated_result_names_its_inputs() -> None:
    inputs = (a_result("creatinine", "1", "mg/dL"), a_result("body-weight", "70", "kg"))
    found = structs.replace(a_result("creatinine-clearance", "88", "mL/min"), formula="Cockcroft-Gault", inputs=inputs)
    assert result_words(found, TITLES).endswith(", calculated from Creatinine and Body weight")


def a_drug(**more: Any) -> Episode:
    return Episode("glucocorticoid", "MedicationRequest/m", "drug", "x", member="prednisone", **more)


@pytest.mark.parametrize(
    ("episode", "shown"),
    [
        (a_diagnosis("malignancy"), "Malignancy on record since 2020-03-01"),
        (a_diagnosis("malignancy", None), "Malignancy on record"),
        (a_diagnosis("malignancy", remission=True), "Malignancy on record since 2020-03-01, in remission"),
        (
            a_diagnosis("malignancy", certainty=Certainty.PROVISIONAL),
            "Malignancy on record since 2020-03-01, provisional",
        ),
        (
            a_drug(start=parse_moment("2024-01", UTC), ongoing=True, dose=Dose(Decimal(10), Decimal(10))),
            "Prednisone since 2024-01, 10 mg/day",
        ),
        (
            a_drug(start=parse_moment("2024-01", UTC), end=parse_moment("2025-01-02", UTC)),
            "Prednisone from 2024-01 to 2025-01-02",
        ),
        (a_drug(ongoing=False), "Prednisone, no longer active"),
        (
            a_drug(ongoing=True, certainty=Certainty.TEXT_ONLY),
            "Prednisone, named only in the text “x”",
        ),
    ],
)
def test_an_episode_is_one_line_with_its_dates(episode: Episode, shown: str) -> None:
    assert episode_words(episode, TITLES) == shown


# -- explanations -----------------------------------------------------------------------------------------------------


def a_criterion(asks: x.Expression, kind: Any = "inclusion", **more: Any) -> x.Criterion:
    return x.Criterion("I1", kind, "Inclusion", "the criterion", asks, concepts=x.concepts_of(asks), **more)


def at_least(limit: str, unit: str = "10*9/L", **more: Any) -> x.Value:
    return x.Value("platelets", x.Bound(">=", Decimal(limit), unit, Decimal(limit), **more))


def test_a_criterion_met_is_told_as_in_the_contract() -> None:
    leaf = at_least("25")
    margin = Margin(Decimal(155), "10*9/L", Decimal(620), Decimal(25))
    found = (a_result("platelets", "180", "10*9/L"),)
    finding = Finding(a_criterion(leaf), Outcome.MET, Basis.RECORDED, None, found, margin, (), (leaf,))
    assert explanation(finding, TITLES) == "Platelets 180 × 10⁹/L on 2026-10-20 (needs ≥ 25)"


def test_a_missed_limit_says_by_how_much_and_when_time_helps() -> None:
    leaf = at_least("25")
    margin = Margin(Decimal(-5), "10*9/L", Decimal(-20), Decimal(25))
    found = (a_result("platelets", "20", "10*9/L"),)
    finding = Finding(a_criterion(leaf), Outcome.NOT_MET, Basis.RECORDED, None, found, margin, (), (leaf,))
    assert explanation(finding, TITLES) == "Platelets 20 × 10⁹/L on 2026-10-20, needs ≥ 25 (5 below)"
    turning = structs.replace(finding, turns_on=date(2027, 1, 2))
    assert explanation(turning, TITLES).endswith("; passes with time on 2027-01-02")


def test_a_limit_by_the_laboratorys_own_range_is_worked_out() -> None:
    leaf = x.Value("alt", x.Bound("<=", Decimal(3), "ULN", Decimal(3), times="ULN"))
    margin = Margin(Decimal(100), "U/L", Decimal(83), Decimal(120))
    found = (a_result("alt", "20", "U/L", range=Range(None, Decimal(40), "own")),)
    finding = Finding(a_criterion(leaf), Outcome.MET, Basis.RECORDED, None, found, margin, (), (leaf,))
    assert explanation(finding, TITLES) == "Alt 20 U/L on 2026-10-20 (needs ≤ 120 = 3 × upper limit of normal)"


def test_a_value_is_said_in_the_unit_of_the_chart_with_that_of_the_limit_beside_it() -> None:
    leaf = x.Value("hemoglobin", x.Bound(">=", Decimal(7), "g/dL", Decimal(70)))
    margin = Margin(Decimal("2.2"), "g/dL", Decimal(31), Decimal(7))
    found = (a_result("hemoglobin", "92", "g/L"),)
    finding = Finding(a_criterion(leaf), Outcome.MET, Basis.RECORDED, None, found, margin, (), (leaf,))
    assert explanation(finding, TITLES) == "Hemoglobin 92 g/L (9.2 g/dL) on 2026-10-20 (needs ≥ 70 g/L = 7 g/dL)"


def test_a_presumed_absence_says_that_it_was_presumed() -> None:
    leaf = x.Condition("malignancy", "ever", absent="presume")
    finding = Finding(a_criterion(leaf, "exclusion"), Outcome.MET, Basis.PRESUMED, decided_by=(leaf,))
    assert explanation(finding, TITLES) == "Malignancy: no record, taken as absent"


def test_an_event_before_the_period_asked_about_is_told_as_such() -> None:
    leaf = x.Condition("myocardial-infarction", "ever", began_within=Period(6, "mo"), absent="presume")
    event = a_diagnosis("myocardial-infarction", "2019-05-01")
    finding = Finding(a_criterion(leaf, "exclusion"), Outcome.MET, Basis.RECORDED, None, (event,), decided_by=(leaf,))
    assert explanation(finding, TITLES).endswith("on record since 2019-05-01, outside the period asked about")


def test_a_step_still_to_come_is_a_thing_to_do() -> None:
    leaf = at_least("25")
    criterion = a_criterion(leaf, step="count within 24 hours before apheresis")
    finding = Finding(criterion, Outcome.UNKNOWN, reason=Reason.MISSING, still_open=(Open(leaf, Reason.MISSING),))
    assert explanation(finding, TITLES).endswith(". To do: count within 24 hours before apheresis")


def test_a_class_of_drugs_is_told_by_the_drug_that_was_found() -> None:
    leaf = x.Treatment(("glucocorticoid",), "current")
    finding = Finding(a_criterion(leaf), Outcome.MET, Basis.RECORDED, None, (a_drug(ongoing=True),), decided_by=(leaf,))
    assert explanation(finding, TITLES) == "Prednisone"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_for_not_knowing_names_the_subject_and_who_can_help(reason: Reason) -> None:
    text = open_words(Open(at_least("25"), reason), TITLES)
    assert text.startswith("Platelets: ")
    assert " – " in text


def test_an_old_result_is_told_with_its_age_limit() -> None:
    leaf = replace(at_least("25"), current_for=Period(90, "d"))
    old = a_result("platelets", "180", "10*9/L", taken="2026-01-02")
    text = open_words(Open(leaf, Reason.STALE, evidence=(old,)), TITLES)
    assert text == "Platelets: last 180 × 10⁹/L on 2026-01-02, older than 90 days – repeat it"


def test_judgements_and_consents_are_told_as_questions_and_steps() -> None:
    assert (
        open_words(Open(x.Judgement("Is it severe?", "investigator"), None), TITLES)
        == "For the investigator: Is it severe?"
    )
    assert open_words(Open(x.Consent("Sign the form"), None), TITLES) == "To do: Sign the form"


def test_titles_come_from_the_catalogue_where_it_has_them(catalogue: Catalogue) -> None:
    assert titles_of(catalogue)("platelets") == catalogue.concepts["platelets"].title
    assert titles_of(catalogue)("no-such-concept") == "No such concept"


@pytest.mark.parametrize(
    ("title", "short"),
    [("Alanine aminotransferase (ALT)", "ALT"), ("Pregnancy test (hCG)", "hCG"), ("Platelets", "Platelets"),
     ("Mouth (dry)", "Mouth (dry)"), ("SLEDAI (clinical part)", "SLEDAI (clinical part)")],
)  # fmt: skip
def test_a_long_title_goes_by_its_abbreviation(title: str, short: str) -> None:
    assert short_title(title) == short


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(1, "result", "1 result"), (0, "result", "0 results"), (2, "open criterion", "2 open criteria")],
)
def test_things_are_counted_in_the_right_number(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said


def test_the_day_of_the_stated_end_is_not_overdue_yet(trials: Any) -> None:
    trial = replace(next(iter(trials.values())), status="recruiting", overdue_after="2026-10-31")
    assert recruiting_words(trial, date(2026, 10, 31)).startswith("Recruiting in ") or not trial.sites
    assert "overdue" in recruiting_words(trial, date(2026, 11, 1))
