"""Rules about the patients whom a definition is for: it may not turn away those whom it asks for.

They guard the signature of a drafted definition, where a lost "other" or "not" passes every other rule.
"""

from __future__ import annotations

from collections.abc import Iterator

from mappings.concepts.catalogue import Catalogue
from mappings.facts import Polarity
from trial_defs.definition import expressions as x

Found = Iterator[tuple[str, str]]  # where in the definition; what is wrong and what to do

# Negative results that a text may well exclude: where the marker is missing, the treatment has no target.
_TARGETS = ("cd19-expression",)


def candidate_rules(cohort: x.Cohort, catalogue: Catalogue) -> Found:
    """What turns the candidates of this cohort away, or lets anybody in."""
    yield from _gate_asks_the_record(cohort)
    yield from _excludes_its_own(cohort, catalogue)
    for criterion in cohort.criteria:
        if criterion.kind == "exclusion":
            yield from _negative_excluded(f"{cohort.id}.{criterion.id}", criterion)


def _gate_asks_the_record(cohort: x.Cohort) -> Found:
    """A gate that only a person can answer shows the trial to every patient."""
    if not any(isinstance(leaf, x.Condition | x.Value | x.Treatment | x.Change) for leaf in x.leaves_of(cohort.gate)):
        yield (
            f"{cohort.id}.gate",
            "asks nothing of the record, so that every patient passes; name the disease that opens the cohort",
        )


def _excludes_its_own(cohort: x.Cohort, catalogue: Catalogue) -> Found:
    """An exclusion that holds for everybody with the disease of the gate or of an inclusion criterion."""
    required = [("the gate", cohort.gate)]
    required += [(c.id, c.asks) for c in cohort.criteria if c.kind == "inclusion" and c.only_if is None]
    for criterion in cohort.criteria:
        if criterion.kind != "exclusion" or criterion.only_if is not None:
            continue
        for name, asks in required:
            if asks == criterion.asks:
                continue  # a contradiction, which has a rule of its own
            diseases = _diseases(asks)
            if diseases and all(_holds_with(criterion.asks, disease, catalogue) for disease in diseases):
                yield (
                    f"{cohort.id}.{criterion.id}",
                    f"excludes everybody with {' or '.join(diseases)}, which {name} asks for; say which other disease "
                    "is meant (`excepting`), or put a judgement beside it",
                )
                break


def _diseases(asks: x.Expression) -> list[str]:
    """The diseases of which a candidate has one; none where the expression can be met without any."""
    match asks:
        case x.Condition(concept=concept):
            return [concept]
        case x.AnyOf(parts=parts):
            found = [_diseases(part) for part in parts]
            return [name for names in found for name in names] if all(found) else []
        case x.All(parts=parts):
            return next((names for part in parts if (names := _diseases(part))), [])
        case _:
            return []


def _holds_with(asks: x.Expression, disease: str, catalogue: Catalogue) -> bool:
    """Whether an expression is true of everybody who has this disease today."""
    match asks:
        case x.Condition(concept=concept):
            above = catalogue.ancestors(disease)
            excepted = any(name in asks.excepting for name in above)
            return concept in above and not excepted and asks.began_within is None and asks.lasting is None
        case x.AnyOf(parts=parts):
            return any(_holds_with(part, disease, catalogue) for part in parts)
        case x.All(parts=parts):
            return all(_holds_with(part, disease, catalogue) for part in parts)
        case _:
            return False


def _negative_excluded(where: str, criterion: x.Criterion) -> Found:
    """ "A negative pregnancy test is required" in a list of exclusions does not exclude the negative test."""
    for part in _alternatives(criterion.asks):
        if isinstance(part, x.Value) and part.test is Polarity.NEGATIVE and part.concept not in _TARGETS:
            yield where, f"excludes a negative {part.concept}; if the text requires the negative result, include it"


def _alternatives(asks: x.Expression) -> Iterator[x.Expression]:
    if isinstance(asks, x.AnyOf):
        for part in asks.parts:
            yield from _alternatives(part)
    else:
        yield asks
