"""What a result says where it is not a plain number: positive or negative, from codes and words; numbers inside text.

Words are read by a small grammar of whole words, never by a part of one: "NONREACTIVE" contains "REACTIVE". Whatever
the grammar does not know says nothing (None), and a result with two voices is indeterminate.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import takewhile

from mappings.concepts.catalogue import system_name
from mappings.facts import Interval, Polarity
from mappings.values import thousands
from mappings.values.units import canonical_unit, convert

_LONGEST = 200  # longer text is a narrative, for a person to read

POSITIVE, NEGATIVE, INDETERMINATE = Polarity.POSITIVE, Polarity.NEGATIVE, Polarity.INDETERMINATE

# --- codes ------------------------------------------------------------------------------------------------------------

_SNOMED: Mapping[str, Polarity] = {
    "10828004": POSITIVE,  # Positive
    "260373001": POSITIVE,  # Detected
    "11214006": POSITIVE,  # Reactive
    "52101004": POSITIVE,  # Present
    "410605003": POSITIVE,  # Confirmed present
    "260347006": POSITIVE,  # + of ++++
    "260348001": POSITIVE,  # ++ of ++++
    "260349009": POSITIVE,  # +++ of ++++
    "260350009": POSITIVE,  # ++++
    "441614007": POSITIVE,  # + of +++
    "441517005": POSITIVE,  # ++ of +++
    "441521003": POSITIVE,  # +++
    "77386006": POSITIVE,  # Pregnant
    "373066001": POSITIVE,  # Yes
    "260385009": NEGATIVE,  # Negative
    "260415000": NEGATIVE,  # Not detected
    "131194007": NEGATIVE,  # Non-reactive
    "2667000": NEGATIVE,  # Absent
    "410594000": NEGATIVE,  # Definitely not present
    "264887000": NEGATIVE,  # Not isolated
    "264868006": NEGATIVE,  # No growth
    "895231008": NEGATIVE,  # Not detected in pooled specimen
    "60001007": NEGATIVE,  # Not pregnant
    "373067005": NEGATIVE,  # No
    "82334004": INDETERMINATE,  # Indeterminate
    "42425007": INDETERMINATE,  # Equivocal
    "419984006": INDETERMINATE,  # Inconclusive
    "260408008": INDETERMINATE,  # Weakly positive
    "260405006": INDETERMINATE,  # Trace
    "720735008": INDETERMINATE,  # Presumptive positive
    "410592001": INDETERMINATE,  # Probably present
    "410593006": INDETERMINATE,  # Probably not present
    "462371000124108": INDETERMINATE,  # Detected in pooled specimen: somebody in the pool is
    "152231000119106": INDETERMINATE,  # Pregnancy not yet confirmed
    "146799005": INDETERMINATE,  # Possible pregnancy
}
_LOINC_ANSWERS: Mapping[str, Polarity] = {
    "LA6576-8": POSITIVE,  # Positive
    "LA11882-0": POSITIVE,  # Detected
    "LA15255-5": POSITIVE,  # Reactive
    "LA9633-4": POSITIVE,  # Present
    "LA11841-6": POSITIVE,  # 1+
    "LA11842-4": POSITIVE,  # 2+
    "LA11843-2": POSITIVE,  # 3+
    "LA11844-0": POSITIVE,  # 4+
    "LA15173-0": POSITIVE,  # Pregnant
    "LA33-6": POSITIVE,  # Yes
    "LA29252-6": POSITIVE,  # Currently breastfeeding
    "LA6577-6": NEGATIVE,  # Negative
    "LA11883-8": NEGATIVE,  # Not detected
    "LA15256-3": NEGATIVE,  # Nonreactive
    "LA9634-2": NEGATIVE,  # Absent
    "LA26683-5": NEGATIVE,  # Not pregnant
    "LA32-8": NEGATIVE,  # No
    "LA29253-4": NEGATIVE,  # Not currently breastfeeding
    "LA11884-6": INDETERMINATE,  # Indeterminate
    "LA11885-3": INDETERMINATE,  # Equivocal
    "LA9663-1": INDETERMINATE,  # Inconclusive
    "LA11832-5": INDETERMINATE,  # Trace
}
# Left out on purpose: A, H, L, N and the like. They compare with a range, and which side is bad depends on the test.
_INTERPRETATIONS: Mapping[str, Polarity] = {
    "POS": POSITIVE,
    "DET": POSITIVE,
    "RR": POSITIVE,  # reactive
    "NEG": NEGATIVE,
    "ND": NEGATIVE,  # not detected
    "NR": NEGATIVE,  # non-reactive
    "IND": INDETERMINATE,
    "E": INDETERMINATE,  # equivocal
    "WR": INDETERMINATE,  # weakly reactive
}
_YES_OR_NO: Mapping[str, Polarity] = {"Y": POSITIVE, "N": NEGATIVE}
_BY_SYSTEM: Mapping[str, Mapping[str, Polarity]] = {
    "snomed": _SNOMED,
    "loinc": _LOINC_ANSWERS,
    "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation": _INTERPRETATIONS,
    "http://hl7.org/fhir/v3/ObservationInterpretation": _INTERPRETATIONS,
    "urn:oid:2.16.840.1.113883.5.83": _INTERPRETATIONS,
    "http://terminology.hl7.org/CodeSystem/v2-0078": _INTERPRETATIONS,
    "http://hl7.org/fhir/v2/0078": _INTERPRETATIONS,
    "urn:oid:2.16.840.1.113883.12.78": _INTERPRETATIONS,
    "http://terminology.hl7.org/CodeSystem/v2-0136": _YES_OR_NO,
    "http://terminology.hl7.org/CodeSystem/v2-0532": _YES_OR_NO,
    "http://hl7.org/fhir/v2/0136": _YES_OR_NO,
    "http://hl7.org/fhir/v2/0532": _YES_OR_NO,
    "urn:oid:2.16.840.1.113883.12.136": _YES_OR_NO,
    "urn:oid:2.16.840.1.113883.12.532": _YES_OR_NO,
}


def polarity_of_code(system: str, code: str) -> Polarity | None:
    """What an answer code says: SNOMED CT qualifiers, LOINC answers, HL7 interpretation codes; None for any other."""
    return _BY_SYSTEM.get(system_name(system), {}).get(code.strip())


# --- words ------------------------------------------------------------------------------------------------------------

# A weak or low positive is indeterminate: for an infection it asks for a second test, for an antibody the criterion's
# cut-off decides, and neither is ours to guess.
_PHRASES: Mapping[Polarity, str] = {
    POSITIVE: "positive|pos|detected|detectable|reactive|present|pregnant|strong positive|strongly positive"
    "|strongly reactive|strong reactive|high positive|moderate positive|moderately positive|confirmed positive"
    "|repeatedly reactive|target detected|+|++|+++|++++|1+|2+|3+|4+|+1|+2|+3|+4"
    "|positiv|nachweisbar|nachgewiesen|reaktiv|stark positiv|schwanger"
    "|positif|detecte|detectee|reactif|presente"
    "|positivo|positiva|detectado|detectada|reactivo|reactiva|reagente|positief|aangetoond|aantoonbaar|reactief"
    "|reattivo|reattiva|rilevato|rilevata|pavist|pavisad|pavisat|detekteret|positiivinen|todettu|reaktiivinen"
    "|pozitivni|reaktivni|pozitiv|dodatni|dodatnia|dodatnie|wykryto|reaktywny|reaktywna|pozitif"
    "|陽性|阳性|양성|検出|检出|反応性|反应性|положительный|положительная|положительно|обнаружено|выявлено",
    NEGATIVE: "negative|neg|not detected|non detected|nondetected|undetected|not detectable|undetectable|nondetectable"
    "|non detectable|none detected|not reactive|non reactive|nonreactive|nr|absent|not present|not found|none found"
    "|none seen|not seen|not isolated|no growth|below cutoff|below cut off|below the cutoff|below the cut off"
    "|below detection limit|below the detection limit|below limit of detection|below the limit of detection"
    "|target not detected|tnd|no evidence|not pregnant"
    "|negativ|nicht nachweisbar|nicht nachgewiesen|nicht reaktiv|kein nachweis|nicht schwanger"
    "|negatif|non detecte|non detectee|non reactif|indetectable|absente|absence"
    "|negativo|negativa|no detectado|no detectada|no reactivo|no reactiva|nao reagente|nao detectado|ausente"
    "|negatief|niet aantoonbaar|niet aangetoond|niet reactief|non reattivo|non reattiva|non rilevato|non rilevata"
    "|non rilevabile|assente|ikke pavist|ikke reaktiv|ikke detekteret|ej pavisad|ej pavisat|inte pavisad|inte pavisat"
    "|ej reaktiv|icke reaktiv|negatiivinen|ei todettu|ei reaktiivinen|negativni|nereaktivni|neprokazano|ujemny|ujemna"
    "|ujemne|nie wykryto|niereaktywny|niereaktywna|陰性|阴性|음성|未検出|未检出|検出せず|未检测到"
    "|無反応|无反应性|非反应性|(-)"
    "|отрицательный|отрицательная|отрицательно|не обнаружено|не выявлено",
    INDETERMINATE: "indeterminate|equivocal|borderline|inconclusive|undetermined|questionable|doubtful|trace"
    "|gray zone|grey zone|grayzone|greyzone|weak positive|weakly positive|weak reactive|weakly reactive|low positive"
    "|low reactive|presumptive positive|presumptive negative|presumptively positive|possible positive"
    "|possibly positive|probable positive|false positive|false negative|possible pregnancy|+/-|+-|(+)|±"
    "|grenzwertig|schwach positiv|schwach reaktiv|fraglich|fraglich positiv|unbestimmt|nicht eindeutig"
    "|indetermine|douteux|equivoque|limite|faiblement positif"
    "|indeterminado|dudoso|debilmente positivo|indeterminato|dubbio|debolmente positivo|zwak positief|svagt positiv"
    "|svakt positiv|svagt reaktiv|heikosti positiivinen|slabe pozitivni|hranicni|slabo dodatni|watpliwy|gransvarde"
    "|弱陽性|弱阳性|疑陽性|擬陽性|偽陽性|判定保留|可疑|약양성|сомнительно|слабоположительный",
}
# An answer to a question, so only as the whole text.
_ANSWERS: Mapping[str, Polarity] = {
    **dict.fromkeys(("yes", "ja", "oui", "si"), POSITIVE),
    **dict.fromkeys(("no", "nein", "non", "nee"), NEGATIVE),
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What may stand before the word: the name of the test, and nothing that could turn its meaning.
_ANALYTES = _words(
    "result results interpretation test screen qualitative quantitative total target ab abs ag antibody antibodies"
    " antigen igg igm iga rna dna pcr naat virus viral load hiv hbv hcv hbsag hbs hbc hbeag anti hepatitis surface"
    " core syphilis treponema treponemal pallidum rpr vdrl tppa fta tuberculosis tb quantiferon igra gold plus mtb hcg"
    " beta pregnancy urine serum blood plasma ana anca panca canca mpo pr3 dsdna ds sm smith rnp ssa ssb ro la ro52"
    " ro60 jo mda5 scl centromere ccp cardiolipin lupus anticoagulant 1 2 a b c"
)
_FOUND = _words("detected found seen isolated identified present nachweisbar nachgewiesen")
_LEADS_ON = _words("for of to by on at in fur von pour de para por a aa abn abnormal h high , ; . : ( [ - / * ! < > =")
# Words after which the first word no longer stands: a second opinion, or another thing that is meant.
_DOUBT = _words(
    "not no non but except however previous previously prior past history pending confirm confirmed confirmation"
    " confirmatory unconfirmed repeat repeated retest presumptive preliminary possible possibly probable probably"
    " cannot invalid control false unless if or low weak weakly unclear unknown nicht kein aber pas mais ikke inte ej"
    " icke niet ei nie men maar ma ?"
)
_MAY_FOLLOW = _ANALYTES | _LEADS_ON | _DOUBT
_REFERENCE = _words("ref reference normal expected referenz normalwert norm")

_TOKEN = re.compile(r"\([+-]\)|\+/-|\+-|±|\d\+(?!\d)|\+\d(?!\d)|\++|[a-z]+\d*|\d+|\S")


def _tokens(text: str) -> tuple[str, ...]:
    """Lower-case words, numbers and signs, without accents; hyphens and slashes between letters only part words."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf")).replace("\u2212", "-")
    plain = re.sub(r"(?<=[a-z])[-_/‐‑–](?=[a-z])", " ", plain)
    return tuple(_TOKEN.findall(plain))


_KNOWN: Mapping[tuple[str, ...], Polarity] = {
    _tokens(phrase): polarity for polarity, phrases in _PHRASES.items() for phrase in phrases.split("|")
}
_MOST_WORDS = max(len(phrase) for phrase in _KNOWN)


# "<15 IU/mL Not detected", "0.08 Non-Reactive": the word says whether what the number measures is there. A bare whole
# number may count anything, and is no such number.
_ASSAY = r"(?:(?:log ?(?:10)? ?)?(?:m?iu|u|cop(?:y|ies)|cp|geq|eq)/ ?m?l|s/co|s/c|coi|index)\b"
_MEASURED = rf"(?:(?:<=?|≤) ?\d[\d.,]*(?: ?{_ASSAY})?|\d[\d.,]* ?{_ASSAY}|\d+[.,]\d+)"
_BESIDE_A_NUMBER = re.compile(rf"^\s*{_MEASURED}[\s,;:–-]*(?=[\s(a-z])(.+)$", re.IGNORECASE | re.ASCII)


def polarity_of_text(text: str) -> Polarity | None:
    """What a textual result says; None where it says neither, and for anything longer than a remark (200 characters).

    "Negative for X" is negative, "HIV 1/2 Ab: Non-Reactive" too; "Reactive, confirmation pending" is indeterminate.
    """
    if len(text) > _LONGEST:
        return None
    tokens = _tokens(text)
    if len(tokens) == 1 and tokens[0] in _ANSWERS:
        return _ANSWERS[tokens[0]]
    if beside := _BESIDE_A_NUMBER.match(text):
        tokens = _tokens(beside[1])
    if tokens and tokens[0] in ("(", "[") and tokens[-1] in (")", "]"):
        tokens = tokens[1:-1]
    if _says_none_found(tokens):
        return NEGATIVE
    said = _without_test_name(tokens)
    polarity, length = _phrase_at(said, 0)
    return _weighed(polarity, said[length:]) if polarity else None


def _phrase_at(tokens: Sequence[str], start: int) -> tuple[Polarity | None, int]:
    """The longest known phrase that begins here, and its length in words."""
    for length in range(min(_MOST_WORDS, len(tokens) - start), 0, -1):
        if polarity := _KNOWN.get(tuple(tokens[start : start + length])):
            return polarity, length
    return None, 0


def _says_none_found(tokens: Sequence[str]) -> bool:
    """ "No HBV DNA detected"."""
    return (
        len(tokens) > 2
        and tokens[0] in ("no", "kein", "keine")
        and tokens[-1] in _FOUND
        and all(token in _ANALYTES for token in tokens[1:-1])
    )


def _without_test_name(tokens: Sequence[str]) -> Sequence[str]:
    name = list(takewhile(lambda token: token in _ANALYTES or token in "-/:=.", tokens))
    named = bool(name) and name[0].isalpha()
    return tokens[len(name) :] if named else tokens


def _weighed(polarity: Polarity, rest: Sequence[str]) -> Polarity | None:
    """The first phrase together with what follows it."""
    if not rest:
        return polarity
    if rest[0].isalpha() and not (rest[0] in _MAY_FOLLOW or _phrase_at(rest, 0)[0]):
        return None
    place = 0
    while place < len(rest) and rest[place] not in _REFERENCE:
        also, length = _phrase_at(rest, place)
        if polarity is POSITIVE and rest[place] == "(+)":
            also = None  # "阳性(+)": the sign repeats the word
        if (also and also is not polarity) or (not also and rest[place] in _DOUBT):
            return INDETERMINATE
        place += max(length, 1)
    return polarity


# --- numbers in text --------------------------------------------------------------------------------------------------

_COMPARATORS: Mapping[str, str] = {
    "<": "<",
    "less than": "<",
    "below": "<",
    "under": "<",
    "<=": "<=",
    "=<": "<=",
    "≤": "<=",
    "</=": "<=",
    "< or =": "<=",
    "<or=": "<=",
    "less than or equal to": "<=",
    "up to": "<=",
    "at most": "<=",
    ">": ">",
    "greater than": ">",
    "more than": ">",
    "above": ">",
    "over": ">",
    ">=": ">=",
    "=>": ">=",
    "≥": ">=",
    ">/=": ">=",
    "> or =": ">=",
    ">or=": ">=",
    "greater than or equal to": ">=",
    "at least": ">=",
    "=": "=",
}
_COMPARATOR = "|".join(re.escape(word) for word in sorted(_COMPARATORS, key=len, reverse=True))
_DIGITS = r"(?:\d[\d.,]{0,14}|\.\d{1,9})"
_NUMBER = re.compile(rf"^({_COMPARATOR})? ?(-?{_DIGITS})(?![\d.,]|e\d)(.*)$", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(rf"^({_DIGITS}) ?(?:-|–|—|to|bis) ?({_DIGITS})(?![\d.,]|e\d)(.*)$", re.ASCII | re.IGNORECASE)
_TITRE = re.compile(
    rf"(?:({_COMPARATOR}) ?)?(?<![\d:/.,])1 ?[:/] ?(\d{{1,3}}(?:[.,]\d{{3}})+|\d{{1,7}})(?![\d:/]|[.,' ]\d)",
    re.ASCII | re.IGNORECASE,
)
_RATIO = re.compile(r"\d ?: ?\d")
# What may follow a number: a unit of at most three words; no sentence, no date, no second number.
_UNIT = re.compile(
    r"^(?:[x*] ?10[^\s\d][^\s,;]{1,12}|10[*^]\d[^\s,;]{0,12}|/?[a-zµμ%#{\[(一-鿿][^\s,;:=<>?!]{0,24})"
    r"(?: [^\s,;:=<>?!]{1,16}){0,2}$",
    re.IGNORECASE,
)
_FLAG = re.compile(
    r" ?[(\[](?:h|l|a|hh|ll|high|low|abnormal|normal|n)[)\]]$|(?<!/24) (?:h|hh|ll)$|[ *!.]+$", re.IGNORECASE
)
_REMARK = re.compile(r" ?[(\[,;]? ?\b(?:ref|reference|normal|expected|referenz|normalwert)\b.*$", re.IGNORECASE)


def number_in_text(text: str) -> tuple[Interval, str] | None:
    """The number that a text states, as an interval, and the text of its unit ("" where it has none).

    "<0.1 mg/dL", "≥ 5", "5-10 /HPF", "1,200", "1,2" (a decimal comma) and titres: "1:80" is 80 {titer}, and
    "Positive 1:160, speckled" is 160. Three digits after a single comma are thousands ("1,200" is 1200), unless it
    starts with 0; after a dot they are where the unit counts ("2.100 /µL", "1:1.280"). None for dates, two numbers,
    and everything else.
    """
    found = _read_number(text, "usual")
    if found and thousands.is_ambiguous(text) and thousands.is_counted(found[1]):
        return _read_number(text, "grouped")
    return found


def other_reading(text: str) -> Interval | None:
    """The number that the text states where dot and comma mean the opposite; None where only one reading is possible.

    "2.100 U/L" is 2.1 (`number_in_text`) or 2100. A unit that counts leaves one reading.
    """
    if not thousands.is_ambiguous(text):
        return None
    found = _read_number(text, "continental")
    return found[0] if found and not thousands.is_counted(found[1]) and found != _read_number(text, "usual") else None


def _read_number(text: str, style: thousands.Style) -> tuple[Interval, str] | None:
    if len(text) > _LONGEST:
        return None
    text = _REMARK.sub("", thousands.without_separators(text))
    if titre := _titre_in(text):
        return titre
    if _RATIO.search(text):
        return None
    text = _FLAG.sub("", text)
    if match := _RANGE.match(text):
        low, high = thousands.number_of(match[1], style), thousands.number_of(match[2], style)
        found = Interval(low, high) if low is not None and high is not None and low < high else None
        return _with_unit(found, match[3])
    if match := _NUMBER.match(text):
        value = thousands.number_of(match[2], style)
        comparator = _COMPARATORS[match[1].lower()] if match[1] else "="
        return _with_unit(None if value is None else _interval(comparator, value), match[3])
    return None


def _titre_in(text: str) -> tuple[Interval, str] | None:
    """The one titre of a text; "1/80" only where it is all of it, because 1/80 may also be a date."""
    matches = list(_TITRE.finditer(text))
    slash = len(matches) == 1 and "/" in matches[0][0]
    if len(matches) != 1 or (slash and matches[0][0] != text):
        return None
    value = thousands.number_of(matches[0][2], "grouped")
    comparator = _COMPARATORS[matches[0][1].lower()] if matches[0][1] else "="
    return None if value is None else (_interval(comparator, value), "{titer}")


def _with_unit(interval: Interval | None, unit: str) -> tuple[Interval, str] | None:
    unit = unit.strip()
    return (interval, unit) if interval is not None and (not unit or _UNIT.match(unit)) else None


def _interval(comparator: str, value: Decimal) -> Interval:
    match comparator:
        case "<" | "<=":
            return Interval(None, value, high_open=comparator == "<")
        case ">" | ">=":
            return Interval(value, None, low_open=comparator == ">")
        case _:
            return Interval.exactly(value)


def range_in_text(
    text: str, unit: str | None = None, *, counted: bool = False
) -> tuple[Decimal | None, Decimal | None] | None:
    """The limits of normal that a reference text states: "0-40", "<100" is (None, 100), ">=10.00" is (10.00, None).

    Where the text names a unit and `unit` (the result's own) means another, the limits are not the result's: None.
    None also where a dot may be decimal or separate thousands ("1.000-4.800"); `counted` says that the result is in a
    unit without decimals (cells per µL), where the dot separates thousands.
    Whether a limit itself is still normal ("<100", "<=100") is not told apart; laboratories do not either.
    """
    text = re.sub(r"^[(\[](.*)[)\]]$", r"\1", text.strip())
    found = _read_number(text, "grouped") if counted else number_in_text(text)
    if found is None or (not counted and "." in text and other_reading(text)):
        return None
    interval, stated = found
    if interval.exact is not None:
        return None
    if stated and unit is not None and convert(Decimal(1), stated, canonical_unit(unit) or "") != 1:
        return None
    return interval.low, interval.high
