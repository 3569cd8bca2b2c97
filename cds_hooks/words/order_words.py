"""The words of the order cards: what is ordered, until when it closes a match, and what would keep it open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cds_hooks.words.safe_text import markdown
from cds_hooks.words.wording import Titles, explanation, period_words, quantity_words, short_title
from mappings.draft_orders import Planned
from mappings.time.times import Period
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Finding, Outcome
from trial_defs.planning.order_effect import OrderEffect

# Said where the class itself has a harmless neighbour.
_INSTEAD: Mapping[str, str] = {"live-vaccine": "An inactivated vaccine, where there is one, does not count."}


def named(orders: Sequence[Planned], titles: Titles) -> str:
    """ "Rituximab", "Rituximab and Methylprednisolone"."""
    names = list(dict.fromkeys(short_title(titles(order.concepts[0])) for order in orders))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def order_lines(effect: OrderEffect, titles: Titles) -> list[str]:
    """How each order was read."""
    return [markdown(_order_line(order, titles), 200) for order in effect.orders]


def _order_line(order: Planned, titles: Titles) -> str:
    if order.last is None:
        when = f"from {order.first} on, with no end stated"
    else:
        when = f"on {order.first}" if order.last == order.first else f"from {order.first} to {order.last}"
    doubt = "; no code that is known, read by its words" if order.by_text else ""
    return f"{titles(order.concepts[0])}, read as given {when}{doubt}"


def closing_words(effect: OrderEffect, titles: Titles) -> str:
    """In one sentence, from which verdict to which."""
    order, cohort = named(effect.orders, titles), effect.before.cohort.title
    before, after = effect.before.verdict.label, effect.after.verdict.label
    if effect.postpones:
        return f"{order} would put off the match with the cohort {cohort} ({before})."
    if before == after:
        return f"{order} would leave the match with the cohort {cohort} further off ({before})."
    return f"{order} would take the match with the cohort {cohort} from {before} to {after}."


def changed_line(finding: Finding, effect: OrderEffect, titles: Titles) -> str:
    """What a criterion would come to, and its own words."""
    verb = "excluded" if finding.criterion.kind == "exclusion" else "required"
    counts = [c for order in effect.orders for c in finding.criterion.concepts if c in order.outdates]
    said = explanation(finding, titles)
    if counts and finding.outcome is Outcome.UNKNOWN:
        said = (
            f"{titles(counts[0])}: the result on record is from before {named(effect.orders, titles)}, which lowers it"
        )
    return f"{said} – {verb}: {finding.criterion.text}"


def endings(effect: OrderEffect, titles: Titles) -> list[str]:
    """Until when, and how that is known."""
    order = named(effect.orders, titles)
    if effect.lasts_while_given:
        return [f"For as long as {order} is given like this"]
    if effect.until is None:
        if not effect.closes:
            return ["Until a new result is there"]
        return [f"For as long as {order} is given" if effect.goes_on else "Time alone does not end it"]
    read = f"the same chart, read for {effect.until} with the order in it, comes out as it would without"
    if effect.goes_on:
        return [f"While {order} is given. If {effect.since} were its only dose, until {effect.until}: {read}"]
    return [f"{effect.until}: {read}"]


def keeping_open(effect: OrderEffect, titles: Titles) -> list[str]:
    """What would leave the match as it is, as far as the criteria themselves say."""
    lines = ["If the order can wait: the study team can say before it is signed whether and when they would screen"]
    for finding in effect.all_changed:
        lines += _alternatives(finding, titles)
    return list(dict.fromkeys(lines))


def _alternatives(finding: Finding, titles: Titles) -> list[str]:
    leaves = finding.decided_by or tuple(x.leaves_of(finding.criterion.asks))
    found = []
    for leaf in leaves:
        match leaf:
            case x.Treatment() if finding.outcome is Outcome.NOT_MET and finding.criterion.kind == "exclusion":
                found.append(_other_treatment(leaf, titles))
            case x.Value(stable_for=Period() as period):
                found.append(f"{titles(leaf.concept)}: unchanged for {period_words(period)}")
            case x.Value(test=x.Bound() as bound) if not bound.times:
                found.append(_within_limit(leaf, bound, finding, titles))
            case _:
                pass
    return found


def _other_treatment(leaf: x.Treatment, titles: Titles) -> str:
    names = " or ".join(titles(concept) for concept in leaf.concepts[:3])
    gap = f" – or {period_words(leaf.within)} between the last dose and screening" if leaf.within else ""
    instead = [_INSTEAD[concept] for concept in leaf.concepts if concept in _INSTEAD]
    return f"A treatment other than {names}{gap}" + (f". {instead[0]}" if instead else "")


_OPPOSITE = {"<": "at least", "<=": "above", ">": "at most", ">=": "below"}
_SAME = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}


def _within_limit(leaf: x.Value, bound: x.Bound, finding: Finding, titles: Titles) -> str:
    words = _OPPOSITE if finding.criterion.kind == "exclusion" else _SAME
    return f"{titles(leaf.concept)} {words[bound.comparator]} {quantity_words(bound.number, bound.unit)}"
