"""The texts that people read, by key: one catalogue for each language, `languages/LANGUAGE.po`, English first.

The files have gettext's form (https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html), with the key as
`msgid`. A key that a language lacks is read in English. `docs/extending.md` says how to add a language.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.messages.pofile import read_po
from babel.numbers import get_decimal_symbol

from cds_hooks.words.languages import ENGLISH, FOLDER, languages

PHRASES = "phrases"  # the folder in it for phrases of the catalogue and the engine, by their English text
_PATTERNS: Mapping[int, str] = {4: "year.pattern", 7: "month.pattern", 10: "day.pattern"}
_COMMA = re.compile("[,，、]")
_ISO = "yyyy-MM-dd"  # the pattern of a day in English


@dataclass(frozen=True, slots=True)
class Phrases:
    """Texts of a language by their English text. Of one with names in braces, what fills them is taken over."""

    exact: Mapping[str, str]
    patterns: Sequence[tuple[re.Pattern[str], str]]

    @classmethod
    def of(cls, messages: Mapping[str, Sequence[str]]) -> Phrases:
        filled = {english: forms[0] for english, forms in messages.items() if "{" in english}
        exact = {english: forms[0] for english, forms in messages.items() if english not in filled}
        return cls(exact, [(_pattern(english), text) for english, text in filled.items()])

    def translated(self, english: str) -> str:
        if (found := self.exact.get(english)) is not None:
            return found
        for pattern, text in self.patterns:
            if match := pattern.fullmatch(english):
                return text.format(**match.groupdict())
        return english


def _pattern(english: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", english)
    return re.compile("".join(f"(?P<{p}>.+?)" if place % 2 else re.escape(p) for place, p in enumerate(parts)))


@dataclass(frozen=True, eq=False, slots=True)
class Texts:
    """The texts, numbers and dates of one language; the same value for the same language."""

    language: str  # BCP 47: "en", "de", "zh-Hans"
    _texts: Mapping[str, Sequence[str]]  # key -> its forms; one where the text has no plural
    _phrases: Phrases
    _form_of: Callable[[int], int]
    _english: Texts | None
    _decimal: str
    _locale: str
    unsigned: frozenset[str] = frozenset()  # trials whose texts in this language the study team has not confirmed

    def with_phrases(self, phrases: Mapping[str, str], unsigned: frozenset[str]) -> Texts:
        """With further texts by their English text, such as those of definitions; `unsigned` as above."""
        return replace(
            self, _phrases=Phrases({**phrases, **self._phrases.exact}, self._phrases.patterns), unsigned=unsigned
        )

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of that key with its values. KeyError for a key that no language has."""
        forms = self._texts.get(key)
        if forms is None:
            if self._english is None:
                raise KeyError(key)
            return self._english(key, **values)
        return forms[0].format(**values) if values else forms[0]

    def count(self, key: str, number: int, /, **values: object) -> str:
        """The text of that key in the form that goes with the number, which is its `{count}`."""
        forms = self._texts.get(key)
        if forms is None:
            if self._english is None:
                raise KeyError(key)
            return self._english.count(key, number, **values)
        return forms[min(self._form_of(number), len(forms) - 1)].format(count=number, **values)

    def has(self, key: str) -> bool:
        return key in self._texts or (self._english is not None and self._english.has(key))

    def translated(self, english: str) -> str:
        """The title of a concept or a test, or a question or note of the engine, which come in English.

        One that the language does not have, such as a site's own title, stays as it is.
        """
        return self._phrases.translated(english) if self._phrases.exact else english

    def day(self, day: date) -> str:
        pattern = self("day.pattern")
        if pattern == _ISO:
            return day.isoformat()  # of the day of reading, its placeholder: a screen puts the day in
        return _day(day, pattern, self._locale) if type(day) is date else format_date(day, pattern, self._locale)

    def date(self, text: str) -> str:
        """An ISO date of a day, month or year, as this language writes it; any other text as it is."""
        pattern = _PATTERNS.get(len(text))
        if pattern is None:
            return text
        try:
            day = date.fromisoformat(f"{text}-01-01"[:10])
        except ValueError:
            return text
        return _day(day, self(pattern), self._locale)

    def number(self, text: str) -> str:
        """A number that is written with a point, as this language writes it."""
        return text if self._decimal == "." else text.replace(".", self._decimal)

    def join(self, names: Sequence[str]) -> str:
        """ "a, b and c"."""
        return self._list(names, "list.and")

    def either(self, names: Sequence[str]) -> str:
        """ "a, b or c"."""
        return self._list(names, "list.or")

    def first_of(self, names: Sequence[str], most: int) -> str:
        """The first `most` names, and how many more there are."""
        # A name may hold a comma of its own, or a number with one.
        comma = self("list.semicolon" if any(_COMMA.search(name) for name in names[:most]) else "list.comma")
        if len(names) <= most:
            return comma.join(names)
        return self("list.more", names=comma.join(names[:most]), count=len(names) - most)

    def _list(self, names: Sequence[str], key: str) -> str:
        if len(names) < 2:
            return "".join(names)
        return self(key, first=self("list.comma").join(names[:-1]), last=names[-1])


def capitalized(text: str) -> str:
    """The text with its first letter large, as a sentence begins; the others as they are."""
    return text[:1].upper() + text[1:]


def texts_of(language: str = ENGLISH) -> Texts:
    """The texts of a language. ValueError for one that has no catalogue."""
    return _texts_of(language)  # one value, whether English is named or not


@lru_cache
def _texts_of(language: str) -> Texts:
    if language not in languages():
        raise ValueError(f'there is no catalogue of the language "{language}"; there are {", ".join(languages())}')
    locale = language.replace("-", "_")
    catalog = _catalog(FOLDER / f"{locale}.po")
    phrases = FOLDER / PHRASES / f"{locale}.po"
    english = None if language == ENGLISH else texts_of(ENGLISH)
    form_of: Callable[[int], int] = gettext.c2py(catalog.plural_expr)
    return Texts(
        language,
        _messages(catalog),
        Phrases.of(_messages(_catalog(phrases)) if phrases.exists() else {}),
        form_of,
        english,
        get_decimal_symbol(Locale.parse(locale)),
        locale,
    )


def texts_in(language: str) -> Texts:
    """The texts of a language that was chosen once; English where there is no catalogue of it any more."""
    return texts_of(language if language in languages() else ENGLISH)


def _catalog(path: Path) -> Any:
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def _messages(catalog: Any) -> dict[str, tuple[str, ...]]:
    return {
        message.id if isinstance(message.id, str) else message.id[0]: _forms(message.string)
        for message in catalog
        if message.id and message.string
    }


def _forms(string: str | Sequence[str]) -> tuple[str, ...]:
    return (string,) if isinstance(string, str) else tuple(string)


@lru_cache(maxsize=4096)
def _day(day: date, pattern: str, locale: str) -> str:
    return format_date(day, pattern, locale)
