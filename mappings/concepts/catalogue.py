"""The concept catalogue: which codes mean which concept, in which unit, and how far a value may be believed.

Data is in `concepts/*.yaml`; a site adds codes, reference limits and settings in an overlay folder of the same
form. Every problem of every file is reported at once, each with its file and path.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mappings.concepts import icd9
from mappings.concepts.site_rules import FILE as RULES_FILE
from mappings.concepts.site_rules import LocalOrder, SiteRules, take_rules
from mappings.concepts.stated import Stated, StatedReader
from mappings.concepts.value_sets import read_value_set
from mappings.facts import Sex
from mappings.near_words import key_names
from mappings.resource_types import ResourceType, names_of
from mappings.time.times import Period, parse_period
from mappings.yaml_files import DefinitionError, Problem, problems_of, read_yaml

OUR_SYSTEM = "https://trialcards.org/fhir/CodeSystem/concept"

# The addresses under which a code system arrives: its own, older ones, and the OIDs of C-CDA conversions.
SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "loinc": ("http://loinc.org", "urn:oid:2.16.840.1.113883.6.1"),
    "snomed": ("http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"),
    "icd10": (
        "http://hl7.org/fhir/sid/icd-10-cm",
        "http://hl7.org/fhir/sid/icd-10",
        "http://hl7.org/fhir/sid/icd-10-gm",
        "http://hl7.org/fhir/sid/icd-10-de",
        "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
        "http://fhir.de/CodeSystem/dimdi/icd-10-gm",
        "http://fhir.hl7.org.uk/Id/icd-10",
        "http://id.who.int/icd/release/10",
        "urn:oid:2.16.840.1.113883.6.90",
        "urn:oid:2.16.840.1.113883.6.3",
        "urn:oid:2.16.840.1.113883.6.3.2",  # Netherlands
        "urn:oid:2.16.840.1.113883.6.135",  # Australia, ICD-10-AM
        "urn:oid:1.2.246.537.6.1",  # Finland
        "urn:oid:1.2.208.176.2.4.12",  # Denmark, SKS diagnoses: ICD-10 with a D before the code
        "urn:oid:1.2.208.176.2.4",
        "urn:oid:1.2.752.116.1.1.1",  # Sweden, ICD-10-SE
        "urn:oid:1.2.752.116.1.1.1.1.1",
        "urn:oid:1.2.752.116.1.1.1.1.3",
        "urn:oid:1.2.752.116.1.1.1.1.8",
        "urn:oid:2.16.578.1.12.4.1.1.7110",  # Norway
        "urn:oid:1.2.203.24341.11.2.1",  # Czechia, MKN-10
        "urn:oid:2.16.724.4.21.5.29",  # Spain, CIE-10
        "urn:oid:1.2.276.0.76.5.409",  # Germany, ICD-10-GM
        "urn:oid:2.16.756.5.30.1.126.3.2",  # Switzerland, ICD-10-GM; its editions have a year behind it
    ),
    "icd10pcs": (
        "http://www.cms.gov/Medicare/Coding/ICD10",
        "http://hl7.org/fhir/sid/icd-10-pcs",
        "http://www.icd10data.com/icd10pcs",
        "urn:oid:2.16.840.1.113883.6.4",
    ),
    "icd9": (
        "http://hl7.org/fhir/sid/icd-9-cm",
        "http://hl7.org/fhir/sid/icd-9",
        "http://terminology.hl7.org/CodeSystem/icd9cm",
        "urn:oid:2.16.840.1.113883.6.103",
    ),
    "icd9proc": ("http://hl7.org/fhir/sid/icd-9-cm/procedure", "urn:oid:2.16.840.1.113883.6.104"),
    "icpc": (
        "http://hl7.org/fhir/sid/icpc-1",
        "http://hl7.org/fhir/sid/icpc-1-nl",
        "http://hl7.org/fhir/sid/icpc-2",
        "urn:oid:2.16.840.1.113883.6.139",
        "urn:oid:2.16.840.1.113883.2.4.4.31.1",  # Netherlands, ICPC-1
        "urn:oid:2.16.578.1.12.4.1.1.7170",  # Norway
    ),
    "rxnorm": ("http://www.nlm.nih.gov/research/umls/rxnorm", "urn:oid:2.16.840.1.113883.6.88"),
    "atc": (
        "http://www.whocc.no/atc",
        "http://fhir.de/CodeSystem/bfarm/atc",
        "http://fhir.de/CodeSystem/dimdi/atc",
        "urn:oid:2.16.840.1.113883.6.73",
    ),
    "cvx": ("http://hl7.org/fhir/sid/cvx", "urn:oid:2.16.840.1.113883.12.292"),
    "hcpcs": (
        "http://terminology.hl7.org/CodeSystem/HCPCS",
        "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "urn:oid:2.16.840.1.113883.6.285",
    ),
}
_NAME_OF = {address: name for name, addresses in SYSTEMS.items() for address in addresses}
# National addresses: ".../icd-10-nl", ".../CodeSystem/ICD10-2013-full", ".../terminologie-cim-10", ".../mkn-10",
# ".../BRCID10" (Brazil), ".../kostat-kcd-8" (Korea: ICD-10 with a fourth or fifth sign), and OIDs with an edition.
_ICD10_OF_A_COUNTRY = re.compile(
    r"(?:\b|_)(?:icd|cim|cie|(?:br)?cid|mkn|mkb|bno|rhk|ssk|tlk|kcd)[-_]?10(?!\w*[-_]?(?:pcs|procedure|cats))"
    r"|\bkcd[-_]?[6-9](?:th)?(?:\b|_)|\bkcd$|:2\.16\.756\.5\.30\.1\.126\.3\.2\.\d+$",
    re.I,
)
_ICPC_OF_A_COUNTRY = re.compile(r"(?:\b|_)(?:icpc|(?:br)?ciap)[-_]?[12]", re.I)
# In these a code may end in `*` and then stands for everything that begins like it.
PREFIX_SYSTEMS = frozenset({"icd10", "icd10pcs", "icd9proc", "atc"})
SystemName = Literal[
    "loinc", "snomed", "icd10", "icd10pcs", "icd9", "icd9proc", "rxnorm", "atc", "cvx", "hcpcs", "local"
]
ConceptKind = Literal["patient", "result", "diagnosis", "treatment"]


def _period(text: str) -> str:
    parse_period(text)
    return text


PeriodText = Annotated[str, AfterValidator(_period)]


def _tolerance(text: str) -> str:
    if re.match(r"^(?:none|\d+(?:\.\d+)? \S+)$", text, re.ASCII):
        return text
    raise ValueError('a tolerance is "10 %" of the limit, an amount with its unit, "5 g/L", or "none"')


Tolerance = Annotated[str, AfterValidator(_tolerance)]


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
    local: LocalOrder | None = None  # how a site orders it, in place of both; its profile sets it

    @property
    def key(self) -> tuple[str, str | None, str | None]:
        """Equal for one test, however many concepts it measures."""
        return self.title, self.loinc, self.snomed


class DoseForm(_Entry):
    """A salt or form in which a drug is written: `mg` of it equal `equals` mg of the one in which doses are counted."""

    mg: Decimal = Field(default=Decimal(1), gt=0)
    equals: Decimal = Field(default=Decimal(1), gt=0)
    words: tuple[str, ...] = ()  # beginnings of words in a record's text
    codes: Mapping[SystemName, tuple[str, ...]] = Field(default_factory=dict)


DoseMeasure = Literal["daily", "daily-per-kg", "cumulative", "cycles"]
# The units of each measure, and how many of them 1 mg (and day, and kg) is.
DOSE_UNITS: Mapping[DoseMeasure, Mapping[str, Decimal]] = {
    "daily": {"mg/d": Decimal(1), "g/d": Decimal("0.001"), "mg/wk": Decimal(7)},
    "daily-per-kg": {"mg/kg/d": Decimal(1)},
    "cumulative": {"mg": Decimal(1), "g": Decimal("0.001")},
    "cycles": {"{count}": Decimal(1)},
}


class DoseRule(_Entry):
    """A result that is summed from the records of a drug or of a class of drugs."""

    of: str  # the treatment
    as_: str = Field(default="", alias="as")  # in what it is counted: "hydroxychloroquine sulfate"
    measure: DoseMeasure = "daily"


class Concept(_Entry):
    """One clinical concept. The legend of every key is at the head of `concepts/README.md`."""

    title: str
    kind: ConceptKind
    unit: str | None = None
    plausible: tuple[Decimal, Decimal] | None = None  # in `unit`; outside is a fault of the record, not of the patient
    molar_mass: Decimal | None = None  # g/mol, where laboratories report mass and amount
    ordinal: Mapping[str, int] = Field(default_factory=dict)  # code or text -> number: NYHA "II" -> 2
    positive_from: Decimal | None = None  # a titer or count from which the result is positive, in `unit`
    negative_below: Decimal | None = None  # below it is negative, between the two neither; default: `positive_from`
    detection: bool = False  # a viral load: any number above zero is positive, "< n" decides nothing
    current_for: PeriodText | None = None  # how long a result speaks for today
    lasts_at_most: PeriodText | None = None  # an entry that began longer ago is over, though nobody wrote down its end
    acute_for: PeriodText | None = None  # an entry without status that began longer ago may be over; an inactive one is
    orders_stand_for: PeriodText | None = None  # of an infusion: an older order, still active, does not say it is given
    in_remission: bool = False  # every record of it says that the disease is in remission
    remission_asks: bool = False  # an entry in remission is put to a person
    tolerance: Tolerance | None = None  # near miss: "10 %" of the limit, an amount with unit, or "none"
    codes: Mapping[SystemName, Mapping[str, str]] = Field(default_factory=dict)  # system -> code -> what it is
    local_codes: tuple[LocalCode, ...] = ()
    names: tuple[str, ...] = ()  # ingredient or test names by which an uncoded entry asks a person; never decides
    unverified: tuple[str, ...] = ()  # codes whose meaning no independent source has confirmed
    not_codes: Mapping[SystemName, Mapping[str, str]] = Field(default_factory=dict)  # look-alikes left out, with reason
    unless: Mapping[SystemName, Mapping[str, str]] = Field(
        default_factory=dict
    )  # codes beside or above which it is not
    unless_named: tuple[str, ...] = ()  # beginnings of words, in a code's text, that say the same
    includes: tuple[str, ...] = ()  # sub-concepts: every record of theirs is one of this concept too
    recorded_in: tuple[ResourceType, ...] = ()  # where silence is heard; default by kind
    never_presumed: bool = False  # silence is never absence (infection, pregnancy)
    ruled_out_by: tuple[str, ...] = ()  # concepts on record of which it cannot be: hysterectomy, of a pregnancy
    asked_until: int | None = None  # years of age; above, `asked_instead` is put to a person and no test is ordered
    asked_instead: str = ""
    partly_coded: bool = False  # codes of one system only, so that another chart's silence says nothing
    panel: bool = False  # a positive member answers positive; a negative one answers nothing for the panel
    past: bool = False  # every record of it says that it is over: "history of", "old"
    prednisone_factor: Decimal | None = None  # mg of prednisone that equal 1 mg of this glucocorticoid
    forms: Mapping[str, DoseForm] = Field(default_factory=dict)  # salts and forms in which the drug is dosed
    form_unstated: tuple[str, ...] = ()  # the forms that a record which names none may mean; default: all
    dose: DoseRule | None = None  # of a result that is a dose: of what, and how it is counted
    uln: Decimal | None = None  # a site's default upper limit of normal in `unit`; only overlays set it
    lln: Decimal | None = None
    order: Orderable | None = None
    group: str = ""  # under which a card counts its absence; default: the name of its file
    sex: Sex | None = None  # a concept of this sex alone is left out of the lists of the other
    source: str = ""  # where codes and figures come from
    note: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Concept:
        if self.plausible and self.plausible[0] >= self.plausible[1]:
            raise ValueError("plausible: the lower end comes first")
        if (self.asked_until is None) != (not self.asked_instead):
            raise ValueError("asked_until and asked_instead go together: the age, and the question asked above it")
        if self.dose and self.unit not in (units := DOSE_UNITS[self.dose.measure]):
            raise ValueError(f"unit: a dose that is {self.dose.measure} is counted in {' or '.join(units)}")
        if unknown := set(self.form_unstated) - self.forms.keys():
            raise ValueError(f"form_unstated: {', '.join(sorted(unknown))} is none of the forms")
        return self

    @property
    def equivalents(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """By form, "" for a drug that has one only: so many mg, and the mg of the reference that they equal."""
        if self.prednisone_factor is not None:
            return {"": (Decimal(1), self.prednisone_factor)}
        return {name: (form.mg, form.equals) for name, form in self.forms.items()}


_ID = re.compile(r"^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$", re.ASCII)

_WHERE: Mapping[ConceptKind, tuple[ResourceType, ...]] = {
    "patient": names_of("person"),
    "result": names_of("result"),
    "diagnosis": names_of("diagnosis"),
    "treatment": names_of("drug-use"),
}


ON_ROOM_AIR = "oxygen-saturation"
# While one of them goes on, a saturation is none on room air.
OXYGEN_THERAPIES = ("oxygen-therapy", "mechanical-ventilation")


@dataclass(frozen=True)
class Catalogue:
    """All concepts, and the way from a code to them. Build it with `load_catalogue`."""

    concepts: Mapping[str, Concept]
    by_code: Mapping[tuple[str, str], tuple[str, ...]]  # (system name or address, code) -> ids, most specific first
    by_prefix: Mapping[tuple[str, str], tuple[str, ...]]  # (system name, "M321") -> ids, for codes that end in `*`
    hash: str  # "sha256:…" over every file, ours and the site's
    stated: Stated = field(default_factory=Stated)  # what the site says of its code systems
    rules: SiteRules = field(default_factory=SiteRules)  # what the site's profile decides about answers
    _where: dict[str, tuple[ResourceType, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _of_value: dict[str, frozenset[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def find(self, system: str, code: str) -> tuple[str, ...]:
        """The concepts that a coding stands for, most specific first; empty when it stands for none.

        Matching is by system and code only, never by display. The longest pattern wins; ICD-10 with or without dot.
        """
        name = self.name_of_system(system)
        if name == "icd9" and _ICD9_PROCEDURE.fullmatch(code.strip()):
            name = "icd9proc"  # one address for both volumes
        if name not in PREFIX_SYSTEMS:
            if name == "cvx":
                code = code.strip().zfill(2)  # numbers lose their zero on the way
            found = self.by_code.get((name, code)) or self.by_code.get((name, code.strip()), ())
            return found or (self._of_icd9(plain_code(code)) if name == "icd9" else ())
        plain = plain_code(code)
        return self._of_prefix(name, plain)

    def _of_icd9(self, plain: str) -> tuple[str, ...]:
        """The concepts of every equivalent in ICD-10-CM."""
        chains = [self._of_prefix("icd10", code) for code in icd9.equivalents(plain).certain]
        return tuple(name for name in chains[0] if all(name in chain for chain in chains[1:])) if chains else ()

    def _of_prefix(self, name: str, plain: str) -> tuple[str, ...]:
        if found := self.by_code.get((name, plain)):
            return found
        for length in range(len(plain), 0, -1):
            if found := self.by_prefix.get((name, plain[:length])):
                return found
        return ()

    def has_codes_of(self, system: str) -> bool:
        """Whether any code of this system stands for a concept."""
        return self.name_of_system(system) in self._systems

    def name_of_system(self, system: str) -> str:
        """Our name of a code system, or the one that the site states; its address where there is neither."""
        return self.stated.name_of(system_name(system))

    @cached_property
    def with_exceptions(self) -> frozenset[str]:
        """The concepts that a code may name and the codes or words beside it take back (`unless`, `unless_named`)."""
        return frozenset(name for name, entry in self.concepts.items() if entry.unless or entry.unless_named)

    @cached_property
    def _systems(self) -> frozenset[str]:
        return frozenset({"icd9", *(system for system, _ in (*self.by_code, *self.by_prefix))})

    @cached_property
    def doses(self) -> Mapping[str, DoseRule]:
        """The results that are doses, each with its rule."""
        return {name: entry.dose for name, entry in self.concepts.items() if entry.dose}

    @cached_property
    def doses_of(self) -> Mapping[str, tuple[str, ...]]:
        """By treatment, the doses that are summed from its records."""
        found: dict[str, tuple[str, ...]] = {}
        for name, rule in self.doses.items():
            found[rule.of] = (*found.get(rule.of, ()), name)
        return found

    def title(self, concept: str) -> str:
        """The name that a clinician knows it by; of a concept that stands nowhere its id in words."""
        entry = self.concepts.get(concept)
        return entry.title if entry else id_in_words(concept)

    def where(self, concept: str) -> tuple[ResourceType, ...]:
        """The resource types that must have been read completely before silence says anything."""
        found = self._where.get(concept)
        if found is None:
            entry = self.concepts[concept]
            own = entry.recorded_in or _WHERE[entry.kind]
            found = tuple(dict.fromkeys((*own, *(kind for child in entry.includes for kind in self.where(child)))))
            self._where[concept] = found
        return found

    def where_of_value(self, concept: str) -> frozenset[str]:
        """The resource types of which one more record may change the value of a result: more than `where` at times.

        A daily dose that is summed from drugs may also be recorded as a result, and oxygen given at the time of a
        saturation, a procedure, takes its meaning away.
        """
        found = self._of_value.get(concept)
        if found is None:
            names = (concept, *(OXYGEN_THERAPIES if concept == ON_ROOM_AIR else ()))
            types = (kind for name in names if name in self.concepts for kind in self.where(name))
            found = self._of_value[concept] = frozenset(("Observation", *types))
        return found

    def ancestors(self, concept: str) -> tuple[str, ...]:
        """The concept itself and every concept that includes it."""
        found = self._ancestors_of.get(concept)
        if found is None:
            found = self._ancestors_of[concept] = _ancestors(concept, self._parents_of)
        return found

    @cached_property
    def _parents_of(self) -> Mapping[str, tuple[str, ...]]:
        return _parents(self.concepts)

    @cached_property
    def _ancestors_of(self) -> dict[str, tuple[str, ...]]:
        return {}


class CatalogueKey:
    """A catalogue as a key of a cache: equal where the files are."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def __hash__(self) -> int:
        return hash(self.catalogue.hash)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CatalogueKey) and other.catalogue.hash == self.catalogue.hash


def id_in_words(concept: str) -> str:
    words = concept.replace("-", " ")
    return words[:1].upper() + words[1:]


@lru_cache(maxsize=512)
def system_name(system: str) -> str:
    """Our name of a code system; the address itself where it is a site's own."""
    address = system.strip().partition("|")[0].rstrip("/")
    plain = address.replace("https://", "http://", 1)
    if known := _NAME_OF.get(address) or _NAME_OF.get(plain) or _NAME_OF.get(plain.replace("://www.", "://", 1)):
        return known
    if plain.startswith("http://snomed.info/sct/"):  # with edition and version
        return "snomed"
    if _ICD10_OF_A_COUNTRY.search(plain) and "pcs" not in plain.lower():
        return "icd10"
    return "icpc" if _ICPC_OF_A_COUNTRY.search(plain) else address


_ICD9_PROCEDURE = re.compile(r"\d\d\.\d{1,2}")
_SKS = re.compile(r"D[A-Z]\d")  # in no other form of ICD-10 is the second sign a letter


def plain_code(code: str) -> str:
    """An ICD or ATC code without dot, the marks of double coding and of ICD-10-GM, and the D of Denmark's SKS."""
    plain = code.strip().replace(".", "").rstrip("*+!†‡#").upper()
    return plain[1:] if _SKS.match(plain) else plain


def load_catalogue(folders: Iterable[Path], rules: bytes | None = None) -> Catalogue:
    """Read every concept file (*.yaml) and FHIR ValueSet (*.json) of these folders, each folder over the earlier ones.

    `rules`: the text of a site's rules (see SiteRules), read as a file of a last folder; a rule for a concept that is
    not there has no effect. Raises DefinitionError with every problem found: unreadable YAML, unknown keys, unknown
    concepts, a code that is under two concepts of which neither includes the other.
    """
    reader = _Reader()
    for folder in folders:
        reader.read_folder(folder)
    if rules is not None:
        reader.read_file(Path(RULES_FILE), rules, {})
    concepts, found = _validate(reader.merged, reader.origin)
    if problems := reader.problems + found:
        raise DefinitionError(problems)
    concepts = _with_rules(concepts, reader.rules)
    digest = "sha256:" + reader.digest.hexdigest()
    return _index(concepts, reader.origin, digest, reader.stated.stated(), reader.rules)


@dataclass
class _Reader:
    """Lays the concepts of each folder over those already read."""

    merged: dict[str, dict[str, object]] = field(default_factory=dict)
    origin: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    stated: StatedReader = field(default_factory=lambda: StatedReader(system_name, SYSTEMS))
    rules: SiteRules = field(default_factory=SiteRules)

    def read_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            self.problems.append(Problem(folder, "", "there is no such folder"))
            return
        here: dict[str, Path] = {}
        for path in sorted(folder.glob("*.yaml")):
            try:
                raw = path.read_bytes()
            except OSError as error:
                self.problems.append(Problem(path, "", f"cannot be read: {error.strerror}"))
                continue
            self.read_file(path, raw, here)
        self.problems += _read_value_sets(folder, self.merged, self.origin, self.digest)

    def read_file(self, path: Path, raw: bytes, here: dict[str, Path]) -> None:
        """One file; `here`: the concepts of its folder so far."""
        try:
            content = read_yaml(raw, path)
        except DefinitionError as error:
            self.problems += error.problems
            return
        self.digest.update(path.name.encode() + b"\0" + raw + b"\0")
        self.problems += self.stated.read(content, path)
        if path.name == RULES_FILE:
            rules, problems = take_rules(content, path)
            self.rules = rules or self.rules
            self.problems += problems
        for name, entry in content.items():
            if objection := _objection(name, entry, here):
                self.problems.append(Problem(path, str(name), objection))
            elif isinstance(entry, dict):
                self.merged[name] = _overlay(self.merged.get(name, {"group": path.stem}), entry)
                self.origin[name] = here[name] = path


def _with_rules(concepts: dict[str, Concept], rules: SiteRules) -> dict[str, Concept]:
    """The concepts as the site's profile has them. An order counts for every concept that the same test measures."""
    tests = {name: entry.order.key for name, entry in concepts.items() if entry.order}
    local = {tests[name]: order for name, order in rules.orders.items() if name in tests}
    changed: dict[str, dict[str, object]] = {}
    for name, concept in concepts.items():
        if rules.asked_until is not None and concept.asked_until is not None:
            changed.setdefault(name, {})["asked_until"] = rules.asked_until
        if concept.order and (order := local.get(concept.order.key)):
            changed.setdefault(name, {})["order"] = concept.order.model_copy(update={"local": order})
    return concepts | {name: concepts[name].model_copy(update=update) for name, update in changed.items()}


def _read_value_sets(
    folder: Path, merged: dict[str, dict[str, object]], origin: dict[str, Path], digest: hashlib._Hash
) -> list[Problem]:
    """Lay the FHIR ValueSets of one folder over the concepts; each only adds codes to a concept that is there."""
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.json")):
        try:
            raw = path.read_bytes()
            name, entry = read_value_set(raw, path, OUR_SYSTEM, system_name, PREFIX_SYSTEMS)
        except OSError as error:
            problems.append(Problem(path, "", f"cannot be read: {error.strerror}"))
            continue
        except DefinitionError as error:
            problems += error.problems
            continue
        digest.update(path.name.encode() + b"\0" + raw + b"\0")
        if name in merged:
            merged[name] = _overlay(merged[name], entry)
            origin[name] = path
        else:
            problems.append(Problem(path, "identifier", "names no concept; title and kind of a new one are in a .yaml"))
    return problems


def _objection(name: str, entry: object, here: Mapping[str, Path]) -> str | None:
    if not isinstance(entry, dict):
        return "a concept is a mapping"
    if not _ID.match(name):
        return "a concept id is lower-case words joined by hyphens"
    if name in here:
        return f"is in {here[name].name} too; in one folder a concept has one place"
    return None


def _validate(
    merged: Mapping[str, dict[str, object]], origin: Mapping[str, Path]
) -> tuple[dict[str, Concept], list[Problem]]:
    """Each concept as a value, and everything that does not fit."""
    concepts: dict[str, Concept] = {}
    problems: list[Problem] = []
    for name, entry in merged.items():
        try:
            concepts[name] = Concept.model_validate(entry)
        except ValidationError as error:
            problems += problems_of(error, origin[name], name, known=key_names(Concept))
    for name, concept in concepts.items():
        for key, others in (("includes", concept.includes), ("ruled_out_by", concept.ruled_out_by)):
            for other in others:
                if other not in merged:
                    problems.append(Problem(origin[name], f"{name}.{key}", f'"{other}" is not a concept'))
        if concept.dose and (objection := _dose_objection(concept.dose, concepts)):
            problems.append(Problem(origin[name], f"{name}.dose.of", objection))
    parents = _parents(concepts)
    for name, concept in concepts.items():
        if any(child in _ancestors(name, parents) for child in concept.includes):
            problems.append(Problem(origin[name], f"{name}.includes", "leads back to this concept"))
    return concepts, problems


def _dose_objection(rule: DoseRule, concepts: Mapping[str, Concept]) -> str | None:
    """What is wrong with the drug whose dose is asked; its amounts count only where its forms are known."""
    drug = concepts.get(rule.of)
    if drug is None or drug.kind != "treatment":
        return f'"{rule.of}" is not a treatment'
    members = [concepts[name] for name in drug.includes if name in concepts] or [drug]
    if rule.measure == "cycles" or all(member.equivalents for member in members):
        return None
    return f'"{rule.of}" has no `forms`: state in which salts and forms it is dosed, and what each of them equals'


def _overlay(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """An overlay adds to mappings and to lists of names, and replaces everything else."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = _overlay(old, value)
        elif isinstance(old, list) and isinstance(value, list) and key != "plausible":
            result[key] = old + [item for item in value if item not in old]
        else:
            result[key] = value
    return result


def _parents(concepts: Mapping[str, Concept]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for parent, entry in concepts.items():
        for child in entry.includes:
            found[child] = (*found.get(child, ()), parent)
    return found


def _ancestors(concept: str, parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The concept and everything above it, nearest first."""
    found = [concept]
    for name in found:
        found += [parent for parent in parents.get(name, ()) if parent not in found]
    return tuple(found)


def _claims(concepts: Mapping[str, Concept], stated: Stated) -> dict[tuple[str, str], list[str]]:
    """Every code with the concepts under which it stands; codes of prefix systems plain, but with their `*`."""
    claims: dict[tuple[str, str], list[str]] = {}
    for name, concept in concepts.items():
        for system, codes in concept.codes.items():
            for code in codes:
                key = (plain_code(code) + "*" * code.endswith("*")) if system in PREFIX_SYSTEMS else code
                claims.setdefault((system, key), []).append(name)
        for local in concept.local_codes:
            system_of_code = stated.name_of(system_name(local.system))
            code = plain_code(local.code) if system_of_code in PREFIX_SYSTEMS else local.code
            claims.setdefault((system_of_code, code), []).append(name)
        claims.setdefault((OUR_SYSTEM, name), []).append(name)
    return claims


def _index(
    concepts: Mapping[str, Concept], origin: Mapping[str, Path], digest: str, stated: Stated, rules: SiteRules
) -> Catalogue:
    parents = _parents(concepts)
    closures = {name: _ancestors(name, parents) for name in concepts}
    by_code: dict[tuple[str, str], tuple[str, ...]] = {}
    by_prefix: dict[tuple[str, str], tuple[str, ...]] = {}
    problems: list[Problem] = []
    for (system, code), names in _claims(concepts, stated).items():
        for one, other in ((a, b) for a in names for b in names if a < b):
            if other not in closures[one] and one not in closures[other]:
                message = f"{system} {code} is under {other} too ({origin[other].name})"
                problems.append(Problem(origin[one], f"{one}.codes", message))
        # Most specific first: the concept with the most ancestors.
        ordered = tuple(dict.fromkeys(a for n in sorted(names, key=lambda n: -len(closures[n])) for a in closures[n]))
        if code.endswith("*") and system in PREFIX_SYSTEMS:
            by_prefix[system, code[:-1]] = ordered
        else:
            by_code[system, code] = ordered
    if problems:
        raise DefinitionError(problems)
    return Catalogue(concepts, by_code, by_prefix, digest, stated, rules)


def current_for(concept: Concept) -> Period | None:
    """How long a result of this concept speaks for today."""
    return parse_period(concept.current_for) if concept.current_for else None
