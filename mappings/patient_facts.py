"""From a chart to facts: records are found once by code, and read when a concept is first asked for.

`facts_of` sorts out what does not count (entered in error, refuted, dated later) and says so in `sources`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from itertools import chain, groupby

from msgspec.structs import replace

from mappings.chart import decoding, fhir
from mappings.chart.chart import Chart
from mappings.chart.consent import declines_research
from mappings.chart.dates import date_text
from mappings.concepts.catalogue import ON_ROOM_AIR, OXYGEN_THERAPIES, Catalogue, Concept
from mappings.derived import doses, estimates
from mappings.facts import Certainty, Episode, Polarity, Reason, Result, SourceReport, SourceState
from mappings.lazily import Lazily
from mappings.readers import observations
from mappings.readers.index import Index, Sightings
from mappings.readers.patient import person_of
from mappings.resource_types import RESOURCE_TYPES
from mappings.time.clock import Clock
from mappings.time.times import Moment, parse_period
from mappings.understanding.classes import NotUnderstood


def facts_of(chart: Chart, catalogue: Catalogue, as_of: datetime, zone: tzinfo) -> PatientFacts:
    """What the chart says at `as_of` (aware), days counted in `zone`. Nothing dated later is in it."""
    return PatientFacts(chart, catalogue, Clock(as_of, zone))


class PatientFacts:
    """The facts of one patient at one moment. Every answer is the same however often it is asked."""

    def __init__(self, chart: Chart, catalogue: Catalogue, clock: Clock) -> None:
        self.person = person_of(chart.patient, chart.reference, clock)
        self.as_of, self.zone, self.today = clock.as_of, clock.zone, clock.today
        self.catalogue = catalogue
        self.declines_research = declines_research(chart, clock)
        self._chart, self._clock = chart, clock
        self._index = Index(catalogue, self.person, clock)
        self._index.add(chart)
        self._reader = observations.ResultReader(self.person, clock, _Oxygen(self._index))
        # A chart that an earlier version kept knows nothing of a type that was added since.
        self.sources = tuple(self._report(name) for name in RESOURCE_TYPES if name in chart.states)
        self._states: Mapping[str, SourceState] = {report.resource_type: report.state for report in self.sources}
        self._left_open = _left_open(self._index)
        self.left_open = frozenset(self._left_open)
        self.read_completely = frozenset(name for name, state in self._states.items() if state == "complete")
        self._whole_after = self._last_day_in_doubt(chart)
        index = self._index
        self._calculated = estimates.calculated_concepts(catalogue)
        self._with_results = frozenset(chain(index.results, index.named, self._calculated))
        self._spoken_of = self._with_results.union(index.episodes)
        self._results: dict[str, Lazily[Result]] = {}
        self._episodes: dict[str, tuple[Episode, ...]] = {}
        self._usable: dict[str, Lazily[Result]] = {}
        self._said: dict[str, bool] = {}
        self._dated: dict[str, bool] = {}
        self._newest: dict[str, tuple[Result | Episode, ...]] = {}
        self._called: dict[str, tuple[Result, ...]] = {}

    @property
    def now(self) -> Moment:
        """The moment of reading, as the date of what is worked out for it."""
        return self._clock.now

    @property
    def day(self) -> Callable[[date], Moment]:
        """Some time of a day. It holds the clock and not these facts, for what is read later."""
        return self._clock.day

    @property
    def unasked(self) -> frozenset[str]:
        """The sources of Observations that are of no concept, so that nothing would be different without them."""
        return frozenset(self._index.unasked)

    def state(self, resource_type: str) -> SourceState:
        """How completely a resource type was read."""
        return self._states.get(resource_type, "not-requested")

    def readable(self, concept: str) -> bool:
        """Whether silence about the concept says something: its sources were read whole, and all was understood."""
        return concept not in self._left_open and self.read_completely.issuperset(self.catalogue.where(concept))

    def has_arrived(self, concept: str) -> bool:
        """Whether every resource type in which a value of the concept is recorded was read completely."""
        return self.read_completely.issuperset(self.catalogue.where_of_value(concept))

    def unread(self, concept: str) -> frozenset[str]:
        """The resource types with a record that is missing or not understood and may be a value of the concept."""
        missing = self.catalogue.where_of_value(concept) - self.read_completely
        return missing | self._left_open[concept] if concept in self._left_open else missing

    def is_whole_from(self, concept: str, day: date | None) -> bool:
        """Whether every value of the concept of that day and later was read and understood; with None, of any day."""
        if self._index.named and any(_is_since(called, day) for called in self.called(concept)):
            return False
        unread = self.unread(concept)
        return not unread or (unread == _RESULTS and day is not None and self.results_are_whole_from(day))

    def results_are_whole_from(self, day: date) -> bool:
        """Whether every Observation of that day and later was read."""
        complete = "Observation" in self.read_completely
        return complete or (self._whole_after is not None and day > self._whole_after)

    def is_newest(self, result: Result) -> bool:
        """Whether no result that was not read can be newer, or nearer to what an estimate was calculated from.

        A list that was cut short keeps its newest records only where it came newest first. A result that only its words
        name may be newer too.
        """
        if self._index.named and self.called_since(result):
            return False
        if "Observation" in self.read_completely or result.concept in self.catalogue.doses:
            return True  # today's dose is summed from drugs; what they leave open is in the result
        if self._whole_after is None or result.taken is None:
            return False
        return estimates.no_input_is_nearer(result, self._whole_after)

    @property
    def names_results(self) -> bool:
        """Whether a result is known by its words alone."""
        return bool(self._index.named)

    def called(self, concept: str) -> tuple[Result, ...]:
        """The final results with a value that only their words say to be of the concept."""
        if concept not in self._index.named:
            return ()
        if concept not in self._called:
            spoken = [each for each in self._index.named[concept] if each.is_final and _has_value(each)]
            self._called[concept] = tuple(_as_named(each, concept, self._index, self._reader) for each in spoken)
        return self._called[concept]

    def called_since(self, result: Result) -> tuple[Result, ...]:
        """Those that may be newer than a result, or than what it was calculated from, or nearer in time to that."""
        base = result.inputs[0] if result.formula and result.inputs else result
        # A recorded result takes the place of one that is calculated for the same day.
        first = result.taken.first_day if result.formula and result.taken else None
        found = [
            each
            for each in self.called(result.concept)
            if (_is_since(each, first) if result.formula else _may_be_newer(each, result))
        ]
        if base is not result:
            found += [each for each in self.called(base.concept) if _may_be_newer(each, base)]
        for other in result.inputs[1:] if result.formula else ():
            found += [each for each in self.called(other.concept) if _may_be_nearer(each, other, base)]
        return tuple(found)

    def says_something_of(self, concept: str) -> bool:
        """Whether there is any result or episode, or a note on what keeps a result from being calculated."""
        said = self._said.get(concept)
        if said is None:
            is_spoken_of = concept in self._spoken_of
            said = self._said[concept] = is_spoken_of and bool(self.results(concept) or self.episodes(concept))
        return said

    def is_silent_on(self, concepts: frozenset[str]) -> bool:
        """Whether it says nothing of any of them."""
        if concepts.isdisjoint(self._spoken_of):
            return True
        return not any(map(self.says_something_of, concepts & self._spoken_of))

    def results(self, concept: str) -> Lazily[Result]:
        """Every result, derived ones too, newest first and undated last; a `problem` says why one cannot be used.

        Each is read when it is looked at: take the newest, and a long history costs nothing. Behind them all stand
        those that only their words name.
        """
        if concept not in self._with_results:
            return _NO_RESULTS
        if concept not in self._results:
            # What is read later holds the reader and the index, not these facts: a ring would keep the chart alive.
            recorded = Lazily(_recorded(concept, self._index, self._reader))
            found = estimates.with_derived(concept, recorded, self)
            named = _named(concept, self._index, self._reader)
            self._results[concept] = Lazily(chain(found, named))
        return self._results[concept]

    def usable_results(self, concept: str) -> Lazily[Result]:
        """Those that are final and hold something, though a problem may keep it from deciding."""
        if concept not in self._usable:
            self._usable[concept] = self.results(concept).where(lambda r: r.problem not in _NOT_USED)
        return self._usable[concept]

    def undated_results(self, concept: str) -> Sequence[Result]:
        """The final results that say something and have no date; what they are newer than is not known."""
        if self._are_dated(concept):
            return ()
        return self.usable_results(concept).where(lambda result: result.taken is None)

    def are_in_order_of_time(self, concept: str) -> bool:
        """Whether every result has a date, so that whatever follows an old one is older still."""
        return concept not in self._calculated and self._are_dated(concept)

    def _are_dated(self, concept: str) -> bool:
        """Whether every result that the chart itself holds has a date that can be read."""
        known = self._dated.get(concept)
        if known is None:
            known = self._dated[concept] = all(map(self._is_dated, self._index.results.get(concept, ())))
        return known

    def _is_dated(self, indexed: Indexed) -> bool:
        """Whether a result has a date that can be read. The usual form is seen without reading it."""
        text = date_text(indexed[0].observation)
        return text is not None and (_USUAL_DATE.match(text) is not None or self._clock.moment(text) is not None)

    def episodes(self, concept: str) -> tuple[Episode, ...]:
        """Everything on record for the concept that counts, whether over or not, latest start first."""
        if concept not in self._index.episodes:
            return ()
        if concept not in self._episodes:
            self._episodes[concept] = _episodes(concept, self._index.episodes, self._index)
        return self._episodes[concept]

    def newest_records(self, concept: str) -> tuple[Result | Episode, ...]:
        """The newest few results and episodes, to help a person judge."""
        if concept not in self._spoken_of:
            return ()
        found = self._newest.get(concept)
        if found is None:
            results = self.results(concept).where(lambda result: result.problem is not Reason.MISSING)
            found = self._newest[concept] = (*results[:_NEWEST], *self.episodes(concept)[:_NEWEST])
        return found

    def allergies(self, concept: str) -> tuple[Episode, ...]:
        """Allergies and intolerances to the concept; they are no exposures."""
        return _episodes(concept, self._index.allergies, self._index)

    def _last_day_in_doubt(self, chart: Chart) -> date | None:
        """The day after which no Observation is missing, though the list was cut short; None where that is not sure."""
        text = chart.arrived_back_to.get("Observation")
        if text is None or "Observation" in self._index.unsure:
            return None
        moment = self._clock.moment(text)
        return moment.last_day if moment else None

    def dose_changed_since(self, concept: str, day: date) -> bool | None:
        """Whether a daily dose has changed after that day; None where the chart does not say."""
        drug = self.catalogue.doses[concept].of
        if not self.readable(drug):
            return None
        return doses.changed_since(day, self.episodes(drug), self.catalogue, self.today)

    def _report(self, name: str) -> SourceReport:
        chart, index = self._chart, self._index
        excluded = Counter(chart.excluded.get(name, {})) + index.excluded[name]
        unreadable = (*chart.unreadable.get(name, ()), *(index.unreadable if name == "Observation" else ()))
        if unreadable:
            excluded["unreadable"] = len(unreadable)
        state = chart.states[name]
        if state == "complete" and name in index.unsure:
            state = "incomplete"
        count = chart.counts.get(name, 0)
        return SourceReport(name, state, count, tuple(sorted(excluded.items())), unreadable, self._unheard(name))

    def _unheard(self, name: str) -> tuple[tuple[str | None, int], ...]:
        """The records of a type that were not understood, counted by their code system."""
        systems = Counter(record.system for record in self._index.not_understood if record.resource_type == name)
        return tuple(sorted(systems.items(), key=lambda item: item[0] or ""))

    @property
    def not_understood(self) -> Sequence[NotUnderstood]:
        """The records that arrived and in which nothing is known. Their words are patient data."""
        return self._index.not_understood


_RESULTS = frozenset({"Observation"})
# A day that every month has, alone or with a second and a zone.
_USUAL_DATE = re.compile(
    r"[12]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
    r"(?:T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d))?\Z",
    re.ASCII,
)
_NEWEST = 3  # records of a concept that are shown beside a question for a person
_NOT_USED = (Reason.NOT_FINAL, Reason.MISSING)
_NO_RESULTS: Lazily[Result] = Lazily(())


def _left_open(index: Index) -> Mapping[str, frozenset[str]]:
    """The concepts that a record which was not understood may be, and what is worked out from them: by its type."""
    found: dict[str, frozenset[str]] = {}
    for record in index.not_understood:
        for name in concepts_in_doubt(record, index.catalogue):
            found[name] = found.get(name, frozenset()) | {record.resource_type}
    return found


def concepts_in_doubt(record: NotUnderstood, catalogue: Catalogue) -> frozenset[str]:
    """The concepts that a record may be, and what is worked out from them."""
    names = set(record.left_open)
    names.update(dose for drug, doses_of in catalogue.doses_of.items() if drug in names for dose in doses_of)
    if not names.isdisjoint(OXYGEN_THERAPIES):
        names.add(ON_ROOM_AIR)
    return frozenset(names)


def _recorded(concept: str, index: Index, reader: observations.ResultReader) -> Iterator[Result]:
    """The results that the chart itself holds, newest first."""
    clock, concepts = index.clock, index.catalogue.concepts
    for group in newest_first(index.results.get(concept, ()), clock):
        read = []
        for item, member in group:
            result = reader.result_of(item, concept, _in_unit_of(concepts[concept], concepts[member]))
            if _speaks(result, member, concept, index.catalogue):
                read.append((result, item.observation))
        read.sort(key=lambda pair: _newness(pair[0], pair[1], clock), reverse=True)
        yield from (result for result, _ in read)


def _named(concept: str, index: Index, reader: observations.ResultReader) -> Iterator[Result]:
    """Results that only their words say to be of the concept: no answer, and no silence either."""
    for found in index.named.get(concept, ()):
        yield _as_named(found, concept, index, reader)


def _as_named(found: observations.Found, concept: str, index: Index, reader: observations.ResultReader) -> Result:
    read = reader.result_of(found, concept, index.catalogue.concepts[concept])
    name = fhir.words_of(decoding.code_of(found.observation))
    note = f"one called “{name}” ({read.recorded or 'without a value'}) carries no code that is known"
    return replace(read, value=None, polarity=None, problem=Reason.MISSING, note=note, only_named=True)


def _has_value(found: observations.Found) -> bool:
    return bool(observations.is_modified(found.observation) or observations.says_something(found.observation))


def _is_since(called: Result, day: date | None) -> bool:
    return day is None or called.taken is None or called.taken.last_day >= day


def _may_be_newer(called: Result, result: Result) -> bool:
    """Not where both are of one moment, or of one day of which nothing more is known: that may be the same result."""
    if called.taken is None or result.taken is None:
        return True
    one_day = called.taken.first_day == called.taken.last_day == result.taken.first_day == result.taken.last_day
    if one_day and (called.taken.earliest != called.taken.latest or result.taken.earliest != result.taken.latest):
        return False
    return called.taken.latest > result.taken.latest


def _may_be_nearer(called: Result, used: Result, base: Result) -> bool:
    """Whether a result may lie nearer in time to `base` than the one that was used; of one day it may be the same."""
    if called.taken is None or used.taken is None or base.taken is None:
        return True
    to = base.taken.first_day
    return called.taken.last_day != used.taken.last_day and (
        min(abs(called.taken.first_day - to), abs(called.taken.last_day - to)) <= abs(used.taken.first_day - to)
    )


def _episodes(concept: str, found: Sightings, index: Index) -> tuple[Episode, ...]:
    known, clock = index.catalogue.concepts, index.clock
    read = (
        _as_such(index.episode(reader, concept, member), known.get(member), clock)
        for reader, member in found.get(concept, ())
    )
    return tuple(sorted(read, key=_lateness, reverse=True))


def _as_such(episode: Episode, entry: Concept | None, clock: Clock) -> Episode:
    """The episode with what its concept says of every record of it."""
    if entry is None:
        return episode
    if entry.past:
        return replace(episode, ongoing=False, was_over=True)
    if episode.ongoing and episode.end is None:
        if (goes_on := _goes_on(episode, entry, clock)) is not True:
            return replace(episode, ongoing=goes_on)
        if episode.resource_type == "MedicationRequest" and _is_older(episode, entry.orders_stand_for, clock):
            return replace(episode, is_old_order=True)
    quiet = episode.remission or entry.in_remission
    if quiet and entry.remission_asks and episode.certainty is Certainty.CONFIRMED:
        return replace(episode, remission=True, certainty=Certainty.IN_REMISSION)
    return episode


def _goes_on(episode: Episode, entry: Concept, clock: Clock) -> bool | None:
    """Whether something of which nobody wrote down the end goes on, as far as such a thing can."""
    if _is_older(episode, entry.lasts_at_most, clock):
        return False
    if entry.acute_for and episode.remission:
        return False
    if not episode.has_status and (_is_older(episode, entry.acute_for, clock) or _is_undated(episode, entry)):
        return None
    return True


def _is_older(episode: Episode, length: str | None, clock: Clock) -> bool:
    began = episode.start or episode.recorded
    return length is not None and began is not None and clock.is_over(clock.after(began, parse_period(length)))


def _is_undated(episode: Episode, entry: Concept) -> bool:
    return entry.acute_for is not None and episode.start is None and episode.recorded is None


def _in_unit_of(asked: Concept, entry: Concept) -> Concept:
    """The concept that was found, read in the unit of the one that was asked for."""
    if asked is entry or asked.unit in (None, entry.unit):
        return entry
    return entry.model_copy(update={"unit": asked.unit, "plausible": asked.plausible})


_FLOW = "oxygen-flow"


@dataclass
class _Oxygen:
    """Whether the chart has the patient under oxygen at a time."""

    index: Index
    _therapies: Sequence[Episode] | None = None
    _flows: Sequence[Moment] | None = None

    def __call__(self, moment: Moment) -> bool:
        if self._therapies is None:
            each = (_episodes(name, self.index.episodes, self.index) for name in OXYGEN_THERAPIES)
            self._therapies = list(chain.from_iterable(each))
        if any(_covers(episode, moment) for episode in self._therapies):
            return True
        if self._flows is None:
            self._flows = list(self._times_of_flow())
        return any(_meet(flow, moment) for flow in self._flows)

    def _times_of_flow(self) -> Iterator[Moment]:
        """When a flow of oxygen was measured, as an Observation of its own."""
        concept = self.index.catalogue.concepts.get(_FLOW)
        reader = observations.ResultReader(self.index.person, self.index.clock, lambda _: False)
        for found, _ in self.index.results.get(_FLOW, ()):
            if concept and found.component is None:
                flow = reader.result_of(found, _FLOW, concept)
                if flow.taken and _flows(flow):
                    yield flow.taken


def _flows(flow: Result) -> bool:
    return flow.value is not None and flow.value.low is not None and flow.value.low > 0


def _meet(one: Moment, other: Moment) -> bool:
    return one.earliest <= other.latest and other.earliest <= one.latest


def _covers(episode: Episode, moment: Moment) -> bool:
    """Whether something lasted at that time, as far as the record says; what only happened lasted for its day."""
    if episode.start is None or episode.start.earliest > moment.latest:
        return False
    if episode.end is not None and episode.end.latest > episode.start.latest:
        return episode.end.latest >= moment.earliest
    return episode.ongoing is True or episode.start.last_day >= moment.first_day


Indexed = tuple[observations.Found, str]


def newest_first(found: Sequence[Indexed], clock: Clock) -> Iterator[list[Indexed]]:
    """Groups of records of one date: everything in a group is newer than everything in the next. Undated ones last.

    Dates written alike, down to the zone, sort as text; only a mixture is parsed.
    """
    if not found:
        return
    texts = [date_text(item.observation) or "" for item, _ in found]
    keys: Sequence[str] | Sequence[tuple[datetime, datetime]] = texts
    if not _written_alike(texts):
        moments = [clock.moment(text) for text in texts]
        keys = [(m.latest, m.earliest) if m else (_LONG_AGO, _LONG_AGO) for m in moments]
    order = sorted(range(len(found)), key=keys.__getitem__, reverse=True)
    for _, places in groupby(order, key=keys.__getitem__):
        yield [found[place] for place in places]


def _written_alike(texts: Sequence[str]) -> bool:
    """Whether these dates have one form (a day, or an instant to the second) and, if instants, one zone."""
    length, tail = len(texts[0]), texts[0][19:]
    # A comma for the decimal point, a space for the T and other liberties are parsed.
    one_form = length == 10 or (tail in ("Z", "z") or (len(tail) == 6 and tail[0] in "+-"))
    return one_form and all(
        len(text) == length and text[19:] == tail and text[4] == text[7] == "-" and text[10:11] == texts[0][10:11]
        for text in texts
    )


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _speaks(result: Result, member: str, concept: str, catalogue: Catalogue) -> bool:
    """One negative antibody of a panel says nothing of the panel; a positive one does."""
    return member == concept or not catalogue.concepts[concept].panel or result.polarity is Polarity.POSITIVE


def _newness(
    result: Result, observation: fhir.Observation, clock: Clock
) -> tuple[datetime, datetime, datetime, str, str]:
    taken, issued = result.taken, clock.moment(observation.issued)
    return (
        taken.latest if taken else _LONG_AGO,
        taken.earliest if taken else _LONG_AGO,
        issued.latest if issued else _LONG_AGO,
        (observation.meta.last_updated if observation.meta else None) or "",
        result.source,
    )


def _lateness(episode: Episode) -> tuple[datetime, str]:
    moment = episode.start or episode.recorded
    return (moment.latest if moment else _LONG_AGO, episode.source)
