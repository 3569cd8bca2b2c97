"""What was taken as absent, counted in groups: cancer, heart, brain. The explanation lists each; a card counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from cds_hooks.words.texts import Texts
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Sex
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Basis, CohortMatch, Finding, Outcome


def presumed(cohort: CohortMatch) -> list[Finding]:
    """The findings that rest on silence."""
    return [finding for finding in cohort.of(Outcome.MET) if finding.basis is Basis.PRESUMED]


def silent_leaves(finding: Finding) -> list[x.Expression]:
    """The pieces of a presumed answer that no record supports; others of its pieces may have been measured."""
    found = {evidence.concept for evidence in finding.evidence}
    silent = [leaf for leaf in finding.decided_by if getattr(leaf, "absent", "ask") == "presume"]
    return [leaf for leaf in silent if found.isdisjoint(x.concepts_of(leaf))]


def concerns(concepts: Iterable[str], sex: Sex | None, catalogue: Catalogue) -> bool:
    """Whether one of the concepts may concern a patient of that sex. Lists leave the others out, evaluation never."""
    known = [catalogue.concepts[name].sex for name in concepts if name in catalogue.concepts]
    return not known or any(each is None or sex is None or each == sex for each in known)


def absences(cohort: CohortMatch, sex: Sex | None, catalogue: Catalogue) -> tuple[int, list[str]]:
    """How many criteria rest on silence, and the groups of what is silent, the largest first."""
    groups: Counter[str] = Counter()
    criteria = 0
    for finding in presumed(cohort):
        names = [names for names in map(_subject, silent_leaves(finding)) if concerns(names, sex, catalogue)]
        criteria += bool(names)
        groups.update({catalogue.concepts[each[0]].group: 1 for each in names if each[0] in catalogue.concepts})
    order = list(groups)
    return criteria, sorted(order, key=lambda group: (-groups[group], order.index(group)))


def _subject(leaf: x.Expression) -> Sequence[str]:
    """The concepts that a piece asks about, without those that it excepts."""
    match leaf:
        case x.Value() | x.Condition():
            return (leaf.concept,)
        case x.Treatment():
            return leaf.concepts
        case _:
            return x.concepts_of(leaf)


def group_words(groups: Iterable[str], texts: Texts) -> list[str]:
    """The groups in words, each once; a site's own by its name."""
    words = (texts(f"group.{group}") if texts.has(f"group.{group}") else group.replace("-", " ") for group in groups)
    return list(dict.fromkeys(words))
