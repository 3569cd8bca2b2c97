"""Which record of a chart speaks for which concept: found once, by code; and what does not count, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from mappings.chart import decoding, fhir
from mappings.chart.chart import Chart
from mappings.chart.dates import date_text
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Certainty, Episode, Person
from mappings.readers import conditions, events, medications, observations
from mappings.readers.uncoded import denied_by, is_taken_back, named_by, result_named_by, says_it_is_over
from mappings.resource_types import RESOURCE_TYPES
from mappings.time.clock import Clock
from mappings.understanding.classes import NotUnderstood, RecordKind, understanding_of
from mappings.values.dosage import Doses

R = TypeVar("R", bound=Struct)
T = TypeVar("T")
Chain = tuple[str, ...]  # a concept and all that include it, most specific first
Chains = tuple[Chain, ...]  # one for each coding that stands for something
Reader = Callable[[str, str], Episode]  # (concept, member) -> the record as an Episode of the concept
_Codes = dict[str | None, Chain]  # the codes of one system that were met
_FOREIGN: _Codes = {}  # of a system of which no code stands for anything; nothing is ever put into it
Sightings = dict[str, list[tuple[Reader, str]]]
_USES = (fhir.MedicationRequest, fhir.MedicationStatement, fhir.MedicationAdministration, fhir.MedicationDispense)
_GLUCOCORTICOID = "glucocorticoid"
_COUNTED: tuple[type[fhir.FamilyMemberHistory | fhir.DiagnosticReport], ...] = (
    fhir.FamilyMemberHistory,
    fhir.DiagnosticReport,
)


@dataclass
class Index:
    """By concept: where to read results, episodes and allergies, each with the most specific concept found."""

    catalogue: Catalogue
    person: Person
    clock: Clock
    results: dict[str, list[tuple[observations.Found, str]]] = field(default_factory=dict)
    episodes: Sightings = field(default_factory=dict)
    allergies: Sightings = field(default_factory=dict)
    named: dict[str, list[observations.Found]] = field(default_factory=dict)  # results by their words alone
    excluded: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in RESOURCE_TYPES})
    unasked: set[str] = field(default_factory=set)  # sources of Observations that are of no concept
    unreadable: list[str] = field(default_factory=list)  # sources of Observations with parts that do not fit their form
    unsure: set[str] = field(default_factory=set)  # types of which something that was given could not be used
    not_understood: list[NotUnderstood] = field(default_factory=list)  # records that may be of a concept
    _codes: dict[str | None, _Codes] = field(default_factory=dict)  # by system, as written
    _read: dict[tuple[Reader, str], Episode] = field(default_factory=dict)  # by reader and member
    _written: dict[bytes, tuple[Chains | None, str | None]] = field(default_factory=dict)  # by an Observation's code
    _fitting: dict[object, Chains] = field(default_factory=dict)
    _left_open: dict[tuple[RecordKind, tuple[fhir.CodeableConcept | None, ...]], frozenset[str]] = field(
        default_factory=dict
    )
    _named_drugs: dict[tuple[fhir.CodeableConcept, ...], Chains] = field(default_factory=dict)
    _names: dict[tuple[type, fhir.CodeableConcept], tuple[list[str], frozenset[str]]] = field(default_factory=dict)
    _doses: Doses = field(default_factory=Doses)
    _members: dict[Chains, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def add(self, chart: Chart) -> None:
        """Sort every record of the chart."""
        clock = self.clock
        for source, observation in chart.of(fhir.Observation):
            self._add_observation(source, observation)
        for source, condition in self._counting(chart, fhir.Condition, conditions.exclusion_of):
            self._sight(source, condition, partial(conditions.episode_of, source, condition, self.person, clock))
        for source, procedure in self._counting(chart, fhir.Procedure, events.procedure_exclusion):
            self._sight(source, procedure, partial(events.procedure_episode, source, procedure, clock))
        for source, vaccine in self._counting(chart, fhir.Immunization, events.immunization_exclusion):
            self._sight(source, vaccine, partial(events.immunization_episode, source, vaccine, clock))
        for source, allergy in self._counting(chart, fhir.AllergyIntolerance, events.allergy_exclusion):
            chains = self._chains_of(allergy.code)
            reader: Reader = partial(events.allergy_episode, source, allergy, clock)
            self._note(self.allergies, chains, reader)
            if not chains:
                self._hear("allergy", allergy, source, (allergy.code,))
        for source, subject in self._counting(chart, fhir.ResearchSubject, events.participation_exclusion):
            reader = partial(events.participation_episode, source, subject, clock)
            self.episodes.setdefault(events.PARTICIPATION, []).append((reader, events.PARTICIPATION))
        for kind in _USES:
            for source, use in self._counting(chart, kind, medications.exclusion_of):
                self._add_use(source, use, chart)
        for counted in _COUNTED:
            self.excluded[counted.__name__] += Counter(
                "entered-in-error" for _, record in chart.of(counted) if _is_in_error(record)
            )

    def episode(self, reader: Reader, concept: str, member: str) -> Episode:
        """The record as an Episode of the concept; read once, though a drug's class and all above it ask for it too."""
        known = self._read.get((reader, member))
        if known is not None:
            return replace(known, concept=concept)
        found = self._read[reader, member] = reader(concept, member)
        return found

    def _counting(
        self, chart: Chart, kind: type[R], exclusion_of: Callable[[R, Clock], str | None]
    ) -> Iterable[tuple[str, R]]:
        """The records of a type that count; the others are counted by why they do not."""
        for source, record in chart.of(kind):
            reason = self._not_understood(kind.__name__, record) or exclusion_of(record, self.clock)
            if reason is None:
                yield source, record
            else:
                self.excluded[kind.__name__][reason] += 1

    def _not_understood(self, name: str, record: Struct) -> str | None:
        """A modifier that we do not know may turn a record into its opposite; it is not used, and not silence."""
        for member, reason in (("modifier_extension", "modifier-extension"), ("implicit_rules", "implicit-rules")):
            if getattr(record, member, None):
                self.unsure.add(name)
                return reason
        return None

    # Observations: the many; every step here is taken a thousand times

    def _add_observation(self, source: str, observation: fhir.Observation) -> None:
        standing = observations.standing_of(observation.status)
        date = observation.effective_date_time or date_text(observation)
        reason: str = standing
        if standing in ("final", "not-final"):
            if not self.clock.is_future(date):
                self._add_values(source, observation, standing == "final")
                return
            reason = "future"
        self.excluded["Observation"][reason] += 1

    def _add_values(self, source: str, observation: fhir.Observation, is_final: bool) -> None:
        chains, named = self._coded(observation)
        parts = decoding.parts_of(observation)
        if chains is None or parts is None:
            # It may be what somebody asks for.
            self.unsure.add("Observation")
            self.unreadable.append(source)
            return
        is_modified = observations.is_modified(observation)
        if is_modified:
            self.excluded["Observation"][is_modified] += 1
        if chains and (is_modified or observations.says_something(observation)):
            self._note(self.results, chains, observations.Found(source, observation, is_final))
        elif chains and not parts:
            self.excluded["Observation"]["no-value"] += 1
        elif named:
            for concept in self.catalogue.ancestors(named):
                self.named.setdefault(concept, []).append(observations.Found(source, observation, is_final))
        elif not chains and not parts:
            self.unasked.add(source)
        for component in parts:
            chains = self._without_exceptions(self._chains_of(component.code), component.code, observation)
            if chains and (component.modifier_extension or observations.says_something(component)):
                self._note(self.results, chains, observations.Found(source, observation, is_final, component))

    def _coded(self, observation: fhir.Observation) -> tuple[Chains | None, str | None]:
        """What its code stands for, None where it cannot be read; and the concept that it only names."""
        written = bytes(observation.code)
        found = self._written.get(written)
        if found is None:
            code = decoding.code_of(observation)
            chains = self._chains_of(code) if code or not fhir.is_given(observation.code) else None
            chains = self._without_exceptions(chains, code, None) if chains else chains
            named = result_named_by(code, self.catalogue) if chains == () else None
            found = self._written[written] = chains, named
        return found

    def _without_exceptions(
        self, chains: Chains, code: fhir.CodeableConcept | None, outer: fhir.Observation | None
    ) -> Chains:
        """Without the concepts that its other codes, or those of the Observation around it, take back."""
        if not chains or self.catalogue.with_exceptions.isdisjoint(chain[0] for chain in chains):
            return chains
        key = chains, code, bytes(outer.code) if outer else None
        fitting = self._fitting.get(key)
        if fitting is None:
            codes = [each for each in (code, decoding.code_of(outer) if outer else None) if each]
            fitting = tuple(chain for chain in chains if not is_taken_back(chain[0], codes, self.catalogue))
            self._fitting[key] = fitting
        return fitting

    # Drugs

    def _add_use(self, source: str, use: fhir.MedicationUse, chart: Chart) -> None:
        name = type(use).__name__
        drug = medications.drug_of(use, chart)
        if not drug.known:
            self.excluded[name]["medication-not-resolved"] += 1
            self.unsure.add(name)
        certainty = medications.certainty_of(use)
        chains = tuple(chain for concept in drug.concepts for chain in self._chains_of(concept))
        if not chains:
            certainty = Certainty.TEXT_ONLY
            chains = self._named_in(drug)
        if any(_GLUCOCORTICOID in chain for chain in chains) and medications.is_put_where_it_acts(use, drug):
            self.excluded[name]["local-use"] += 1
            return
        if not chains and drug.known:
            self._hear("drug", use, source, drug.concepts)
        known = self.catalogue.concepts
        reader: Reader = partial(medications.episode_of, source, use, drug, certainty, self._doses, known, self.clock)
        self._note(self.episodes, chains, reader)

    def _named_in(self, drug: medications.Drug) -> Chains:
        """What its words name; refills repeat them."""
        chains = self._named_drugs.get(drug.concepts)
        if chains is None:
            names = medications.named_in(drug, self.catalogue)
            chains = self._named_drugs[drug.concepts] = tuple(map(self.catalogue.ancestors, names))
        return chains

    # By code

    def _chains_of(self, code: fhir.CodeableConcept | None) -> Chains:
        """What its codings stand for; a coding that stands for nothing we know says nothing."""
        found: Chains = ()
        if code is None:
            return found
        for coding in code.coding:
            codes = self._codes.get(coding.system)
            if codes is None:
                codes = self._codes[coding.system] = {} if self._may_mean_something(coding.system) else _FOREIGN
            if codes is _FOREIGN:
                continue
            chain = codes.get(coding.code)
            if chain is None:
                chain = codes[coding.code] = self._find(coding)
            if chain:
                found = (*found, chain)
        return found

    def _may_mean_something(self, system: str | None) -> bool:
        return system is not None and self.catalogue.has_codes_of(fhir.clean(system))

    def _find(self, coding: fhir.Coding) -> Chain:
        system, code = fhir.clean(coding.system or ""), fhir.clean(coding.code or "")
        return self.catalogue.find(system, code) if system and code else ()

    def _sight(self, source: str, record: fhir.Condition | fhir.Procedure | fhir.Immunization, reader: Reader) -> None:
        code = record.vaccine_code if isinstance(record, fhir.Immunization) else record.code
        chains = self._chains_of(code)
        if not chains:
            names, denied = self._names_in(record, code)
            if not names:
                self._hear(_KIND_OF[type(record)], record, source, (code,), denied)
            named = (self.catalogue.ancestors(name) for name in names)
            # A joint that was injected, a disease that a steroid brought on: neither is a course of one.
            chains = tuple(chain for chain in named if _GLUCOCORTICOID not in chain)
            reader = partial(_only_named, reader)
        self._note(self.episodes, chains, reader)

    def _names_in(
        self, record: fhir.Condition | fhir.Procedure | fhir.Immunization, code: fhir.CodeableConcept | None
    ) -> tuple[list[str], frozenset[str]]:
        """What its words name, and what they deny where they name nothing."""
        if code is None:
            return [], frozenset()
        found = self._names.get((type(record), code))
        if found is None:
            names = named_by(record, self.catalogue)
            found = names, frozenset() if names else denied_by(code, self.catalogue)
            self._names[type(record), code] = found
        return found

    def _hear(
        self,
        kind: RecordKind,
        record: Struct,
        source: str,
        codes: tuple[fhir.CodeableConcept | None, ...],
        denied: frozenset[str] = frozenset(),
    ) -> None:
        """Note what a record without a known code or name leaves open."""
        key = (kind, codes)
        known = self._left_open.get(key)
        if known is None:
            known = self._left_open[key] = understanding_of(self.catalogue).concepts_left_open(kind, codes)
        left_open = known - denied
        if left_open:
            self.not_understood.append(NotUnderstood.of(type(record).__name__, source, codes, left_open))

    def _note(self, index: dict[str, list[tuple[T, str]]], chains: Chains, found: T) -> None:
        """Under every concept of the chains once, with the most specific concept that led there."""
        members = self._members.get(chains)
        if members is None:
            members = self._members[chains] = _members(chains)
        for concept, member in members:
            index.setdefault(concept, []).append((found, member))


_KIND_OF: Mapping[type, RecordKind] = {
    fhir.Condition: "diagnosis",
    fhir.Procedure: "procedure",
    fhir.Immunization: "vaccine",
}


def _only_named(reader: Reader, concept: str, member: str) -> Episode:
    episode = replace(reader(concept, member), certainty=Certainty.TEXT_ONLY)
    # "History of lupus" may be said of one that goes on, so it is only old, and still asked about.
    return replace(episode, was_over=True) if says_it_is_over(episode.label) else episode


def _members(chains: Chains) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[int, str]] = {}
    for chain in chains:
        for place, concept in enumerate(chain):
            if concept not in found or found[concept][0] < place:
                found[concept] = (place, chain[0])
    return tuple((concept, member) for concept, (_, member) in found.items())


def _is_in_error(record: fhir.FamilyMemberHistory | fhir.DiagnosticReport) -> bool:
    return fhir.clean(record.status or "").lower() == "entered-in-error"
