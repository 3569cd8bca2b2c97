"""The language of what people read: of the service, or of one EHR."""

from __future__ import annotations

from cds_hooks.words.languages import languages
from mappings.near_words import suggestion


def known_language(value: str) -> str:
    """The language, if there is a catalogue of it. ValueError with those that there are."""
    if value and value not in languages():
        hint = suggestion(value, languages())
        raise ValueError(f"is not a language that there is{hint}; there are {', '.join(languages())}")
    return value
