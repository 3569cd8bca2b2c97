"""Records that no code and no name explains: what they leave open, and when they certainly are something else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from mappings.chart import fhir
from mappings.concepts import icd9
from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from mappings.understanding.classes import RecordKind, Understanding
from mappings.understanding.drug_names import FILE, digest_of
from mappings.understanding.generate import OUT, lines, text
from mappings.understanding.generate_drugs import content, table_of
from mappings.understanding.words import words_of

ICD10 = "http://hl7.org/fhir/sid/icd-10"
SNOMED = "http://snomed.info/sct"
ATC = "http://www.whocc.no/atc"
CVX = "http://hl7.org/fhir/sid/cvx"
ICPC = "http://hl7.org/fhir/sid/icpc-2"
NORWAY = "urn:oid:2.16.578.1.12.4.1.1.7170"
IPS = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


@cache
def catalogue() -> Catalogue:
    return load_catalogue([Path("mappings/concepts")])


@cache
def understanding() -> Understanding:
    return Understanding(catalogue())


def left_open(kind: RecordKind, text: str | None = None, *codings: tuple[str, ...]) -> frozenset[str]:
    coding = tuple(fhir.Coding(*each) for each in codings)
    return understanding().concepts_left_open(kind, [fhir.CodeableConcept(coding, text)])


def every(kind: RecordKind) -> frozenset[str]:
    return left_open(kind)


@pytest.mark.parametrize(
    ("kind", "coding"),
    [
        ("diagnosis", (ICD10, "J45.9")),
        ("diagnosis", ("http://hl7.org/fhir/sid/icd-10-cm", "S52.501A")),
        ("drug", (ATC, "C09AA05")),
        ("procedure", ("http://hl7.org/fhir/sid/icd-10-pcs", "0DTJ4ZZ")),
        ("vaccine", (CVX, "140")),
        ("diagnosis", (IPS, "no-known-problems")),
        ("drug", (IPS, "no-known-medications")),
    ],
)
def test_a_code_of_a_classification_that_is_held_whole_is_something_else(
    kind: RecordKind, coding: tuple[str, str]
) -> None:
    assert left_open(kind, None, coding) == frozenset()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("diagnosis", "Full-time employment (finding)"),
        ("diagnosis", "Acute bronchitis (disorder)"),
        ("diagnosis", "Gastro-oesophageal reflux"),
        ("diagnosis", "Family history of cancer of colon"),
        ("diagnosis", "No known problems"),
        ("procedure", "Suture open wound"),
        ("procedure", "Plain chest X-ray (procedure)"),
        ("drug", "Ramipril 5 mg Oral Tablet"),
        ("drug", "Salbutamol inhaler"),
        ("vaccine", "Hepatitis B, adult"),
    ],
)
def test_words_that_are_all_understood_are_something_else(kind: RecordKind, text: str) -> None:
    assert left_open(kind, text) == frozenset()


@pytest.mark.parametrize(
    ("kind", "text", "codings"),
    [
        ("diagnosis", None, ()),
        ("diagnosis", None, ((ABSENT, "masked", "Masked"),)),
        ("diagnosis", "Unknown", ()),
        ("diagnosis", "See note", ()),
        ("diagnosis", None, ((ICD10, "R69"),)),
        ("diagnosis", "Hartfalen", ((SNOMED, "195111005"),)),
        ("diagnosis", None, (("urn:example:national-codes", "C50.9"),)),
        ("diagnosis", "肺がん", ()),
        ("drug", None, (("http://hl7.org/fhir/sid/ndc", "50242005121"),)),
        ("drug", "プレドニン錠５ｍｇ", ()),
        ("drug", "Study medication", ()),
        ("drug", "Monoclonal antibody 500 mg", ()),
        ("drug", None, ((IPS, "no-medication-info"),)),
        ("procedure", None, (("urn:example:national-procedures", "8-810.w3"),)),
        ("procedure", "Infusion of cells", ()),
    ],
)
def test_a_record_that_is_not_understood_leaves_everything_of_its_kind_open(
    kind: RecordKind, text: str | None, codings: tuple[tuple[str, ...], ...]
) -> None:
    found = left_open(kind, text, *codings)
    assert found == every(kind)
    assert len(found) > 10


def test_a_vaccine_without_a_known_code_leaves_live_vaccines_open_and_nothing_else() -> None:
    assert left_open("vaccine", "Vacina tríplice", ("urn:example:vaccines", "7")) == {"live-vaccine"}
    assert left_open("vaccine", None, (CVX, "999")) == {"live-vaccine"}


def test_a_coarse_code_leaves_open_what_lies_under_it() -> None:
    immunosuppressants = left_open("drug", None, (ATC, "L04A"))
    assert {"azathioprine", "belimumab"} <= immunosuppressants
    assert "rituximab" not in immunosuppressants
    assert left_open("drug", None, (ATC, "C09A")) == frozenset()
    assert "cirrhosis" in left_open("diagnosis", None, (ICD10, "K74"))
    assert "epilepsy" not in left_open("diagnosis", None, (ICD10, "K74"))


def test_a_word_that_belongs_to_a_disease_leaves_that_disease_open() -> None:
    found = left_open("diagnosis", "Lupus erythematosus (disorder)")
    assert "systemic-lupus-erythematosus" in found
    assert "epilepsy" not in found
    assert "malignancy" in left_open("diagnosis", "Growth, possibly a tumour of the ovary")


def test_a_brand_leaves_its_own_drug_open() -> None:
    assert "cyclophosphamide" in left_open("drug", "Endoxan 50 mg")
    assert "rituximab" not in left_open("drug", "Endoxan 50 mg")


@pytest.mark.parametrize(
    ("system", "code", "words", "inside", "outside"),
    [
        (ICPC, "R74", None, "malignancy", "dementia"),
        (ICPC, "K77", None, "heart-failure", "psychosis"),
        (NORWAY, "L99", "Annen sykdom i muskler og skjelett", "systemic-lupus-erythematosus", "heart-failure"),
        (ICPC, "N07", None, "seizure", "inflammatory-bowel-disease"),
        (ICPC, "P76", None, "depression", "heart-failure"),
        (ICPC, "A79", None, "heart-failure", ""),
        (ICPC, "U99", None, "lupus-nephritis-class-iii", "epilepsy"),
    ],
)
def test_a_code_of_icpc_leaves_open_what_its_chapter_can_hold(
    system: str, code: str, words: str | None, inside: str, outside: str
) -> None:
    found = left_open("diagnosis", words, (system, code))
    assert inside in found
    assert outside not in found


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("R74", "Acute upper respiratory infection"),
        ("R05", None),
        ("R05", "Hoste"),
        ("K44", None),
        ("Z01", "Fattigdom"),
        ("A98", None),
    ],
)
def test_a_complaint_a_process_and_what_its_words_say_of_icpc_are_something_else(code: str, words: str | None) -> None:
    assert left_open("diagnosis", words, (ICPC, code)) == frozenset()


def test_a_payers_mark_behind_a_diagnosis_is_no_carcinoma() -> None:
    assert left_open("diagnosis", "Type 2 diabetes mellitus (HCC)") == frozenset()
    assert left_open("diagnosis", "Gout [CMS/HCC]") == frozenset()
    assert left_open("diagnosis", "HCC") == {"malignancy"}


def test_words_of_a_dose_in_other_languages_name_no_drug() -> None:
    for words in ("Paracetamol bei Bedarf", "Paracetamol 500 mg zo nodig", "Metformin matin et soir"):
        assert left_open("drug", words) == frozenset(), words


def test_a_code_that_says_something_else_outweighs_words_that_are_not_understood() -> None:
    assert left_open("diagnosis", "Krankheit XY", (ICD10, "J45.9")) == frozenset()


def test_words_are_read_in_american_spelling_without_accents_and_numbers() -> None:
    assert words_of("Haemolytic anaemia, type 2 – œdème β") == ["hemolytic", "anemia", "type", "œdeme", "β"]


def test_a_word_points_to_a_concept_from_the_share_of_its_titles_on() -> None:
    titles = [
        ("C50.9", "Malignant growth of breast"),
        ("C34.9", "Malignant growth of lung"),
        ("L57.0", "Benign growth of skin"),
        ("J45.9", "Asthma of lung"),
    ]
    made = lines(catalogue(), titles, frozenset({"breast"}))
    assert "malignant: malignancy" in made
    assert "growth: malignancy" in made
    assert "lung: malignancy" in made
    assert {"asthma", "benign", "breast"} <= set(made)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the package opens its file in an old way
def test_the_list_of_words_is_that_of_the_catalogue() -> None:
    assert OUT.read_text("utf-8") == text(), "run python -m mappings.understanding.generate"


def test_the_table_of_drug_names_is_that_of_the_dictionary() -> None:
    assert FILE.read_bytes() == content(), "run python -m mappings.understanding.generate_drugs"


def test_a_name_of_two_drugs_means_both_and_a_name_of_neither_means_none() -> None:
    table = table_of({"Both Names": ["One", "Other"], "single": ["One"], "...": ["One"]})
    names = [digest_of(name) for name in ("both names", "both names", "single")]
    found = sorted(zip(memoryview(table.names).cast("Q"), memoryview(table.means).cast("H"), strict=True))
    drugs = memoryview(table.drugs).cast("Q")
    assert sorted(name for name, _ in found) == sorted(names)
    assert {drugs[place] for name, place in found if name == digest_of("both names")} == {
        digest_of("one"),
        digest_of("other"),
    }


ICD9 = "http://hl7.org/fhir/sid/icd-9-cm"


@pytest.mark.parametrize(
    ("system", "code", "concept"),
    [
        (ICD9, "710.0", "systemic-lupus-erythematosus"),
        (ICD9, "7100", "systemic-lupus-erythematosus"),
        ("urn:oid:2.16.840.1.113883.6.103", "710.1", "systemic-sclerosis"),
        (ICD9, "710.3", "dermatomyositis"),
        (ICD9, "446.4", "granulomatosis-with-polyangiitis"),
        (ICD9, "714.0", "rheumatoid-arthritis"),
        (ICD9, "174.9", "malignancy"),
        (ICD9, "042", "hiv"),
        (ICD9, "V42.0", "organ-transplant"),
        (ICD9, "39.95", "dialysis"),
        (ICD9, "41.04", "stem-cell-transplant"),
        ("urn:oid:2.16.840.1.113883.6.104", "4104", "stem-cell-transplant"),
        (ICD9, "99.48", "live-vaccine"),
    ],
)
def test_a_code_of_icd_9_cm_stands_for_the_concept_of_all_its_equivalents(system: str, code: str, concept: str) -> None:
    assert catalogue().find(system, code)[:1] == (concept,)


@pytest.mark.parametrize("code", ["486.00", "285.9", "401.9", "530.81", "E885.9", "V70.0"])
def test_a_diagnosis_of_icd_9_cm_without_an_equivalent_among_our_concepts_is_something_else(code: str) -> None:
    assert left_open("diagnosis", None, (ICD9, code)) <= {"hypertension", "active-infection"}


def test_a_code_of_icd_9_cm_that_is_too_coarse_leaves_open_what_it_may_be() -> None:
    assert "cirrhosis" in left_open("diagnosis", None, (ICD9, "571.5"))
    assert {"systemic-lupus-erythematosus", "sjogren-disease"} <= left_open("diagnosis", None, (ICD9, "710"))
    assert "heart-failure" not in left_open("diagnosis", None, (ICD9, "710"))
    assert left_open("diagnosis", None, (ICD9, "799.9")) == every("diagnosis")
    assert left_open("diagnosis", None, (ICD9, "SLE")) == every("diagnosis")
    assert left_open("procedure", None, (ICD9, "45.13")) == frozenset()
    assert left_open("procedure", None, (ICD9, "99.29")) == every("procedure")


def test_every_equivalent_of_icd_9_cm_is_a_code_of_a_concept() -> None:
    whole = load_catalogue([OUR_CONCEPTS, *pack_folders(None)])
    rows = [line.split() for line in icd9.FILE.read_text().splitlines() if not line.startswith("#")]
    assert len(rows) > 1000
    for _, *codes in rows:
        assert all(whole.find("http://hl7.org/fhir/sid/icd-10-cm", code) for code in codes if code != "+"), codes
