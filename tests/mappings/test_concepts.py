"""The concept catalogue as data: every promised concept is there, every code can be a code, look-alikes stay out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from stdnum import luhn, verhoeff

from mappings.concepts.catalogue import OUR_SYSTEM, SYSTEMS, Catalogue, Concept
from mappings.values.units import canonical_unit
from trial_defs.definition.expressions import Trial

LOINC, SNOMED, RXNORM, CVX = (SYSTEMS[name][0] for name in ("loinc", "snomed", "rxnorm", "cvx"))
ICD10, ATC, PCS, HCPCS = (SYSTEMS[name][0] for name in ("icd10", "atc", "icd10pcs", "hcpcs"))


def words(text: str) -> list[str]:
    return text.split()


PROMISED = words("""
age sex platelets hemoglobin leukocytes neutrophils lymphocytes
alt ast alp bilirubin-total bilirubin-direct creatinine creatinine-clearance egfr lipase amylase creatine-kinase
aldolase ldh crp esr inr prothrombin-time aptt fibrinogen urine-protein-24h urine-protein-creatinine-ratio
ana anti-dsdna anti-sm anti-pr3 anti-mpo anti-ro-ssa anti-mda5 myositis-antibodies c3 c4 igg iga igm cd19-expression
hbsag anti-hbc hbv-dna anti-hcv hcv-rna hiv treponema-pallidum tuberculosis-infection active-infection
hcg pregnancy lactation
lvef qtc nyha-class oxygen-saturation systolic-blood-pressure diastolic-blood-pressure body-weight body-height
fvc-percent-predicted dlco-percent-predicted mean-pulmonary-artery-pressure pericardial-effusion pleural-effusion
sledai-2k sledai-2k-clinical selena-sledai selena-sledai-clinical bvas bvas-major-items bvas-minor-items mrss mmt-8
essdai haq-di patient-global-vas physician-global-vas extramuscular-vas das28-esr cdai swollen-joint-count
tender-joint-count salivary-flow-stimulated salivary-flow-unstimulated acr-functional-class
systemic-lupus-erythematosus lupus-nephritis immune-thrombocytopenia anca-vasculitis systemic-sclerosis
diffuse-cutaneous-systemic-sclerosis interstitial-lung-disease dermatomyositis idiopathic-inflammatory-myopathy
inclusion-body-myositis sjogren-disease rheumatoid-arthritis gilbert-syndrome epilepsy central-nervous-system-disease
malignancy heart-failure myocardial-infarction arrhythmia hypertension cirrhosis aplastic-anemia
myelodysplastic-syndrome myeloproliferative-disease depression immunodeficiency end-stage-renal-disease
glucocorticoid glucocorticoid-dose immunosuppressant b-cell-depleting-therapy belimumab telitacicept cyclophosphamide
rituximab ivig live-vaccine car-t-therapy growth-factor transfusion dialysis organ-transplant stem-cell-transplant
major-surgery trial-participation coronary-revascularization
""")

NEVER_PRESUMED = words("""
hiv hbsag anti-hbc hbv-dna anti-hcv hcv-rna tuberculosis-infection treponema-pallidum pregnancy lactation hcg
active-infection
""")

ANTIBODIES_AND_SEROLOGY = words("""
ana anti-dsdna anti-sm anti-pr3 anti-mpo anti-ro-ssa anti-mda5 myositis-antibodies hbsag anti-hbc hbv-dna anti-hcv
hcv-rna hiv treponema-pallidum tuberculosis-infection
""")
HEART_AND_LUNG_TESTS = words("lvef qtc fvc-percent-predicted dlco-percent-predicted mean-pulmonary-artery-pressure")
LABORATORY_VITALS_SCORES = words("""
platelets hemoglobin neutrophils alt bilirubin-total creatinine creatinine-clearance inr fibrinogen urine-protein-24h
iga oxygen-saturation systolic-blood-pressure sledai-2k selena-sledai bvas mrss mmt-8 essdai das28-esr
""")


def codes_of(concept: Concept) -> Iterator[tuple[str, str]]:
    """System name and code of everything that is under the concept, look-alikes included."""
    for group in (concept.codes, concept.not_codes):
        for system, codes in group.items():
            for code in codes:
                yield system, code


def test_every_promised_concept_exists(catalogue: Catalogue) -> None:
    assert not set(PROMISED) - set(catalogue.concepts)


def test_every_loinc_code_has_its_check_digit(catalogue: Catalogue) -> None:
    wrong = {
        (name, code)
        for name, concept in catalogue.concepts.items()
        for system, code in codes_of(concept)
        if system == "loinc" and not luhn.is_valid(code.replace("-", ""))
    }
    assert not wrong


def test_every_snomed_code_has_its_check_digit(catalogue: Catalogue) -> None:
    wrong = {
        (name, code)
        for name, concept in catalogue.concepts.items()
        for system, code in codes_of(concept)
        if system == "snomed" and not verhoeff.is_valid(code)
    }
    assert not wrong


def test_every_order_names_a_loinc_code_with_its_check_digit(catalogue: Catalogue) -> None:
    orders = {name: concept.order.loinc for name, concept in catalogue.concepts.items() if concept.order}
    assert not {name for name, code in orders.items() if code and not luhn.is_valid(code.replace("-", ""))}


def test_every_unit_is_written_as_ucum_writes_it(catalogue: Catalogue) -> None:
    units = {concept.unit for concept in catalogue.concepts.values() if concept.unit}
    assert {unit: canonical_unit(unit) for unit in units} == {unit: unit for unit in units}


def test_a_look_alike_is_not_claimed_by_the_concept_that_leaves_it_out(catalogue: Catalogue) -> None:
    claimed = {
        (name, system, code)
        for name, concept in catalogue.concepts.items()
        for system, codes in concept.not_codes.items()
        for code in codes
        if name in catalogue.find(SYSTEMS[system][0], code)
    }
    assert not claimed


def test_what_is_marked_unverified_stands_among_the_codes(catalogue: Catalogue) -> None:
    for name, concept in catalogue.concepts.items():
        for mark in concept.unverified:
            system, code = mark.split()
            assert code in {c for s, codes in concept.codes.items() if s == system for c in codes}, (name, mark)


def test_only_codes_of_hierarchical_systems_end_in_a_star(catalogue: Catalogue) -> None:
    starred = {
        system for concept in catalogue.concepts.values() for system, code in codes_of(concept) if code.endswith("*")
    }
    assert starred <= {"icd10", "icd10pcs", "icd9proc", "atc"}


def test_silence_is_never_absence_of_infection_or_pregnancy(catalogue: Catalogue) -> None:
    assert not [name for name in NEVER_PRESUMED if not catalogue.concepts[name].never_presumed]


def test_nobody_is_nearly_infected_or_nearly_positive(catalogue: Catalogue) -> None:
    for name in (*NEVER_PRESUMED, *ANTIBODIES_AND_SEROLOGY):
        assert catalogue.concepts[name].tolerance in (None, "none"), name


@pytest.mark.parametrize(
    ("names", "period"),
    [
        (LABORATORY_VITALS_SCORES, "90 d"),
        (HEART_AND_LUNG_TESTS, "180 d"),
        (ANTIBODIES_AND_SEROLOGY, "365 d"),
        (["hcg"], "28 d"),
    ],
)
def test_a_result_speaks_for_today_as_long_as_its_kind_does(
    catalogue: Catalogue, names: list[str], period: str
) -> None:
    assert {catalogue.concepts[name].current_for for name in names} == {period}


def test_every_result_that_a_trial_asks_for_says_how_to_get_it(
    catalogue: Catalogue, trials: Mapping[str, Trial]
) -> None:
    asked = {n for t in trials.values() for cohort in t.cohorts for c in cohort.criteria for n in c.concepts}
    results = {name for name in asked if catalogue.concepts[name].kind == "result"}
    assert not {name for name in results if catalogue.concepts[name].order is None}


def test_every_glucocorticoid_has_its_prednisone_equivalent(catalogue: Catalogue) -> None:
    members = catalogue.concepts["glucocorticoid"].includes
    assert not {name for name in members if catalogue.concepts[name].prednisone_factor is None}


def test_each_drug_that_a_class_includes_can_be_found(catalogue: Catalogue) -> None:
    drugs = {n: c for n, c in catalogue.concepts.items() if c.kind == "treatment" and not c.recorded_in}
    assert not {name for name, concept in drugs.items() if not (concept.codes or concept.includes)}


SPEAKS_FOR = [
    (LOINC, "777-3", "platelets"),
    (SNOMED, "116859006", "transfusion"),
    (SNOMED, "313307000", "seizure"),
    (SNOMED, "180208003", "transfusion"),
    (LOINC, "14682-9", "creatinine"),
    (LOINC, "35591-7", "creatinine-clearance"),
    (LOINC, "8636-3", "qtc"),
    (LOINC, "56888-1", "hiv"),
    (LOINC, "107563-9", "anti-mda5"),
    (LOINC, "88020-3", "nyha-class"),
    (SNOMED, "55464009", "systemic-lupus-erythematosus"),
    (SNOMED, "68815009", "lupus-nephritis"),
    (SNOMED, "36402006", "lupus-nephritis-class-iv"),
    (ICD10, "M32.14", "lupus-nephritis"),
    (ICD10, "M32.10", "systemic-lupus-erythematosus"),
    (ICD10, "M31.31", "granulomatosis-with-polyangiitis-of-the-kidney"),
    (ICD10, "M33.13", "dermatomyositis"),
    (ICD10, "M35.01", "sjogren-disease"),
    (ICD10, "M05.79", "rheumatoid-arthritis"),
    (ICD10, "G72.41", "inclusion-body-myositis"),
    (ICD10, "C50.911", "malignancy"),
    (ICD10, "C44.91", "non-melanoma-skin-cancer"),
    (ICD10, "Z85.3", "history-of-malignancy"),
    (ICD10, "I21.4", "myocardial-infarction"),
    (ICD10, "I25.2", "past-myocardial-infarction"),
    (ICD10, "I47.21", "torsades-de-pointes"),
    (ICD10, "F32.A", "depression"),
    (ICD10, "G40.909", "epilepsy"),
    (ICD10, "E80.4", "gilbert-syndrome"),
    (ICD10, "N18.6", "end-stage-renal-disease"),
    (ICD10, "B20", "hiv"),
    (SNOMED, "165816005", "hiv"),
    (SNOMED, "111880001", "hiv"),
    (LOINC, "10351-5", "hiv-rna"),
    (SNOMED, "109838007", "malignancy"),
    (SNOMED, "410429000", "arrhythmia"),
    (SNOMED, "359615001", "major-surgery"),
    (SNOMED, "87628006", "active-infection"),
    (ICD10, "B18.1", "hbsag"),
    (ICD10, "B18.2", "anti-hcv"),
    (ICD10, "A52.3", "treponema-pallidum"),
    (ICD10, "Z22.7", "tuberculosis-infection"),
    (ICD10, "Z92.850", "car-t-therapy"),
    (RXNORM, "312615", "prednisone"),
    (RXNORM, "200060", "mycophenolate"),
    (RXNORM, "979092", "hydroxychloroquine"),
    (RXNORM, "121191", "rituximab"),
    (ATC, "H02AB07", "prednisone"),
    (ATC, "H02AB04", "methylprednisolone"),
    (ATC, "H02AB15", "glucocorticoid"),
    (ATC, "L01FA03", "obinutuzumab"),
    (ATC, "L03AA10", "colony-stimulating-factor"),
    (CVX, "03", "live-vaccine"),
    (PCS, "5A1D70Z", "dialysis"),
    (HCPCS, "Q2042", "car-t-therapy"),
    (OUR_SYSTEM, "sledai-2k", "sledai-2k"),
]


@pytest.mark.parametrize(("system", "code", "concept"), SPEAKS_FOR)
def test_a_code_stands_first_for_its_most_specific_concept(
    catalogue: Catalogue, system: str, code: str, concept: str
) -> None:
    assert catalogue.find(system, code)[:1] == (concept,)


@pytest.mark.parametrize(
    ("system", "code", "concept"),
    [
        (LOINC, "770-8", "neutrophils"),  # a percentage
        (LOINC, "13056-7", "platelets"),  # in plasma prepared for tests of function
        (SNOMED, "165815009", "hiv"),  # HIV negative
        (LOINC, "736-9", "lymphocytes"),  # a percentage
        (LOINC, "2161-8", "creatinine"),  # in urine
        (LOINC, "9318-7", "urine-protein-creatinine-ratio"),  # albumin
        (LOINC, "17791-5", "anti-ro-ssa"),  # anti-SSB
        (LOINC, "11259-9", "anti-hcv"),  # RNA
        (LOINC, "31204-1", "anti-hbc"),  # IgM only
        (LOINC, "76634-5", "qtc"),  # Fridericia
        (LOINC, "19868-9", "fvc-percent-predicted"),  # liters
        (LOINC, "20507-0", "treponema-pallidum"),  # reagin, false positive in lupus
        (LOINC, "8124-0", "cd19-expression"),  # CD3
        (SNOMED, "200936003", "systemic-lupus-erythematosus"),  # any lupus, skin included
        (SNOMED, "201048007", "systemic-sclerosis"),  # morphea
        (ICD10, "M32.0", "systemic-lupus-erythematosus"),  # drug-induced
        (ICD10, "L93.0", "systemic-lupus-erythematosus"),  # skin
        (ICD10, "M34.2", "systemic-sclerosis"),  # drug-induced
        (ICD10, "D69.42", "immune-thrombocytopenia"),  # congenital
        (ICD10, "G72.41", "idiopathic-inflammatory-myopathy"),  # inclusion body myositis
        (ICD10, "M08.00", "rheumatoid-arthritis"),  # juvenile
        (ICD10, "D84.821", "primary-immunodeficiency"),  # from drugs
        (ICD10, "O80", "pregnancy"),  # over
        (CVX, "187", "live-vaccine"),  # recombinant
        (CVX, "141", "live-vaccine"),  # inactivated
        (ATC, "B03XA01", "growth-factor"),  # erythropoietin is allowed
        (ATC, "D07AC01", "glucocorticoid"),  # a cream
    ],
)
def test_a_look_alike_stands_for_something_else_or_nothing(
    catalogue: Catalogue, system: str, code: str, concept: str
) -> None:
    assert concept not in catalogue.find(system, code)


@pytest.mark.parametrize(
    ("system", "code", "concepts"),
    [
        (ICD10, "M34.81", {"systemic-sclerosis", "interstitial-lung-disease"}),
        (ICD10, "D69.41", {"immune-thrombocytopenia", "hemolytic-anemia"}),
        (ICD10, "M36.0", {"dermatomyositis", "malignancy"}),
        (ICD10, "I11.0", {"heart-failure", "hypertension"}),
        (ICD10, "C92.10", {"malignancy", "myeloproliferative-disease"}),
        (SNOMED, "103611000119102", {"hbsag", "cirrhosis"}),
        (SNOMED, "153891000119101", {"end-stage-renal-disease", "dialysis", "kidney-disease"}),
        (RXNORM, "6851", {"immunosuppressant", "conventional-dmard"}),
        (RXNORM, "121191", {"b-cell-depleting-therapy", "biologic-or-targeted-dmard"}),
        (LOINC, "2118-8", {"hcg", "pregnancy"}),
    ],
)
def test_a_code_that_says_two_things_is_found_under_both(
    catalogue: Catalogue, system: str, code: str, concepts: set[str]
) -> None:
    assert concepts <= set(catalogue.find(system, code))


def test_a_history_is_past_and_the_disease_itself_is_not(catalogue: Catalogue) -> None:
    past = {name for name, concept in catalogue.concepts.items() if concept.past}
    assert {"past-myocardial-infarction", "history-of-malignancy", "past-cerebrovascular-disease"} <= past
    assert not past & set(PROMISED)


def test_hysterectomy_is_looked_for_among_procedures_and_conditions(catalogue: Catalogue) -> None:
    assert set(catalogue.where("no-childbearing-potential")) == {"Condition", "Procedure"}


def test_the_codes_of_the_project_name_every_concept(catalogue: Catalogue) -> None:
    assert all(catalogue.find(OUR_SYSTEM, name)[0] == name for name in catalogue.concepts)


@pytest.mark.parametrize("code", ["8116-6", "8117-4"])
def test_cd19_cells_are_found_as_a_count_and_as_a_percentage(catalogue: Catalogue, code: str) -> None:
    member, expression = catalogue.find(LOINC, code)
    assert expression == "cd19-expression"
    assert catalogue.concepts[member].positive_from is not None
