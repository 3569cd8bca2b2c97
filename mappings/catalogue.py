"""The concept catalogue: which codes mean which concept, in which unit, and how far a value may be believed.

Data stands in `concepts/*.yaml`; a site adds codes, reference limits and settings in an overlay folder of the same
form. Every problem of every file is reported at once, each with its file and path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mappings.times import Period, parse_period
from mappings.yaml_files import DefinitionError, Problem, problems_of, read_yaml

OUR_SYSTEM = "https://trialcards.org/fhir/CodeSystem/concept"

SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "loinc": ("http://loinc.org",),
    "snomed": ("http://snomed.info/sct",),
    "icd10": (
        "http://hl7.org/fhir/sid/icd-10-cm",
        "http://hl7.org/fhir/sid/icd-10",
        "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
        "http://fhir.de/CodeSystem/dimdi/icd-10-gm",
    ),
    "icd10pcs": ("http://www.cms.gov/Medicare/Coding/ICD10", "http://hl7.org/fhir/sid/icd-10-pcs"),
    "rxnorm": ("http://www.nlm.nih.gov/research/umls/rxnorm",),
    "atc": ("http://www.whocc.no/atc", "http://fhir.de/CodeSystem/bfarm/atc"),
    "cvx": ("http://hl7.org/fhir/sid/cvx",),
    "hcpcs": (
        "http://terminology.hl7.org/CodeSystem/HCPCS",
        "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "urn:oid:2.16.840.1.113883.6.285",
    ),
}
# OIDs under which the same systems arrive from C-CDA conversions.
OIDS: Mapping[str, str] = {
    "urn:oid:2.16.840.1.113883.6.1": "loinc",
    "urn:oid:2.16.840.1.113883.6.96": "snomed",
    "urn:oid:2.16.840.1.113883.6.90": "icd10",
    "urn:oid:2.16.840.1.113883.6.3": "icd10",
    "urn:oid:2.16.840.1.113883.6.88": "rxnorm",
    "urn:oid:2.16.840.1.113883.6.73": "atc",
    "urn:oid:2.16.840.1.113883.12.292": "cvx",
    "urn:oid:2.16.840.1.113883.6.4": "icd10pcs",
}
SystemName = Literal["loinc", "snomed", "icd10", "icd10pcs", "rxnorm", "atc", "cvx", "hcpcs", "local"]
ConceptKind = Literal["patient", "result", "diagnosis", "treatment"]
ResourceType = Literal[
    "Patient", "Observation", "Condition", "MedicationRequest", "MedicationStatement", "MedicationAdministration",
    "Procedure", "Immunization", "AllergyIntolerance", "FamilyMemberHistory", "ResearchSubject", "DiagnosticReport",
]  # fmt: skip


def _period(text: str) -> str:
    parse_period(text)
    return text


PeriodText = Annotated[str, AfterValidator(_period)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LocalCode(_Entry):
    """A code of a site's own system."""

    system: str = Field(min_length=1)
    code: str = Field(min_length=1)


class Orderable(_Entry):
    """What to do when the concept is missing: how a clinician gets it, in the order of effort."""

    how: Literal["ask", "examination", "blood-test", "urine-test", "ecg", "imaging", "lung-function", "procedure"]
    title: str  # "Complete blood count"
    loinc: str | None = None  # the test to order
    snomed: str | None = None


class Concept(_Entry):
    """One clinical concept. The legend of every key stands at the head of `concepts/README.md`."""

    title: str
    kind: ConceptKind
    unit: str | None = None
    plausible: tuple[Decimal, Decimal] | None = None  # in `unit`; outside is a fault of the record, not of the patient
    molar_mass: Decimal | None = None  # g/mol, where laboratories report mass and amount
    ordinal: Mapping[str, int] = Field(default_factory=dict)  # code or text -> number: NYHA "II" -> 2
    positive_from: Decimal | None = None  # a titre or count from which the result is positive, in `unit`
    detection: bool = False  # a viral load: any number above zero is positive, "< n" decides nothing
    current_for: PeriodText | None = None  # how long a result speaks for today
    tolerance: str | None = None  # near miss: "10 %" of the limit, or an amount with unit
    codes: Mapping[SystemName, Mapping[str, str]] = Field(default_factory=dict)  # system -> code -> what it is
    local_codes: tuple[LocalCode, ...] = ()
    names: tuple[str, ...] = ()  # ingredient or test names by which an uncoded entry asks a person; never decides
    unverified: tuple[str, ...] = ()  # codes whose meaning no independent source has confirmed
    not_codes: Mapping[SystemName, Mapping[str, str]] = Field(default_factory=dict)  # look-alikes left out, with reason
    includes: tuple[str, ...] = ()  # sub-concepts: every record of theirs is one of this concept too
    recorded_in: tuple[ResourceType, ...] = ()  # where silence is heard; default by kind
    never_presumed: bool = False  # silence is never absence (infection, pregnancy)
    prednisone_factor: Decimal | None = None  # mg of prednisone that equal 1 mg of this glucocorticoid
    uln: Decimal | None = None  # a site's default upper limit of normal in `unit`; only overlays set it
    lln: Decimal | None = None
    order: Orderable | None = None
    source: str = ""  # where codes and figures come from
    note: str = ""


_WHERE: Mapping[ConceptKind, tuple[ResourceType, ...]] = {
    "patient": ("Patient",),
    "result": ("Observation",),
    "diagnosis": ("Condition",),
    "treatment": ("MedicationRequest", "MedicationStatement", "MedicationAdministration"),
}


@dataclass(frozen=True)
class Catalogue:
    """All concepts, and the way from a code to them. Build it with `load_catalogue`."""

    concepts: Mapping[str, Concept]
    by_code: Mapping[tuple[str, str], tuple[str, ...]]  # (system URI, code) -> concept ids, most specific first
    by_prefix: Mapping[str, tuple[str, ...]]  # ICD-10 code without dot, "M321*" -> concept ids
    hash: str  # "sha256:…" over every file, ours and the site's

    def find(self, system: str, code: str) -> tuple[str, ...]:
        """The concepts that a coding stands for, most specific first; empty when it stands for none.

        Matching is by system and code only (never display), and by prefix for ICD-10, with or without its dot.
        """
        name = OIDS.get(system)
        system = SYSTEMS[name][0] if name else system
        if system in _ICD10:
            code = code.replace(".", "").upper()
            if found := self.by_prefix.get(code):
                return found
            shorter = (self.by_prefix.get(code[:length] + "*") for length in range(len(code), 2, -1))
            return next((found for found in shorter if found), ())
        return self.by_code.get((system, code), ())

    def where(self, concept: str) -> tuple[ResourceType, ...]:
        """The resource types that must have been read completely before silence says anything."""
        entry = self.concepts[concept]
        own = entry.recorded_in or _WHERE[entry.kind]
        return tuple(dict.fromkeys((*own, *(kind for child in entry.includes for kind in self.where(child)))))

    def ancestors(self, concept: str) -> tuple[str, ...]:
        """The concept itself and every concept that includes it."""
        found = [concept]
        for name in found:
            found += [parent for parent, entry in self.concepts.items() if name in entry.includes and parent not in found]
        return tuple(found)


_ICD10 = frozenset(SYSTEMS["icd10"])


def load_catalogue(folders: Iterable[Path]) -> Catalogue:
    """Read every concept file of these folders; later folders are overlays that add to or override earlier ones.

    Raises DefinitionError with every problem found: unreadable YAML, unknown keys, unknown concepts, a code that
    stands under two concepts of which neither includes the other.
    """
    merged: dict[str, dict[str, object]] = {}
    origin: dict[str, Path] = {}
    problems: list[Problem] = []
    digest = hashlib.sha256()
    for folder in folders:
        if not folder.is_dir():
            problems.append(Problem(folder, "", "there is no such folder"))
            continue
        for path in sorted(folder.glob("*.yaml")):
            raw = path.read_bytes()
            digest.update(path.name.encode() + b"\0" + raw + b"\0")
            try:
                content = read_yaml(raw, path)
            except DefinitionError as error:
                problems += error.problems
                continue
            for name, entry in content.items():
                if not isinstance(entry, dict):
                    problems.append(Problem(path, str(name), "a concept is a mapping"))
                    continue
                merged[name] = _overlaid(merged.get(name, {}), entry)
                origin[name] = path
    concepts: dict[str, Concept] = {}
    for name, entry in merged.items():
        try:
            concepts[name] = Concept.model_validate(entry)
        except ValidationError as error:
            problems += problems_of(error, origin[name], name)
    for name, concept in concepts.items():
        problems += [
            Problem(origin[name], f"{name}.includes", f'"{child}" is not a concept')
            for child in concept.includes
            if child not in merged
        ]
    if problems:
        raise DefinitionError(problems)
    return _indexed(concepts, origin, "sha256:" + digest.hexdigest())


def _overlaid(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """An overlay adds to mappings and lists, and replaces everything else."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = _overlaid(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            result[key] = old + [item for item in value if item not in old]
        else:
            result[key] = value
    return result


def _indexed(concepts: Mapping[str, Concept], origin: Mapping[str, Path], digest: str) -> Catalogue:
    bare = Catalogue(concepts, {}, {}, digest)
    closures = {name: bare.ancestors(name) for name in concepts}
    claims: dict[tuple[str, str], list[str]] = {}
    for name, concept in concepts.items():
        for system, codes in concept.codes.items():
            for code in codes:
                for uri in SYSTEMS[system]:
                    claims.setdefault((uri, code), []).append(name)
        for local in concept.local_codes:
            claims.setdefault((local.system, local.code), []).append(name)
        claims.setdefault((OUR_SYSTEM, name), []).append(name)
    by_code: dict[tuple[str, str], tuple[str, ...]] = {}
    by_prefix: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for (uri, code), names in claims.items():
        for one, other in ((a, b) for a in names for b in names if a < b):
            if other not in closures[one] and one not in closures[other]:
                message = f"code {code} of {uri} stands under {other} too ({origin[other].name})"
                problems.append(Problem(origin[one], f"{one}.codes", message))
        # Most specific first: the concept with the most ancestors.
        ordered = tuple(dict.fromkeys(a for n in sorted(names, key=lambda n: -len(closures[n])) for a in closures[n]))
        if uri in _ICD10:
            by_prefix[code.replace(".", "")] = ordered
        else:
            by_code[uri, code] = ordered
    if problems:
        raise DefinitionError(problems)
    return Catalogue(concepts, by_code, by_prefix, digest)


def current_for(concept: Concept) -> Period | None:
    """How long a result of this concept speaks for today."""
    return parse_period(concept.current_for) if concept.current_for else None
