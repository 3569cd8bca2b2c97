"""The words of the order cards: what is ordered, until when it closes a match, and what would keep it open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cds_hooks.words.brief import Brief
from cds_hooks.words.limits import is_wanted
from mappings.draft_orders import Planned
from mappings.time.times import Period
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Finding, Outcome
from trial_defs.planning.order_effect import OrderEffect

# What is said where the class itself has a harmless neighbour.
_HARMLESS = frozenset({"live-vaccine"})
_MOST_ORDERS = 3


@dataclass(frozen=True, slots=True)
class OrderWords:
    """What one card says about the effect of orders, in one language."""

    effect: OrderEffect
    brief: Brief

    @property
    def names(self) -> str:
        """ "Rituximab", "Rituximab and Methylprednisolone"."""
        names = list(dict.fromkeys(self.brief.name(order.concepts[0]) for order in self.effect.orders))
        return self.brief.texts.join(names[:_MOST_ORDERS])

    def orders(self) -> list[str]:
        """How each order was read."""
        return [self._order(order) for order in self.effect.orders]

    def _order(self, order: Planned) -> str:
        texts, name = self.brief.texts, self.brief.name(order.concepts[0])
        first = texts.day(order.first)
        if order.last is None:
            said = texts("order.read-from", name=name, first=first)
        elif order.last == order.first:
            said = texts("order.read-on", name=name, first=first)
        else:
            said = texts("order.read-until", name=name, first=first, last=texts.day(order.last))
        return texts("order.read-by-words", said=said) if order.by_text else said

    def closing(self) -> str:
        """In one sentence, from which verdict to which."""
        texts, effect = self.brief.texts, self.effect
        before, after = (texts(f"verdict.{each.verdict.value}") for each in (effect.before, effect.after))
        key = "order.postpones" if effect.postpones else "order.lowers" if before == after else "order.changes"
        return texts(key, order=self.names, before=before, after=after)

    def changed(self) -> list[str]:
        """What each criterion would come to."""
        return [self._changed(finding) for finding in self.effect.all_changed]

    def _changed(self, finding: Finding) -> str:
        texts = self.brief.texts
        counts = [c for order in self.effect.orders for c in finding.criterion.concepts if c in order.outdates]
        if counts and finding.outcome is Outcome.UNKNOWN:
            return texts("order.outdated", name=self.brief.name(counts[0]), order=self.names)
        # Of a treatment it is the order itself, which has its own line.
        is_value = any(isinstance(leaf, x.Value | x.Change) for leaf in finding.decided_by)
        found = self.brief.missed(finding) if is_value and finding.outcome is Outcome.NOT_MET else ""
        key = "order.excluded" if finding.criterion.kind == "exclusion" else "order.required"
        asked = texts(key, text=texts.translated(finding.criterion.text))
        return f"{asked} ({found})" if found else asked

    def endings(self) -> str:
        """Until when. A day is that of which the same chart, with the order in it, comes out as it would without."""
        texts, effect, order = self.brief.texts, self.effect, self.names
        if effect.lasts_while_given:
            return texts("order.while-given-like-this", order=order)
        if effect.until is None:
            if not effect.closes:
                return texts("order.until-new-result")
            return texts("order.while-given", order=order) if effect.goes_on else texts("order.no-end")
        day = texts.day(effect.until)
        if effect.goes_on:
            return texts("order.while-given-until", order=order, first=texts.day(effect.since), day=day)
        return texts("order.until-day", day=day)

    def keeping_open(self) -> list[str]:
        """What would leave the match as it is, as far as the criteria themselves say."""
        found = [line for finding in self.effect.all_changed for line in self._alternatives(finding)]
        return list(dict.fromkeys([*found, self.brief.texts("order.ask-first")]))

    def _alternatives(self, finding: Finding) -> Iterator[str]:
        leaves: Sequence[x.Expression] = finding.decided_by or tuple(x.leaves_of(finding.criterion.asks))
        texts = self.brief.texts
        for leaf in leaves:
            match leaf:
                case x.Treatment() if finding.outcome is Outcome.NOT_MET and finding.criterion.kind == "exclusion":
                    yield self._other_treatment(leaf)
                case x.Value(stable_for=Period() as period):
                    name, time = self.brief.name(leaf.concept), self.brief.period(period)
                    yield texts("order.unchanged", name=name, period=time)
                case x.Value(test=x.Bound(times=None)):
                    yield self._limit(leaf, finding.criterion)
                case _:
                    pass

    def _limit(self, leaf: x.Value, criterion: x.Criterion) -> str:
        return f"{self.brief.name(leaf.concept)} {self.brief.needed(leaf, is_wanted(criterion, leaf), None)}"

    def _other_treatment(self, leaf: x.Treatment) -> str:
        texts = self.brief.texts
        names = texts.either([self.brief.name(concept) for concept in leaf.concepts[:3]])
        said = texts("order.other-treatment", names=names)
        if leaf.within:
            said = texts("order.other-or-wait", said=said, period=self.brief.period(leaf.within))
        harmless = [texts(f"order.harmless.{concept}") for concept in leaf.concepts if concept in _HARMLESS]
        return texts("order.with-harmless", said=said, harmless=harmless[0]) if harmless else said
