"""Registry entries drafted as definitions: what is read, what is only asked, and what must never be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.definitions.served import OUR_CONCEPTS
from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.yaml_files import DefinitionError
from trial_defs.definition.language import TrialWords
from trial_defs.definition.loader import OUR_TRIALS, load_trials, read_trial
from trial_defs.registry.comparison import Comparison, compare, is_limit
from trial_defs.registry.criteria import Drafted
from trial_defs.registry.definition_file import as_yaml
from trial_defs.registry.draft import Draft, draft_of
from trial_defs.registry.record import RegistryError, read_record
from trial_defs.registry.refresh import Refreshed, refresh
from trial_defs.registry.splitting import clauses, plain, sections

SEEDS = Path(__file__).parents[2] / "../shared/seeds"
FORM: dict[str, Any] = {"trial_id": "DRAFT-1", "document": "draft.txt", "read_on": "2026-11-24"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue([OUR_CONCEPTS])


def draft(catalogue: Catalogue, inclusion: str = "", exclusion: str = "") -> Draft:
    text = f"Inclusion Criteria:\n{inclusion}\nExclusion Criteria:\n{exclusion}\n"
    return draft_of(read_record(text.encode()), catalogue)


def read(found: Draft) -> list[Drafted]:
    """The criteria that ask something of the record, and not only of a person."""
    return [each for each in found.criteria if each.name != "text"]


def asks(catalogue: Catalogue, inclusion: str = "", exclusion: str = "") -> list[Any]:
    return [each.asks for each in read(draft(catalogue, inclusion, exclusion))]


def value(of: str, limit: str) -> dict[str, Any]:
    return {"value": {"of": of, "is": limit}}


# -- limits


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("* Platelet count ≥ 75 × 10^9/L", [value("platelets", ">= 75 10*9/L")]),
        ("* Platelets ≥ 100,000/mm3", [value("platelets", ">= 100000 /uL")]),
        ("* Platelets ≥ 45 000/mm3", [value("platelets", ">= 45000 /uL")]),
        ("* Platelets at least 90,000/mm^3", [value("platelets", ">= 90000 /uL")]),
        ("* Platelets <50.000 /mmc", [value("platelets", "< 50000 /uL")]),
        ("* Platelet count ≥ 50 k/μL", [value("platelets", ">= 50 10*3/uL")]),
        ("* ANC ≥ 1,500 cells/µL", [value("neutrophils", ">= 1500 /uL")]),
        ("* SpO₂ ≥ 92 %", [value("oxygen-saturation", ">= 92 %")]),
        ("* Heart rate < 140 beats/minute", [value("heart-rate", "< 140 /min")]),
        ("* ANA ≥ 1:80", [value("ana", ">= 80 {titer}")]),
        ("* Creatinine ≤ 2,5 mg/dl", [value("creatinine", "<= 2.5 mg/dL")]),
        (
            "* CrCl calculated by the Cockcroft-Gault formula ≥ 40 mL/min",
            [value("creatinine-clearance", ">= 40 mL/min")],
        ),
        ("* NYHA class I, II or III", [value("nyha-class", "<= 3 {class}")]),
        ("* NYHA functional class II-III", [value("nyha-class", "2..3 {class}")]),
        ("* Body weight between 40 and 90 kg", [value("body-weight", "40..90 kg")]),
        ("* PLT of at least 75 x 109/L", [value("platelets", ">= 75 10*9/L")]),
        ("1. Hemoglobin \\>= 9 g/dL", [value("hemoglobin", ">= 9 g/dL")]),
        (
            "- AST and ALT ≤ 2.5 times the upper limit of normal",
            [value("ast", "<= 2.5 ULN"), value("alt", "<= 2.5 ULN")],
        ),
        ("* LVEF (by echocardiography) not less than 50%", [value("lvef", ">= 50 %")]),
        ("* SLEDAI-2K score of 6 or higher", [value("sledai-2k", ">= 6 {score}")]),
        ("* 40% predicted ≤ FVC ≤ 80% predicted", [value("fvc-percent-predicted", "40..80 %")]),
        ("* NYHA class I or II", [value("nyha-class", "<= 2 {class}")]),
        ("* Serum creatinine ≤ 1.5 mg/dL", [value("creatinine", "<= 1.5 mg/dL")]),
        (
            "* Creatinine ≤ 1.5 x ULN or creatinine clearance ≥ 45 mL/min",
            [{"any": [value("creatinine", "<= 1.5 ULN"), value("creatinine-clearance", ">= 45 mL/min")]}],
        ),
        (
            "* Anti-dsDNA and/or anti-Sm positive",
            [{"any": [value("anti-dsdna", "positive"), value("anti-sm", "positive")]}],
        ),
    ],
)
def test_a_limit_that_stands_there_whole_is_read(text: str, found: list[Any], catalogue: Catalogue) -> None:
    assert asks(catalogue, text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("* LVEF < 40%", [value("lvef", "< 40 %")]),
        ("* IgG or IgA below the lower limit of normal", [value("igg", "< LLN"), value("iga", "< LLN")]),
        ("* HIV antibody positive", [value("hiv", "positive")]),
        (
            "* QTc > 450 ms in men and > 470 ms in women",
            [
                {"all": [{"sex": "male"}, value("qtc", "> 450 ms")]},
                {"all": [{"sex": "female"}, value("qtc", "> 470 ms")]},
            ],
        ),
        ("* Epilepsy in the medical history", [{"condition": {"is": "epilepsy", "when": "ever"}}]),
        (
            "* Myocardial infarction within 6 months",
            [{"condition": {"is": "myocardial-infarction", "when": "within 6 mo"}}],
        ),
        (
            "* Blood pressure > 160/100 mmHg",
            [value("systolic-blood-pressure", "> 160 mm[Hg]"), value("diastolic-blood-pressure", "> 100 mm[Hg]")],
        ),
        ("* Heart rate < 60 or ≥ 110 bpm", [value("heart-rate", "< 60 /min"), value("heart-rate", ">= 110 /min")]),
        (
            "* Stroke within the past six months",
            [{"condition": {"is": "cerebrovascular-disease", "when": "within 6 mo"}}],
        ),
        ("* Stroke within prior 6 months", [{"condition": {"is": "cerebrovascular-disease", "when": "within 6 mo"}}]),
        (
            "* Any major surgery ≤ 3 weeks before screening",
            [{"treatment": {"of": "major-surgery", "when": "within 3 wk"}}],
        ),
        ("* Known HIV infection", [value("hiv", "positive")]),
        ("* Age < 18 years", [{"age": {"is": "< 18 a"}}]),
        ("* Live vaccine within 4 weeks", [{"treatment": {"of": "live-vaccine", "when": "within 4 wk"}}]),
    ],
)
def test_an_exclusion_says_the_bad_thing_as_it_stands(text: str, found: list[Any], catalogue: Catalogue) -> None:
    assert asks(catalogue, exclusion=text) == found
    assert {each.side for each in draft(catalogue, exclusion=text).criteria} == {"exclusion"}


@pytest.mark.parametrize(
    "text",
    [
        "* Platelet count adequate for biopsy, ≥ 3 biopsies planned",
        "* Hemoglobin ≥ 9",
        "* Hemoglobin ≥ 9000 g/dL",
        "* No QTc above 480 ms",
        "* Patients who do not have an LVEF of at least 50 %",
        "* ALT should not be > 3 × ULN",
        "* Platelet count before the second dose of the drug ≥ 50 × 10^9/L",
        "* Urine protein to creatinine ratio > 1.0",
        "* Prednisone ≥ 20 mg/day for at least 14 days",
        "* Not HIV positive",
        "* Creatinine clearance = 60 mL/min or better",
        "* SLEDAI-2K ≥ 1,000",
    ],
)
@pytest.mark.parametrize("side", ["inclusion", "exclusion"])
def test_what_is_not_whole_or_turned_round_is_left_to_a_person(text: str, side: str, catalogue: Catalogue) -> None:
    found = draft(catalogue, **{side: text})
    assert read(found) == []
    assert [each.name for each in found.criteria] == ["text"]


def test_a_second_number_in_the_sentence_is_asked_about(catalogue: Catalogue) -> None:
    found = read(draft(catalogue, "* Bilirubin ≤ 1.5 × ULN (≤ 3 × ULN with stents)"))
    assert [each.asks for each in found] == [value("bilirubin-total", "<= 1.5 ULN")]
    assert "Another number" in str(found[0].question)


def test_an_exception_stays_beside_its_limit(catalogue: Catalogue) -> None:
    (one,) = asks(catalogue, "* ALT ≤ 3 × ULN unless caused by myositis")
    assert one["any"][0] == value("alt", "<= 3 ULN")
    assert "myositis" in one["any"][1]["judgement"]["ask"]
    (other,) = asks(catalogue, exclusion="* Bilirubin > 2 × ULN, except in hemolysis")
    assert other["all"][0] == value("bilirubin-total", "> 2 ULN")


def test_a_limit_inside_an_exception_is_another_way_to_meet_the_first(catalogue: Catalogue) -> None:
    (found,) = read(draft(catalogue, "* TBIL ≤ 1.5 × ULN (except Gilbert's syndrome, total bilirubin ≤ 3 × ULN)"))
    gilbert = {"condition": {"is": "gilbert-syndrome", "when": "ever"}}
    assert found.asks["any"][1] == {"all": [gilbert, value("bilirubin-total", "<= 3 ULN")]}  # type: ignore[index]
    assert found.question


def test_alternatives_stay_alternatives_across_a_titre(catalogue: Catalogue) -> None:
    (found,) = asks(catalogue, "* Positive antinuclear antibody (ANA ≥ 1:80) or positive anti-dsDNA")
    assert found == {"any": [value("ana", "positive"), value("anti-dsdna", "positive")]}


def test_a_disease_that_is_excluded_with_exceptions_is_left_to_a_person_to_complete(catalogue: Catalogue) -> None:
    (found,) = asks(catalogue, exclusion="* Malignancy within 5 years, except basal cell carcinoma of the skin")
    assert found["all"][0] == {"condition": {"is": "malignancy", "when": "within 5 a"}}
    assert "judgement" in found["all"][1]


def test_another_way_to_meet_a_limit_is_joined_to_it_and_asked_about(catalogue: Catalogue) -> None:
    found = read(
        draft(
            catalogue, "* Bilirubin ≤ 2 × ULN; patients with Gilbert's syndrome and bilirubin ≤ 3 × ULN may be included"
        )
    )
    gilbert = {"condition": {"is": "gilbert-syndrome", "when": "ever"}}
    wider = {"any": [value("bilirubin-total", "<= 2 ULN"), {"all": [gilbert, value("bilirubin-total", "<= 3 ULN")]}]}
    assert [each.asks for each in found] == [wider]
    assert found[0].question


def test_a_treatment_that_may_not_be_current_is_excluded(catalogue: Catalogue) -> None:
    (found,) = read(draft(catalogue, "* No transfusion within 7 days"))
    assert (found.side, found.asks) == ("exclusion", {"treatment": {"of": "transfusion", "when": "within 7 d"}})


def test_a_disease_of_the_family_or_a_cause_is_no_disease_of_the_patient(catalogue: Catalogue) -> None:
    assert asks(catalogue, exclusion="* Family history of epilepsy") == []
    assert asks(catalogue, exclusion="* Fatigue due to dermatomyositis") == []


# -- damage


LOST = "* ALT = 3 times ULN\n* Platelets = 50 x 10^9/L\n* CRP = 10 mg/L"


def test_a_lost_sign_is_never_put_back_in_silence(catalogue: Catalogue) -> None:
    found = read(draft(catalogue, LOST))
    assert [each.asks for each in found] == [value("alt", "<= 3 ULN"), value("platelets", ">= 50 10*9/L")]
    assert all("is lost" in str(each.question) for each in found)


def test_a_lost_sign_in_an_exclusion_is_proposed_the_other_way_round(catalogue: Catalogue) -> None:
    assert asks(catalogue, LOST, "* LVEF = 40%")[-1] == value("lvef", "<= 40 %")


def test_an_equals_sign_in_a_sound_text_is_not_taken_for_a_lost_one(catalogue: Catalogue) -> None:
    assert asks(catalogue, LOST + "\n* Hemoglobin ≥ 8 g/dL") == [value("hemoglobin", ">= 8 g/dL")]


def test_a_pregnancy_test_months_ago_is_asked_about(catalogue: Catalogue) -> None:
    (found,) = read(draft(catalogue, "* Negative pregnancy test 7 months before the infusion"))
    assert found.asks == value("hcg", "negative")
    assert "too long" in str(found.question)
    assert found.only_if == {"sex": "female"}


def test_an_empty_list_and_lost_signs_are_named(catalogue: Catalogue) -> None:
    missing = draft(catalogue, LOST).missing
    assert any("exclusion" in what and "empty" in what for what in missing)
    assert any("signs" in what for what in missing)


# -- places


def test_every_reading_shows_exactly_the_words_it_was_read_from(catalogue: Catalogue) -> None:
    found = draft(catalogue, "* Age over 17\n* Hemoglobin ≥ 9 g/dL and INR ≤ 1.5 × ULN", "* HIV positive")
    words = {each.name: found.record.eligibility[each.start : each.end] for each in read(found)}
    assert words == {"age": "over 17", "hemoglobin": "Hemoglobin ≥ 9 g/dL", "inr": "INR ≤ 1.5 × ULN", "hiv": "HIV"}


def test_plain_text_is_exactly_as_long_as_the_text() -> None:
    text = "İSTANBUL ≥ 10⁹/L ， × µ — ﬁ ß"
    assert len(plain(text)) == len(text)


def test_lists_for_several_diseases_are_told_apart() -> None:
    text = (
        "Common inclusion criteria: 1. Consent; 2. Age. Inclusion criteria for lupus nephritis: 1. Biopsy. "
        "Exclusion Criteria\n1. Pregnancy\nExclusion criteria for lupus nephritis:\nDialysis\n"
    )
    assert [(each.side, each.about) for each in sections(text)] == [
        ("inclusion", None),
        ("inclusion", "lupus nephritis"),
        ("exclusion", None),
        ("exclusion", "lupus nephritis"),
    ]
    assert [text[each.start : each.end] for each in clauses(text)][:2] == ["Consent", "Age"]


# -- the registry's JSON


CRITERIA = "Inclusion Criteria:\n\n* Hemoglobin \\>= 9 g/dL\n\nExclusion Criteria:\n\n* HIV positive"


def entry(**changed: Any) -> bytes:
    protocol: dict[str, Any] = {
        "identificationModule": {"nctId": "NCT00000001", "briefTitle": "Brief", "officialTitle": "An invented study"},
        "statusModule": {"overallStatus": "RECRUITING", "completionDateStruct": {"date": "2027-05-31"}},
        "sponsorCollaboratorsModule": {"leadSponsor": {"name": "A Hospital"}, "collaborators": [{"name": "B Ltd"}]},
        "conditionsModule": {"conditions": ["Lupus Nephritis"]},
        "designModule": {"phases": ["PHASE1", "PHASE2"]},
        "eligibilityModule": {
            "eligibilityCriteria": CRITERIA,
            "sex": "FEMALE",
            "minimumAge": "18 Years",
            "maximumAge": "65 Years",
            "healthyVolunteers": False,
        },
        "contactsLocationsModule": {
            "locations": [{"facility": "A Hospital", "city": "Bern", "country": "Switzerland", "status": "RECRUITING"}]
        },
    }
    for path, given in changed.items():
        module, _, key = path.partition("__")
        protocol[module][key] = given
    return json.dumps({"protocolSection": protocol}).encode()


def test_the_registrys_fields_become_the_definitions() -> None:
    record = read_record(entry())
    assert (record.id, record.title, record.phase) == ("NCT00000001", "An invented study", "Phase 1/Phase 2")
    assert (record.status, record.completion, record.sponsor) == ("recruiting", "2027-05-31", "A Hospital, with B Ltd")
    assert (record.least_age, record.most_age, record.sex) == (18, 65, "female")
    assert [(site.city, site.status) for site in record.sites] == [("Bern", "recruiting")]


def test_an_entry_becomes_a_definition_that_the_language_accepts(catalogue: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "NCT00000001.yaml"
    found = draft_of(read_record(entry()), catalogue)
    path.write_text(as_yaml(found, catalogue, **(FORM | {"trial_id": "NCT00000001"})))
    trial = read_trial(path, catalogue)
    assert trial.cohorts[0].id == "main"
    assert [each.id for each in trial.cohorts[0].criteria] == ["I0.age", "I0.sex", "I1.hemoglobin", "E1.hiv"]


def test_an_age_that_is_not_in_years_is_named_and_not_read(catalogue: Catalogue) -> None:
    found = draft_of(read_record(entry(eligibilityModule__minimumAge="6 Months")), catalogue)
    assert found.criteria[0].asks == {"age": {"is": "<= 65 a"}}
    assert any("minimumAge" in what for what in found.missing)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{", "begins like JSON"),
        (b'{"studies": []}', "one study"),
        (b'{"protocolSection": {}}', "eligibilityCriteria"),
        (b"A page about gardening.", "no inclusion criteria"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_what_is_no_entry_is_refused_with_what_would_be(raw: bytes, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        read_record(raw)


# -- nothing is served before it is signed


def a_file(folder: Path, catalogue: Catalogue, **changed: Any) -> Path:
    text = as_yaml(draft(catalogue, LOST), catalogue, **FORM)
    content = yaml.safe_load(text) | changed
    path = folder / "DRAFT-1.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_a_draft_is_checked_and_named_but_not_served(catalogue: Catalogue, tmp_path: Path) -> None:
    a_file(tmp_path, catalogue)
    loaded = load_trials([tmp_path], catalogue)
    assert loaded.trials == {}
    assert loaded.problems == ()
    assert [(each.id, len(each.questions)) for each in loaded.drafts] == [("DRAFT-1", 3)]  # two signs, the gate


def test_a_draft_replaces_nothing_that_is_served(catalogue: Catalogue, tmp_path: Path) -> None:
    a_file(tmp_path, catalogue, id="NCT06711146")
    served = load_trials([OUR_TRIALS, tmp_path], catalogue).trials["NCT06711146"]
    assert served.document != "draft.txt"


def test_a_signature_under_open_questions_is_refused(catalogue: Catalogue, tmp_path: Path) -> None:
    path = a_file(tmp_path, catalogue, signed_off={"by": "A. Person", "on": "2026-12-01"})
    with pytest.raises(DefinitionError, match=r"question: I1\.alt, I2\.platelets, the gate of cohort main"):
        read_trial(path, catalogue)


def test_a_signed_definition_without_questions_is_served(catalogue: Catalogue, tmp_path: Path) -> None:
    path = a_file(tmp_path, catalogue, signed_off={"by": "A. Person", "on": "2026-12-01"})
    content = yaml.safe_load(path.read_text())
    for asking in (*content["before"], content["cohorts"]["main"]):
        asking.pop("question", None)
    content["cohorts"]["main"]["gate"] = {"condition": {"is": "lupus-nephritis"}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    assert set(load_trials([tmp_path], catalogue).trials) == {"DRAFT-1"}


# -- refreshing


def refreshed(catalogue: Catalogue, newer: bytes) -> Refreshed:
    before = read_record(entry())
    text = as_yaml(draft_of(before, catalogue), catalogue, **FORM)
    words = TrialWords.model_validate(yaml.safe_load(text))
    return refresh(text, words, read_record(newer), before.eligibility, document="newer.json", today="2026-12-01")


def test_the_same_entry_changes_nothing(catalogue: Catalogue) -> None:
    assert refreshed(catalogue, entry()) == Refreshed(None, (), ())


def test_status_date_and_sites_are_renewed_and_all_else_stays(catalogue: Catalogue) -> None:
    sites = [{"facility": "C Clinic", "city": "Basel", "country": "Switzerland", "status": "COMPLETED"}]
    found = refreshed(
        catalogue, entry(statusModule__overallStatus="COMPLETED", contactsLocationsModule__locations=sites)
    )
    assert found.renewed == (
        "status: recruiting -> closed",
        "site A Hospital, Bern: recruiting -> not listed",
        "site C Clinic, Basel: not listed -> closed",
    )
    content = yaml.safe_load(found.text or "")
    assert (content["version"], content["recruiting"]["status"]) == (2, "closed")
    assert content["recruiting"]["overdue_after"] == "2027-05-31"
    assert [each["id"] for each in content["before"]] == ["I0.age", "I0.sex", "I1.hemoglobin"]


def test_changed_words_name_the_criteria_that_were_read_from_them(catalogue: Catalogue) -> None:
    text = "Inclusion Criteria:\n\n1. Hemoglobin \\>= 8 g/dL\n\nExclusion Criteria:\n\n* HIV positive\n* Dialysis"
    found = refreshed(catalogue, entry(eligibilityModule__eligibilityCriteria=text))
    content = yaml.safe_load(found.text or "")
    assert content["source"]["compared"] == "newer.json"
    assert "Hemoglobin \\>= 8 g/dL" in content["before"][-1]["question"]
    assert content["missing"][-1] == "Text of 2026-12-01 in no criterion: “Dialysis”"
    assert [(each.criteria, each.before, each.after) for each in found.words] == [
        (("I1.hemoglobin",), "Hemoglobin \\>= 9 g/dL", "Hemoglobin \\>= 8 g/dL"),
        ((), "", "Dialysis"),
    ]


# -- measured on real texts


def measured(catalogue: Catalogue, tmp_path: Path) -> dict[str, Comparison]:
    """Each trial that was defined by hand, against a draft from the same document."""
    found = {}
    for trial in load_trials([OUR_TRIALS], catalogue).trials.values():
        record = read_record((SEEDS / trial.document).read_bytes())
        path = tmp_path / f"{trial.id}.yaml"
        path.write_text(as_yaml(draft_of(record, catalogue), catalogue, **(FORM | {"trial_id": trial.id})))
        found[trial.id] = compare(read_trial(path, catalogue), trial)
    return found


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the documents of the trials are not here")
def test_drafts_of_the_five_documents_have_most_of_what_was_made_by_hand_and_no_wrong_limit(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    found = measured(catalogue, tmp_path)
    assert {name: sorted(each.wrong_limits) for name, each in found.items() if each.wrong_limits} == {}
    had = sum(len(each.had) for each in found.values())
    assert had / sum(len(each.by_hand) for each in found.values()) >= 0.7
    assert all(each.share >= 0.6 for each in found.values())
    assert sum(len(each.limits) for each in found.values()) > 140


def test_the_comparison_sees_a_wrong_limit(catalogue: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "DRAFT-1.yaml"
    trials = []
    for text in ("* Hemoglobin ≥ 9 g/dL", "* Hemoglobin ≥ 8 g/dL", "* Hemoglobin ≥ 90 g/L"):
        path.write_text(as_yaml(draft(catalogue, text), catalogue, **FORM))
        trials.append(read_trial(path, catalogue))
    assert compare(trials[1], trials[0]).wrong_limits
    same = compare(trials[2], trials[0])
    assert (same.share, same.wrong_limits) == (1.0, frozenset())
    assert all(is_limit(piece) for piece in same.by_hand)


# -- ages in months, names of the gate, the registry's markdown


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("* Age ≥ 24 months", [{"age": {"is": ">= 2 a"}}]),
        ("* Age < 36 months", [{"age": {"is": "< 3 a"}}]),
        ("* Age ≥ 6 months", []),  # no number of completed years says it
        ("* Age ≤ 24 months", []),  # 25 months are two completed years too
    ],
)
def test_an_age_in_months_is_read_where_completed_years_say_the_same(
    text: str, found: list[Any], catalogue: Catalogue
) -> None:
    assert asks(catalogue, text) == found


@pytest.mark.parametrize(
    ("field", "age", "found"),
    [
        ("minimumAge", "24 Months", ">= 2 a"),
        ("minimumAge", "6 Months", None),
        ("maximumAge", "24 Months", None),
        ("maximumAge", "17 Years", "<= 17 a"),
    ],
)
def test_an_age_in_months_of_the_registrys_field(field: str, age: str, found: str | None, catalogue: Catalogue) -> None:
    module = {"eligibilityCriteria": "Inclusion Criteria:\n\n* Epilepsy", field: age}
    entry = {"protocolSection": {"identificationModule": {"nctId": "NCT09999999"}, "eligibilityModule": module}}
    drafted = draft_of(read_record(json.dumps(entry).encode()), catalogue)
    ages = [each.asks for each in drafted.criteria if each.name == "age"]
    assert ages == ([{"age": {"is": found}}] if found else [])
    if not found:
        assert any(field in each or "age" in each.lower() for each in drafted.missing)


def test_a_gate_that_no_field_names_is_drafted_from_the_criteria_and_asked_about(catalogue: Catalogue) -> None:
    found = draft(catalogue, "* Platelets ≥ 75 × 10^9/L\n* Confirmed rheumatoid arthritis\n* Epilepsy")
    cohort = yaml.safe_load(as_yaml(found, catalogue, **FORM))["cohorts"]["main"]
    assert cohort["gate"] == {"condition": {"is": "rheumatoid-arthritis"}}
    assert "drafted from “" in cohort["question"]
    assert "rheumatoid arthritis" in cohort["question"]


def test_what_people_read_has_no_backslashes_of_markdown(catalogue: Catalogue) -> None:
    found = draft(catalogue, "* Walks \\> 5 steps \\[alone\\]", "* Epilepsy")
    (criterion,) = yaml.safe_load(as_yaml(found, catalogue, **FORM))["before"]
    assert criterion["text"] == "Walks > 5 steps [alone]"
    assert "\\" not in criterion["include"]["judgement"]["ask"]
    assert criterion["drafted"]["words"] == "Walks \\> 5 steps \\[alone\\]"


def test_what_was_had_before_says_nothing_of_how_another_disease_is_now(catalogue: Catalogue) -> None:
    found = asks(catalogue, exclusion="* Prior rituximab, uncontrolled hypertension\n* History of epilepsy")
    hypertension = next(each for each in found if "hypertension" in str(each))
    assert hypertension["all"][0] == {"condition": {"is": "hypertension"}}
    assert found[-1] == {"condition": {"is": "epilepsy", "when": "ever"}}
