"""The languages that texts are there in: a file `LANGUAGE.po` here, and one of the same name in `phrases/`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
ENGLISH = "en"


def languages() -> tuple[str, ...]:
    """The languages that have a catalogue, as BCP 47 writes them, English first."""
    found = {path.stem.replace("_", "-") for path in FOLDER.glob("*.po")}
    return (ENGLISH, *sorted(found - {ENGLISH}))
