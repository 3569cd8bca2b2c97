"""Every way in which one word of a definition could be wrong, one at a time.

A mutant is a definition in which exactly one thing was changed: a number by one step of its last written digit, a
comparator, a unit, a length of time, a combinator, a polarity, what silence means, a guard, a gate. What only words
for people can say (questions, titles, steps) is not changed: no chart can tell the difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from trial_defs.definition import language as w

_NUMBER = r"-?\d+(?:\.\d+)?"
_LIMIT = re.compile(
    rf"^(<=|>=|<|>)(?: ({_NUMBER}))? (ULN|LLN|(?!ULN|LLN)\S+)(?: \+ ({_NUMBER}) (\S+))?$",
    re.ASCII,
)
_RANGE = re.compile(rf"^({_NUMBER})\.\.({_NUMBER}) (\S+)$", re.ASCII)
_PERIOD = re.compile(r"^(\d+) (h|d|wk|mo|a)$", re.ASCII)
_STRICTER = {">=": ">", ">": ">=", "<=": "<", "<": "<="}
_FLIPPED = {">=": "<", ">": "<=", "<=": ">", "<": ">="}
# The slip that a laboratory's unit invites; a unit that is not here has no neighbour that would be taken for it.
_UNITS: Mapping[str, str] = {
    "g/L": "g/dL",
    "mg/dL": "g/dL",
    "mg/L": "mg/dL",
    "mg/d": "g/d",
    "g/(24.h)": "mg/(24.h)",
    "g/g": "mg/g",
    "10*9/L": "10*6/L",
    "mL/min": "mL/s",
    "ms": "s",
    "s": "ms",
    "mm/h": "cm/h",
    "%": "1",
    "a": "mo",
    "ULN": "LLN",
    "LLN": "ULN",
}
_LONGER = {"h": "d", "d": "wk", "wk": "mo", "mo": "a", "a": "mo"}

Changed = tuple[str, w.Words]  # what was changed, in words; the expression after it
_Model = TypeVar("_Model", bound=w._Words)


def changed_criteria(words: w.CriterionWords) -> Iterator[tuple[str, w.CriterionWords]]:
    """The criterion with one thing changed: its side, its guard, or a word of what it asks."""
    side = "include" if words.include is not None else "exclude"
    asked = words.include or words.exclude
    assert asked is not None
    if decides(asked):
        other = "exclude" if side == "include" else "include"
        yield f"{side} -> {other}", _with(words, **{side: None, other: asked})
    for what, expression in changed(asked):
        yield what, _with(words, **{side: expression})
    if words.only_if is not None:
        yield "only_if dropped", _with(words, only_if=None)
        yield "only_if turned round", _with(words, only_if=negated(words.only_if))
        for what, guard in changed(words.only_if):
            yield f"only_if: {what}", _with(words, only_if=guard)
    if words.near:
        yield f"near {words.near} dropped", _with(words, near="none")


def changed_gates(gate: w.Words) -> Iterator[Changed]:
    """The gate of a cohort with one thing changed, and a gate that everyone passes."""
    yield "gate left open", w.AnyVerb(any=(gate, negated(gate), w.AgeVerb(age=_age(">= 0 a"))))
    yield from changed(gate)


def decides(words: w.Words) -> bool:
    """Whether data have any say in it; a question for a person stays one on either side."""
    match words:
        case w.JudgementVerb() | w.ConsentVerb():
            return False
        case w.AllVerb() | w.AnyVerb() | w.AtLeastVerb() | w.NotVerb():
            return any(decides(part) for part in parts(words))
        case _:
            return True


def parts(words: w.Words) -> tuple[w.Words, ...]:
    match words:
        case w.AllVerb():
            return words.all
        case w.AnyVerb():
            return words.any
        case w.AtLeastVerb():
            return words.at_least.of
        case w.NotVerb():
            return (words.not_,)
        case _:
            return ()


def negated(words: w.Words) -> w.Words:
    return w.NotVerb.model_validate({"not": words})


def changed(words: w.Words) -> Iterator[Changed]:
    """The expression with one thing changed, at any depth."""
    match words:
        case w.AllVerb():
            yield from _combination("all", words.all, lambda p: w.AllVerb(all=p))
            if len(words.all) > 1:
                yield "all -> any", w.AnyVerb(any=words.all)
        case w.AnyVerb():
            yield from _combination("any", words.any, lambda p: w.AnyVerb(any=p))
            if len(words.any) > 1:
                yield "any -> all", w.AllVerb(all=words.any)
        case w.AtLeastVerb():
            yield from _at_least(words.at_least)
        case w.NotVerb():
            yield "not dropped", words.not_
            yield from ((what, negated(part)) for what, part in changed(words.not_))
        case w.AgeVerb():
            yield from ((f"age: {what}", w.AgeVerb(age=_age(text))) for what, text in limits(words.age.is_))
        case w.SexVerb():
            other = "male" if words.sex == "female" else "female"
            yield f"sex {words.sex} -> {other}", w.SexVerb.model_validate({"sex": other})
        case w.ValueVerb():
            yield from ((what, w.ValueVerb(value=v)) for what, v in _values(words.value))
        case w.ChangeVerb():
            yield from ((f"{words.change.of}: {what}", w.ChangeVerb(change=v)) for what, v in _changes(words.change))
        case w.ConditionVerb():
            name = words.condition.is_
            yield from ((f"{name}: {what}", w.ConditionVerb(condition=v)) for what, v in _conditions(words.condition))
        case w.TreatmentVerb():
            of = words.treatment.of
            name = of if isinstance(of, str) else f"{of[0]}, ..." if len(of) > 1 else of[0]
            yield from ((f"{name}: {what}", w.TreatmentVerb(treatment=v)) for what, v in _treatments(words.treatment))
        case w.JudgementVerb() | w.ConsentVerb():
            pass


def _age(text: str) -> w.AgeWords:
    return w.AgeWords.model_validate({"is": text})


def _with(words: _Model, **update: Any) -> _Model:
    return words.model_copy(update=update)


def _combination(
    verb: str, among: tuple[w.Words, ...], build: Callable[[tuple[w.Words, ...]], w.Words]
) -> Iterator[Changed]:
    """Each part left out, and each part changed where it stands."""
    for i, part in enumerate(among):
        before, after = among[:i], among[i + 1 :]
        if len(among) > 1:
            yield f"{verb}: {_name(part)} left out", build((*before, *after))
        for what, other in changed(part):
            yield what, build((*before, other, *after))


def _name(words: w.Words) -> str:
    """A part of a combination, told briefly."""
    match words:
        case w.ValueVerb():
            return f"{words.value.of} {words.value.is_}"
        case w.ChangeVerb():
            return f"change of {words.change.of} {words.change.is_}"
        case w.ConditionVerb():
            return words.condition.is_
        case w.TreatmentVerb():
            return words.treatment.of if isinstance(words.treatment.of, str) else ", ".join(words.treatment.of)
        case w.AgeVerb():
            return f"age {words.age.is_}"
        case w.SexVerb():
            return words.sex
        case w.JudgementVerb():
            return f'"{words.judgement.ask}"'
        case w.ConsentVerb():
            return f'"{words.consent}"'
        case _:
            return f"({'; '.join(_name(part) for part in parts(words))})"


def _at_least(words: w.AtLeastWords) -> Iterator[Changed]:
    for n in (words.n - 1, words.n + 1):
        if 1 <= n <= len(words.of):
            yield f"at least {words.n} -> {n}", w.AtLeastVerb(at_least=w.AtLeastWords(n=n, of=words.of))

    def build(of: tuple[w.Words, ...]) -> w.Words:
        return w.AtLeastVerb(at_least=w.AtLeastWords(n=min(words.n, len(of)), of=of))

    yield from _combination("at_least", words.of, build)


def _values(words: w.ValueWords) -> Iterator[tuple[str, w.ValueWords]]:
    yield from ((f"{words.of}: {what}", _with(words, is_=text)) for what, text in limits(words.is_))
    yield from ((f"{words.of} {words.is_}: {what}", other) for what, other in _chosen(words))


def _chosen(words: w.ValueWords) -> Iterator[tuple[str, w.ValueWords]]:
    """Which results speak: their window, which of them, how many, and what silence means."""
    yield from _periods(words, "within", "stable_for", "apart")
    other: str = "any" if words.pick == "latest" else "latest"
    yield f"pick {words.pick} -> {other}", _with(words, pick=other)
    for runs in (words.runs - 1, words.runs + 1):
        if runs >= 1 and words.pick == "latest":
            yield f"runs {words.runs} -> {runs}", _with(words, runs=runs)
    if words.clear_of:
        yield "clear_of dropped", _with(words, clear_of=None)
        for what, clear in _clears(words.clear_of):
            yield f"clear_of: {what}", _with(words, clear_of=clear)
    if words.at_least:
        yield "at_least and after dropped", _with(words, at_least=None, after=None)
        for what, text in lengths(words.at_least):
            yield f"at_least {what}", _with(words, at_least=text)
    yield from _events(words)
    yield from _absent(words)


def _clears(words: w.ClearWords) -> Iterator[tuple[str, w.ClearWords]]:
    yield from ((f"for {what}", _with(words, for_=text)) for what, text in lengths(words.for_))
    yield from ((f"{name} left out", _with(words, of=others)) for name, others in _one_less(words.of))


def _one_less(names: w.Names) -> Iterator[tuple[str, tuple[str, ...]]]:
    if not isinstance(names, str) and len(names) > 1:
        yield from ((name, tuple(n for n in names if n != name)) for name in names)


def _events(words: _Model) -> Iterator[tuple[str, _Model]]:
    """The window on another side of its event, from today, and with one event less."""
    sides = ("before", "after", "around")
    for side in sides:
        event: w.AnchorWords | None = getattr(words, side)
        if event is None:
            continue
        for other in sides:
            changed_to = {side: None, other: event} if other != side else {side: None}
            yield f"{side} -> {other if other != side else 'today'}", _with(words, **changed_to)
        for kind in ("result", "onset", "start"):
            for name, others in _one_less(getattr(event, kind) or ""):
                yield f"{side}: {name} left out", _with(words, **{side: _with(event, **{kind: others})})


def _changes(words: w.ChangeWords) -> Iterator[tuple[str, w.ChangeWords]]:
    yield from ((what, _with(words, is_=text)) for what, text in limits(words.is_))
    yield from ((f"over {what}", _with(words, over=text)) for what, text in lengths(words.over))


def _conditions(words: w.ConditionWords) -> Iterator[tuple[str, w.ConditionWords]]:
    yield from ((what, _with(words, when=text)) for what, text in _whens(words.when, "active"))
    yield from _periods(words, "began_within", "lasting")
    for name in words.excepting:
        yield f"excepting {name} dropped", _with(words, excepting=tuple(n for n in words.excepting if n != name))
    yield from _events(words)
    yield from _absent(words)


def _treatments(words: w.TreatmentWords) -> Iterator[tuple[str, w.TreatmentWords]]:
    yield from ((what, _with(words, when=text)) for what, text in _whens(words.when, "current"))
    yield from _periods(words, "lasting")
    for different in (words.different - 1, words.different + 1):
        if different >= 1:
            yield f"different {words.different} -> {different}", _with(words, different=different)
    if not isinstance(words.of, str) and len(words.of) > 1:
        for name in words.of:
            yield f"{name} left out", _with(words, of=tuple(n for n in words.of if n != name))
    yield from _events(words)
    yield from _absent(words)


def _absent(words: _Model) -> Iterator[tuple[str, _Model]]:
    silence = getattr(words, "absent")  # noqa: B009
    other = "presume" if silence == "ask" else "ask"
    yield f"absent {silence} -> {other}", _with(words, absent=other)


def _periods(words: _Model, *names: str) -> Iterator[tuple[str, _Model]]:
    """Each length of time that is given, a step longer and shorter, in the wrong unit, and left out."""
    for name in names:
        text: str | None = getattr(words, name)
        if text is not None:
            yield f"{name} {text} dropped", _with(words, **{name: None})
            yield from ((f"{name} {what}", _with(words, **{name: other})) for what, other in lengths(text))


def _whens(when: str, now: str) -> Iterator[tuple[str, str]]:
    if when.startswith("within "):
        yield from ((f"when within {what}", f"within {text}") for what, text in lengths(when.removeprefix("within ")))
    others: Sequence[str] = [text for text in (now, "ever") if text != when]
    yield from ((f"when {when} -> {other}", other) for other in others)


def lengths(text: str) -> Iterator[tuple[str, str]]:
    """A length of time one step shorter and longer, and in the neighbouring unit."""
    match = _PERIOD.match(text)
    assert match, text
    count, unit = int(match[1]), match[2]
    for other in (f"{count - 1} {unit}", f"{count + 1} {unit}", f"{count} {_LONGER[unit]}"):
        if not other.startswith("0 "):
            yield f"{text} -> {other}", other


def limits(text: str) -> Iterator[tuple[str, str]]:
    """A limit with its number, comparator, unit or polarity changed."""
    if text in ("positive", "negative"):
        other = "negative" if text == "positive" else "positive"
        yield f"{text} -> {other}", other
    elif match := _RANGE.match(text):
        low, high, unit = match.groups()
        ends = [f"{n}..{high}" for n in steps(low)] + [f"{low}..{n}" for n in steps(high)]
        yield from ((f"{text} -> {end} {unit}", f"{end} {unit}") for end in ends)
        yield from ((f"{text} -> {end}", end) for end in (f">= {low} {unit}", f"<= {high} {unit}"))
    else:
        yield from ((f"{text} -> {other}", other) for other in _bounds(text))


def _bounds(text: str) -> Iterator[str]:
    match = _LIMIT.match(text)
    assert match, text
    comparator, number, unit, plus, plus_unit = match.groups()
    added = f" + {plus} {plus_unit}" if plus else ""

    def limit(comparator: str, number: str | None, unit: str, added: str) -> str:
        return " ".join(part for part in (comparator, number, unit) if part) + added

    for other in (_STRICTER[comparator], _FLIPPED[comparator]):
        yield limit(other, number, unit, added)
    for stepped in steps(number or "1.0"):
        yield limit(comparator, stepped, unit, added)
    if unit in _UNITS:
        yield limit(comparator, number, _UNITS[unit], added)
    if plus:
        yield limit(comparator, number, unit, "")
        yield from (limit(comparator, number, unit, f" + {n} {plus_unit}") for n in steps(plus))
        if plus_unit in _UNITS:
            yield limit(comparator, number, unit, f" + {plus} {_UNITS[plus_unit]}")


def steps(number: str) -> tuple[str, str]:
    """The number one step of its last written digit lower and higher: 25 -> 24, 26; 1.5 -> 1.4, 1.6."""
    step = Decimal(1).scaleb(int(Decimal(number).as_tuple().exponent))
    return str(Decimal(number) - step), str(Decimal(number) + step)
