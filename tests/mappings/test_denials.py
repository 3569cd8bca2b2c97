"""A denial in a title applies to its own phrase; a hyphen separates words like a space."""

from __future__ import annotations

import pytest

from mappings.chart import fhir
from mappings.concepts.catalogue import Catalogue
from mappings.readers.uncoded import named_by, result_named_by


def named(catalogue: Catalogue, *texts: str, kind: type = fhir.Condition) -> set[str]:
    code = fhir.DiagnosisCode(text=texts[0], coding=tuple(fhir.DiagnosisCoding(display=text) for text in texts[1:]))
    record = fhir.Immunization(vaccine_code=code) if kind is fhir.Immunization else kind(code=code)
    return set(named_by(record, catalogue))


@pytest.mark.parametrize(
    ("title", "concepts"),
    [
        ("Epilepsy, not intractable", {"epilepsy"}),
        ("Epilepsy, unspecified, not intractable, without status epilepticus", {"epilepsy"}),
        ("Absence epileptic syndrome, intractable, without status epilepticus", {"epilepsy"}),
        ("Childhood absence epilepsy", {"epilepsy"}),
        ("Nonintractable epilepsy", {"epilepsy"}),
        ("Not intractable epilepsy", {"epilepsy"}),
        ("Dementia without behavioral disturbance", {"dementia"}),
        (
            "Dementia without behavioral disturbance, psychotic disturbance, mood disturbance, and anxiety",
            {"dementia"},
        ),
        ("Multiple myeloma, without mention of having achieved remission", {"malignancy"}),
        ("Acute myeloblastic leukemia, not having achieved remission", {"malignancy"}),
        ("Malignant neoplasm of colon - no metastases", {"malignancy"}),
        ("SLE without nephritis", {"systemic-lupus-erythematosus"}),
        ("SLE w/o lupus nephritis", {"systemic-lupus-erythematosus"}),
        ("Systemic lupus erythematosus, lupus nephritis ruled out", {"systemic-lupus-erythematosus"}),
        ("Lupus nephritis without stroke, epilepsy or psychosis", {"lupus-nephritis"}),
        ("Rheumatoid arthritis, rheumatoid factor negative", {"rheumatoid-arthritis"}),
        ("ANCA-negative vasculitis", {"vasculitis"}),
        ("Triple-negative breast cancer", {"malignancy"}),
        ("Breast cancer HER2 negative", {"malignancy"}),
        ("High-risk multiple myeloma", {"malignancy"}),
        ("Breast cancer detected by screening", {"malignancy"}),
        ("Encephalitis following immunization", {"encephalitis"}),
        ("Heart failure, no exposure to doxorubicin", {"heart-failure"}),
        ("Lymphoma; mother well", {"malignancy"}),
        ("No recurrence of lymphoma", {"malignancy"}),
        ("No complications after kidney transplant", {"organ-transplant"}),
        ("No longer on dialysis", {"dialysis"}),
        ("Lymphoma not excluded", {"malignancy"}),
        ("Stroke cannot be ruled out", {"cerebrovascular-disease"}),
        ("Rule out stroke", {"cerebrovascular-disease"}),
        ("Epilepsy to be excluded", {"epilepsy"}),
        ("Suspected epilepsy", {"epilepsy"}),
        ("Rheumatoid arthritis, ruled out infection", {"rheumatoid-arthritis"}),
        ("Pregnancy, not delivered", {"pregnancy"}),
        ("Pneumonia, no organism specified", {"active-infection"}),
        ("Immunodeficiency, not elsewhere classified", {"immunodeficiency"}),
        ("Personal history of cerebral infarction without residual deficits", {"cerebrovascular-disease"}),
        ("Concussion with no loss of consciousness", {"brain-injury"}),
        ("Malignant neoplasm without specification of site", {"malignancy"}),
        (
            "Systemic lupus erythematosus in mother complicating pregnancy",
            {"systemic-lupus-erythematosus", "pregnancy"},
        ),
        ("Nicht näher bezeichnete Demenz", {"dementia"}),
        ("Epilepsie, nicht näher bezeichnet", {"epilepsy"}),
        ("Zustand nach Schlaganfall ohne Residuen", {"cerebrovascular-disease"}),
    ],
)
def test_a_denial_leaves_the_disease_beside_it_standing(catalogue: Catalogue, title: str, concepts: set[str]) -> None:
    assert named(catalogue, title) == concepts


@pytest.mark.parametrize(
    "title",
    [
        "No epilepsy",
        "No history of epilepsy",
        "No known history of seizures or epilepsy",
        "No evidence of malignancy",
        "No personal or family history of cancer",
        "Patient denies seizures, suicidal ideation, or depression",
        "Negative for malignancy",
        "Never had a stroke",
        "Not known to have epilepsy",
        "Does not have epilepsy: not on dialysis",
        "Epilepsy ruled out",
        "Epilepsy, ruled out",
        "Epilepsy has been ruled out",
        "Epilepsy (excluded)",
        "Epilepsy: no",
        "Epilepsy - negative",
        "Stroke not found",
        "Stroke = no",
        "Epilepsy, excluded by EEG",
        "Epilepsy, ruled out after monitoring",
        "Pregnancy test negative",
        "Negative pregnancy test",
        "Not currently pregnant",
        "Hypertensive heart disease without heart failure",
        "Family history of epilepsy",
        "Family history: breast cancer, stroke and epilepsy",
        "FHx breast cancer",
        "Mother has epilepsy",
        "Mother: epilepsy",
        "Breast cancer in mother",
        "Breast cancer (mother)",
        "Encounter for screening for malignant neoplasm of colon",
        "Breast cancer screening",
        "Cancer of the colon screening",
        "At risk of stroke",
        "Stroke risk",
        "Stroke-like episode",
        "Non-epileptic attack",
        "Pneumonia vaccination",
        "Exposure to pneumonia",
        "Dialysis declined",
        "Kein Hinweis auf Epilepsie",
        "Keine Epilepsie",
        "Epilepsie ausgeschlossen",
        "Mutter: Epilepsie",
        "Familienanamnese: Mammakarzinom",
    ],
)
def test_what_a_title_denies_or_says_of_another_is_not_on_record(catalogue: Catalogue, title: str) -> None:
    assert named(catalogue, title) == set()


@pytest.mark.parametrize(
    ("texts", "concepts"),
    [
        (("No history of epilepsy", "Epilepsy"), set()),
        (("Epilepsy", "Family history of epilepsy"), set()),
        (("Epilepsy", "Epilepsy without status epilepticus"), {"epilepsy"}),
        (("SLE", "Lupus nephritis excluded"), {"systemic-lupus-erythematosus"}),
        (("Renal", "transplant"), set()),
    ],
)
def test_a_text_that_denies_outweighs_the_name_beside_it(
    catalogue: Catalogue, texts: tuple[str, ...], concepts: set[str]
) -> None:
    assert named(catalogue, *texts) == concepts


@pytest.mark.parametrize(
    ("title", "concepts"),
    [
        ("Rituximab-Infusion", {"rituximab"}),
        ("Rituximab_Infusion", {"rituximab"}),
        ("Rituximab‑Infusion", {"rituximab"}),
        ("Rituximabinfusion", {"rituximab"}),
        ("Rituximab-induced lung injury", {"rituximab"}),
        ("Kidney-transplant", {"organ-transplant"}),
        ("Kidney\u00a0transplants, two", {"organ-transplant"}),
        ("Hemodialysis-catheter placement", {"dialysis"}),
        ("CAR-T", {"car-t-therapy"}),
        ("Post-stroke depression", {"cerebrovascular-disease", "depression"}),
        ("Non-Hodgkin lymphoma", {"malignancy"}),
        ("Non-small cell lung cancer", {"malignancy"}),
        ("Non-ST elevation myocardial infarction", {"myocardial-infarction"}),
        ("Non-STEMI", {"myocardial-infarction"}),
        ("Non-ischemic heart failure", {"heart-failure"}),
        ("B-cell lymphoma", {"malignancy"}),
        ("Alzheimer’s disease", {"dementia"}),
        ("Pre-dialysis assessment", set()),
        ("Epileptiform dreams", set()),
        ("Dialysate culture", set()),
        ("Rituximab infusion, no reaction", {"rituximab"}),
        ("No reaction to rituximab", {"rituximab"}),
        ("Rituximab not given", set()),
        ("Patient refused dialysis", set()),
    ],
)
def test_a_hyphen_separates_words_like_a_space(catalogue: Catalogue, title: str, concepts: set[str]) -> None:
    assert named(catalogue, title) == concepts


@pytest.mark.parametrize(
    ("title", "is_live"),
    [
        ("Measles-Mumps-Rubella", True),
        ("Measles-mumps-rubella vaccine, no adverse reaction", True),
        ("Vaccination against measles", True),
        ("MMR without complications", True),
        ("M-M-R II", True),
        ("MMR refused", False),
        ("Patient declined MMR", False),
        ("MMR not given", False),
        ("No MMR", False),
        ("MMR contraindicated", False),
        ("MMR (not done)", False),
    ],
)
def test_a_vaccine_counts_unless_its_own_phrase_says_that_it_was_not_given(
    catalogue: Catalogue, title: str, is_live: bool
) -> None:
    assert named(catalogue, title, kind=fhir.Immunization) == ({"live-vaccine"} if is_live else set())


@pytest.mark.parametrize("name", ["Platelet count", "platelet-count", "Platelet  count"])
def test_a_result_is_named_with_hyphens_as_with_spaces(catalogue: Catalogue, name: str) -> None:
    assert result_named_by(fhir.CodeableConcept(text=name), catalogue) == "platelets"


@pytest.mark.parametrize("name", ["Sm", "non-HDL platelets", "Platelet count, urine"])
def test_a_part_of_a_results_name_names_nothing(catalogue: Catalogue, name: str) -> None:
    assert result_named_by(fhir.CodeableConcept(text=name), catalogue) is None
