"""The headings of an eligibility text: which of its lists say what must be so, and which what must not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from trial_defs.registry.lines import plain

Side = Literal["inclusion", "exclusion"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and what it is for: "systemic sclerosis", "Part 1", or None for everybody."""

    side: Side
    about: str | None
    start: int
    end: int


_KIND = r"(?P<kind>non[ -]?inclusions?|inclusions?|exclusions?|exclusionary)"
# A line that is nothing but a heading, or one that goes on behind its colon or full stop.
_LINE = re.compile(
    rf"(?m)^[ \t>#|*•\-]*(?P<mark>\(?(?:\d{{1,2}}(?:\.\d{{1,2}})*[.):]?|[a-z][.)]|[ivx]+[.)])(?=[ \t]))?[ \t*#]*\(?"
    rf"(?P<before>(?:[a-z][\w'/&,\-]*[ \t]+|\d+[ \t]*|\([^()\n]{{0,60}}\)[ \t]*|[:\-][ \t]*){{0,10}}?){_KIND}"
    rf"(?:[ \t]+(?P<word>criteri(?:a|on|ons)|list))?\)?(?P<after>(?:[ \t]*\([^()\n]{{0,80}}\))?"
    rf"(?:[ \t]*-[ \t]*[a-z][^:.\n]{{0,60}}|[ \t]+(?:for|in|of|are|include|includes|as follows|\d)\b[^:.;\n]{{0,90}})?)"
    rf"[ \t*]*(?P<stop>:|\.(?=[ \t]+[a-z]\.?[ \t])|\.(?=[ \t]*(?:\n|$))|;(?=[ \t]*(?:\n|$))|(?=[ \t]*(?:\n|$)))"
)
# A heading inside a line, where a text came as one line.
_INLINE = re.compile(
    r"(?P<before>(?:(?:common|key|main|general|additional)\s+)?)(?P<kind>inclusion|exclusion)\s+criteria"
    r"(?:\s+for\s+(?:the\s+)?(?P<about>[^:.;\n]{2,90}?))?\s*(?P<stop>:|(?=\n))",
)
_OTHER = re.compile(
    r"(?m)^[ \t>#*•\-]*(?:\d{1,2}[.)])?[ \t*]*(?:"
    r"(?P<nci>disease characteristics|patient characteristics|prior[ /]?concurrent therapy)[ \t]*:"
    r"|(?P<out>(?:patients|subjects|participants|individuals|women|men|adults|persons|those"
    r"|volunteers)?[ \t]*(?:who[ \t]+)?"
    r"(?:will be|are|were|shall be|should be|must be)?[ \t]*(?:excluded|ineligible|not eligible|not included)"
    r"(?:[ \t]+(?:from|if|when|for|in|with)\b[^:\n]{0,80})?)[ \t]*:"
    r"|(?P<in>(?:patients|subjects|participants|individuals|women|men|adults|persons|those"
    r"|volunteers)[ \t]+(?:will be|are|were|"
    r"shall be|should be|must be|may be)?[ \t]*(?:included|eligible|enrolled|admitted)"
    r"(?:[ \t]+(?:from|if|when|for|in|with)\b[^:\n]{0,80})?)[ \t]*:)"
)
_NO_HEADING = re.compile(
    r"\b(?:meet|meets|meeting|met|fulfil\w*|satisf\w*|violat\w*|accord\w*|not|per|other|protocol|these|apply|applies"
    r"|waived|above|with|who|if|must|because|based|under|does|do|fail\w*|listed|described|defined|any|all|following)\b"
)
_EMPTY_WORDS = re.compile(
    r"\b(?:key|main|common|major|general|specific|additional|other|the|of|disease|study|trial|subjects?|patients?"
    r"|criteria"
    r"|criterion|full|list|only|participants?|protocol|inclusion|exclusion|eligibility|and|clinical|primary"
    r"|summary|are|is"
    r"|as follows|include|includes|for|these|this|in|all|everyone|everybody|both groups)\b"
)


@lru_cache(maxsize=16)
def headings(text: str) -> tuple[Heading, ...]:
    """Every heading in order, none inside another. The words behind a heading in its line belong to its list."""
    low = plain(text)
    found = [heading for match in _LINE.finditer(low) if (heading := _of_line(text, match))]
    for match in _INLINE.finditer(low):
        before = low[low.rfind("\n", 0, match.start()) + 1 : match.start()]
        if _is_free(found, match.span()) and _may_be_inline(before, match["stop"]):
            about = text[slice(*match.span("about"))].strip() if match["about"] else None
            side: Side = "inclusion" if match["kind"] == "inclusion" else "exclusion"
            found.append(Heading(side, about, match.start(), match.end()))
    for match in _OTHER.finditer(low):
        if _is_free(found, match.span()):
            found.append(Heading("exclusion" if match["out"] else "inclusion", None, match.start(), match.end()))
    found.sort(key=lambda heading: heading.start)
    return tuple(_with_populations(low, text, found))


def _is_free(found: list[Heading], span: tuple[int, int]) -> bool:
    return not any(each.start < span[1] and span[0] < each.end for each in found)


def _may_be_inline(before: str, stop: str) -> bool:
    """ "Failure to meet the inclusion criteria" at the end of a line is a criterion and no heading."""
    if re.search(r"\b(?:not|fail\w*|unable|without|violat\w*)\b[^.;:]*$", before):
        return False
    if stop == ":":
        return True
    last = re.split(r"[.;:]", before)[-1]
    return not _NO_HEADING.search(last) and len(last.split()) <= 3


def _of_line(text: str, match: re.Match[str]) -> Heading | None:
    kind, before, after = match["kind"], match["before"], match["after"] or ""
    bare = not match["word"]
    # "Exclusion" alone in its line is a heading too, "the patient's inclusion" is none.
    loose = bare and (match["stop"] == "" or len(before.split()) > 4)
    if loose and (before.strip() or after.strip() or kind == "exclusionary"):
        return None
    if bare and match["stop"] == "." and before.strip():
        return None
    if _NO_HEADING.search(re.sub(r"\([^()]*\)", "", before + " " + after)):
        return None
    side: Side = "inclusion" if kind.startswith("inclusion") else "exclusion"
    return Heading(side, _about(text, match), match.start(), match.end())


def _about(text: str, match: re.Match[str]) -> str | None:
    """Whom the heading is for: "(control group)", "for lupus", "Part 1", "Parkinson's Disease"."""
    before = text[slice(*match.span("before"))]
    after = text[slice(*match.span("after"))] if match["after"] else ""
    if named := re.match(r"(?is)\s*(?:for|in|of)\s+(?:the\s+)?(.+)$", after):
        name = named[1].strip(" ()")
        return name if _EMPTY_WORDS.sub("", name.lower()).strip(" -()") else None
    in_brackets = re.match(r"\s*\(([^()]*)\)", after)
    if in_brackets and _NAMES_SOMEBODY.search(in_brackets[1].lower()):
        return in_brackets[1].strip()
    outside = re.sub(r"\([^()]*\)", " ", before)
    rest = _EMPTY_WORDS.sub("", outside.lower()).strip(" -:\t")
    if not rest:
        return None
    kept = re.sub(r"(?i)^.*\b(?:eligibility|key)\s+criteria\b", "", outside)
    kept = re.sub(r"(?i)\b(?:key|main|common|specific|additional|general)\b", " ", kept)
    return re.sub(r"\s+", " ", kept).strip(" -:\t") or None


_NAMES_SOMEBODY = re.compile(
    r"\b(?:patients|subjects|participants|volunteers|donors?|controls?|cohort|groups?|arm|children|adults?|adolescents"
    r"|part|phase|healthy|recipients)\b"
)
_WHO = re.compile(
    r"\b(?:cohorts?|donors?|controls|control group|volunteers|arms?|groups?|part [0-9ivab]+|phase [0-9ivab]+"
    r"|adults?|juveniles?|children"
    r"|p[a]?ediatric|adolescents|recipients)\b"
)


def _with_populations(low: str, text: str, found: list[Heading]) -> list[Heading]:
    """A line that names a population right before a heading holds for that list and those after it, up to the next."""
    now: str | None = None
    result = []
    for number, head in enumerate(found):
        since = found[number - 1].end if number else 0
        line = low[since : head.start].rstrip(" \t\n")
        begin = max(line.rfind("\n") + 1, 0)
        last = line[begin:].strip(" \t*#:")
        last = "" if re.match(r"\W*(?:\d|[a-z][.)])|[*•-]", line[begin:].lstrip()) else last
        start = head.start
        own = now
        alone = begin == 0 or line[:begin].rstrip(" ").endswith("\n")
        if last and alone and len(last.split()) <= 8 and _WHO.search(last) and not re.search(r"[<>≥≤=%]|[.;]$", last):
            now = own = text[since + begin : since + len(line)].strip(" \t*#:")
            start = since + begin
        if head.about is None and own is not None:
            head = Heading(head.side, own, start, head.end)
        result.append(head)
    return result
