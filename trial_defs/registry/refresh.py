"""A newer entry of the registry against a definition: status and sites are renewed, changed words are shown.

Criteria are never touched: which of them a changed sentence concerns is said, what to do about it a person decides.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from trial_defs.definition.changes import Recruitment, recruiting_changes
from trial_defs.definition.expressions import Recruiting
from trial_defs.definition.language import CriterionWords, TrialWords
from trial_defs.registry.record import Record
from trial_defs.registry.splitting import clauses


@dataclass(frozen=True, slots=True)
class ChangedWords:
    """One changed stretch of the eligibility text, and the ids of the criteria that were read from it."""

    before: str
    after: str
    criteria: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The definition's new text (None when nothing in it changes), what is new in it, and what the text changed."""

    text: str | None
    renewed: tuple[str, ...]
    words: tuple[ChangedWords, ...]


def refresh(text: str, words: TrialWords, record: Record, eligibility_before: str | None) -> Refreshed:
    """`text` is the definition file, `words` what it holds, `eligibility_before` the document it was made from.

    Without the earlier eligibility text only status, dates and sites are compared.
    """
    changes = () if eligibility_before is None else tuple(_changes(words, eligibility_before, record.eligibility))
    recruiting = _recruiting(words, record)
    before = words.recruiting.model_dump(exclude_defaults=True, mode="json")
    renewed = tuple(_renewed(before, recruiting))
    if not renewed:
        return Refreshed(None, (), changes)
    block = yaml.safe_dump({"recruiting": recruiting}, sort_keys=False, allow_unicode=True, width=116)
    text = _with_block(text, "recruiting", block)
    return Refreshed(_with_block(text, "version", f"version: {words.version + 1}\n"), renewed, changes)


def _recruiting(words: TrialWords, record: Record) -> dict[str, object]:
    """The registry's word; where it says nothing, what the definition has."""
    old = words.recruiting
    status: Recruiting = record.status if record.status != "unknown" else old.status
    sites = [{"name": s.name, "city": s.city, "country": s.country, "status": s.status} for s in record.sites]
    kept = [site.model_dump(mode="json") for site in old.sites]
    overdue = record.completion or old.overdue_after
    return {
        "status": status,
        **({"overdue_after": overdue} if overdue else {}),
        **({"sites": sites or kept} if sites or kept else {}),
    }


def _renewed(before: dict[str, object], after: dict[str, object]) -> Iterator[str]:
    for each in recruiting_changes(_recruitment(before), _recruitment(after)):
        missing = "not listed" if each.what.startswith("site ") else "not stated"
        yield f"{each.what}: {each.before or missing} -> {each.after or missing}"


def _recruitment(words: dict[str, object]) -> Recruitment:
    status, completion = (str(words[key]) if key in words else None for key in ("status", "overdue_after"))
    return Recruitment(status, completion, {_site(site): site.get("status", "unknown") for site in _sites(words)})


def _sites(recruiting: dict[str, object]) -> list[dict[str, str]]:
    sites = recruiting.get("sites")
    return sites if isinstance(sites, list) else []


def _site(site: dict[str, str]) -> str:
    return f"{site['name']}, {site['city']}"


def _with_block(text: str, key: str, block: str) -> str:
    """The file with one top-level entry replaced; everything else stays byte for byte."""
    return re.sub(rf"(?m)^{key}:.*\n(?:(?:[ \t].*|-.*)?\n)*?(?=^\S|\Z)", lambda _: block, text, count=1)


def _changes(words: TrialWords, before: str, after: str) -> Iterator[ChangedWords]:
    """Clause by clause, so that a sentence that only moved or was numbered anew is no change."""
    old, new = _pieces(before), _pieces(after)
    matcher = difflib.SequenceMatcher(None, [text for text, _, _ in old], [text for text, _, _ in new], autojunk=False)
    for kind, first, last, start, end in matcher.get_opcodes():
        if kind == "equal":
            continue
        spans = [(piece[1], piece[2]) for piece in old[first:last]]
        named = tuple(dict.fromkeys(each.id for each in _criteria(words) if _read_from(each, spans)))
        yield ChangedWords(_joined(old[first:last]), _joined(new[start:end]), named)


def _pieces(text: str) -> list[tuple[str, int, int]]:
    return [(re.sub(r"\s+", " ", text[c.start : c.end]).strip(), c.start, c.end) for c in clauses(text)]


def _joined(pieces: list[tuple[str, int, int]]) -> str:
    return " / ".join(text for text, _, _ in pieces)


def _criteria(words: TrialWords) -> Iterator[CriterionWords]:
    yield from words.before
    for cohort in words.cohorts.values():
        yield from (*cohort.criteria, *cohort.closing)
    yield from words.after


def _read_from(criterion: CriterionWords, spans: list[tuple[int, int]]) -> bool:
    if criterion.drafted is None:
        return False
    start, _, end = criterion.drafted.span.partition("..")
    return any(first <= int(start) < last or first < int(end) <= last for first, last in spans)
