"""The catalogues of other languages are complete, and a card in them holds nothing of ours in English."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from babel.messages.pofile import read_po

from app.demo.charts import demo_patients
from cds_hooks.cards.fitting import MOST_CHARACTERS, MOST_WORDS
from cds_hooks.cards.trial_cards import Card, cards_for
from cds_hooks.protocol.contact import Contact
from cds_hooks.report import report_of
from cds_hooks.words.languages import FOLDER, languages
from cds_hooks.words.safe_text import length, markdown, plain
from cds_hooks.words.texts import PHRASES, texts_of
from cds_hooks.words.wording import short_title
from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from tests.cds_hooks.matches import numbered
from trial_defs.definition import expressions as x
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Match

OTHERS = [language for language in languages() if language != "en"]
AS_OF = datetime(2026, 12, 1, tzinfo=UTC)
Messages = Mapping[str, list[str]]


def catalogue_of(path: Path) -> tuple[Any, Messages]:
    with path.open("rb") as file:
        catalog = read_po(file, locale=path.stem, abort_invalid=True)
    forms = {}
    for message in catalog:
        if message.id:
            key = message.id if isinstance(message.id, str) else message.id[0]
            forms[key] = [message.string] if isinstance(message.string, str) else list(message.string or ())
    return catalog, forms


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


ENGLISH = catalogue_of(FOLDER / "en.po")[1]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.po")), ids=lambda path: path.stem)
def test_a_catalogue_has_every_key_with_its_values_and_all_forms_of_its_plural(path: Path) -> None:
    catalog, messages = catalogue_of(path)
    assert catalog.locale_identifier == path.stem
    assert list(messages) == list(ENGLISH)
    for key, forms in messages.items():
        assert len(forms) == (1 if len(ENGLISH[key]) == 1 else catalog.num_plurals), key
        assert all(forms), key
        wanted = set.union(*map(names_in, ENGLISH[key])) - {"count"}
        for form in forms:
            assert names_in(form) - {"count"} == wanted, key
        if "{count}" in "".join(ENGLISH[key]):
            assert "{count}" in forms[-1], key


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.po")), ids=lambda path: path.stem)
def test_bold_and_italics_end_where_markdown_sees_their_end(path: Path) -> None:
    """CommonMark closes no emphasis between punctuation and a letter: "**缺少：**铁" shows its asterisks."""
    for key, forms in catalogue_of(path)[1].items():
        for form in forms:
            assert not re.search(r"[^\w\s*}”“]\*\*(?=[\w{])", form), key


@pytest.mark.parametrize(
    ("language", "day", "month", "number", "names"),
    [
        ("en", "2026-11-19", "2026-11", "5.8", "a, b and c"),
        ("de", "19.11.2026", "11/2026", "5,8", "a, b und c"),
        ("zh-Hans", "2026年11月19日", "2026年11月", "5.8", "a、b和c"),
    ],
)
def test_dates_numbers_and_lists_are_those_of_the_language(
    language: str, day: str, month: str, number: str, names: str
) -> None:
    texts = texts_of(language)
    assert texts.day(date(2026, 11, 19)) == texts.date("2026-11-19") == day
    assert texts.date("2026-11") == month
    assert texts.date("2026-13") == "2026-13"
    assert texts.number("5.8") == number
    assert texts.join(["a", "b", "c"]) == names
    # A comma inside a name is not read as the one between two.
    assert texts.first_of(["1,5", "2"], 2).count(",") == 1


def test_a_language_without_a_catalogue_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match='no catalogue of the language "fr"; there are en, de, zh-Hans'):
        texts_of("fr")


def words_of(messages: Messages) -> set[str]:
    """The words of a catalogue, without the names in braces."""
    text = " ".join(form for forms in messages.values() for form in forms)
    return set(re.findall("[a-z]{3,}", re.sub(r"\{\w*\}", " ", text)))


# -- cards ------------------------------------------------------------------------------------------------------------


def demo_matches(catalogue: Catalogue, trials: Mapping[str, x.Trial]) -> Iterator[Match]:
    """What all patients of the demo come to."""
    for patient in demo_patients(AS_OF.date()):
        builder = ChartBuilder(None)
        entries = [{"resource": resource} for resource in patient.resources]
        builder.add(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode(), None)
        builder.whole_chart()
        yield match(trials.values(), builder.build(), catalogue, AS_OF, UTC)


def demo_cards(language: str, catalogue: Catalogue, trials: Mapping[str, x.Trial]) -> Iterator[Card]:
    """The cards of all patients of the demo."""
    for matched in demo_matches(catalogue, trials):
        yield from cards_for(
            matched,
            catalogue,
            new_uuid=numbered(),
            most=4,
            contact_for=lambda _: Contact("+00", "+00 0 000 001"),
            texts=texts_of(language),
        )


def titles_in_english(catalogue: Catalogue) -> list[str]:
    concepts = catalogue.concepts.values()
    tests = [concept.order.title for concept in concepts if concept.order]
    return [*(concept.title for concept in concepts), *tests, *filter(None, (c.asked_instead for c in concepts))]


@pytest.mark.parametrize("language", OTHERS)
def test_every_concept_and_test_has_a_title_in_each_language(language: str, catalogue: Catalogue) -> None:
    path = FOLDER / PHRASES / f"{language.replace('-', '_')}.po"
    titles = catalogue_of(path)[1]
    assert set(titles_in_english(catalogue)) - titles.keys() == set()
    assert texts_of(language).translated("Platelets") != "Platelets"
    assert texts_of(language).translated("A score of a site") == "A score of a site"
    # The abbreviation by which a card names a test is at the end, in brackets that are read as such.
    short = titles["Alanine aminotransferase (ALT)"][0]
    assert short_title(short) == "ALT"


@pytest.mark.parametrize("language", OTHERS)
def test_what_fills_a_phrase_of_the_engine_is_taken_over(language: str) -> None:
    titles = catalogue_of(FOLDER / PHRASES / f"{language.replace('-', '_')}.po")[1]
    for english, (text,) in titles.items():
        assert names_in(english) == names_in(text)
    counted = texts_of(language).translated("1 of 2 on record")
    assert counted != "1 of 2 on record"
    assert [int(number) for number in re.findall(r"\d+", counted)] == [1, 2]


def known_words(language: str, catalogue: Catalogue) -> tuple[set[str], set[str]]:
    """The words of our texts in English, and in that language."""
    theirs = catalogue_of(FOLDER / f"{language.replace('-', '_')}.po")[1]
    english, own = (words_of(messages) for messages in (ENGLISH, theirs))
    english |= set(re.findall("[a-z]{3,}", " ".join(titles_in_english(catalogue))))
    own |= set(re.findall("[a-z]{3,}", " ".join(map(texts_of(language).translated, titles_in_english(catalogue)))))
    return english, own


@pytest.fixture(scope="module")
def foreign(trials: Mapping[str, x.Trial]) -> re.Pattern[str]:
    """What is not ours to translate here: texts of definitions, and units."""
    texts = []
    for trial in trials.values():
        texts += [trial.id, trial.short_title, *(part for site in trial.sites for part in (site.city, site.country))]
        for cohort in trial.cohorts:
            texts.append(cohort.title)
            for criterion in cohort.criteria:
                texts.append(criterion.text)
                leaves = list(x.leaves_of(criterion.asks))
                texts += [leaf.question for leaf in leaves if isinstance(leaf, x.Judgement)]
                texts += [leaf.step for leaf in leaves if isinstance(leaf, x.Consent)]
                texts += [criterion.step] if criterion.step else []
    texts += [text.rstrip("?") for text in texts]
    known = {variant for text in texts for variant in (plain(text, 120), markdown(text, 160), text)}
    units = "µmol/L|mmol/L|IU/mL|mg/dL|g/dL|g/L|U/L|mL/min|K/uL|mg/d|mg|mm/h|mmHg|g|L|s|µL|ms|kg"
    return re.compile("|".join([*map(re.escape, sorted(known, key=len, reverse=True)), rf"\b(?:{units})\b"]))


@pytest.mark.parametrize("language", OTHERS)
def test_a_card_in_another_language_is_as_short_and_holds_no_english_of_ours(
    language: str, catalogue: Catalogue, trials: Mapping[str, x.Trial], foreign: re.Pattern[str]
) -> None:
    english, own = known_words(language, catalogue)
    cards = list(demo_cards(language, catalogue, trials))
    assert len(cards) > 20
    for card in cards:
        detail = card.body["detail"]
        assert length(detail) <= MOST_CHARACTERS
        assert len(detail.split()) <= MOST_WORDS
        assert length(card.body["summary"]) < 140
        # The title of a trial is cut to what fits; what follows its id is ours.
        said = card.body["summary"].split(f"({card.trial.trial.id})")[-1] if card.trial else card.body["summary"]
        shown = [detail, said, *(each["label"] for each in card.body.get("suggestions", ()))]
        left = foreign.sub(" ", "\n".join(shown))
        words = set(re.findall("[a-z]{3,}", left))
        assert not (words & english) - own, left
        if language == "zh-Hans":
            assert not words - own, left


@pytest.mark.parametrize("language", OTHERS)
def test_an_explanation_in_another_language_holds_no_english_of_ours(
    language: str, catalogue: Catalogue, trials: Mapping[str, x.Trial], foreign: re.Pattern[str]
) -> None:
    english, own = known_words(language, catalogue)
    for matched in demo_matches(catalogue, trials):
        report = report_of(matched, "r", catalogue, texts_of(language))
        for trial in report["trials"]:
            for criterion in (each for cohort in trial["cohorts"] for each in cohort["criteria"]):
                left = foreign.sub(" ", criterion["explanation"])
                words = set(re.findall("[a-z]{3,}", left))
                assert not (words & english) - own, criterion["explanation"]
                if language == "zh-Hans":
                    assert not words - own, criterion["explanation"]
