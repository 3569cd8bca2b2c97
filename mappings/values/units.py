"""Units: what a unit text means in UCUM, and exact conversion between units.

The libraries pint and ucumvert know units; this file knows what they cannot: the texts that EHRs really send
(`unit_aliases.yaml`), molar masses, and which conversions are refused although the arithmetic would work. Whatever is
not certain is not converted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mappings.values.ucum_symbols import may_be_ucum
from mappings.yaml_files import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    import pint

_LONGEST = 40  # no unit is longer, and what is longer is not worth a parser's time
_EXACT = Context(prec=40)
_QUOTIENT = Context(prec=20)


def convert(number: Decimal, unit: str, to: str, molar_mass: Decimal | None = None) -> Decimal | None:
    """The same quantity in the UCUM unit `to`; None where there is no safe conversion.

    `unit` is any text that an EHR sends. `molar_mass` (g/mol) lets mass and amount meet: umol/L -> mg/dL, and
    mg/mmol -> g/g with the molar mass of the substance below the line. Exact: 6660 /uL are 6.66 10*9/L.
    """
    if not number.is_finite() or abs(number.adjusted()) > 30:
        return None
    if unit == to and to:
        return number
    factor = _factor(unit, to)
    if factor is None or (factor.molar and not molar_mass):
        return None
    if factor is _SAME:
        return number
    value = _EXACT.multiply(number, factor.times)
    if molar_mass and factor.molar:
        value = (_EXACT.multiply if factor.molar > 0 else _QUOTIENT.divide)(value, molar_mass)
    return _plain(value if factor.over == 1 else _QUOTIENT.divide(value, factor.over))


def canonical_unit(text: str) -> str | None:
    """What a unit text means, as UCUM without annotations (but `{1.73_m2}`, and a bare `{titer}`); None if unclear."""
    readings = _readings(text)
    return readings[0] if readings else None


def common_units() -> frozenset[str]:
    """The UCUM units between which conversion is most common: those of the `factors` in `unit_aliases.yaml`."""
    return frozenset(unit for pair in _aliases().factors for unit in pair)


class UnitLibraryUnusable(RuntimeError):
    """The installed versions of the unit libraries do not work together; the message names them."""


def warm(pairs: Iterable[tuple[str, str]]) -> None:
    """Load the unit library and look up these (from, to) conversions now, so that no request waits for it.

    UnitLibraryUnusable where the library does not load.
    """
    _library()
    for unit, to in pairs:
        _factor(unit, to)


@dataclass(frozen=True, slots=True)
class _Factor:
    """value * times / over, and times (molar 1) or over (molar -1) the molar mass in g/mol."""

    times: Decimal
    over: Decimal = Decimal(1)
    molar: int = 0


_SAME = _Factor(Decimal(1))


def _plain(value: Decimal) -> Decimal:
    """Without trailing zeros and without an exponent: 6.660 -> 6.66, 1.8E+2 -> 180."""
    value = value.normalize(_EXACT)
    exponent = value.as_tuple().exponent
    return value.quantize(Decimal(1), context=_EXACT) if isinstance(exponent, int) and exponent > 0 else value


# --- what a text means ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Aliases:
    """`unit_aliases.yaml`; its legend explains each part."""

    symbols: frozenset[str]
    folded: Mapping[str, str]
    words: Mapping[str, str]
    counts: Mapping[str, str]
    wholes: Mapping[str, str]
    twofold: Mapping[str, tuple[str, ...]]
    never: frozenset[str]
    factors: Mapping[tuple[str, str], _Factor]


@lru_cache(maxsize=1)
def _aliases() -> _Aliases:
    path = Path(__file__).with_name("unit_aliases.yaml")
    content: Mapping[str, Any] = read_yaml(path.read_bytes(), path)
    return _Aliases(
        symbols=frozenset(content["symbols"]),
        folded={text: symbol for symbol in content["symbols"] for text in (symbol.lower(), _bare_iu(symbol).lower())},
        words=content["words"],
        counts=content["counts"],
        wholes=content["wholes"],
        twofold={text: tuple(readings) for text, readings in content["twofold"].items()},
        never=frozenset(content["never"]),
        factors=dict(_known_factor(pair, factor) for pair, factor in content["factors"].items()),
    )


def _bare_iu(symbol: str) -> str:
    return symbol.replace("[IU]", "IU")


def _known_factor(pair: str, text: str) -> tuple[tuple[str, str], _Factor]:
    unit, to = pair.split(" ")
    number, _, mass = text.partition(" ")
    return (unit, to), _Factor(Decimal(number), molar={"": 0, "M": 1, "/M": -1}[mass])


_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RAISED_TEN = re.compile(r"10\s*([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")  # before normalisation: it would make 10⁹ the number 109
_POWER_OF_TEN = re.compile(
    r"""^(?: [x*]?10 (?:\*\*|\*|\^|\+|e\+?|x|exp) 0?(\d{1,2})   # 10*3 10^3 10+3 x10E3 10x3
          |  [x*]?10\((\d{1,2})\)                            # 10(3)
          |  x10(\d{1,2})                                    # x103, a superscript that was lost on the way
          |  e(\d{1,2}) )                                    # E3
          (?=$|[/.a-z#\[{])""",
    re.VERBOSE | re.IGNORECASE,
)
# In this case only: MIU is the mega-unit, unless the whole text is in capitals.
_INTERNATIONAL = re.compile(r"(?<![A-Za-z\[])([munk]?)(?:IU(?![A-Za-z\]])|\[iU\])")
_INVERSE = re.compile(r"(?<=\w)[.*·]([munpfdc]?l|mm3)(?:\^|\*\*)?-1$", re.IGNORECASE)  # giga.l-1, mmol·L⁻¹
# Every spelling of "per 1.73 m² of body surface" at the end of a clearance.
_PER_SURFACE = re.compile(r"/[\[({]?1[.,]73(?:[._*]?(?:m\^?2|m\*\*2|sqm|qm))?[\])}]?$", re.IGNORECASE)
_SURFACE = "/{1.73_m2}"
_CREATININE = re.compile(r"^(mol|mmol|umol|g|mg)[._-]?(?:cr|crea|creat|creatinine?|krea|kreat|kreatinin)\.?$", re.I)
_ANNOTATION = re.compile(r"^\{[^{}]*\}$")
_PART = re.compile(r"^([^{}]*)(?:\{([^{}]*)\})?$")
_VOLUMES = frozenset({"L", "dL", "mL", "uL", "nL", "pL", "fL", "mm3", "cm3"})


@lru_cache(maxsize=4096)
def _readings(text: str) -> tuple[str, ...]:
    """The UCUM units that a text may stand for; usually one, none where it is not understood."""
    if len(text) > _LONGEST:
        return ()
    aliases = _aliases()
    text = _prepare(text)
    if text in aliases.twofold:
        return aliases.twofold[text]
    if not text or text in aliases.never or "log" in text.lower():
        return ()
    if whole := aliases.wholes.get(text.lower()):
        return (whole,)
    return _read_by_parts(text) or _read_by_library(text)


def _prepare(text: str) -> str:
    """The text without blanks and accents, micro as "u", powers of ten as 10*n."""
    text = _RAISED_TEN.sub(lambda match: "10*" + match[1].translate(_SUPERSCRIPTS), text)
    text = unicodedata.normalize("NFKD", text.replace("×", "x"))
    text = "".join(c for c in text if not unicodedata.combining(c) and unicodedata.category(c) != "Cf").replace(
        "μ", "u"
    )
    text = re.sub(r"\s+per\s+", "/", text.strip(), flags=re.IGNORECASE)
    text = _INTERNATIONAL.sub(r"\1[IU]", "".join(text.split()))
    text = _INVERSE.sub(r"/\1", text.replace("\u2212", "-"))
    return _POWER_OF_TEN.sub(lambda match: "10*" + str(int(next(filter(None, match.groups())))), text)


def _read_by_parts(text: str) -> tuple[str, ...]:
    """The text read between its slashes; empty where a part is neither symbol nor word."""
    surface = _PER_SURFACE.search(text)
    if surface:
        text = text[: surface.start()]
    bare = re.sub(r"\{[^{}]*\}", "", text)
    one_case = bare.isupper() or bare.islower()
    first, *below = text.split("/")
    lower = [_part(part, one_case) for part in below]
    counting = bool(lower) and lower[0] in _VOLUMES
    if lower == ["min"] and _ANNOTATION.match(first):
        first = ""  # {beats}/min
    top = _numerator(first, one_case, counting=counting) if first or not lower else ""
    if top is None or None in lower or (top.startswith("{") and lower):
        return ()
    return ("/".join((top, *(part for part in lower if part))) + (_SURFACE if surface else ""),)


def _numerator(text: str, one_case: bool, *, counting: bool) -> str | None:
    aliases = _aliases()
    if _ANNOTATION.match(text):
        return "" if counting else text
    if counting:
        power = re.match(r"^10\*\d+", text)
        count = "" if power else aliases.counts.get(re.sub(r"(?<=.)cells$", "", text.lower()))
        if power and re.fullmatch(r"\.?(?:\{[^{}]*\}|#|cells?|zellen)?", text[power.end() :].lower()):
            return power[0]
        if power and (unit := _part(text[power.end() :].lstrip("."), one_case)):
            return f"{power[0]}.{unit}"
        if count is not None and (text not in aliases.symbols or text == "Cel"):  # no degree is counted by volume
            return "" if count == "{copies}" else count
    return _part(text, one_case)


def _part(text: str, one_case: bool) -> str | None:
    """One symbol or word in UCUM, its annotation dropped; None where it is neither."""
    aliases = _aliases()
    match = _PART.match(text)
    if not match:
        return None
    core, annotation = match[1], match[2]
    if not core and annotation is not None:
        # "mg/{24h}": what an annotation alone says below the line would be lost, except these hours.
        return aliases.words.get(annotation.lower()) if annotation.lower().startswith("24") else None
    if below := _CREATININE.match(core):
        core = below[1]
    if core in aliases.symbols:
        return core
    word = aliases.words.get(core.lower())
    return word or (aliases.folded.get(core.lower()) if one_case else None)


# --- from one unit to another -----------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _factor(unit: str, to: str) -> _Factor | None:
    target = canonical_unit(to)
    if target is None:
        return None
    return next((factor for reading in _readings(unit) if (factor := _between(reading, target))), None)


# Bare numbers. An annotation says what is counted, so 85 % (a clotting activity) is never {INR} 0.85.
_PURE = frozenset({"1", "{ratio}", "{fraction}"})
_ARBITRARY = re.compile(r"\[[^\[\]]*U\]")


def _between(unit: str, to: str) -> _Factor | None:
    if unit == to:
        return _SAME
    if unit.startswith("{") or to.startswith("{"):
        return _between_bare(unit, to)
    if unit.endswith(_SURFACE) != to.endswith(_SURFACE):
        return None  # indexed to body surface or not: two different quantities
    unit, to = unit.removesuffix(_SURFACE), to.removesuffix(_SURFACE)
    if re.search(r"\bm?u?eq\b", unit + " " + to):
        return None  # equivalents need the charge of the ion
    if "[IU]" in unit and "U" in _ARBITRARY.sub("", to):
        unit = unit.replace(
            "[IU]", "U"
        )  # laboratories write IU/L for the enzyme unit; the other way round it is unsafe
    if sorted(_ARBITRARY.findall(unit)) != sorted(_ARBITRARY.findall(to)):
        return None  # the library counts arbitrary units as 1, and would turn copies/mL into [IU]/mL
    return _aliases().factors.get((unit, to)) or _by_library(unit, to)


def _between_bare(unit: str, to: str) -> _Factor | None:
    unit, to = ("1" if name in _PURE else name for name in (unit, to))
    bare = [name == "1" or name.startswith("{") for name in (unit, to)]
    if all(bare):
        return _SAME
    return _between(unit, to) if not unit.startswith("{") and not to.startswith("{") else None


# --- the library ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _library() -> Callable[[str], pint.Quantity[float] | None]:
    """UCUM text -> quantity, or None. Costs half a second once, so it waits for the first unit that needs it."""
    import pint
    import ucumvert
    from lark.exceptions import LarkError
    from ucumvert.parser import get_ucum_parser
    from ucumvert.ucum_pint import UcumToPintTransformer

    # Not PintUcumRegistry: its transformer builds quantities in pint's global registry (a second one), not in itself.
    registry: pint.UnitRegistry[float] = pint.UnitRegistry(on_redefinition="ignore")
    try:
        registry.load_definitions(Path(ucumvert.__file__).with_name("pint_ucum_defs.txt"))
    except (pint.PintError, ValueError) as error:
        versions = " and ".join(f"{name} {version(name)}" for name in ("pint", "ucumvert"))
        raise UnitLibraryUnusable(
            f"the unit library does not load: {versions} do not work together; install what requirements.lock names"
        ) from error
    parser, transformer = get_ucum_parser(), UcumToPintTransformer(ureg=registry)

    def quantity(text: str) -> pint.Quantity[float] | None:
        try:
            found = transformer.transform(parser.parse(text))
        except (LarkError, pint.PintError, ArithmeticError):
            return None
        return found if isinstance(found, registry.Quantity) else None

    return quantity


# Valid UCUM, but in a laboratory's unit text never meant: kelvin, atomic mass, astronomical unit, gauss, roentgen; a
# number that is no power of ten ("109/L" lost its superscript); an annotation below the line, which would be dropped.
_NOT_MEANT = re.compile(r"(?<![A-Za-z\[])(?:K|u|AU|G|R)(?![A-Za-z\]])|^(?!10[*^])\d|/\{")


def _read_by_library(text: str) -> tuple[str, ...]:
    if not text.isascii() or _NOT_MEANT.search(text) or not may_be_ucum(text):
        return ()
    return (text,) if _library()(text) is not None else ()


def _by_library(unit: str, to: str) -> _Factor | None:
    import pint

    source, target, gram_per_mole = (_library()(text) for text in (unit or "1", to, "g/mol"))
    if source is None or target is None or gram_per_mole is None:
        return None
    for molar in (0, 1, -1):
        try:
            tried = source * gram_per_mole**molar if molar else source
            one = tried.to(target.units).magnitude / target.magnitude
            two = (2 * tried).to(target.units).magnitude / target.magnitude
        except (pint.PintError, ArithmeticError):
            continue
        # A scale with another zero point (temperature) or a logarithmic one has no factor.
        return _tidy(one, molar) if abs(two - 2 * one) <= 1e-9 * abs(one) else None
    return None


def _tidy(factor: float, molar: int) -> _Factor:
    """The factor free of floating-point dust: 12 digits of it, or of its inverse where that is the round number."""
    times, over = (Decimal(f"{number:.12g}") for number in (factor, 1 / factor))
    if len(over.normalize().as_tuple().digits) < len(times.normalize().as_tuple().digits):
        return _Factor(Decimal(1), over, molar)
    return _Factor(times, Decimal(1), molar)
