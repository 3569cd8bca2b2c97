"""Charts made at random around what a trial asks: values beside limits, days beside windows, records missing."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from mappings.concepts.catalogue import DOSE_UNITS, Catalogue
from mappings.facts import Polarity
from mappings.time.times import Period
from tests.builders import bundle_of
from trial_defs.definition import expressions as x

Json = dict[str, Any]
_WORDS = ("positive", "negative", "indeterminate")
_STATUSES = ("final",) * 8 + ("amended", "preliminary", "entered-in-error")


def generated(seed: str, trial: x.Trial, today: date, catalogue: Catalogue) -> Json:
    """A Bundle of one patient; the same for the same seed and definition."""
    dice = random.Random(f"{seed} {trial.id}")
    return bundle_of(_Maker(dice, today, catalogue).spec(trial), today, catalogue)


class _Maker:
    def __init__(self, dice: random.Random, today: date, catalogue: Catalogue) -> None:
        self.dice, self.today, self.catalogue = dice, today, catalogue

    def spec(self, trial: x.Trial) -> Json:
        found: Json = {"patient": self._patient(), "results": {}, "conditions": {}, "treatments": {}}
        fullness = self.dice.choice((0.2, 0.5, 0.9))
        for leaf in _leaves(trial):
            if self.dice.random() > fullness:
                continue
            match leaf:
                case x.Value() if leaf.concept in self.catalogue.doses and self.dice.random() < 0.9:
                    rule = self.catalogue.doses[leaf.concept]
                    concept = self.dice.choice((rule.of, *self.catalogue.concepts[rule.of].includes))
                    found["treatments"].setdefault(concept, []).append(self._dosed_course(leaf))
                case x.Value():
                    entry = self.catalogue.concepts[leaf.concept]
                    concept = self.dice.choice((leaf.concept, *entry.includes)) if entry.panel else leaf.concept
                    found["results"].setdefault(concept, []).append(self._result(leaf, concept))
                case x.Condition():
                    if self.dice.random() < 0.1:
                        found["results"].setdefault(leaf.concept, []).append(self._statement(leaf))
                    concept = self.dice.choice((leaf.concept, *leaf.excepting))
                    found["conditions"].setdefault(concept, []).append(self._diagnosis(leaf))
                case x.Treatment():
                    concept = self.dice.choice(leaf.concepts)
                    found["treatments"].setdefault(concept, []).append(self._course(leaf))
                case _:
                    pass
        return found

    def _patient(self) -> Json:
        age = self.dice.choice((17, 18, 30, 45, 59, 60, 61, 65, 66, 70, 71))
        born = self.today.replace(year=self.today.year - age) + timedelta(days=self.dice.choice((-1, 0, 1, 100)))
        spec = {"sex": self.dice.choice(("female", "male", "female", "male", "other")), "born": born.isoformat()}
        return {name: value for name, value in spec.items() if self.dice.random() < 0.95}

    def _day(self, periods: Iterable[Period | None]) -> str:
        """A day in the past, often beside the edge of a window."""
        edges = [period.before(self.today) for period in periods if period]
        edge = self.dice.choice([*edges, self.today]) if edges else self.today
        beside = edge + timedelta(days=self.dice.choice((-1, 0, 1)))
        anywhere = self.today - timedelta(days=self.dice.randrange(0, 900))
        return min(self.today, self.dice.choice((beside, anywhere))).isoformat()

    def _result(self, leaf: x.Value, concept: str) -> Json:
        unit = self.catalogue.concepts[concept].unit
        spec: Json = {"status": self.dice.choice(_STATUSES), "taken": self._day((leaf.within, leaf.current_for))}
        if isinstance(leaf.test, Polarity) or not unit:
            return spec | {"value": self.dice.choice((*_WORDS, *self._numbers(concept)))}
        bound = self.dice.choice((leaf.test.low, leaf.test.high)) if isinstance(leaf.test, x.Between) else leaf.test
        low, high = self.catalogue.concepts[leaf.concept].plausible or (Decimal(0), Decimal(400))
        upper = low + (high - low) * Decimal(self.dice.choice(("0.02", "0.05", "0.1")))
        edge = bound.canonical if bound.times is None else bound.number * upper + bound.plus
        number = edge * self.dice.choice([Decimal(f) for f in ("0.5", "0.99", "1", "1", "1.01", "2")])
        number = min(max(number, low), high)  # an implausible value is open here, and CQL knows no such thing
        sign = self.dice.choice(("",) * 12 + ("< ", "> ", "<= ", ">= "))
        if bound.times and self.dice.random() < 0.85:
            spec["range"] = f"{upper / 4}..{upper}"
        return spec | {"value": f"{sign}{format(number.quantize(Decimal('0.001')), 'f')} {unit}"}

    def _statement(self, leaf: x.Condition) -> Json:
        """A result that states the diagnosis or denies it."""
        return {"taken": self._day((leaf.within, leaf.current_for)), "value": self.dice.choice(_WORDS)}

    def _numbers(self, concept: str) -> list[str]:
        """Values beside the numbers that decide between positive and negative, where some do."""
        entry = self.catalogue.concepts[concept]
        if entry.detection:
            return [f"{number} {entry.unit}" for number in ("0", "250", "< 20", "> 1000")]
        edges = [edge for edge in (entry.positive_from, entry.negative_below) if edge is not None]
        return [f"{sign}{edge} {entry.unit}" for edge in edges for sign in ("", "< ", "> ")]

    def _diagnosis(self, leaf: x.Condition) -> Json:
        periods = (leaf.within, leaf.began_within, leaf.lasting)
        onset, other = sorted((self._day(periods), self._day(periods)))
        spec: Json = {
            "onset": self.dice.choice((onset, onset, onset, "none")),
            "status": self.dice.choice(("active", "active", "active", "inactive", "remission", "resolved")),
            "verification": self.dice.choice(("confirmed",) * 6 + ("provisional", "refuted", "entered-in-error")),
        }
        if self.dice.random() < 0.3:
            spec["abated"] = other
        if self.dice.random() < 0.3:
            spec["recorded"] = other
        return spec

    def _course(self, leaf: x.Treatment) -> Json:
        since, until = sorted((self._day((leaf.within,)), self._day((leaf.within,))))
        spec: Json = {"since": self.dice.choice((since, since, since, "none"))}
        if self.dice.random() < 0.6:
            spec["until"] = until
        return spec

    def _dosed_course(self, leaf: x.Value) -> Json:
        """A course of a drug with a dose beside the limit, or without one."""
        since, until = sorted((self._day((leaf.within,)), self._day((leaf.within,))))
        spec: Json = {"since": self.dice.choice((since, since, since, "none"))}
        if self.dice.random() < 0.3:
            spec["until"] = until
        assert isinstance(leaf.test, x.Bound)
        rule, unit = self.catalogue.doses[leaf.concept], self.catalogue.concepts[leaf.concept].unit or ""
        weight = 62 if rule.measure == "daily-per-kg" else 1
        a_day = leaf.test.canonical / DOSE_UNITS[rule.measure][unit] * weight
        period, number = self.dice.choice((("d", a_day), ("wk", a_day * 7)))
        number *= self.dice.choice([Decimal(f) for f in ("0.5", "0.8", "0.99", "1", "1", "1.01", "2")])
        if self.dice.random() < 0.85:
            spec["dose"] = f"{format(number.quantize(Decimal('0.01')), 'f')} mg/{period}"
        return spec


def _leaves(trial: x.Trial) -> list[x.Expression]:
    """Every leaf of every criterion and gate, each once, in a fixed order."""
    criteria = {c.id: c for cohort in trial.cohorts for c in cohort.criteria}.values()
    asked = [e for c in criteria for e in (c.asks, c.only_if) if e] + [cohort.gate for cohort in trial.cohorts]
    return list(dict.fromkeys(leaf for expression in asked for leaf in x.leaves_of(expression)))
