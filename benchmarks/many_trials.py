"""Ten thousand trial definitions, made from the language: `python -m benchmarks.many_trials FOLDER [--count N]`.

Invented trials over the diagnoses, results and drugs of the catalogue, each with some thirty criteria whose limits and
look-backs vary as they do between real ones. One in a hundred is for lupus, which the patient of `hook_body.py` has;
of those, four in five are out of the question by age, sex or status. The same number gives the same text.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from mappings.concepts.catalogue import Catalogue, load_catalogue

COUNT = 10_000
DISEASE = "systemic-lupus-erythematosus"
SHARE, SURVIVING = 100, 5  # one trial in 100 is for the disease, one of 5 of these survives age, sex and status
_ON_RECORD = ("hypertension", "active-infection", "psychiatric-disorder")  # the patient may have these
_NO_DISEASE = (
    "pregnancy",
    "lactation",
    "hysterectomy",
    "postmenopausal",
    "ovarian-failure",
    "no-childbearing-potential",
)
CONCEPTS = Path(__file__).parents[1] / "mappings" / "concepts"

# Concept, what it is called, comparator, the first and the last limit and the step between, unit as written
_RESULTS: Sequence[tuple[str, str, str, tuple[str, str, str], str]] = (
    ("platelets", "Platelets", ">=", ("10", "60", "5"), "10*9/L"),
    ("hemoglobin", "Hemoglobin", ">=", ("60", "80", "2"), "g/L"),
    ("leukocytes", "Leukocytes", ">=", ("1", "2", "0.1"), "10*9/L"),
    ("neutrophils", "Neutrophils", ">=", ("0.2", "0.8", "0.05"), "10*9/L"),
    ("lymphocytes", "Lymphocytes", ">=", ("0.1", "0.6", "0.05"), "10*9/L"),
    ("creatinine", "Creatinine", "<=", ("2.2", "4", "0.2"), "mg/dL"),
    ("egfr", "eGFR", ">=", ("15", "35", "1"), "mL/min/{1.73_m2}"),
    ("bilirubin-total", "Total bilirubin", "<=", ("2.4", "5", "0.2"), "mg/dL"),
    ("alt", "ALT", "<=", ("3", "5", "0.25"), "ULN"),
    ("ast", "AST", "<=", ("3", "5", "0.25"), "ULN"),
    ("inr", "INR", "<=", ("1.6", "2.5", "0.1"), "{INR}"),
    ("crp", "C-reactive protein", "<=", ("60", "150", "5"), "mg/L"),
    ("lvef", "LVEF", ">=", ("40", "55", "1"), "%"),
    ("qtc", "QTc", "<=", ("450", "500", "5"), "ms"),
    ("oxygen-saturation", "Oxygen saturation on room air", ">=", ("87", "91", "1"), "%"),
    ("systolic-blood-pressure", "Systolic blood pressure", "<=", ("165", "180", "5"), "mm[Hg]"),
    ("diastolic-blood-pressure", "Diastolic blood pressure", "<=", ("100", "110", "5"), "mm[Hg]"),
    ("igg", "IgG", ">=", ("3", "6", "0.5"), "g/L"),
    ("c3", "Complement C3", ">=", ("0.3", "0.6", "0.05"), "g/L"),
    ("urine-protein-24h", "Urine protein", "<=", ("2", "5", "0.25"), "g/(24.h)"),
    ("sledai-2k", "SLEDAI-2K", ">=", ("4", "12", "1"), "{score}"),
    ("patient-global-vas", "Patient's global assessment", ">=", ("2", "6", "0.5"), "{score}"),
)
_INFECTIONS = (
    ("hiv", "HIV"), ("hbsag", "Hepatitis B surface antigen"), ("anti-hcv", "Hepatitis C antibodies"),
    ("treponema-pallidum", "Syphilis"), ("tuberculosis-infection", "Tuberculosis"),
)  # fmt: skip
_DRUGS = (
    ("rituximab", "Rituximab"), ("belimumab", "Belimumab"), ("cyclophosphamide", "Cyclophosphamide"),
    ("ivig", "Immunoglobulins"), ("live-vaccine", "A live vaccine"), ("jak-inhibitor", "A JAK inhibitor"),
    ("tnf-inhibitor", "A TNF inhibitor"), ("anifrolumab", "Anifrolumab"), ("car-t-therapy", "CAR-T cells"),
    ("telitacicept", "Telitacicept"), ("abatacept", "Abatacept"), ("trial-participation", "Another trial"),
)  # fmt: skip
_DISEASES = (
    ("malignancy", "Malignancy"), ("heart-failure", "Heart failure"),
    ("myocardial-infarction", "Myocardial infarction"),
    ("epilepsy", "Epilepsy"), ("cirrhosis", "Cirrhosis"), ("aplastic-anemia", "Aplastic anemia"),
    ("dementia", "Dementia"), ("psychosis", "Psychosis"), ("multiple-sclerosis", "Multiple sclerosis"),
    ("end-stage-renal-disease", "End-stage renal disease"), ("cerebrovascular-disease", "Cerebrovascular disease"),
    ("antiphospholipid-syndrome", "Antiphospholipid syndrome"), ("arrhythmia", "Arrhythmia"),
    ("immunodeficiency", "Immunodeficiency"), ("interstitial-lung-disease", "Interstitial lung disease"),
)  # fmt: skip
_QUESTIONS = (
    "Has the disease stayed active in spite of standard treatment?", "Is the expected survival at least 12 weeks?",
    "Can the patient keep the visits?", "Is there another condition that makes taking part unsafe?",
    "Are the veins fit for apheresis?", "Is contraception agreed on?",
)  # fmt: skip


def write_trials(folder: Path, numbers: Iterable[int] = range(COUNT)) -> None:
    """Write the files of these numbers, "MANY-00000.yaml" and on."""
    folder.mkdir(parents=True, exist_ok=True)
    others = other_diseases(load_catalogue([CONCEPTS]))
    for number in numbers:
        (folder / f"MANY-{number:05}.yaml").write_text(definition(number, others), encoding="utf-8", newline="\n")


def other_diseases(catalogue: Catalogue) -> tuple[str, ...]:
    """The diagnoses that the patient does not have, neither themselves nor as one that includes what there is."""

    def is_there(name: str) -> bool:
        return name in (DISEASE, *_ON_RECORD) or any(map(is_there, catalogue.concepts[name].includes))

    diagnoses = (name for name, each in catalogue.concepts.items() if each.kind == "diagnosis")
    return tuple(name for name in diagnoses if name not in _NO_DISEASE and not is_there(name))


def definition(number: int, others: Sequence[str]) -> str:
    """The text of one definition file."""
    rng = random.Random(f"many trials {number}")
    is_shared = number % SHARE == 0
    disease = DISEASE if is_shared else rng.choice(others)
    survives = not is_shared or number // SHARE % SURVIVING == 0
    bar = None if survives else rng.choice(("age", "sex", "closed"))
    title = f"Invented trial {number} in {disease.replace('-', ' ')}"
    status = "closed" if bar == "closed" else "recruiting"
    lines = [
        f"id: MANY-{number:05}",
        "version: 1",
        f"title: {title}",
        f"short_title: Invented {number} ({disease[:30].replace('-', ' ')})",
        f"sponsor: Invented sponsor {rng.randrange(400)}",
        f"phase: Phase {rng.choice((1, 2, 3))}",
        "source: {document: invented, read_on: 2026-11-24}",
        f"recruiting: {{status: {status}}}",
        "cohorts:",
        "  main:",
        f"    title: {disease.replace('-', ' ').capitalize()}",
        f"    gate: {_gate(disease, rng)}",
        "    criteria:",
    ]
    for place, (name, side, text, asked) in enumerate(_criteria(disease, bar, rng), 1):
        lines += [
            f"      - id: C{place}.{name}",
            f'        source: "Criterion {place}"',
            f'        text: "{text}"',
            f"        {side}: {asked}",
        ]
    return "\n".join(lines) + "\n"


def _gate(disease: str, rng: random.Random) -> str:
    condition = f"{{condition: {{is: {disease}}}}}"
    # Some gates ask for more, as real ones do; it is met, so that the disease alone tells them apart.
    return f"{{all: [{condition}, {{age: {{is: '>= 1 a'}}}}]}}" if rng.random() < 0.2 else condition


Criterion = tuple[str, str, str, str]  # concept, include or exclude, text, expression


def _criteria(disease: str, bar: str | None, rng: random.Random) -> Iterator[Criterion]:
    yield "consent", "include", "Consent given", "{consent: Have the consent form signed}"
    yield _age(bar == "age", rng)
    if bar == "sex" or rng.random() < 0.1:
        sex = "male" if bar == "sex" else "female"
        yield "sex", "include", f"{sex.capitalize()} patients only", f"{{sex: {sex}}}"
    yield "disease", "include", "The disease of the trial", f"{{condition: {{is: {disease}}}}}"
    months = rng.choice((2, 3, 4, 6, 9, 12, 18, 24))
    known = f"{{condition: {{is: {disease}, lasting: {months} mo}}}}"
    yield "known", "include", f"Known for at least {months} months", known
    for concept, name, comparator, (first, last, step), unit in rng.sample(_RESULTS, 11):
        steps = int((Decimal(last) - Decimal(first)) / Decimal(step))
        number = Decimal(first) + rng.randint(0, steps) * Decimal(step)
        said = f"at {'least' if comparator == '>=' else 'most'} {number}"
        limit = f"{{value: {{of: {concept}, is: '{comparator} {number} {unit}'}}}}"
        yield concept, "include", f"{name} {said} ({unit})", limit
    for concept, name in rng.sample(_INFECTIONS, 3):
        yield concept, "exclude", f"{name} positive", f"{{value: {{of: {concept}, is: positive}}}}"
    for concept, name in rng.sample(_DRUGS, 4):
        weeks = rng.choice((2, 4, 6, 8, 10, 12, 16, 20, 24, 26, 36, 52))
        given = f"{{treatment: {{of: {concept}, when: within {weeks} wk, absent: presume}}}}"
        yield concept, "exclude", f"{name} within {weeks} weeks", given
    for concept, name in rng.sample([each for each in _DISEASES if each[0] != disease], 5):
        when = rng.choice(("ever", *(f"within {months} mo" for months in (6, 12, 24, 36, 60))))
        said = "ever" if when == "ever" else when.replace(" mo", " months")
        yield concept, "exclude", f"{name}, {said}", f"{{condition: {{is: {concept}, when: {when}, absent: presume}}}}"
    yield "pregnancy", "exclude", "Pregnancy", "{condition: {is: pregnancy}}"
    for question in rng.sample(_QUESTIONS, 2):
        yield "asked", "include", question.rstrip("?"), f'{{judgement: {{ask: "{question}"}}}}'


def _age(is_barred: bool, rng: random.Random) -> Criterion:
    low = rng.choice((12, 14, 16, 18, 20, 21))
    high = rng.randint(24, 36) if is_barred else rng.randint(55, 85)
    return "age", "include", f"Age {low} to {high} years", f"{{age: {{is: '{low}..{high} a'}}}}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=COUNT)
    given = parser.parse_args()
    write_trials(given.folder, range(given.count))
