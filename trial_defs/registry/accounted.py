"""What the draft says of the entry as a whole: what is missing in it, and which of its words are in no criterion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trial_defs.registry.criteria import Drafted
from trial_defs.registry.headings import headings
from trial_defs.registry.lines import plain
from trial_defs.registry.record import Record
from trial_defs.registry.splitting import Point, is_joining_word, outline, sections

_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Unaccounted:
    """The words of the text that are in no criterion, no question and no heading; `of`: how many words it has."""

    words: tuple[str, ...] = ()
    of: int = 0

    @property
    def share(self) -> float:
        """The share of the words that is accounted for."""
        return 1 - len(self.words) / self.of if self.of else 1.0


def unaccounted(text: str, found: Sequence[Drafted], said_before: Sequence[tuple[int, int]] = ()) -> Unaccounted:
    """Hold every word of the text against the draft. `said_before`: what only repeats a field of the entry.

    A criterion accounts for its sentence (what was not read of it is in a question) and for the lines over it.
    """
    spans = [(each.start, each.end) for each in found]
    spans += [each.sentence for each in found] + [span for each in found for span in each.under]
    spans += [(head.start, head.end) for head in headings(text)]
    spans += [*said_before]
    spans += _titles(plain(text), outline(text))
    covered = bytearray(len(text))
    for start, end in spans:
        covered[start:end] = b"\x01" * (end - start)
    words = list(_WORD.finditer(text))
    left = tuple(match[0] for match in words if not covered[match.start()])
    return Unaccounted(left, len(words))


def _titles(low: str, points: Sequence[Point]) -> list[tuple[int, int]]:
    """Lines that ask for nothing: a title over a list, and "or" in a line of its own."""
    found = []
    for point in points:
        if point.title or is_joining_word(low, point.start, point.end):
            found.append((point.start, point.end))
        found += _titles(low, point.children)
    return found


def missing_of(record: Record, text: str, *, is_damaged: bool) -> list[str]:
    """What the entry does not say, and what is damaged in it."""
    said = (
        (record.id, "Registry number"),
        (record.phase, "Phase"),
        (record.sponsor, "Sponsor"),
        (record.status != "unknown", "Recruiting status"),
        (record.least_age is not None or record.most_age is not None, "Ages in a field of their own"),
        (record.sites, "Sites"),
        (record.completion, "Completion date"),
    )
    found = [what for is_there, what in said if not is_there]
    found += [f"Field {name} (its value is not understood)" for name in record.unread]
    lists = sections(text)
    for section in lists:
        if len(re.findall(r"\w+", text[section.start : section.end])) < 4:
            about = f" for {section.about}" if section.about else ""
            found.append(f"The list of {section.side} criteria{about} (its heading is there, the list is empty)")
    if any(section.unheaded for section in lists):
        found.append("A heading over the first list of criteria (its side is assumed: inclusion)")
    if is_damaged:
        found.append('The signs "at least" and "at most" before many limits ("=" is in their place)')
    if re.search(r"x ?109 ?/", plain(text)):
        found.append("The raised 9 of 10⁹/L (it stands as 109; read as 10⁹)")
    if plain(text).count("(") != plain(text).count(")"):
        found.append("A bracket (as many are opened as closed nowhere near each other)")
    return found
