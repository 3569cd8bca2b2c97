"""Which results trials read: what is worth asking an EHR for by code where a list is too long to be read whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mappings.concepts.catalogue import ON_ROOM_AIR, Catalogue
from mappings.derived.formulas import DERIVATIONS
from trial_defs.definition import expressions as x

# A flow of oxygen at the time of a saturation takes its meaning away.
_ALONG_WITH = {ON_ROOM_AIR: ("oxygen-flow",)}


def results_read(trials: Iterable[x.Trial], catalogue: Catalogue) -> frozenset[str]:
    """The concepts whose Observations may change an answer about these trials, with inputs and parts of theirs."""
    found: set[str] = set()
    waiting = [name for trial in trials for name in _named(trial)]
    while waiting:
        name = waiting.pop()
        entry = catalogue.concepts.get(name)
        if entry is None or name in found:
            continue
        found.add(name)
        inputs = DERIVATIONS[name].inputs if name in DERIVATIONS else ()
        waiting += [*entry.includes, *entry.ruled_out_by, *inputs, *_ALONG_WITH.get(name, ())]
    # A result of the wider concept is one of the narrower at times: a panel, an antibody without its class.
    wider = {above for name in found for above in catalogue.ancestors(name)}
    return frozenset(name for name in found | wider if "Observation" in catalogue.where(name))


def _named(trial: x.Trial) -> Iterator[str]:
    for cohort in trial.cohorts:
        yield from x.concepts_of(cohort.gate)
        for criterion in cohort.criteria:
            yield from (*criterion.concepts, *criterion.shows, *x.concepts_of(criterion.asks))
            if criterion.only_if:
                yield from x.concepts_of(criterion.only_if)
