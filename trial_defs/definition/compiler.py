"""A definition compiled: its words resolved against the catalogue and the units, as the trial that is evaluated.

Every objection is collected with file, path and what would be accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from mappings.concepts.catalogue import Catalogue, Concept, ConceptKind
from mappings.concepts.site_rules import TrialRules
from mappings.facts import Polarity
from mappings.time.times import Period, parse_period
from mappings.values.units import convert
from mappings.yaml_files import DefinitionError, Problem
from trial_defs.definition import expressions as x
from trial_defs.definition.language import (
    BETWEEN,
    BOUND,
    TIMES_NORMAL,
    WHEN,
    AgeVerb,
    AgeWords,
    AllVerb,
    AnyVerb,
    AtLeastVerb,
    ChangeVerb,
    ChangeWords,
    ConditionVerb,
    ConditionWords,
    ConsentVerb,
    CriterionWords,
    JudgementVerb,
    NotVerb,
    SexVerb,
    StepWords,
    TreatmentVerb,
    TreatmentWords,
    TrialWords,
    ValueVerb,
    ValueWords,
    Words,
)
from trial_defs.definition.tolerances import ToleranceUnusable, tolerance_of


@dataclass(frozen=True, slots=True)
class Broken:
    """A part without a meaning, such as one that asks for a concept that there is not. The problem has been noted."""


BROKEN = Broken()


def compile_trial(words: TrialWords, catalogue: Catalogue, path: Path, digest: str) -> x.Trial:
    """The trial as it is evaluated, with what the site's profile decides about it (`catalogue.rules`).

    Raises DefinitionError with everything the catalogue or the units object to.
    """
    rules = catalogue.rules.of_trial(words.id)
    compiler = Compiler(catalogue, path, rules)
    before = [compiler.criterion(c, f"before.{i}") for i, c in enumerate(words.before)]
    after = [compiler.criterion(c, f"after.{i}") for i, c in enumerate(words.after)]
    cohorts = []
    for name, cohort in words.cohorts.items():
        where = f"cohorts.{name}"
        own = [compiler.criterion(c, f"{where}.criteria.{i}") for i, c in enumerate(cohort.criteria)]
        closing = [compiler.criterion(c, f"{where}.closing.{i}") for i, c in enumerate(cohort.closing)]
        gate = compiler.expression(cohort.gate, f"{where}.gate", None)
        common = {c.id for c in (*words.before, *words.after)}
        for missing in set(cohort.without) - common:
            compiler.object(f"{where}.without", f'"{missing}" is not a common criterion')
        written = (*words.before, *cohort.criteria, *words.after, *cohort.closing)
        ids = [c.id for c in written if c.id not in cohort.without]
        for i, criterion_id in enumerate(ids):
            if criterion_id in ids[:i]:
                compiler.object(where, f'the criterion id "{criterion_id}" stands here twice')
        criteria = [c for c in (*before, *own, *after, *closing) if c and c.id not in cohort.without]
        if not isinstance(gate, Broken):
            cohorts.append(x.Cohort(name, cohort.title, gate, tuple(criteria), cohort.open))
    if compiler.problems:
        raise DefinitionError(compiler.problems)
    recruiting = words.recruiting
    return x.Trial(
        id=words.id,
        version=words.version,
        hash=digest,
        title=words.title,
        short_title=words.short_title,
        sponsor=words.sponsor,
        phase=words.phase,
        registry_url=words.source.registry_url,
        document=words.source.document,
        read_on=words.source.read_on,
        status=rules.recruiting or recruiting.status,
        # The site knows whether it recruits; the registry's end date says nothing beside that.
        overdue_after=None if rules.recruiting else recruiting.overdue_after,
        sites=tuple(x.Site(s.name, s.city, s.country, s.status) for s in recruiting.sites),
        signed_off=x.SignOff(words.signed_off.by, words.signed_off.on) if words.signed_off else None,
        missing=words.missing,
        cohorts=tuple(cohorts),
        patient_page=words.patient_page.compiled() if words.patient_page else None,
    )


def compile_criterion(words: CriterionWords, catalogue: Catalogue) -> x.Criterion:
    """One criterion by itself. Raises DefinitionError with everything that is objected to."""
    compiler = Compiler(catalogue, Path())
    criterion = compiler.criterion(words, "")
    if criterion is None or compiler.problems:
        raise DefinitionError(compiler.problems)
    return criterion


def _planned(words: StepWords) -> x.Planned:
    return x.Planned(
        "before" if words.before else "after",
        words.before or words.after or "",
        within=_period_or_none(words.within),
        at_least=_period_or_none(words.at_least),
    )


def _names(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _period_or_none(text: str | None) -> Period | None:
    return parse_period(text) if text else None


_KINDS_OF_EVENT: Mapping[str, Sequence[ConceptKind]] = {
    "result": ("result",),
    "onset": ("diagnosis",),
    "start": ("treatment",),
}


class Compiler:
    """Resolves names and units against the catalogue, and collects every objection."""

    def __init__(self, catalogue: Catalogue, path: Path, rules: TrialRules | None = None) -> None:
        self.catalogue = catalogue
        self.path = path
        self.rules = rules or TrialRules()
        self.problems: list[Problem] = []

    def object(self, where: str, message: str) -> None:
        self.problems.append(Problem(self.path, where, message))

    def criterion(self, words: CriterionWords, where: str) -> x.Criterion | None:
        """The criterion; None where a part of it is broken."""
        side = "include" if words.include is not None else "exclude"
        asked = words.include if words.include is not None else words.exclude
        assert asked is not None
        asks = self.expression(asked, f"{where}.{side}", words.near)
        only_if = self.expression(words.only_if, f"{where}.only_if", None) if words.only_if else None
        for name in words.evidence:
            self.concept(name, f"{where}.evidence", None)
        if isinstance(asks, Broken) or isinstance(only_if, Broken):
            return None
        named = (*x.concepts_of(asks), *(x.concepts_of(only_if) if only_if else ()), *words.evidence)
        return x.Criterion(
            id=words.id,
            kind="inclusion" if side == "include" else "exclusion",
            source=words.source,
            text=words.text,
            asks=asks,
            only_if=only_if,
            reading=words.reading,
            step=words.step.text if isinstance(words.step, StepWords) else words.step,
            planned=_planned(words.step) if isinstance(words.step, StepWords) else None,
            concepts=tuple(dict.fromkeys(named)),
            shows=words.evidence,
        )

    def concept(self, name: str, where: str, kinds: Sequence[ConceptKind] | None) -> Concept | None:
        concept = self.catalogue.concepts.get(name)
        if concept is None:
            self.object(where, f'"{name}" is not a concept of the catalogue')
        elif kinds and concept.kind not in kinds:
            self.object(where, f'"{name}" is a {concept.kind}, this verb takes a {" or ".join(kinds)}')
            return None
        return concept

    def expression(self, words: Words, where: str, near: str | None) -> x.Expression | Broken:
        """What the words ask. A combination with a broken part is broken; each of its parts is looked at."""
        match words:
            case AllVerb():
                parts = self._parts(words.all, f"{where}.all", near)
                return BROKEN if isinstance(parts, Broken) else x.All(parts)
            case AnyVerb():
                parts = self._parts(words.any, f"{where}.any", near)
                return BROKEN if isinstance(parts, Broken) else x.AnyOf(parts)
            case NotVerb():
                part = self.expression(words.not_, f"{where}.not", near)
                return BROKEN if isinstance(part, Broken) else x.Not(part)
            case AtLeastVerb():
                parts = self._parts(words.at_least.of, f"{where}.at_least.of", near)
                return BROKEN if isinstance(parts, Broken) else x.AtLeast(words.at_least.n, parts)
            case AgeVerb():
                test = self._age(words.age, f"{where}.age.is")
                return BROKEN if isinstance(test, Broken) else x.Age(test)
            case SexVerb():
                return x.SexIs(words.sex)
            case ValueVerb():
                return self._value(words.value, f"{where}.value", near)
            case ChangeVerb():
                return self._change(words.change, f"{where}.change")
            case ConditionVerb():
                return self._condition(words.condition, f"{where}.condition")
            case TreatmentVerb():
                return self._treatment(words.treatment, f"{where}.treatment")
            case JudgementVerb():
                for name in words.judgement.evidence:
                    self.concept(name, f"{where}.judgement.evidence", None)
                return x.Judgement(words.judgement.ask, words.judgement.by, words.judgement.evidence)
            case ConsentVerb():
                return x.Consent(words.consent)

    def _parts(self, words: Sequence[Words], where: str, near: str | None) -> tuple[x.Expression, ...] | Broken:
        found = [self.expression(part, f"{where}.{i}", near) for i, part in enumerate(words)]
        whole = tuple(part for part in found if not isinstance(part, Broken))
        return whole if len(whole) == len(found) else BROKEN

    def _age(self, words: AgeWords, where: str) -> x.Bound | x.Between | Broken:
        test = self._test(words.is_, "a", where)
        if isinstance(test, Polarity):
            self.object(where, 'age has a limit in years: "18..70 a"')
            return BROKEN
        return test

    def _value(self, words: ValueWords, where: str, near: str | None) -> x.Expression | Broken:
        concept = self.concept(words.of, f"{where}.of", ("result",))
        if concept is None:
            return BROKEN
        self._silence(words.absent, words.of, concept, where)
        self._dose(words, concept, where)
        test = self._test(words.is_, concept.unit, f"{where}.is", concept)
        text = self.rules.tolerance.get(words.of) or near or concept.tolerance
        amount, percent = self._tolerance(text, concept, where)
        return x.Value(
            concept=words.of,
            test=test,
            within=_period_or_none(words.within),
            current_for=_period_or_none(concept.current_for),
            pick=words.pick,
            runs=words.runs,
            apart=_period_or_none(words.apart),
            stable_for=_period_or_none(words.stable_for),
            absent=words.absent,
            tolerance=amount,
            tolerance_percent=percent,
            anchor=self._anchor_of_value(words, where),
            distance=_period_or_none(words.at_least),
            clear_of=self._clear_of(words, test, where),
            clear_for=_period_or_none(words.clear_of.for_) if words.clear_of else None,
        )

    def _dose(self, words: ValueWords, concept: Concept, where: str) -> None:
        """Only a daily dose is worked out for earlier days; by body weight, in all or in cycles it is today's."""
        if words.stable_for and concept.dose is None:
            self.object(f"{where}.stable_for", f'is asked of a dose; "{words.of}" is none')
        if concept.dose is None or concept.dose.measure == "daily":
            return
        if words.pick == "any" or words.runs > 1 or words.stable_for or words.within:
            self.object(where, f'"{words.of}" is known for today only; leave pick, runs, stable_for and within out')

    def _clear_of(self, words: ValueWords, test: x.Test, where: str) -> tuple[str, ...]:
        if words.clear_of is None:
            return ()
        names = _names(words.clear_of.of)
        for name in names:
            self.concept(name, f"{where}.clear_of.of", ("treatment",))
        if not isinstance(test, x.Bound) or test.comparator not in (">", ">="):
            self.object(f"{where}.clear_of", 'is beside a least value, ">= 70 g/L": what raises it does not show it')
        if words.pick == "any" or words.runs > 1:
            self.object(f"{where}.clear_of", "is asked of the newest result, not of any or of several")
        return names

    def _anchor_of_value(self, words: ValueWords, where: str) -> x.Anchor | None:
        anchor = self._anchor(words, where, ("start", "onset"))
        if (anchor is None) != (words.at_least is None):
            self.object(where, "at_least and after go together: {at_least: 3 mo, after: {start: methotrexate}}")
        elif anchor and anchor.side != "after":
            self.object(where, f"a result is taken after a treatment began, not {anchor.side} it")
        elif anchor and (words.pick == "any" or words.runs > 1):
            self.object(where, "after is asked of the newest result, not of any or of several")
        return anchor

    def _anchor(
        self, words: ValueWords | ConditionWords | TreatmentWords, where: str, kinds: Sequence[str]
    ) -> x.Anchor | None:
        """The event from which the window is counted; kinds: those that this verb takes."""
        if words.anchor is None:
            return None
        side, event = words.anchor
        given = {"result": event.result, "onset": event.onset, "start": event.start}
        kind = next(name for name, names in given.items() if names is not None)
        if kind not in kinds:
            self.object(f"{where}.{side}", f"counts from {' or '.join(kinds)} here, not from {kind}")
        names = _names(given[kind] or ())
        for name in names:
            self.concept(name, f"{where}.{side}.{kind}", _KINDS_OF_EVENT[kind])
        return x.Anchor(side, kind, names)  # type: ignore[arg-type]

    def _change(self, words: ChangeWords, where: str) -> x.Expression | Broken:
        concept = self.concept(words.of, f"{where}.of", ("result",))
        if concept is None:
            return BROKEN
        current = _period_or_none(concept.current_for)
        match = BOUND.match(words.is_)
        if match and match[3] == "%":
            number = Decimal(match[2])
            bound = x.Bound(match[1], number, "%", number)  # type: ignore[arg-type]
            return x.Change(words.of, bound, parse_period(words.over), relative=True, current_for=current)
        # The plausible range is that of a value, not of the difference between two.
        difference = concept.model_copy(update={"plausible": None})
        test = self._test(words.is_.replace("%-points", "%"), concept.unit, f"{where}.is", difference)
        if not isinstance(test, x.Bound):
            self.object(f"{where}.is", 'a change has one limit: ">= 10 %" (of the earlier value) or ">= 5 %-points"')
            return BROKEN
        return x.Change(words.of, test, parse_period(words.over), relative=False, current_for=current)

    def _condition(self, words: ConditionWords, where: str) -> x.Expression | Broken:
        concept = self.concept(words.is_, f"{where}.is", ("diagnosis", "treatment"))
        if concept is None:
            return BROKEN
        self._silence(words.absent, words.is_, concept, where)
        for name in words.excepting:
            self.concept(name, f"{where}.excepting", ("diagnosis",))
        if words.when == "current":
            self.object(f"{where}.when", 'a condition is "active", not "current"')
        within = WHEN.match(words.when)
        anchor = self._anchor(words, where, ("result", "onset"))
        if anchor and not words.began_within:
            self.object(
                where, f"{anchor.side} counts `began_within` from an event; give it, or leave {anchor.side} out"
            )
        return x.Condition(
            concept=words.is_,
            when="within" if within else "ever" if words.when == "ever" else "active",
            within=parse_period(within[1]) if within else None,
            began_within=_period_or_none(words.began_within),
            lasting=_period_or_none(words.lasting),
            excepting=words.excepting,
            current_for=_period_or_none(concept.current_for),
            absent=words.absent,
            anchor=anchor,
        )

    def _treatment(self, words: TreatmentWords, where: str) -> x.Expression | Broken:
        names = _names(words.of)
        known = 0
        for name in names:
            if concept := self.concept(name, f"{where}.of", ("treatment",)):
                self._silence(words.absent, name, concept, where)
                known += 1
        if words.when == "active":
            self.object(f"{where}.when", 'a treatment is "current", not "active"')
        if known < len(names):
            return BROKEN
        within = WHEN.match(words.when)
        anchor = self._anchor(words, where, ("result", "onset"))
        if anchor and not within:
            self.object(where, f'{anchor.side} counts `when: within …` from an event; "{words.when}" has no window')
        if anchor and (words.lasting or words.different > 1):
            self.object(where, f"{anchor.side} stands with a window only, not with lasting or different")
        return x.Treatment(
            concepts=names,
            when="within" if within else "ever" if words.when == "ever" else "current",
            within=parse_period(within[1]) if within else None,
            lasting=_period_or_none(words.lasting),
            different=words.different,
            absent=words.absent,
            anchor=anchor,
        )

    def _silence(self, absent: str, name: str, concept: Concept, where: str) -> None:
        if absent == "presume" and (concept.never_presumed or concept.partly_coded):
            self.object(f"{where}.absent", f'"{name}" is never presumed absent; it is unknown until tested')

    def _test(self, text: str, unit: str | None, where: str, concept: Concept | None = None) -> x.Test:
        if text in ("positive", "negative"):
            return Polarity(text)
        if match := TIMES_NORMAL.match(text):
            # An amount above normal is no value, so the plausible range of values says nothing about it.
            plus = self._convert(Decimal(match[4]), match[5], unit, where, concept) if match[4] else None
            number = Decimal(match[2] or 1)
            above = {"plus": plus, "plus_unit": unit} if plus else {}
            return x.Bound(match[1], number, match[3], number, times=match[3], **above)  # type: ignore[arg-type]
        if match := BETWEEN.match(text):
            ends = [Decimal(match[1]), Decimal(match[2])]
            if ends[0] > ends[1]:
                self.object(where, f"{text}: the lower end comes first")
            low, high = (self._canonical(end, match[3], unit, where, concept) for end in ends)
            return x.Between(x.Bound(">=", ends[0], match[3], low), x.Bound("<=", ends[1], match[3], high))
        match = BOUND.match(text)
        if not match:
            raise ValueError(f"unchecked limit {text!r}")
        number = Decimal(match[2])
        canonical = self._canonical(number, match[3], unit, where, concept)
        return x.Bound(match[1], number, match[3], canonical)  # type: ignore[arg-type]

    def _canonical(self, number: Decimal, unit: str, to: str | None, where: str, concept: Concept | None) -> Decimal:
        value = self._convert(number, unit, to, where, concept)
        if value is None:
            return number
        if concept and concept.plausible and not concept.plausible[0] <= value <= concept.plausible[1]:
            low, high = concept.plausible
            self.object(where, f"the limit {number} {unit} lies outside the plausible range {low}..{high} {to}")
        return value

    def _convert(
        self, number: Decimal, unit: str, to: str | None, where: str, concept: Concept | None
    ) -> Decimal | None:
        if to is None:
            self.object(where, "this concept has no unit; it is positive or negative")
            return None
        value = number if unit == to else convert(number, unit, to, concept.molar_mass if concept else None)
        if value is None:
            self.object(where, f'"{unit}" cannot be converted to {to}')
        return value

    def _tolerance(self, text: str | None, concept: Concept, where: str) -> tuple[Decimal | None, Decimal | None]:
        try:
            return tolerance_of(text or "none", concept)
        except ToleranceUnusable as error:
            self.object(f"{where}.near", str(error))
            return None, None
