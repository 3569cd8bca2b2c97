"""How a criterion is computed, in plain words generated from its definition: never written by hand, so never wrong.

"Platelets at least 25 × 10⁹/L, newest result, at most 90 days old." The words follow
`trial_defs/definition/expressions.py` leaf by leaf; whoever puts them into HTML escapes them there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from cds_hooks.words.numbers import number_words, period_words, quantity_words, unit_words
from cds_hooks.words.wording import Titles
from mappings.facts import Polarity
from mappings.time.times import Period
from trial_defs.definition import expressions as x

_COMPARED = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}
_LIMITS = {"ULN": "the upper limit of normal", "LLN": "the lower limit of normal"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """One line, and the lines that are under it where it combines several."""

    text: str
    parts: tuple[Phrase, ...] = ()

    def flat(self) -> str:
        """The phrase in one line, brackets around what is nested."""
        if not self.parts:
            return self.text
        pieces = [f"({part.flat()})" if part.parts else part.flat() for part in self.parts]
        return f"{self.text}: {'; '.join(pieces)}"


def paraphrase(expression: x.Expression, titles: Titles) -> Phrase:
    """What is asked, from the outside in. An exclusion is said as the text says it: the bad thing, plainly."""
    match expression:
        case x.All():
            return _several("All of these", expression.parts, titles)
        case x.AnyOf():
            return _several("At least one of these", expression.parts, titles)
        case x.AtLeast():
            return _several(f"At least {expression.count} of these", expression.parts, titles)
        case x.Not():
            return _several("Not so", (expression.part,), titles)
        case x.Age():
            return Phrase(f"Age {test_words(expression.test)}, in completed years")
        case x.SexIs():
            return Phrase(f"Sex recorded as {expression.sex}")
        case x.Value():
            return Phrase(
                _join([_value_head(expression, titles), *_which_result(expression, titles), *_silence(expression)])
            )
        case x.Change():
            return Phrase(_change(expression, titles))
        case x.Condition():
            return Phrase(_join([_condition_head(expression, titles), *_condition_terms(expression, titles)]))
        case x.Treatment():
            return Phrase(_join([_treatment_head(expression, titles), *_treatment_terms(expression)]))
        case x.Judgement():
            shown = (
                f" Shown beside it: {_listed(map(titles, expression.evidence), 'and')}." if expression.evidence else ""
            )
            return Phrase(f"Asked of the {expression.by}: {expression.question}{shown}")
        case x.Consent():
            return Phrase(f"To do with the patient: {expression.step}")
        case _:
            assert_never(expression)


def near_miss_words(expression: x.Expression) -> str | None:
    """How far beside the limit still counts as a near miss; None where nothing does, or nothing is measured."""
    for leaf in x.leaves_of(expression):
        if isinstance(leaf, x.Value) and leaf.tolerance_percent:
            return f"up to {number_words(leaf.tolerance_percent)} % beside the limit"
        if isinstance(leaf, x.Value) and leaf.tolerance:
            unit = "" if isinstance(leaf.test, Polarity) else _unit_of(leaf.test)
            return f"up to {quantity_words(leaf.tolerance, unit)} beside the limit"
    return None


def _unit_of(test: x.Bound | x.Between) -> str:
    bound = test.low if isinstance(test, x.Between) else test
    return bound.unit if bound.canonical == bound.number else ""


def _several(text: str, parts: Iterable[x.Expression], titles: Titles) -> Phrase:
    return Phrase(text, tuple(paraphrase(part, titles) for part in parts))


def _join(pieces: Iterable[str]) -> str:
    return ", ".join(pieces)


def _listed(names: Iterable[str], word: str) -> str:
    known = list(names)
    # A title may hold a comma of its own ("Neutrophils, absolute").
    comma = "; " if any("," in name for name in known[:-1]) else ", "
    return f"{comma.join(known[:-1])} {word} {known[-1]}" if len(known) > 1 else "".join(known)


def _last(period: Period | None) -> str:
    """ "the last 6 weeks", "the last month"."""
    if period is None:
        return "the period"
    return f"the last {period_words(period).removeprefix('1 ')}"


# -- results ----------------------------------------------------------------------------------------------------------


def _value_head(value: x.Value, titles: Titles) -> str:
    return f"{titles(value.concept)} {test_words(value.test)}"


def test_words(test: x.Test) -> str:
    match test:
        case Polarity():
            return test.value
        case x.Between():
            unit = unit_words(test.low.unit)
            return f"from {number_words(test.low.number)} to {number_words(test.high.number)} {unit}".rstrip()
        case x.Bound():
            compared = _COMPARED[test.comparator]
            return f"{compared} {_times_words(test) if test.times else quantity_words(test.number, test.unit)}"
        case _:
            assert_never(test)


def _times_words(bound: x.Bound) -> str:
    limit = _LIMITS[bound.times or "ULN"]
    times = limit if bound.number == 1 else f"{number_words(bound.number)} × {limit}"
    return f"{times} + {quantity_words(bound.plus, bound.plus_unit)}" if bound.plus else times


def _event(anchor: x.Anchor, titles: Titles) -> str:
    """ "before the result in use (Hemoglobin)", "before or after the onset of Dermatomyositis"."""
    side = "before or after" if anchor.side == "around" else anchor.side
    names = _listed(map(titles, anchor.concepts), "or")
    what = {
        "result": f"the result in use ({names})",
        "onset": f"the onset of {names}",
        "start": f"the start of {names}",
    }
    return f"{side} {what[anchor.kind]}"


def _which_result(value: x.Value, titles: Titles) -> list[str]:
    """Which results speak, and how old they may be."""
    old = value.within or value.current_for
    age = f"at most {period_words(old)} old" if old else "however old"
    if value.pick == "any":
        words = ["any result" if value.within is None else f"any result of {_last(value.within)}"]
    elif value.runs > 1:
        apart = f", each at least {period_words(value.apart)} apart" if value.apart else ""
        words = [f"each of the newest {value.runs} results{apart}", age]
    else:
        words = ["newest result", age]
    if value.stable_for:
        words.append(f"unchanged for at least {period_words(value.stable_for)}")
    if value.anchor and value.distance:
        words.append(f"taken at least {period_words(value.distance)} {_event(value.anchor, titles)}, which went on")
    if value.clear_of and value.clear_for:
        names = _listed(map(titles, value.clear_of), "or")
        words.append(f"not taken within {period_words(value.clear_for)} after {names}")
    return words


def _silence(leaf: x.Value | x.Condition | x.Treatment) -> list[str]:
    return ["no record is taken as absent"] if leaf.absent == "presume" else []


def _change(change: x.Change, titles: Titles) -> str:
    bound, over = change.test, _last(change.over)
    unit = "%" if change.relative else bound.unit
    by = f"{quantity_words(abs(bound.number), unit)}{' of the earlier value' if change.relative else ''}"
    head = titles(change.concept)
    if bound.comparator in ("<=", "<") and bound.number < 0:
        return f"{head} fallen by {_by(bound.comparator)} {by} over {over}"
    if bound.comparator in (">=", ">") and bound.number > 0:
        return f"{head} risen by {_by(bound.comparator)} {by} over {over}"
    signed = quantity_words(bound.number, unit)
    return f"Change of {head} over {over} {_COMPARED[bound.comparator]} {signed}"


def _by(comparator: x.Comparator) -> str:
    return "at least" if "=" in comparator else "more than"


# -- diagnoses and treatments -----------------------------------------------------------------------------------------


def _condition_head(condition: x.Condition, titles: Titles) -> str:
    title = titles(condition.concept)
    match condition.when:
        case "active":
            return f"{title} on record as active"
        case "ever":
            return f"{title} on record, now or in the past"
        case "within":
            return f"{title} on record at some time in {_last(condition.within)}"


def _condition_terms(condition: x.Condition, titles: Titles) -> list[str]:
    words = []
    if condition.lasting:
        words.append(f"known for at least {period_words(condition.lasting)}")
    if condition.began_within and condition.anchor:
        words.append(f"begun within {period_words(condition.began_within)} {_event(condition.anchor, titles)}")
    elif condition.began_within:
        words.append(f"begun in {_last(condition.began_within)}")
    if condition.excepting:
        words.append(f"not counting {_listed(map(titles, condition.excepting), 'and')}")
    return [*words, *_silence(condition)]


def _treatment_head(treatment: x.Treatment, titles: Titles) -> str:
    names = _listed(map(titles, treatment.concepts), "or")
    match treatment.when:
        case "current":
            return f"{names} current today"
        case "ever":
            return f"{names} at any time"
        case "within" if treatment.anchor and treatment.within:
            return f"{names} within {period_words(treatment.within)} {_event(treatment.anchor, titles)}"
        case "within":
            return f"{names} in {_last(treatment.within)}"


def _treatment_terms(treatment: x.Treatment) -> list[str]:
    words = []
    lasting = f"for at least {period_words(treatment.lasting)}" if treatment.lasting else ""
    if treatment.different > 1:
        each = f", each {lasting}" if lasting else ""
        words.append(f"at least {treatment.different} different ones{each}")
    elif lasting:
        words.append(lasting)
    return [*words, *_silence(treatment)]
