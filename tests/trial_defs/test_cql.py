"""Criteria as CQL: all of them, or left out with the cause; what the text says is tried in `tests/oracle_cql`."""

from __future__ import annotations

import re

import pytest

from app.definitions.served import Definitions, Served
from trial_defs.export.cql import library_of


@pytest.fixture(scope="module")
def served() -> Served:
    return Definitions().now


def define(text: str, name: str) -> str:
    """One define, without its comments."""
    found = re.search(rf'^define "{re.escape(name)}": (.*?)\n(?:\n|\Z|//)', text, re.S | re.M)
    assert found, name
    return found[1]


def test_every_criterion_is_said_or_left_out_with_its_cause(served: Served) -> None:
    for trial in served.trials.values():
        library = library_of(trial, served.catalogue)
        ids = {criterion.id for cohort in trial.cohorts for criterion in cohort.criteria}
        assert set(library.criteria) | library.left_out.keys() == ids
        assert not set(library.criteria) & library.left_out.keys()
        assert len(library.criteria) > 2 * len(library.left_out)
        for name in library.criteria:
            assert library.text.count(f'define "{name}":') == 1
        for name, why in library.left_out.items():
            assert f"// Not in this library: {name} ({why})" in library.text


def test_the_library_names_the_definition_that_it_was_made_from_and_is_the_same_every_time(served: Served) -> None:
    trial = served.trials["NCT06711146"]
    text = library_of(trial, served.catalogue).text
    assert trial.hash in text
    assert f"library \"NCT06711146\" version '{trial.version}'" in text
    assert library_of(trial, served.catalogue).text == text


def test_a_limit_stands_in_the_unit_of_the_text_with_its_window(served: Served) -> None:
    said = define(library_of(served.trials["NCT06711146"], served.catalogue).text, "I9.platelets")
    assert "\"At least\"(R, 25.0 '10*9/L')" in said
    assert '("Today" - 90 days)' in said


def test_an_exclusion_is_turned_and_its_silence_is_presumed_where_the_definition_says_so(served: Served) -> None:
    said = define(library_of(served.trials["NCT06680388"], served.catalogue).text, "E17.live-vaccine")
    assert said.startswith("not ")
    assert said.endswith("false)")
    assert '("Today" - 6 weeks)' in said


def test_a_weekly_dose_is_held_against_its_limit_a_week_and_one_by_body_weight_against_the_newest_weight(
    served: Served,
) -> None:
    text = library_of(served.trials["NCT06680388"], served.catalogue).text
    weekly, by_weight = (define(text, f"I2.1.4.{drug}-dose") for drug in ("methotrexate", "azathioprine"))
    assert "when high <= 20.0 then true when low > 20.0 then false" in weekly
    assert "when high <= 14.0 then true when low > 14.0 then false" in by_weight  # 2 mg/kg on seven days
    assert '"body-weight: results"' in by_weight
    assert '"body-weight: results"' not in weekly


def test_a_salt_that_the_codes_do_not_name_is_a_range_from_the_least_to_the_most(served: Served) -> None:
    said = define(library_of(served.trials["NCT06680388"], served.catalogue).text, "I2.1.4.chloroquine-dose")
    assert 'T.aWeek * (case when "Is chloroquine alone"(T.codes) then 1 / 1' in said.replace("1.0", "1")
    assert "500.0 / 300.0" in said


def test_a_dose_of_other_days_than_today_is_left_out(served: Served) -> None:
    library = library_of(served.trials["NCT06680388"], served.catalogue)
    assert library.left_out["E4.4.glucocorticoid-pulse"] == "glucocorticoid-dose of other days than today"


def test_a_multiple_of_the_upper_limit_is_one(served: Served) -> None:
    text = library_of(served.trials["NCT06711146"], served.catalogue).text
    assert re.search(r'"At most"\(R, \(\d+\.\d+ \* "High"\(R\)\)\)', text)


def test_what_a_person_judges_is_open(served: Served) -> None:
    text = library_of(served.trials["CNCT19-AID"], served.catalogue).text
    assert define(text, "I1.consent") == "(null as System.Boolean)"


def test_a_saturation_taken_on_oxygen_decides_nothing(served: Served) -> None:
    text = library_of(served.trials["NCT06680388"], served.catalogue).text
    said = define(text, "I4.6.oxygen-saturation")
    assert 'if "On oxygen"(R) then null else "At least"(R, 92.0 \'%\')' in said
    assert text.count('define function "On oxygen"') == 1


def test_a_result_to_come_breaks_a_silence_that_would_be_presumed(served: Served) -> None:
    said = define(library_of(served.trials["CNCT19-AID"], served.catalogue).text, "E7.nyha")
    assert 'if exists (("Pending") T where "Is nyha-class"(T.codes)) then null else false' in said


def test_what_is_excepted_from_a_diagnosis_is_not_among_its_entries(served: Served) -> None:
    text = library_of(served.trials["NCT06680388"], served.catalogue).text
    found = define(text, "ventricular-tachycardia: diagnoses but torsades-de-pointes")
    assert found.startswith(
        '("Entries") T where "Is ventricular-tachycardia"(T.codes) and not "Is torsades-de-pointes"'
    )


def test_a_diagnosis_that_is_too_young_is_a_clear_no(served: Served) -> None:
    said = define(library_of(served.trials["NCT06711146"], served.catalogue).text, "I4.history")
    assert '"Lasts"(D, 6 months) is false) then false else null)' in said


def test_each_drug_of_a_class_is_looked_at_for_itself_where_its_length_counts(served: Served) -> None:
    text = library_of(served.trials["NCT06680388"], served.catalogue).text
    said = define(text, "I3.immunosuppressants")
    assert said.startswith('"Enough of"(')
    assert '"azathioprine alone: courses" T where T.sure' in said
    assert said.count('"Mark"(') == said.count("3 months")
    assert ", 2, (if exists" in said


def test_taking_part_in_a_trial_is_read_from_research_subjects_whatever_their_codes(served: Served) -> None:
    text = library_of(served.trials["NCT06680388"], served.catalogue).text
    assert define(text, "trial-participation: courses") == 'flatten { ("All ResearchSubject") }'


def test_a_dialysis_that_is_completed_may_go_on(served: Served) -> None:
    text = library_of(served.trials["CNCT19-AID"], served.catalogue).text
    dialysis, transplant = (define(text, f"{name}: courses") for name in ("dialysis", "car-t-therapy"))
    assert "goesOn: if T.goesOn or T.last after T.first then T.goesOn else null" in dialysis
    assert "goesOn" not in transplant
    assert '("All Condition") T where "Is dialysis"(T.codes)' in dialysis


def test_a_number_is_positive_or_negative_where_the_catalogue_says_so(served: Served) -> None:
    text = library_of(served.trials["NCT06680388"], served.catalogue).text
    assert "when \"At least\"(R, 25.0 'm[IU]/mL') then true when \"Below\"(R, 5.0 'm[IU]/mL') then false" in text
    assert 'when "Is hcv-rna alone"("Codes"(R.code)) then "Detected"(R)' in text


def test_one_negative_test_of_a_panel_is_not_among_its_results(served: Served) -> None:
    text = library_of(served.trials["NCT06680388"], served.catalogue).text
    said = define(text, "hiv: results")
    assert '"Is hiv"(T.codes) and ("Is hiv alone"(T.codes) or "Positive hiv"(T.entry))' in said


def test_a_diagnosis_may_be_stated_or_denied_by_a_result(served: Served) -> None:
    text = library_of(served.trials["NCT06680388"], served.catalogue).text
    said = define(text, "I4.5.pericardial-effusion")
    assert '"Recorded or stated"(' in said
    assert '"Newest"(("pericardial-effusion: results" R where "Positive"(R) is not null' in said


def test_an_entry_that_ends_of_itself_is_left_out(served: Served) -> None:
    left_out = library_of(served.trials["CNCT19-AID"], served.catalogue).left_out
    assert left_out["E3.pregnancy"] == "an entry of pregnancy may be over of itself"
