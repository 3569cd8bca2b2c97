"""How far beside its limit a value is a near miss: "10 %" of the limit, an amount with its unit, or "none"."""

from __future__ import annotations

from decimal import Decimal

from mappings.concepts.catalogue import Concept
from mappings.values.units import convert
from trial_defs.definition.language import TOLERANCE


class ToleranceUnusable(ValueError):
    """A text that is no tolerance of a result; the message says why."""


def tolerance_of(text: str, concept: Concept) -> tuple[Decimal | None, Decimal | None]:
    """The amount in the concept's unit, or the percentage of the limit; neither for "none".

    ToleranceUnusable: another form, or a unit that cannot be converted to the concept's.
    """
    if text == "none":
        return None, None
    match = TOLERANCE.match(text)
    if not match:
        raise ToleranceUnusable('a tolerance is "10 %" of the limit or an amount with unit, "5 g/L", or "none"')
    number, unit = Decimal(match[1]), match[2]
    if unit == "%" and concept.unit != "%":
        return None, number
    unit = unit.replace("%-points", "%")
    if unit == concept.unit:
        return number, None
    converted = convert(number, unit, concept.unit or "", concept.molar_mass)
    if converted is None:
        raise ToleranceUnusable(f'"{match[2]}" cannot be converted to {concept.unit}')
    return converted, None
