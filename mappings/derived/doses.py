"""How much of a drug, or of a class of drugs, a day: in mg of one of them, summed over the records that are current."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from mappings.concepts.catalogue import Catalogue
from mappings.derived.formulas import equivalent_dose
from mappings.facts import Certainty, Dose, Episode

RECENT = timedelta(days=7)  # of what is given every day
RECENT_WEEKLY = timedelta(days=28)  # of what is given every week, or every other


@dataclass(frozen=True, slots=True)
class DailyDose:
    """mg/d of the drug or salt in which doses are counted; `low`..`high` is what the chart leaves open.

    `high` None: the chart does not say how much it may be. Of amounts in all, mg; of cycles, their number.
    """

    low: Decimal
    high: Decimal | None
    episodes: tuple[Episode, ...]  # what is counted
    note: str | None = None

    @property
    def exact(self) -> Decimal | None:
        return self.low if self.low == self.high else None


def current_dose(
    episodes: Sequence[Episode],
    catalogue: Catalogue,
    today: date,
    unread: frozenset[str] = frozenset(),
    recent: timedelta = RECENT,
) -> DailyDose:
    """What the current episodes come to today. 0 when none is current.

    `unread`: the resource types of drugs that were not read completely. Then it is only the least that it may be.
    `recent`: how long something that was given may be part of a course that no order in the chart shows.
    """
    current = [e for e in episodes if e.ongoing is not False]
    lately = [e for e in episodes if is_administration(e) and e.start and e.start.last_day >= today - recent]
    dose = _sum(current, episodes, catalogue, today, unread)
    if not current and lately:
        return DailyDose(Decimal(0), None, tuple(lately), "given lately, without an order in the chart")
    return dose


def is_administration(episode: Episode) -> bool:
    """Whether it says that the drug was given, and not that it was ordered, dispensed or reported."""
    return episode.resource_type == "MedicationAdministration"


def _sum(
    episodes: Sequence[Episode],
    every: Sequence[Episode],
    catalogue: Catalogue,
    day: date,
    unread: frozenset[str] = frozenset(),
) -> DailyDose:
    """Doses of different drugs add up; an order and a statement of the same drug are one intake, told twice.

    An order that was replaced (by one of `every`), an instance of an order and a renewal in the same words do not add
    up. Other orders of one drug may replace each other or come on top: from the larger to the sum. The most that it
    may be is open while drugs are `unread`. The least is then what was given, or what every type tells: a statement
    that is missing may say less than an order.
    """
    replaced, doubtful = _replaced(every, day)
    episodes = [episode for episode in episodes if episode.source not in replaced]
    tellings: dict[str, dict[str, list[DailyDose]]] = {}
    for episode in _told_once(episodes):
        dose = _one(episode, catalogue, day)
        by_kind = tellings.setdefault(episode.member or episode.concept, {})
        by_kind.setdefault(episode.resource_type, []).append(
            _after_replacement(dose) if episode.source in doubtful else dose
        )
    tellings = {drug: _without_old_supplies(by_kind) for drug, by_kind in tellings.items()}
    low, high = Decimal(0), Decimal(0)
    unknown, notes = False, []
    for by_kind in tellings.values():
        sums = [
            _added(_renewed(doses)) if kind == "MedicationAdministration" else _unlink(doses)
            for kind, doses in by_kind.items()
        ]
        given = _given(by_kind)
        low += given if unread - by_kind.keys() else max(min(dose.low for dose in sums), given)
        known = [dose.high for dose in sums if dose.high is not None]
        unknown = unknown or len(known) < len(sums)
        high += max(known, default=Decimal(0))
        notes += [dose.note for dose in sums if dose.note]
    if unread:
        notes.append(f"at least {low.normalize():f} mg/day, for not every drug entry could be read")
    note = "; ".join(dict.fromkeys(notes)) or None
    return DailyDose(low, None if unknown or unread else high, tuple(episodes), note)


def _without_old_supplies(by_kind: dict[str, list[DailyDose]]) -> dict[str, list[DailyDose]]:
    """Without what was dispensed before the newest order or statement of the drug, which says what is taken since."""
    others = [dose for kind, doses in by_kind.items() if kind != "MedicationDispense" for dose in doses]
    starts = [start.first_day for dose in others for episode in dose.episodes if (start := episode.start)]
    if not others or "MedicationDispense" not in by_kind:
        return by_kind
    kept = [
        dose
        for dose in by_kind["MedicationDispense"]
        for episode in dose.episodes
        if episode.ongoing and starts and episode.start and episode.start.first_day >= max(starts)
    ]
    rest = {kind: doses for kind, doses in by_kind.items() if kind != "MedicationDispense"}
    return {**rest, "MedicationDispense": kept} if kept else rest


def sum_on(day: date, episodes: Sequence[Episode], every: Sequence[Episode], catalogue: Catalogue) -> DailyDose:
    """The dose of a day on which these episodes lasted; `every` has the orders that may have replaced them."""
    return _sum(episodes, every, catalogue, day)


def _replaced(every: Sequence[Episode], day: date) -> tuple[set[str], set[str]]:
    """The sources of orders that another has replaced by that day; and of those whose replacement is not current.

    An instance order repeats the order that it is an instance of.
    """
    orders = {episode.id: episode for episode in every if episode.resource_type == "MedicationRequest"}
    gone: set[str] = set()
    doubtful: set[str] = set()
    for order in orders.values():
        if any(parent in orders and parent != order.id for parent in order.instance_of):
            gone.add(order.source)
        if not order.replaces or (order.start and order.start.first_day > day):
            continue
        stands = order.ongoing is True and order.certainty is Certainty.CONFIRMED
        stands = stands or (order.ongoing is False and is_dated(order) and covers(order, day))
        for old in (orders[name] for name in order.replaces if name in orders):
            if old is not order and order.id not in old.replaces:
                (gone if stands else doubtful).add(old.source)
    return gone, doubtful - gone


def _after_replacement(dose: DailyDose) -> DailyDose:
    return replace(dose, low=Decimal(0), note="whether it goes on after an order that replaced it is not recorded")


def _unlink(doses: Sequence[DailyDose]) -> DailyDose:
    """Orders (or statements) of one drug without a link between them: from the largest to the sum.

    Those with the same instructions of different days are renewals and count once.
    """
    alike: dict[object, dict[date | None, list[DailyDose]]] = {}
    for dose in doses:
        (episode,) = dose.episodes
        key = episode.source if episode.regimen is None else (episode.regimen, episode.forms)
        by_day = alike.setdefault(key, {})
        by_day.setdefault(episode.start.first_day if episode.start else None, []).append(dose)
    once = [dose for by_day in alike.values() for dose in max(by_day.values(), key=_weight)]
    every = _added(once)
    if len(once) == 1:
        return every
    drug = once[0].episodes[0].member or once[0].episodes[0].concept
    what = "orders" if once[0].episodes[0].resource_type == "MedicationRequest" else "entries"
    note = f"{len(once)} {what} of {drug}; whether one replaces the other is not recorded"
    return DailyDose(max(dose.low for dose in once), every.high, (), f"{note}; {every.note}" if every.note else note)


def _weight(of_day: Sequence[DailyDose]) -> tuple[int, Decimal]:
    return len(of_day), of_day[0].low


def _given(by_kind: Mapping[str, Sequence[DailyDose]]) -> Decimal:
    """What was given is certain, whatever an order leaves open."""
    return sum((dose.low for dose in _renewed(by_kind.get("MedicationAdministration", ()))), Decimal(0))


def _told_once(episodes: Iterable[Episode]) -> list[Episode]:
    """Without statements that say the same as another: a list that was taken twice is still one intake.

    So is what was given at the same minute. Two orders alike are not so: they may be one for the morning and one for
    the night.
    """
    once: dict[object, Episode] = {}
    for episode in episodes:
        alike = (
            episode.member,
            episode.forms,
            episode.dose,
            episode.start,
            episode.end,
            episode.ongoing,
            episode.certainty,
        )
        again = episode.resource_type == "MedicationStatement" or (is_administration(episode) and _has_time(episode))
        once.setdefault(alike if again else episode.source, episode)
    return list(once.values())


def _has_time(episode: Episode) -> bool:
    return episode.start is not None and episode.start.latest - episode.start.earliest < timedelta(hours=1)


def _added(doses: Iterable[DailyDose]) -> DailyDose:
    low, high, notes = Decimal(0), Decimal(0), []
    unknown = False
    for dose in doses:
        low += dose.low
        high += dose.high or Decimal(0)
        unknown = unknown or dose.high is None
        notes += [dose.note] if dose.note else []
    return DailyDose(low, None if unknown else high, (), "; ".join(dict.fromkeys(notes)) or None)


def _renewed(doses: Sequence[DailyDose]) -> list[DailyDose]:
    """Alike orders that were written on different days, as one dose each kind: from those of one day to all."""
    alike: dict[tuple[Decimal, Decimal | None], list[DailyDose]] = {}
    for dose in doses:
        alike.setdefault((dose.low, dose.high), []).append(dose)
    return [_repeated(group) if len(group) > 1 else group[0] for group in alike.values()]


def _repeated(doses: Sequence[DailyDose]) -> DailyDose:
    by_day: dict[date | None, list[DailyDose]] = {}
    for dose in doses:
        start = dose.episodes[0].start
        by_day.setdefault(start.first_day if start else None, []).append(dose)
    every = _added(doses)
    episodes = [episode for dose in doses for episode in dose.episodes]
    if len(by_day) == 1 and all(is_administration(e) and not _has_time(e) for e in episodes):
        once = max(dose.low for dose in doses)
        return DailyDose(once, every.high, (), every.note or "given alike more than once on a day, or told twice")
    if len(by_day) == 1:
        return every
    low = max(_added(of_day).low for of_day in by_day.values())
    return DailyDose(low, every.high, (), every.note or "ordered alike more than once; the later may be a renewal")


_DOUBTS = {
    Certainty.PLANNED: "whether a planned drug is taken is not recorded",
    Certainty.PROVISIONAL: "a provisional entry",
    Certainty.TEXT_ONLY: "an entry without a code that is known",
    Certainty.IN_REMISSION: "an entry that is in remission",
}


def _one(episode: Episode, catalogue: Catalogue, day: date) -> DailyDose:
    """The dose of one episode, or the range that is left open, and what leaves it open."""
    pairs = _equivalents(episode, catalogue)
    dose = episode.dose_on(day) or Dose(None, None)
    if not pairs:
        name = catalogue.title(episode.concept).split(",")[0]
        return DailyDose(Decimal(0), None, (episode,), f"which {name[:1].lower()}{name[1:]} is not recorded")
    high = max(equivalent_dose(dose.high, *pair) for pair in pairs) if dose.high is not None else None
    if episode.certainty is not Certainty.CONFIRMED:
        return DailyDose(Decimal(0), high, (episode,), _DOUBTS[episode.certainty])
    if episode.ongoing is None:
        return DailyDose(
            Decimal(0), high, (episode,), episode.contradiction or "whether it is still taken is not recorded"
        )
    low = min(equivalent_dose(dose.low, *pair) for pair in pairs) if dose.low is not None else Decimal(0)
    note = dose.note or ("taken as needed" if dose.as_needed else "dose not recorded" if high is None else None)
    note = note or ("which salt or form its dose counts is not recorded" if low != high else None)
    return DailyDose(low, high, (episode,), note)


def _equivalents(episode: Episode, catalogue: Catalogue) -> Sequence[tuple[Decimal, Decimal]]:
    """What its mg may equal in the reference: several pairs where the record leaves open in which form it is dosed.

    None where the drug has no known forms.
    """
    entry = catalogue.concepts.get(episode.member or "")
    if entry is None:
        return ()
    known = entry.equivalents
    names = episode.forms or entry.form_unstated or tuple(known)
    return [known[name] for name in names if name in known] or list(known.values())


def past_doses(
    episodes: Sequence[Episode], catalogue: Catalogue, today: date, unread: frozenset[str] = frozenset()
) -> Iterator[tuple[date, DailyDose]]:
    """The dose of earlier days, each on the last day that it stood, newest first; only where one is surely recorded.

    `unread` as in `current_dose`. What has no exact dates may have come on top: it leaves the dose open upwards, and
    proves none.
    """
    dated = [episode for episode in episodes if is_dated(episode)]
    others = [episode for episode in episodes if not is_dated(episode)]
    ends = {e.end.last_day for e in dated if e.end and e.ongoing is False}
    ends |= {e.start.first_day - timedelta(1) for e in dated if e.start}
    ends |= {step.last for e in dated for step in e.steps if step.last}
    for day in sorted((day for day in ends if day < today), reverse=True):
        dose = _sum([e for e in dated if covers(e, day)], episodes, catalogue, day, unread)
        if dose.low > 0:
            yield day, replace(dose, high=None) if any(covers(e, day) for e in others) else dose


def changed_since(day: date, episodes: Sequence[Episode], catalogue: Catalogue, today: date) -> bool | None:
    """Whether the dose of any day after `day`, up to today, differs from that day's; None where one is not known."""
    if any(_may_touch(episode, day) for episode in episodes if not is_dated(episode)):
        return None
    days = {day, today}
    for episode in episodes:
        if episode.start:
            days.add(episode.start.first_day)
        if episode.end and episode.ongoing is False:
            days.add(episode.end.last_day + timedelta(1))
        days |= {step.first for step in episode.steps if step.first}
    doses = [
        _sum([e for e in episodes if covers(e, one)], episodes, catalogue, one).exact
        for one in sorted(days)
        if day <= one <= today
    ]
    known = {dose for dose in doses if dose is not None}
    if len(known) > 1:
        return True
    return None if None in doses else False


def is_dated(episode: Episode) -> bool:
    """Whether its first day is known, and its last one where it is over."""
    if episode.start is None or not episode.start.is_one_day:
        return False
    return episode.ongoing is not False or (episode.end is not None and episode.end.is_one_day)


def _may_touch(episode: Episode, day: date) -> bool:
    """Whether an episode whose dates are not exact may have begun or ended after `day`."""
    began_before = episode.start is not None and episode.start.last_day <= day
    if episode.ongoing:
        return not began_before
    return episode.end is None or episode.end.last_day > day


def covers(episode: Episode, day: date) -> bool:
    """Whether it lasted, or may have lasted, on that day."""
    if episode.start and episode.start.first_day > day:
        return False
    return episode.ongoing is not False or episode.end is None or episode.end.last_day >= day
