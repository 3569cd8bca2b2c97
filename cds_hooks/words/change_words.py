"""What changed between two versions of a definition, in a coordinator's words: "limit: at least 50, now at least 25".

Plain text throughout; whoever puts it into HTML or on a screen escapes it there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from cds_hooks.words.numbers import period_words
from cds_hooks.words.paraphrase import near_miss_words, paraphrase, test_words
from cds_hooks.words.wording import Titles, subject_words
from mappings.time.times import Period
from trial_defs.definition import expressions as x
from trial_defs.definition.changes import Changes, CohortChange, CriterionChange, Difference, Renewed

Kind = Literal["new", "gone", "changed", "reworded"]
KINDS: Mapping[Kind, str] = {
    "new": "new", "gone": "no longer asked", "changed": "asks something else", "reworded": "only worded otherwise",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChangedCriterion:
    """One criterion: its text in the newer version (in the older where it is gone), and a line for each difference."""

    id: str
    text: str
    kind: Kind
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangedVersion:
    """Everything that a version changed against the one before it; the criteria that decide otherwise come first."""

    version: int
    since: int
    read_on: str
    about: tuple[str, ...]
    criteria: tuple[ChangedCriterion, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.about or self.criteria)


def changed_words(changes: Changes, titles: Titles) -> ChangedVersion:
    """The changes, said."""
    about = [*map(_renewed, changes.about), *(line for c in changes.cohorts for line in _cohort(c, titles))]
    criteria = [_criterion(change, titles) for change in changes.criteria]
    order = list(KINDS)
    criteria.sort(key=lambda each: order.index(each.kind) == len(order) - 1)
    after = changes.after
    return ChangedVersion(after.version, changes.before.version, after.read_on, tuple(about), tuple(criteria))


def _renewed(change: Renewed) -> str:
    is_site = change.what.startswith("site ")
    if is_site and change.before is None:
        return f"New {change.what} ({_plain(change.after)})"
    if is_site and change.after is None:
        return f"{_upper(change.what)} is no longer listed"
    return f"{_upper(change.what)}: {_plain(change.before)}, now {_plain(change.after)}"


def _plain(text: str | None) -> str:
    return text.replace("-", " ") if text and text.islower() else text or "not stated"


def _cohort(change: CohortChange, titles: Titles) -> Iterator[str]:
    match change.what:
        case "added":
            yield f"New cohort: {change.title}"
        case "removed":
            yield f"Cohort {change.title} is gone"
        case "opened" | "closed":
            yield f"Cohort {change.title} is {'open' if change.what == 'opened' else 'closed'} now"
        case "gate":
            yield from (f"Who is asked for {change.title}: {line}" for line in _differences(change.gate, titles))


def _criterion(change: CriterionChange, titles: Titles) -> ChangedCriterion:
    shown = change.after or change.before
    assert shown
    if change.before is None:
        return ChangedCriterion(change.id, shown.text, "new", (_asked(shown, titles),))
    if change.after is None:
        return ChangedCriterion(change.id, shown.text, "gone", (_asked(shown, titles),))
    lines = (*_deciding(change, change.before, change.after, titles), *_worded(change.before, change.after))
    kind: Kind = "changed" if change.decides_otherwise or change.joined or change.left else "reworded"
    return ChangedCriterion(change.id, shown.text, kind, lines)


def _asked(criterion: x.Criterion, titles: Titles) -> str:
    side = "Required" if criterion.kind == "inclusion" else "Excluded"
    return f"{side}: {paraphrase(criterion.asks, titles).flat()}"


def _deciding(change: CriterionChange, before: x.Criterion, after: x.Criterion, titles: Titles) -> Iterator[str]:
    if before.kind != after.kind:
        yield f"Was an {before.kind}, is an {after.kind} now"
    yield from _differences(change.asks, titles)
    yield from (f"Asked only if: {line}" for line in _differences(change.only_if, titles))
    if change.joined:
        yield f"Also asked in {', '.join(change.joined)}"
    if change.left:
        yield f"No longer asked in {', '.join(change.left)}"


def _worded(before: x.Criterion, after: x.Criterion) -> Iterator[str]:
    for what, old, new in (
        ("Text", before.text, after.text),
        ("Place in the source", before.source, after.source),
        ("Reading of an unclear passage", before.reading, after.reading),
        ("To do", before.step, after.step),
    ):
        if old != new:
            yield f"{what}: “{old}”, now “{new}”" if old and new else f"{what}: {_said(old, new)}"
    if before.shows != after.shows:
        yield "Other records are shown beside it"


def _said(old: str | None, new: str | None) -> str:
    return f"“{new}”, new" if new else f"“{old}”, no longer given"


# -- expressions


def _differences(found: Iterable[Difference], titles: Titles) -> Iterator[str]:
    for each in found:
        yield from _difference(each.before, each.after, titles)


def _difference(before: x.Expression | None, after: x.Expression | None, titles: Titles) -> Iterator[str]:
    if before is None or after is None:
        part = after or before
        assert part
        yield f"{'Added' if after else 'Taken out'}: {paraphrase(part, titles).flat()}"
        return
    small = list(_within_a_leaf(before, after))
    if small:
        yield f"{subject_words(after, titles)} – {'; '.join(small)}"
        return
    old, new = paraphrase(before, titles).flat(), paraphrase(after, titles).flat()
    yield f"Was “{old}”, now “{new}”" if old != new else f"{new}: {_near(before)}, now {_near(after)}"


def _near(expression: x.Expression) -> str:
    words = near_miss_words(expression)
    return f"a near miss {words}" if words else "no near miss"


_SAID_OF_VALUES = frozenset({"test", "within", "current_for", "pick", "tolerance", "tolerance_percent"})
_SAID_OF_RECORDS = frozenset({"when", "within", "lasting", "began_within", "different"})


def _within_a_leaf(before: x.Expression, after: x.Expression) -> Iterator[str]:
    """What differs inside one question, where it is the same question; nothing where more than this differs."""
    match before, after:
        case x.Age(test=old), x.Age(test=new):
            yield f"limit: {test_words(old)}, now {test_words(new)}"
        case x.Value(), x.Value() if _is_same_but(before, after, _SAID_OF_VALUES):
            yield from _of_value(before, after)
        case x.Condition(), x.Condition() if _is_same_but(before, after, _SAID_OF_RECORDS):
            yield from _of_record(before, after)
        case x.Treatment(), x.Treatment() if _is_same_but(before, after, _SAID_OF_RECORDS):
            yield from _of_record(before, after)
        case _:
            return


def _of_value(before: x.Value, after: x.Value) -> Iterator[str]:
    if before.test != after.test:
        yield f"limit: {test_words(before.test)}, now {test_words(after.test)}"
    old, new = (_which(leaf) for leaf in (before, after))
    if old != new:
        yield f"{old} counted, now {new} does"
    near = _near(before), _near(after)
    if near[0] != near[1]:
        yield f"{near[0]}, now {near[1]}"


def _which(leaf: x.Value) -> str:
    period = leaf.within or leaf.current_for
    which = "the newest result" if leaf.pick == "latest" else "any result"
    return f"{which} of {_last(period)}" if period else f"{which}, however old,"


def _of_record(before: x.Condition | x.Treatment, after: x.Condition | x.Treatment) -> Iterator[str]:
    old, new = (f"within {_last(leaf.within)}" if leaf.within else _WHEN[leaf.when] for leaf in (before, after))
    if old != new:
        yield f"counts {old}, now {new}"
    for what, name in (("for at least", "lasting"), ("begun within", "began_within"), ("different ones", "different")):
        was, now = (getattr(leaf, name, None) for leaf in (before, after))
        if was != now:
            yield f"{what}: {_amount(was)}, now {_amount(now)}"


_WHEN = {"active": "while active", "current": "while current", "ever": "at any time", "within": "within the period"}


def _amount(value: Period | int | None) -> str:
    return period_words(value) if isinstance(value, Period) else str(value) if value else "not asked"


def _last(period: Period | None) -> str:
    return f"the last {period_words(period).removeprefix('1 ')}" if period else "any time"


def _is_same_but(before: x.Expression, after: x.Expression, names: Collection[str]) -> bool:
    """Whether nothing differs but these, so that what they are about is the same."""
    fields = (name for name in before.__dataclass_fields__ if name not in names)
    return all(getattr(before, name) == getattr(after, name) for name in fields)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
