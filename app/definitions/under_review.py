"""A definition under review, whole: the file, what reviewers made of it, and what they signed.

The service writes no file: what is reviewed is kept in the database, and leaves it as a download.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from app.definitions import review_edits as edits
from app.definitions.review import Piece, Reviewed, pieces, reviewed
from app.definitions.review_edits import ReviewError, Working, criteria_of, working
from app.definitions.reviews import Edit, PartSignature, Review, Reviews
from app.definitions.screened_criteria import Counted
from app.definitions.served import Served
from app.people import Person
from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import DefinitionError, read_yaml
from trial_defs.definition.edits import with_signature, with_version, without_signature
from trial_defs.definition.lint import lint_trial
from trial_defs.definition.loader import OUR_TRIALS, hash_of
from trial_defs.registry.record import RegistryError, read_record

READ = "read against the source: it asks what the text says"
APPROVED = "approved for use: every criterion is signed, and together they are what the text says"


@dataclass(frozen=True, slots=True)
class Source:
    """The file of a definition, and the text that it was made from ("" where that is not at hand)."""

    content: str
    digest: str
    document: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A criterion as the page shows it."""

    part: Reviewed
    yaml: str  # as it is in the file
    was: str  # names exactly what is shown, comments included
    is_whole: bool
    is_repeated: bool  # another criterion was read from words of this one, so that it may be taken out
    signature: PartSignature | None
    last_edit: Edit | None
    counted: Counted | None
    others: tuple[str, ...]  # those with which it can be joined


@dataclass(frozen=True, slots=True)
class UnderReview:
    """What the page shows."""

    at: Working
    review: Review
    file_digest: str | None  # None: there is no file any more
    text: str
    pieces: Sequence[Piece]
    entries: Sequence[Entry]
    approval: PartSignature | None
    objections: Sequence[str]

    @property
    def open(self) -> list[Entry]:
        """The parts that nobody has signed as they are."""
        return [each for each in self.entries if each.signature is None]

    @property
    def is_of_another_file(self) -> bool:
        """The file changed since the review began, and does not hold what the review came to."""
        return self.file_digest not in (None, self.review.began_from, hash_of(self.at.text.encode()))

    @property
    def is_in_the_file(self) -> bool:
        """The file holds exactly what was reviewed."""
        return self.file_digest == hash_of(self.at.text.encode())


def source_of(trial: str, served: Served, site_trials: Path | None) -> Source | None:
    """The newest file of this trial: an imported draft, or what is served. None where there is neither."""
    draft = next((each for each in served.drafts if each.id == trial), None)
    if draft is not None:
        try:
            raw = draft.file.read_bytes()
        except OSError:
            return None
        return Source(raw.decode("utf-8", "replace"), hash_of(raw), _document(raw, [draft.file.parent]))
    found = served.trials.get(trial)
    if found is None or found.hash not in served.texts:
        return None
    raw = served.texts[found.hash]
    return Source(raw.decode("utf-8", "replace"), found.hash, _document(raw, [*_given(site_trials), OUR_TRIALS]))


def _given(folder: Path | None) -> list[Path]:
    return [folder] if folder else []


def _document(raw: bytes, folders: Sequence[Path]) -> str:
    """The text that a definition names, from a file beside it: a name, never a way to another folder."""
    name = _document_name(raw)
    for folder in folders:
        path = folder / name
        if name and Path(name).name == name and path.is_file():
            try:
                return read_record(path.read_bytes()).eligibility
            except (OSError, RegistryError):
                return ""
    return ""


def _document_name(raw: bytes) -> str:
    try:
        source = read_yaml(raw, Path()).get("source")
    except DefinitionError:
        return ""
    name = source.get("document") if isinstance(source, dict) else ""
    return name if isinstance(name, str) else ""


async def under_review(
    trial: str, served: Served, site_trials: Path | None, reviews: Reviews, counted: Mapping[str, Counted]
) -> UnderReview | None:
    """All of it; None where there is no such definition. ReviewError where its text cannot be used."""
    source = await asyncio.to_thread(source_of, trial, served, site_trials)
    review = await reviews.of(trial)
    if source is None and review is None:
        return None
    if review is None:
        assert source is not None
        review = Review(source.content, source.digest, 0)
    signatures, made = await reviews.signatures(trial), await reviews.edits(trial)
    return await asyncio.to_thread(_put_together, review, source, signatures, made, counted, served.catalogue)


def _put_together(
    review: Review,
    source: Source | None,
    signatures: Mapping[tuple[str, str], PartSignature],
    made: Sequence[Edit],
    counted: Mapping[str, Counted],
    catalogue: Catalogue,
) -> UnderReview:
    at = working(review.content, catalogue)
    entries = [_entry(each, at, signatures, made, counted) for each in reviewed(at.trial, at.words, catalogue)]
    text = source.document if source else ""
    return UnderReview(
        at,
        review,
        source.digest if source else None,
        text,
        pieces(text, criteria_of(at.words)) if text else [],
        entries,
        signatures.get(("", hash_of(at.text.encode()))),
        objections_to(at, catalogue),
    )


def _entry(
    part: Reviewed,
    at: Working,
    signatures: Mapping[tuple[str, str], PartSignature],
    made: Sequence[Edit],
    counted: Mapping[str, Counted],
) -> Entry:
    lines = at.parts[part.id]
    beside = [each.id for each in at.parts.values() if lines.place and each.place == lines.place and each.id != part.id]
    return Entry(
        part,
        lines.text,
        was_of(at, part.id, part.digest),
        lines.is_whole,
        edits.is_repeated(at, part.id),
        signatures.get((part.id, part.digest)),
        next((each for each in made if each.part == part.id), None),
        counted.get(part.id),
        tuple(_nearest(beside, list(at.parts), part.id)),
    )


def was_of(at: Working, part: str, digest: str) -> str:
    """A name of exactly what was shown of a part: its lines, and what it asks and says."""
    return hash_of(f"{digest}\0{at.parts[part].text}".encode()).removeprefix("sha256:")[:32]


def _nearest(names: Sequence[str], order: Sequence[str], here: str) -> list[str]:
    """These parts, those that follow first."""
    at = order.index(here)
    return sorted(names, key=lambda name: (order.index(name) < at, abs(order.index(name) - at)))


def objections_to(at: Working, catalogue: Catalogue) -> list[str]:
    """What `trials lint` objects to in the definition as it is."""
    return [f"{where}: {message}" for where, message in lint_trial(at.trial, catalogue)]


def as_new_version(text: str, served: Served, trial: str) -> str:
    """The text of a definition that is being changed: unsigned, and with a version that is not served already."""
    bare = without_signature(text)
    known = served.trials.get(trial)
    at = working(bare, served.catalogue)
    if known is not None and at.words.version <= known.version:
        return with_version(bare, known.version + 1)
    return bare


def signed_text(found: UnderReview, person: Person, now: datetime, on: str, catalogue: Catalogue) -> str:
    """The definition with the signature of the whole, those of its parts above it. ReviewError says what is open."""
    if found.open:
        names = ", ".join(each.part.title for each in found.open[:5])
        raise ReviewError(f"{len(found.open)} parts are not signed yet: {names}{' …' if len(found.open) > 5 else ''}")
    if found.objections:
        raise ReviewError(*found.objections)
    notes = [
        f"{each.part.id} by {each.signature.person}, {each.signature.signed_at:%Y-%m-%dT%H:%MZ}: "
        f"{each.signature.meaning}"
        for each in found.entries
        if each.signature
    ]
    notes.append(f"the whole by {person.name}, {now:%Y-%m-%dT%H:%MZ}: {APPROVED}")
    text = with_signature(found.at.text, person.name, on, notes)
    working(text, catalogue)
    return text


def with_order(found: UnderReview, *, of_the_text: bool) -> UnderReview:
    """The same, its criteria in the order of the definition."""
    if not of_the_text:
        return found
    return replace(found, entries=sorted(found.entries, key=lambda each: each.part.place))
