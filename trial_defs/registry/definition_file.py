"""A draft as a definition file: every criterion with an id, its place, its question and where it was read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from mappings.concepts.catalogue import Catalogue
from trial_defs.registry.criteria import Drafted, shortened
from trial_defs.registry.draft import Draft
from trial_defs.registry.lexicon import lexicon_for
from trial_defs.registry.recognition import Words
from trial_defs.registry.splitting import Side, plain

_HEAD = """\
# Drafted by the importer. It is served once a person has read every criterion against the document, answered each
# `question` and taken it out, restated the texts, and signed: `signed_off: {{by: NAME, on: DATE}}`.
# `drafted` shows where each one was read. {counts}
"""


def as_yaml(draft: Draft, catalogue: Catalogue, *, trial_id: str, document: str, read_on: str) -> str:
    """The draft as a definition file. `trial_id` names it where the registry gives no number."""
    content = as_words(draft, catalogue, trial_id=trial_id, document=document, read_on=read_on)
    computed = sum(1 for each in draft.criteria if each.name != "text")
    counts = (
        f"{len(draft.criteria)} criteria: {computed} drafted, {len(draft.criteria) - computed} in the document's words."
    )
    return _HEAD.format(counts=counts) + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=116)


def as_words(draft: Draft, catalogue: Catalogue, *, trial_id: str, document: str, read_on: str) -> Words:
    """The draft in the form of a definition file."""
    record, writer = draft.record, _Writer(draft, catalogue)
    source: Words = {"document": document, "read_on": read_on, "imported": True}
    recruiting: Words = {"status": record.status}
    if record.url:
        source["registry_url"] = record.url
    if record.completion:
        recruiting["overdue_after"] = record.completion
    if record.sites:
        sites = [{"name": s.name, "city": s.city, "country": s.country, "status": s.status} for s in record.sites]
        recruiting["sites"] = sites
    return {
        "id": trial_id,
        "version": 1,
        "title": record.title,
        "short_title": _cut(record.brief_title or record.title, 60),
        **({"sponsor": record.sponsor} if record.sponsor else {}),
        **({"phase": record.phase} if record.phase else {}),
        "source": source,
        "recruiting": recruiting,
        **({"missing": [*draft.missing, *_unaccounted(draft)]} if draft.missing or draft.unaccounted.words else {}),
        **writer.parts(),
    }


_ESCAPED = re.compile(r"\\([\\<>*_~#\[\]])")


def _unescape(words: Any) -> Any:
    """The words without the backslashes of the registry's markdown: people read them on the card."""
    if isinstance(words, str):
        return _ESCAPED.sub(r"\1", words)
    if isinstance(words, dict):
        return {key: _unescape(value) for key, value in words.items()}
    return [_unescape(each) for each in words] if isinstance(words, list | tuple) else words


def _unaccounted(draft: Draft) -> list[str]:
    words = draft.unaccounted.words
    return [f"Words of the text in no criterion and no question: {' '.join(words)}"] if words else []


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


class _Writer:
    """Gives every criterion an id and its place: common ones before and after, the others with their cohort."""

    def __init__(self, draft: Draft, catalogue: Catalogue) -> None:
        self.draft, self.catalogue = draft, catalogue
        self.lexicon = lexicon_for(catalogue)
        self.taken: set[str] = set()

    def parts(self) -> Words:
        names = {each.about: self._name(each.about) for each in self.draft.criteria if each.about}
        cohorts: dict[str, Words] = {}
        for about, name in names.items():
            cohorts.setdefault(name, self._cohort(about, self._named(about)[:1], whom=about))
        common: dict[Side, list[Words]] = {"inclusion": [], "exclusion": []}
        own: dict[tuple[str, str], list[Words]] = {}
        for each in self.draft.criteria:
            if each.about in names:
                key = "criteria" if each.side == "inclusion" else "closing"
                own.setdefault((names[each.about], key), []).append(self._words(each))
            else:
                common[each.side].append(self._words(each))
        for (name, key), criteria in own.items():
            cohorts[name][key] = criteria
        if not cohorts:
            cohorts["main"] = self._cohort(self.draft.record.title, self._diseases())
            if "question" in cohorts["main"] and not self._diseases():
                cohorts["main"] |= self._from_the_criteria()
        return {"before": common["inclusion"], "cohorts": cohorts, "after": common["exclusion"]}

    def _name(self, about: str) -> str:
        """Two headings of one disease are one cohort, named by the disease."""
        found = self._named(about)
        return found[0] if found else re.sub(r"[^a-z0-9]+", "-", about.lower()).strip("-")[:40] or "other"

    def _named(self, text: str) -> list[str]:
        low = plain(text)
        found = self.lexicon.find(self.lexicon.diagnoses, low, 0, len(low))
        return list(dict.fromkeys(m.concept for m in found if m.concept != "autoimmune-disease"))

    def _diseases(self) -> list[str]:
        record = self.draft.record
        return self._named(" ; ".join((*record.conditions, record.title, record.brief_title)))

    def _cohort(self, title: str, concepts: Sequence[str], whom: str | None = None) -> Words:
        """A cohort with its gate; where the text names no known disease, the gate is a question that blocks signing."""
        if not concepts:
            ask = f"Is the patient one of these: “{whom}”?" if whom else "Has the patient the disease of this study?"
            question = (
                "Which disease opens this cohort? Put a condition in place of this gate, and take the question out."
            )
            return {"title": title, "gate": {"judgement": {"ask": ask}}, "question": question}
        parts: list[Words] = [{"condition": {"is": concept}} for concept in concepts]
        cohort: Words = {"title": title, "gate": parts[0] if len(parts) == 1 else {"any": parts}}
        if len(parts) > 1:
            cohort["question"] = "Does each of these diseases open this cohort, as drafted, or only some?"
        return cohort

    def _from_the_criteria(self) -> Words:
        """A gate where conditions and title name no disease: that of the first inclusion criterion that names one."""
        record = self.draft.record
        for each in self.draft.criteria:
            found = self._named(record.eligibility[each.start : each.end]) if each.side == "inclusion" else []
            if found:
                quote = shortened(record.eligibility[each.start : each.end])
                ask = f"The entry names no condition; this one is drafted from “{quote}”. Does it open the cohort?"
                return {"gate": {"condition": {"is": found[0]}}, "question": ask}
        return {}

    def _words(self, each: Drafted) -> Words:
        words = self.draft.record.eligibility[each.start : each.end]
        side = "include" if each.side == "inclusion" else "exclude"
        drafted: Words = {"span": f"{each.start}..{each.end}", "words": words}
        text = self.draft.record.eligibility
        if each.sentence[0] < each.start or each.sentence[1] > each.end:
            drafted["sentence"] = text[slice(*each.sentence)]
        if each.under:
            drafted["under"] = [text[slice(*span)] for span in each.under]
        described: Words = _unescape(
            {
                "id": self._id(each),
                "source": each.place,
                "text": each.text,
                side: each.asks,
                **({"only_if": each.only_if} if each.only_if else {}),
                **({"question": each.question} if each.question else {}),
            }
        )
        return described | {"drafted": drafted}

    def _id(self, each: Drafted) -> str:
        number = re.search(r" (\d+(?:\.\d+)*)(?:,|$)", each.place)
        stem = f"{'I' if each.side == 'inclusion' else 'E'}{number[1] if number else 0}.{each.name}"
        name, count = stem, 1
        while name in self.taken:
            count += 1
            name = f"{stem}.{count}"
        self.taken.add(name)
        return name
