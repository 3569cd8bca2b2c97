"""What to order next: the fewest tests that would settle the most, counted over all trials and cohorts.

Of alternatives ("antinuclear or anti-dsDNA antibodies") only one is ordered, the one that is needed anyway or costs
the least; where all parts must hold, each is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mappings.concepts.catalogue import Catalogue, Orderable
from mappings.facts import Reason
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import CohortMatch, Finding, Open, Outcome, TrialMatch

How = Literal["ask", "examination", "blood-test", "urine-test", "ecg", "imaging", "lung-function", "procedure"]

# What it costs to settle one open item, in units of a question asked in the room.
EFFORT: Mapping[str, int] = {
    "ask": 1, "examination": 2, "urine-test": 3, "blood-test": 3, "ecg": 4, "lung-function": 5, "imaging": 6,
    "procedure": 10,
}  # fmt: skip
# The order in which a clinician works: the cheap and near before the dear and far.
_WHEN: Mapping[str, int] = {how: place for place, how in enumerate(EFFORT)}

# A new result settles these. A pending result, one that the EHR withholds and one without unit or range are not
# ordered again: they are there, and somebody has to be asked.
_A_TEST_HELPS = (Reason.MISSING, Reason.STALE, Reason.IMPLAUSIBLE, Reason.CONFLICTING, Reason.IMPRECISE)


@dataclass(slots=True)
class Need:
    """One test, what it measures, and the criteria (trial, cohort, criterion) that wait for it."""

    order: Orderable
    concepts: dict[str, None] = field(default_factory=dict)  # in the order of the text
    settles: set[tuple[str, str, str]] = field(default_factory=set)

    @property
    def can_be_ordered(self) -> bool:
        order = self.order
        coded = order.local is not None or order.loinc is not None or order.snomed is not None
        return coded and self.order.how not in ("ask", "examination")


def concepts_of_open(piece: Open) -> tuple[str, ...]:
    """The results that a new test would bring; none for a question about history or for a judgement."""
    match piece.leaf:
        case x.Change() if piece.reason is Reason.MISSING:
            return ()  # what lacks is an earlier result, which no test of today brings
        case x.Value() | x.Change() if piece.reason in _A_TEST_HELPS:
            return (piece.leaf.concept,)
        case _:
            return ()


def orderable(concept: str, catalogue: Catalogue) -> Orderable | None:
    entry = catalogue.concepts.get(concept)
    return entry.order if entry else None


Key = tuple[str, str | None, str | None]  # title and codes: one test, however many concepts it measures
Place = tuple[str, str, str]  # trial, cohort, criterion


def needs_of(trials: Iterable[TrialMatch], catalogue: Catalogue) -> tuple[Need, ...]:
    """The fewest tests that card-worthy cohorts wait for; the one that settles the most criteria first."""
    return tuple(sorted(_fewest(list(_waiting(trials)), catalogue).values(), key=_most_settled_first))


def what_next(trials: Iterable[TrialMatch], catalogue: Catalogue) -> tuple[Need, ...]:
    """The same tests and the questions about history, in the order in which a clinician would do them.

    Questions come first, then examination, urine, blood, ECG, lung function, imaging, procedures; of one kind the one
    that settles the most.
    """
    waiting = list(_waiting(trials))
    found: dict[str, Need] = {}
    for need in (*_fewest(waiting, catalogue).values(), *_of_history(waiting, catalogue)):
        one = found.setdefault(need.order.title, Need(need.order))
        one.concepts |= need.concepts
        one.settles |= need.settles
    return tuple(sorted(found.values(), key=lambda need: (_WHEN[need.order.how], *_most_settled_first(need))))


def _waiting(trials: Iterable[TrialMatch]) -> Iterator[tuple[Place, Finding]]:
    for trial in trials:
        for cohort in worth_a_card(trial):
            for finding in cohort.of(Outcome.UNKNOWN):
                yield (trial.trial.id, cohort.cohort.id, finding.criterion.id), finding


def _fewest(waiting: Iterable[tuple[Place, Finding]], catalogue: Catalogue) -> dict[Key, Need]:
    """First what has no alternative; then of alternatives what is ordered anyway, or the least effort."""
    asked = [(place, _question(finding, catalogue)) for place, finding in waiting]
    certain = {key for _, question in asked for key in question.without_alternative}
    needs: dict[Key, Need] = {}
    for place, question in asked:
        for key, (order, concept) in question.given(certain).items():
            certain.add(key)
            need = needs.get(key)
            if need is None:
                need = needs[key] = Need(order)
            need.concepts[concept] = None
            need.settles.add(place)
    return needs


Orders = Mapping[Key, tuple[Orderable, str]]  # with the concept for which it is ordered


def _question(finding: Finding, catalogue: Catalogue) -> _Question:
    """Made once for a finding: cohorts share findings, and those of silence are the same for many patients."""
    key = ("question", catalogue.hash)
    question: _Question | None = finding.kept.get(key)
    if question is None:
        question = finding.kept[key] = _Question.of(finding, catalogue)
    return question


@dataclass(frozen=True, slots=True)
class _OneOf:
    """Alternatives, of which one is enough."""

    parts: Sequence[_Tests]


@dataclass(frozen=True, slots=True)
class _Each:
    parts: Sequence[_Tests]


_Tests = Orders | _OneOf | _Each


@dataclass(frozen=True, slots=True)
class _Question:
    """An unknown criterion: the tests that would answer it."""

    tests: _Tests
    without_alternative: Orders

    @staticmethod
    def of(finding: Finding, catalogue: Catalogue) -> _Question:
        by_leaf: dict[x.Expression, dict[Key, tuple[Orderable, str]]] = {}
        for piece in finding.still_open:
            for concept in concepts_of_open(piece):
                if order := orderable(concept, catalogue):
                    by_leaf.setdefault(piece.leaf, {})[_key(order)] = (order, concept)
        tests = _tests_of_criterion(finding.criterion, by_leaf) if len(by_leaf) > 1 else _each(list(by_leaf.values()))
        return _Question(tests, _chosen(tests, None))

    def given(self, planned: Collection[Key]) -> Orders:
        """The tests that answer it, given those that are planned."""
        return _chosen(self.tests, planned)


def _tests_of_criterion(criterion: x.Criterion, by_leaf: Mapping[x.Expression, Orders]) -> _Tests:
    # A guard that is open must be known, whichever way it comes out.
    guard = x.leaves_of(criterion.only_if) if criterion.only_if else ()
    asked = _tests(criterion.asks, criterion.kind == "inclusion", by_leaf)
    return _each([asked, *(by_leaf.get(leaf, {}) for leaf in guard)])


def _tests(expression: x.Expression, wanted: bool, by_leaf: Mapping[x.Expression, Orders]) -> _Tests:
    """What brings `expression` to the wanted truth, if it all comes out well."""
    match expression:
        case x.Not():
            return _tests(expression.part, not wanted, by_leaf)
        case x.All() | x.AnyOf():
            parts = [tests for part in expression.parts if (tests := _tests(part, wanted, by_leaf))]
            one_is_enough = isinstance(expression, x.AnyOf) is wanted
            return _OneOf(parts) if one_is_enough and len(parts) > 1 else _each(parts)
        case x.AtLeast():
            return _each([_tests(part, wanted, by_leaf) for part in expression.parts])
        case _:
            return by_leaf.get(expression, {})


def _each(parts: Sequence[_Tests]) -> _Tests:
    if all(isinstance(part, dict) for part in parts):
        return _chosen(_Each(parts), None)
    return parts[0] if len(parts) == 1 else _Each(parts)


def _chosen(tests: _Tests, planned: Collection[Key] | None) -> Orders:
    """Of alternatives those that add the least to what is planned; with None only what is needed in any case."""
    match tests:
        case _Each():
            return {key: order for part in tests.parts for key, order in _chosen(part, planned).items()}
        case _OneOf():
            able = [orders for part in tests.parts if (orders := _chosen(part, planned))]
            if planned is not None:
                return min(able, key=lambda orders: _added_effort(orders, planned), default={})
            return {key: able[0][key] for key in able[0] if all(key in part for part in able)} if able else {}
        case _:
            return tests


def _added_effort(orders: Orders, planned: Collection[Key]) -> tuple[int, int]:
    return sum(EFFORT[order.how] for key, (order, _) in orders.items() if key not in planned), len(orders)


def _key(order: Orderable) -> Key:
    return order.key


def _of_history(waiting: Iterable[tuple[Place, Finding]], catalogue: Catalogue) -> Iterator[Need]:
    """A diagnosis or a treatment of which the chart does not say enough: what finds it, else the question."""
    for place, finding in waiting:
        if _a_test_is_enough(finding.criterion):
            continue
        for piece in finding.still_open:
            if piece.reason is None or not isinstance(piece.leaf, x.Condition | x.Treatment):
                continue
            for concept in x.concepts_of(piece.leaf)[:1]:
                yield Need(_finds(concept, catalogue), {concept: None}, {place})


def _a_test_is_enough(criterion: x.Criterion) -> bool:
    """Whether a test alone may settle it, so that nobody is asked before its result: bilirubin before Gilbert."""
    asks, wanted = criterion.asks, criterion.kind == "inclusion"
    if isinstance(asks, x.AnyOf) is not wanted or not isinstance(asks, x.AnyOf | x.All):
        return False
    return any(isinstance(part, x.Value) for part in asks.parts)


def _finds(concept: str, catalogue: Catalogue) -> Orderable:
    """The test that finds it, its own or that of a result which is a sign of it (hCG of pregnancy); else a question."""
    entry = catalogue.concepts[concept]
    signs = [name for name in entry.includes if catalogue.concepts[name].kind == "result"]
    tests = [order for name in (concept, *signs) if (order := orderable(name, catalogue))]
    return tests[0] if tests else Orderable(how="ask", title=f"Ask about: {entry.title}")


def _most_settled_first(need: Need) -> tuple[int, int, str]:
    return (-len(need.settles), EFFORT[need.order.how], need.order.title)


def worth_a_card(trial: TrialMatch) -> list[CohortMatch]:
    """The cohorts of a trial that a card may speak of."""
    return [cohort for cohort in trial.cohorts if cohort.verdict.is_candidate]


def best_cohort(trial: TrialMatch, catalogue: Catalogue) -> CohortMatch:
    """The cohort that the card is about: best verdict, then least work left, then the order of the text."""
    rank = min(cohort.verdict.rank for cohort in trial.cohorts)
    best = [cohort for cohort in trial.cohorts if cohort.verdict.rank == rank]
    return best[0] if len(best) == 1 else min(best, key=lambda cohort: effort_of(cohort, catalogue))


def effort_of(cohort: CohortMatch, catalogue: Catalogue) -> int:
    """What it costs to settle everything open in a cohort: each test once, each question once."""
    asked = len(cohort.of(Outcome.NEEDS_HUMAN))
    tests: dict[str, int] = {}
    for finding in cohort.of(Outcome.UNKNOWN):
        known = _tests_of(finding, catalogue)
        tests |= known
        asked += not known
    return asked * EFFORT["ask"] + sum(tests.values())


def _tests_of(finding: Finding, catalogue: Catalogue) -> Mapping[str, int]:
    """The effort of each test that an open finding waits for, by title; made once for a finding, as the question is."""
    key = ("tests", catalogue.hash)
    tests: Mapping[str, int] | None = finding.kept.get(key)
    if tests is None:
        orders = [orderable(c, catalogue) for piece in finding.still_open for c in concepts_of_open(piece)]
        tests = finding.kept[key] = {order.title: EFFORT[order.how] for order in orders if order}
    return tests
