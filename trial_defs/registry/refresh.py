"""A newer entry of the registry against a definition: status and sites are renewed, changed words are shown.

What a criterion asks is never touched. A criterion that was read from a changed sentence gets a question, the signature
is taken off, and the newer text is remembered, so that the same change is not shown again.
"""

from __future__ import annotations

import difflib
import json
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
    """The definition's new text (None when nothing in it changes), what is new in it, and what the text changed.

    `unsigned`: the signature was taken off, because criteria were read from words that changed.
    """

    text: str | None
    renewed: tuple[str, ...]
    words: tuple[ChangedWords, ...]
    unsigned: bool = False


def refresh(
    text: str, words: TrialWords, record: Record, eligibility_before: str | None, *, document: str, today: str
) -> Refreshed:
    """`text` is the definition file, `words` what it holds, `eligibility_before` the text that was compared last.

    `document`: the name under which the newer entry is kept. Without the earlier text only status, dates and sites are
    compared.
    """
    changes = () if eligibility_before is None else tuple(_changes(words, eligibility_before, record.eligibility))
    recruiting = _recruiting(words, record)
    before = words.recruiting.model_dump(exclude_defaults=True, mode="json")
    renewed = tuple(_renewed(before, recruiting))
    if not renewed and not changes:
        return Refreshed(None, (), ())
    if renewed:
        text = _with_block(text, "recruiting", _dumped({"recruiting": recruiting}))
        text = _with_block(text, "version", f"version: {words.version + 1}\n")
    if changes:
        text = _asked_again(text, words, changes, document, today)
    return Refreshed(text, renewed, changes, unsigned=bool(changes) and words.signed_off is not None)


def _asked_again(text: str, words: TrialWords, changes: tuple[ChangedWords, ...], document: str, today: str) -> str:
    """The file without its signature, with a question at each criterion that a change concerns."""
    text = _with_block(text, "signed_off", "")
    source = words.source.model_dump(exclude_defaults=True, mode="json") | {"compared": document}
    text = _with_block(text, "source", _dumped({"source": source}))
    asking = set(words.questions)
    for change in changes:
        for name in change.criteria:
            if name not in asking:
                asking.add(name)
                asked = f"The registry's text changed ({today}): “{change.after or 'left out'}”. Is this still so?"
                text = _with_question(text, name, asked)
    new = [f"Text of {today} in no criterion: “{c.after}”" for c in changes if c.after and not c.criteria]
    if new:
        missing = _dumped({"missing": [*words.missing, *new]})
        text = _with_block(text, "missing", missing) if words.missing else _before_block(text, "cohorts", missing)
    return text


def _dumped(block: dict[str, object]) -> str:
    return yaml.safe_dump(block, sort_keys=False, allow_unicode=True, width=116)


def _with_question(text: str, name: str, asked: str) -> str:
    """A question under the id of a criterion; the rest of the file stays byte for byte."""
    line = re.compile(rf"(?m)^([ \t]*)- id: [\"']?{re.escape(name)}[\"']?[ \t]*\n")
    quoted = json.dumps(asked, ensure_ascii=False)
    return line.sub(lambda match: f"{match[0]}{match[1]}  question: {quoted}\n", text)


def _before_block(text: str, key: str, block: str) -> str:
    return re.sub(rf"(?m)^{key}:", lambda match: block + match[0], text, count=1)


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
    return re.sub(rf"(?m)^{key}:.*\n(?:(?:[ \t].*|-.*)?\n)*?(?=^[^\s-]|\Z)", lambda _: block, text, count=1)


def _changes(words: TrialWords, before: str, after: str) -> Iterator[ChangedWords]:
    """Clause by clause, so that a sentence that only moved or was numbered anew is no change."""
    old, new = _pieces(before), _pieces(after)
    matcher = difflib.SequenceMatcher(None, [text for text, _, _ in old], [text for text, _, _ in new], autojunk=False)
    for kind, first, last, start, end in matcher.get_opcodes():
        if kind == "equal":
            continue
        named = tuple(dict.fromkeys(each.id for each in _criteria(words) if _read_from(each, old[first:last])))
        yield ChangedWords(_join(old[first:last]), _join(new[start:end]), named)


def _pieces(text: str) -> list[tuple[str, int, int]]:
    return [(re.sub(r"\s+", " ", text[c.start : c.end]).strip(), c.start, c.end) for c in clauses(text)]


def _join(pieces: list[tuple[str, int, int]]) -> str:
    return " / ".join(text for text, _, _ in pieces)


def _criteria(words: TrialWords) -> Iterator[CriterionWords]:
    yield from words.before
    for cohort in words.cohorts.values():
        yield from (*cohort.criteria, *cohort.closing)
    yield from words.after


def _read_from(criterion: CriterionWords, pieces: list[tuple[str, int, int]]) -> bool:
    """Whether the criterion was read from one of these clauses: its words, or its sentence, are there."""
    if criterion.drafted is None:
        return False
    read = [re.sub(r"\s+", " ", text).strip() for text in (criterion.drafted.sentence, criterion.drafted.words) if text]
    return any(text and (text in piece or piece in text) for text in read for piece, _, _ in pieces if piece)
