"""A definition beside the text it was read from: each criterion with its words, its cases, and what became of it.

Worked out for two readers of it: the page of the service, on which it is corrected and signed, and the file that
`trialcards trials review` writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from app.definitions.review_edits import criteria_of, span_of
from app.hashes import sha256_of
from cds_hooks.words.numbers import quantity_words
from cds_hooks.words.paraphrase import Phrase, paraphrase
from cds_hooks.words.wording import titles_of
from mappings.concepts.catalogue import Catalogue
from trial_defs.definition import expressions as x
from trial_defs.definition.edits import GATE, part_text
from trial_defs.definition.language import CohortWords, CriterionWords, TrialWords
from trial_defs.engine.sample_cases import Cases, cases_of
from trial_defs.registry.forms import PERSON, FormError, error_of, form_of

_LISTS = ("criteria", "closing", "without", "open")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A criterion, or the gate of a cohort, as a reviewer reads it.

    `digest` names what it asks and says: a signature is under it. `error`: how often a reader found a draft of its
    form wrong; None for what was not drafted.
    """

    id: str
    title: str  # "I3.platelets", "Gate of Lupus nephritis"
    kind: str  # "inclusion", "exclusion", "gate"
    source: str
    text: str
    asks: Phrase
    only_if: Phrase | None
    question: str | None
    words: str
    form: str
    error: FormError | None
    cases: tuple[Cases, ...]
    digest: str
    yaml: str
    place: int  # in the order of the definition

    @property
    def is_for_a_person(self) -> bool:
        return self.form == PERSON


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the text, and the ids of the criteria that were read from it."""

    text: str
    criteria: tuple[str, ...]


def reviewed(trial: x.Trial, words: TrialWords, catalogue: Catalogue) -> list[Reviewed]:
    """The gates and every criterion, each once: first what asks something, then by the measured error of the form."""
    compiled = {c.id: c for cohort in trial.cohorts for c in cohort.criteria}
    gates = {cohort.id: cohort for cohort in trial.cohorts}
    found = [_gate(name, cohort, gates[name], catalogue) for name, cohort in words.cohorts.items()]
    found += [
        _criterion(each, compiled[each.id], place, catalogue)
        for place, each in enumerate(criteria_of(words))
        if each.id in compiled
    ]
    return sorted(found, key=_rank)


def _rank(each: Reviewed) -> tuple[object, ...]:
    rate = each.error.rate if each.error and not each.is_for_a_person else 0.0
    return each.kind != "gate", each.question is None, -rate, each.place


def _gate(name: str, words: CohortWords, cohort: x.Cohort, catalogue: Catalogue) -> Reviewed:
    titles = titles_of(catalogue)
    content = words.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    head = {key: value for key, value in content.items() if key not in _LISTS}
    alone = x.Criterion(id=name, kind="inclusion", source="", text="", asks=cohort.gate)
    form = form_of(cohort.gate, has_question=words.question is not None)
    return Reviewed(
        GATE + name, f"Gate of “{words.title}”", "gate", "whom the cohort is asked about", words.title,
        paraphrase(cohort.gate, titles), None, words.question, "", form, None,
        cases_of(alone, catalogue, quantity_words), digest_of(head), part_text(head), -1,
    )  # fmt: skip


def _criterion(words: CriterionWords, criterion: x.Criterion, place: int, catalogue: Catalogue) -> Reviewed:
    titles = titles_of(catalogue)
    content = words.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    drafted = words.drafted
    form = form_of(criterion.asks, has_question=words.question is not None)
    return Reviewed(
        words.id, words.id, criterion.kind, words.source, words.text, paraphrase(criterion.asks, titles),
        paraphrase(criterion.only_if, titles) if criterion.only_if else None, words.question,
        (drafted.sentence or drafted.words) if drafted else "", form, error_of(form) if drafted else None,
        cases_of(criterion, catalogue, quantity_words), digest_of(content), part_text(content), place,
    )  # fmt: skip


def digest_of(content: Mapping[str, object]) -> str:
    """Of what a part asks and says, comments and layout aside."""
    return sha256_of(json.dumps(content, sort_keys=True, ensure_ascii=False))


def pieces(text: str, criteria: Iterable[CriterionWords]) -> list[Piece]:
    """The text cut wherever a criterion's words begin or end."""
    spans = [(*span_of(each.drafted), each.id) for each in criteria if each.drafted is not None]
    edges = sorted({0, len(text), *(edge for start, end, _ in spans for edge in (start, end) if edge <= len(text))})
    return [
        Piece(text[first:last], tuple(name for start, end, name in spans if start <= first and last <= end))
        for first, last in pairwise(edges)
    ]


def review_values(trial: x.Trial, words: TrialWords, text: str, catalogue: Catalogue) -> dict[str, object]:
    """What both pages show."""
    return {
        "title": words.title,
        "trial_id": words.id,
        "missing": list(words.missing),
        "criteria": reviewed(trial, words, catalogue),
        "pieces": pieces(text, criteria_of(words)),
    }
