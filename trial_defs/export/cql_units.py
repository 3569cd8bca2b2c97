"""The unit texts that an exported library understands: what laboratories write for the units of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mappings.concepts.catalogue import Catalogue
from mappings.values.units import canonical_unit, common_units

_POWER = re.compile(r"10\*(\d)")
_POWERS = ("10*{0}", "10^{0}", "10e{0}", "10E{0}", "x10*{0}", "x10^{0}", "x10e{0}", "x10E{0}")
_SPELLINGS = (("[IU]", "IU"), ("[IU]", "[iU]"), ("mm[Hg]", "mmHg"), ("uL", "\u00b5L"), ("uL", "\u03bcL"), ("mL", "ml"))
_BY_NAME = ("Gpt/L", "GPT/L", "Tsd/uL", "K/uL", "/cumm", "[degF]")


def unit_texts(catalogue: Catalogue) -> Mapping[str, str]:
    """Text -> the UCUM unit that the mappings read in it, for each text that an exported library accepts as a unit."""
    units = {concept.unit: None for concept in catalogue.concepts.values() if concept.unit} | dict.fromkeys(
        common_units()
    )
    texts = [text for unit in sorted(units) for text in _spellings(unit)]
    read = {text: canonical_unit(text) for text in (*texts, *_BY_NAME)}
    return {text: unit for text, unit in read.items() if unit is not None}


def _spellings(unit: str) -> Iterator[str]:
    for power in _POWERS if _POWER.search(unit) else ("",):
        text = _POWER.sub(lambda match, power=power: power.format(match[1]), unit)  # type: ignore[misc]
        yield text
        for plain, other in _SPELLINGS:
            if plain in text:
                yield text.replace(plain, other)
