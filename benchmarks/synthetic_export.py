"""Writes a made-up Bulk Data export: `python -m benchmarks.synthetic_export FOLDER --patients 1000`.

About 200 resources a chart, lines of different patients mixed as a server's table order mixes them, one patient in
twenty with a disease that opens a gate. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

OBSERVATIONS, CONDITIONS, DRUGS = 172, 9, 14
TODAY = date(2026, 11, 1)
# LOINC, name, unit, low, high, decimals
TESTS = (
    ("777-3", "Platelets", "10*3/uL", 60, 420, 0),
    ("718-7", "Hemoglobin", "g/dL", 8, 17, 1),
    ("6690-2", "Leukocytes", "10*3/uL", 2, 12, 1),
    ("751-8", "Neutrophils", "10*3/uL", 0.8, 8, 1),
    ("2160-0", "Creatinine", "mg/dL", 0.5, 2.2, 2),
    ("1742-6", "ALT", "U/L", 8, 120, 0),
    ("1920-8", "AST", "U/L", 8, 120, 0),
    ("1975-2", "Bilirubin", "mg/dL", 0.2, 2.4, 1),
    ("2951-2", "Sodium", "mmol/L", 130, 148, 0),
    ("2823-3", "Potassium", "mmol/L", 3.1, 5.4, 1),
    ("2345-7", "Glucose", "mg/dL", 70, 210, 0),
    ("4548-4", "Hemoglobin A1c", "%", 4.8, 9, 1),
    ("13457-7", "LDL cholesterol", "mg/dL", 60, 190, 0),
    ("8480-6", "Systolic blood pressure", "mm[Hg]", 95, 165, 0),
    ("8462-4", "Diastolic blood pressure", "mm[Hg]", 55, 100, 0),
    ("29463-7", "Body weight", "kg", 48, 120, 1),
    ("8302-2", "Body height", "cm", 150, 195, 0),
    ("59408-5", "Oxygen saturation", "%", 91, 100, 0),
    ("1988-5", "C-reactive protein", "mg/L", 0.5, 60, 1),
    ("6301-6", "INR", "{INR}", 0.9, 1.6, 2),
)
GATES = (
    ("M32.9", "Systemic lupus erythematosus", 40),
    ("M32.14", "Glomerular disease in SLE", 15),
    ("M31.30", "Granulomatosis with polyangiitis", 10),
    ("M33.10", "Dermatomyositis", 8),
    ("M34.0", "Progressive systemic sclerosis", 12),
    ("M35.00", "Sjögren syndrome", 15),
)
COMMON = (
    ("I10", "Essential hypertension"), ("E11.9", "Type 2 diabetes"), ("E78.5", "Hyperlipidemia"),
    ("M54.5", "Low back pain"), ("J45.909", "Asthma"), ("K21.9", "Reflux"), ("F41.1", "Anxiety"),
    ("N39.0", "Urinary infection"), ("R51", "Headache"),
)  # fmt: skip
MEDICINES = (
    ("8640", "prednisone 5 MG"), ("5521", "hydroxychloroquine 200 MG"), ("68149", "mycophenolate mofetil 500 MG"),
    ("29046", "lisinopril 10 MG"), ("6809", "metformin 500 MG"), ("83367", "atorvastatin 20 MG"),
    ("7646", "omeprazole 20 MG"),
)  # fmt: skip


def write_export(folder: Path, patients: int, indicated: float = 0.05, seed: int = 1) -> int:
    """Write the export; how many lines it has."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = 0
    for name, found in (
        ("Patient", _patients(patients, seed)),
        ("Condition", _conditions(patients, indicated, seed)),
        ("MedicationRequest", _drugs(patients, indicated, seed)),
        ("Observation", _observations(patients, seed)),
    ):
        with (folder / f"{name}.ndjson").open("w", encoding="utf-8", newline="\n") as file:
            for line in found:
                file.write(line)
                lines += 1
    return lines


def _meta(rng: random.Random) -> str:
    return f'{{"versionId":"{rng.randint(1, 4)}","lastUpdated":"2026-10-{rng.randint(10, 30)}T07:15:00Z"}}'


def _day(rng: random.Random, longest: int = 1500) -> str:
    return (TODAY - timedelta(days=int(longest * rng.random() ** 2))).isoformat()


def _patients(patients: int, seed: int) -> Iterator[str]:
    rng = random.Random(f"{seed} patients")
    for number in range(patients):
        born = TODAY - timedelta(days=rng.randint(16 * 365, 85 * 365))
        yield (
            f'{{"resourceType":"Patient","id":"p{number}","meta":{_meta(rng)},"active":true,"name":[{{"family":"Synthetic",'
            f'"given":["Number {number}"]}}],"gender":"{rng.choice(("female", "male"))}","birthDate":"{born}"}}\n'
        )


def _conditions(patients: int, indicated: float, seed: int) -> Iterator[str]:
    rng = random.Random(f"{seed} conditions")
    for row in range(CONDITIONS):
        for number in range(patients):
            code, name = rng.choice(COMMON)
            if row == CONDITIONS // 2 and is_indicated(number, patients, indicated, seed):
                code, name, _ = rng.choices(GATES, [weight for *_, weight in GATES])[0]
            yield (
                f'{{"resourceType":"Condition","id":"c{number}-{row}","meta":{_meta(rng)},"clinicalStatus":{{"coding":[{{'
                f'"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}}]}},'
                f'"verificationStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status",'
                f'"code":"confirmed"}}]}},"code":{{"coding":[{{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"{code}",'
                f'"display":"{name}"}}],"text":"{name}"}},"subject":{{"reference":"Patient/p{number}"}},'
                f'"onsetDateTime":"{_day(rng, 4000)}"}}\n'
            )


def is_indicated(number: int, patients: int, indicated: float, seed: int) -> bool:
    """Whether this patient has a disease that opens a gate."""
    return random.Random(f"{seed} {number}").random() < indicated


def _drugs(patients: int, indicated: float, seed: int) -> Iterator[str]:
    rng = random.Random(f"{seed} drugs")
    for row in range(DRUGS):
        for number in range(patients):
            code, name = rng.choice(MEDICINES)
            yield (
                f'{{"resourceType":"MedicationRequest","id":"m{number}-{row}","meta":{_meta(rng)},"status":"'
                f'{rng.choice(("active", "completed"))}","intent":"order","medicationCodeableConcept":{{"coding":[{{'
                f'"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"{code}","display":"{name}"}}],'
                f'"text":"{name}"}},"subject":{{"reference":"Patient/p{number}"}},"authoredOn":"{_day(rng)}",'
                f'"dosageInstruction":[{{"text":"1 tablet daily","timing":{{"repeat":{{"frequency":1,"period":1,'
                f'"periodUnit":"d"}}}}}}]}}\n'
            )


def _observations(patients: int, seed: int) -> Iterator[str]:
    rng = random.Random(f"{seed} observations")
    for row in range(OBSERVATIONS):
        for number in range(patients):
            code, name, unit, low, high, decimals = TESTS[(row + number) % len(TESTS)]
            value = round(rng.uniform(low, high), decimals) if decimals else rng.randint(int(low), int(high))
            day = _day(rng)
            yield (
                f'{{"resourceType":"Observation","id":"o{number}-{row}","meta":{{"versionId":"1","lastUpdated":"{day}T12:00:00Z",'
                f'"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]}},"status":"final",'
                f'"category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category",'
                f'"code":"laboratory","display":"Laboratory"}}],"text":"Laboratory"}}],"code":{{"coding":[{{'
                f'"system":"http://loinc.org","code":"{code}","display":"{name}"}},{{"system":"urn:oid:1.2.3.4.5.6.7.8.9.10.11",'
                f'"code":"{10000 + row}","display":"{name}"}}],"text":"{name}"}},'
                f'"subject":{{"reference":"Patient/p{number}",'
                f'"display":"Synthetic, Number {number}"}},"encounter":{{"reference":"Encounter/e{number}-{row}"}},'
                f'"effectiveDateTime":"{day}T08:00:00Z","issued":"{day}T11:00:00Z",'
                f'"performer":[{{"reference":"Organization/lab",'
                f'"display":"Laboratory"}}],"valueQuantity":{{"value":{value},"unit":"{unit}",'
                f'"system":"http://unitsofmeasure.org","code":"{unit}"}},"interpretation":[{{"coding":[{{'
                f'"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N","display":"Normal"}}]}}],'
                f'"referenceRange":[{{"low":{{"value":{low},"unit":"{unit}"}},"high":{{"value":{high},"unit":"{unit}"}},'
                f'"text":"{low}-{high}"}}]}}\n'
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=1000)
    given = parser.parse_args()
    write_export(given.folder, given.patients)
