"""The titles of concepts and tests in the reader's language, and with them every other text of that language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cds_hooks.words.texts import Texts, texts_of
from mappings.concepts.catalogue import Catalogue, id_in_words
from trial_defs.planning.needs import Need


@dataclass(frozen=True, slots=True)
class Titles:
    """The name that a clinician knows a concept by, from its id; `texts`: of the language that it is in.

    Equal for the same catalogue and language, so that what was said with them can be kept under them.
    """

    name: Callable[[str], str]  # concept id -> its English title, or its id in words
    texts: Texts

    def __call__(self, concept: str) -> str:
        return self.texts.translated(self.name(concept))

    def test(self, need: Need) -> str:
        """The title of a test that is to be ordered."""
        return self.texts.translated(need.order.title)


def titles_of(catalogue: Catalogue | None, texts: Texts | None = None) -> Titles:
    """The catalogue's titles, by default in English; for a concept that it does not have, its id in words."""
    return Titles(catalogue.title if catalogue else id_in_words, texts or texts_of())
