"""How much of a criterion data can decide, told from its expression alone."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from trial_defs.definition import expressions as x


class Decidable(StrEnum):
    """What the chart can do with a criterion."""

    COMPUTED = "computed"  # data can say yes and no
    ONE_WAY = "computed one way"  # data can settle one side; the other side is a question for a person
    EVIDENCE = "evidence for a person"  # a person decides, with records shown
    HUMAN = "person only"


def decidable(criterion: x.Criterion) -> Decidable:
    """Which of the four this criterion is."""
    sides = sides_of(criterion.asks)
    if len(sides) == 2:
        return Decidable.COMPUTED
    if sides:
        return Decidable.ONE_WAY
    return Decidable.EVIDENCE if criterion.concepts else Decidable.HUMAN


def why_not_more(criterion: x.Criterion) -> str:
    """Why data do not decide all of it, told from the pieces that they leave open; empty where they decide."""
    if decidable(criterion) is Decidable.COMPUTED:
        return ""
    found = [reason for leaf in x.leaves_of(criterion.asks) if (reason := _why_open(leaf))]
    return "; ".join(dict.fromkeys(found))


def _why_open(leaf: x.Expression) -> str:
    match leaf:
        case x.Consent():
            return "given in person, not found in a chart"
        case x.Judgement():
            asked = "an investigator" if leaf.by == "investigator" else f"the {leaf.by}"
            return f"no record holds the answer of {asked}: {leaf.question}"
        case x.Treatment() if leaf.absent == "ask":
            return "treatment given elsewhere may be missing from the chart, so no record is no proof"
        case x.Condition() if leaf.absent == "ask" and len(sides_of(leaf)) < 2:
            return f"no entry of {leaf.concept} is no proof of its absence"
        case _:
            return ""


def sides_of(expression: x.Expression) -> frozenset[bool]:
    """The truths that data alone can bring about."""
    match expression:
        case x.All():
            return _all_sides([sides_of(part) for part in expression.parts])
        case x.AnyOf():
            return _turned(_all_sides([_turned(sides_of(part)) for part in expression.parts]))
        case x.Not():
            return _turned(sides_of(expression.part))
        case x.AtLeast():
            able = [sides_of(part) for part in expression.parts]
            yes = sum(True in sides for sides in able) >= expression.count
            no = sum(False in sides for sides in able) > len(able) - expression.count
            return frozenset({truth for truth, possible in ((True, yes), (False, no)) if possible})
        case x.Treatment():
            # Silence about earlier treatment is a question unless the definition lets it mean no.
            return frozenset({True, False}) if expression.absent == "presume" else frozenset({True})
        case x.Condition():
            dated = expression.absent == "presume" or expression.lasting or expression.began_within
            # An observation may state that it is not so ("not pregnant", "no effusion"), for as long as it is current.
            stated = expression.when == "active" and expression.current_for
            return frozenset({True, False}) if dated or stated else frozenset({True})
        case x.Age() | x.SexIs() | x.Value() | x.Change():
            return frozenset({True, False})
        case x.Judgement() | x.Consent():
            return frozenset()
        case _:
            assert_never(expression)


def _all_sides(parts: list[frozenset[bool]]) -> frozenset[bool]:
    yes = all(True in sides for sides in parts)
    no = any(False in sides for sides in parts)
    return frozenset({truth for truth, possible in ((True, yes), (False, no)) if possible})


def _turned(sides: frozenset[bool]) -> frozenset[bool]:
    return frozenset(not side for side in sides)
