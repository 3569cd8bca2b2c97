"""What changed between two versions of a definition: criterion by criterion, by id, down to the smallest part.

Pure values; `cds_hooks/words/change_words.py` says them. Both versions are compiled with the same concepts, so that a
concept's own change is none of the definition's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trial_defs.definition import expressions as x


@dataclass(frozen=True, slots=True)
class Renewed:
    """One thing about the trial that is said otherwise; None where it was or is not stated."""

    what: str  # "status", "completion date", "site Charité, Berlin", "title"
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Recruitment:
    """Who recruits: status, completion date, and the status of each site under its name and city."""

    status: str | None
    completion: str | None
    sites: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """The smallest part of an expression that is another; None where there was none, or is none any more."""

    before: x.Expression | None
    after: x.Expression | None


@dataclass(frozen=True, slots=True)
class CriterionChange:
    """`before` None: it is new; `after` None: it is gone. `joined` and `left`: cohorts that ask it now, or no more."""

    id: str
    before: x.Criterion | None
    after: x.Criterion | None
    asks: tuple[Difference, ...] = ()
    only_if: tuple[Difference, ...] = ()
    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def decides_otherwise(self) -> bool:
        """Whether an outcome can differ by it; else it is only worded, read or placed otherwise."""
        sides = {each.kind for each in (self.before, self.after) if each}
        return bool(len(sides) != 1 or None in (self.before, self.after) or self.asks or self.only_if)


@dataclass(frozen=True, slots=True)
class CohortChange:
    id: str
    title: str
    what: Literal["added", "removed", "opened", "closed", "gate"]
    gate: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs from an earlier version to a later one."""

    before: x.Trial
    after: x.Trial
    about: tuple[Renewed, ...]
    cohorts: tuple[CohortChange, ...]
    criteria: tuple[CriterionChange, ...]

    def __bool__(self) -> bool:
        return bool(self.about or self.cohorts or self.criteria)


def changes(before: x.Trial, after: x.Trial) -> Changes:
    """From one version of a trial to another, in the order of the newer text; what is gone stands last."""
    about = (*_about(before, after), *recruiting_changes(_recruitment(before), _recruitment(after)))
    return Changes(before, after, about, tuple(_cohorts(before, after)), tuple(_criteria(before, after)))


# -- the trial


def recruiting_changes(before: Recruitment, after: Recruitment) -> Iterator[Renewed]:
    """What is said otherwise about recruiting."""
    for what, old, new in (
        ("status", before.status, after.status),
        ("completion date", before.completion, after.completion),
    ):
        if old != new:
            yield Renewed(what, old, new)
    for site in sorted(before.sites.keys() | after.sites.keys()):
        if before.sites.get(site) != after.sites.get(site):
            yield Renewed(f"site {site}", before.sites.get(site), after.sites.get(site))


def _recruitment(trial: x.Trial) -> Recruitment:
    sites = {f"{site.name}, {site.city}": str(site.status) for site in trial.sites}
    return Recruitment(trial.status, trial.overdue_after, sites)


def _about(before: x.Trial, after: x.Trial) -> Iterator[Renewed]:
    told = {"title": "title", "short_title": "short title", "sponsor": "sponsor", "phase": "phase",
            "registry_url": "registry entry", "document": "source", "read_on": "day of reading the source"}  # fmt: skip
    for name, what in told.items():
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield Renewed(what, old, new)


# -- cohorts


def _cohorts(before: x.Trial, after: x.Trial) -> Iterator[CohortChange]:
    old = {cohort.id: cohort for cohort in before.cohorts}
    for cohort in after.cohorts:
        earlier = old.pop(cohort.id, None)
        if earlier is None:
            yield CohortChange(cohort.id, cohort.title, "added")
            continue
        if earlier.open is not cohort.open:
            yield CohortChange(cohort.id, cohort.title, "opened" if cohort.open else "closed")
        if gate := tuple(differences(earlier.gate, cohort.gate)):
            yield CohortChange(cohort.id, cohort.title, "gate", gate)
    for cohort in old.values():
        yield CohortChange(cohort.id, cohort.title, "removed")


# -- criteria


def _criteria(before: x.Trial, after: x.Trial) -> Iterator[CriterionChange]:
    old, new = _by_id(before), _by_id(after)
    both = {cohort.id for cohort in before.cohorts} & {cohort.id for cohort in after.cohorts}
    for name in (*new, *(name for name in old if name not in new)):
        was, asked_before = old.get(name, (None, ()))
        now, asked_now = new.get(name, (None, ()))
        if was is None or now is None:
            yield CriterionChange(name, was, now)
            continue
        change = CriterionChange(
            name,
            was,
            now,
            asks=tuple(differences(was.asks, now.asks)),
            only_if=tuple(differences(was.only_if, now.only_if)),
            joined=_without(asked_now, asked_before, both),
            left=_without(asked_before, asked_now, both),
        )
        if _told(was) != _told(now) or change.joined or change.left:
            yield change


def _by_id(trial: x.Trial) -> dict[str, tuple[x.Criterion, tuple[str, ...]]]:
    """Each criterion once, with the cohorts that ask it."""
    found: dict[str, tuple[x.Criterion, tuple[str, ...]]] = {}
    for cohort in trial.cohorts:
        for criterion in cohort.criteria:
            first, cohorts = found.get(criterion.id, (criterion, ()))
            found[criterion.id] = (first, (*cohorts, cohort.id))
    return found


def _without(cohorts: Sequence[str], others: Sequence[str], both: Iterable[str]) -> tuple[str, ...]:
    """A cohort that is itself new or gone is said once, and not at each of its criteria."""
    return tuple(name for name in cohorts if name in both and name not in others)


def _told(criterion: x.Criterion) -> tuple[object, ...]:
    """What a reader of the definition is told of it."""
    return (criterion.kind, criterion.asks, criterion.only_if, criterion.text, criterion.source, criterion.reading,
            criterion.step, criterion.shows)  # fmt: skip


# -- expressions


def differences(before: x.Expression | None, after: x.Expression | None) -> Iterator[Difference]:
    """The smallest parts that differ: two combinations of one kind are compared part by part, whatever their order."""
    if before == after:
        return
    match before, after:
        case (x.All(parts=old_parts), x.All(parts=new_parts)) | (x.AnyOf(parts=old_parts), x.AnyOf(parts=new_parts)):
            yield from _parts(old_parts, new_parts)
        case x.Not(part=old), x.Not(part=new):
            yield from differences(old, new)
        case x.AtLeast(count=old_count), x.AtLeast(count=new_count) if old_count == new_count:
            yield from _parts(before.parts, after.parts)
        case _:
            yield Difference(before, after)


def _parts(before: Sequence[x.Expression], after: Sequence[x.Expression]) -> Iterator[Difference]:
    gone = [part for part in before if part not in after]
    for part in (part for part in after if part not in before):
        like = next((old for old in gone if _about_the_same(old, part)), None)
        if like is not None:
            gone.remove(like)
        yield from differences(like, part)
    for part in gone:
        yield Difference(part, None)


def _about_the_same(one: x.Expression, other: x.Expression) -> bool:
    """Whether one may have become the other: the same kind of question about the same concepts."""
    if type(one) is not type(other):
        return False
    return bool(x.parts_of(one)) or isinstance(one, x.Judgement) or x.concepts_of(one) == x.concepts_of(other)
