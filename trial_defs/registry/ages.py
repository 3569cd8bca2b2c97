"""Ages: those of the registry's fields, and those that the text states, in years or months."""

from __future__ import annotations

import re
from dataclasses import replace

from trial_defs.registry.criteria import Criteria
from trial_defs.registry.record import Record
from trial_defs.registry.splitting import Clause

_YEARS = r"(?:completed )?(?:years?|yrs?|y/?o|y)\b(?:[ -]*(?:old|of age))?"
_MONTHS = r"months?\b(?:[ -]*(?:old|of age))?"
_UNIT = rf"[ -]*(?P<unit>{_YEARS}|{_MONTHS})?"
_NUMBER = r"(?P<{name}>\d{{1,3}})(?![\d.,:/]*\d)"
_LEAST = (
    r"≥|>=|=>|at least|(?:greater|older|more) than or (?:equal|equals) to|no(?:t)? (?:younger|less) than"
    r"|minimum(?: age)?(?: of)?|from"
)
_MOST = (
    r"≤|<=|=<|at most|(?:less|younger) than or equal to|no(?:t)? (?:older|more|greater) than|up to"
    r"|maximum(?: age)?(?: of)?|through"
)
_OVER = r">|(?P<loosely>over|above)|(?:older|greater|more) than|exceeding"
_UNDER = r"<|under|below|(?:younger|less) than"
_SIGN = rf"(?:(?P<least>{_LEAST})|(?P<most>{_MOST})|(?P<over>{_OVER})|(?P<under>{_UNDER}))"
_RANGE = re.compile(
    rf"(?:between(?: the ages of)? )?{_NUMBER.format(name='low')}(?: ?(?:{_YEARS}|{_MONTHS}))? ?(?:-|~|to|and"
    rf"|through|–) ?"
    rf"(?:≤ ?|<= ?)?{_NUMBER.format(name='high')}{_UNIT}"
)
_BOUND = re.compile(rf"{_SIGN}\s*(?:the age of )?{_NUMBER.format(name='number')}{_UNIT}")
_AND_OVER = re.compile(
    rf"(?:age )?{_NUMBER.format(name='number')}{_UNIT},? ?(?:and|or|or more|of age or) ?(?P<way>older|over|above"
    rf"|more|greater|up|younger|under|below|less)\b"
    r"(?: than)?(?: years)?"
)
_ABOUT_AGE = re.compile(
    r"\bage[sd]?\b|\byears? old\b|\byears? of age\b|year-old|\badults?\b|\belderly\b|\bchildren\b|\bages?:"
)
_NOT_AGE = re.compile(
    r"\bgestational age|\bage of (?:onset|diagnosis)|\bonset before|\brelative|\bfamily|\blife expectancy|\bsurviv"
)


class AgeLimits:
    """Drafts the ages of an entry; what the registry's fields already say is not drafted twice."""

    def __init__(self, criteria: Criteria, record: Record) -> None:
        self.criteria, self.record = criteria, record
        self.loosely: str | None = None  # a question about the age that was read last

    def of_the_registry(self) -> None:
        """The ages in fields of their own."""
        limit = _limit(self.record.least_age, self.record.most_age)
        if limit:
            self._add("inclusion", None, "Registry field, ages", limit, (0, 0))

    def read(self, clause: Clause) -> list[tuple[int, int]]:
        """The spans of every age of the clause; those that say something new are drafted."""
        low = self.criteria.low[clause.start : clause.end]
        spans = []
        if _NOT_AGE.search(low):
            return []
        for match, limit in self._limits(clause):
            if limit is None:
                continue
            spans.append(match)
            if not self._is_known(clause, limit):
                self._add(clause.side, clause.about, clause.place, limit, match)
        return spans

    def _limits(self, clause: Clause) -> list[tuple[tuple[int, int], str | None]]:
        found: list[tuple[tuple[int, int], str | None]] = []
        text, start, end = self.criteria.low, clause.start, clause.end
        found += [
            (match.span(), _in_years(match["low"], match["high"], match["unit"]))
            for match in _RANGE.finditer(text, start, end)
            if _is_age(text, clause, match) and int(match["low"]) < int(match["high"])
        ]
        for match in _AND_OVER.finditer(text, start, end):
            if _is_free(found, match) and _is_age(text, clause, match):
                up = match["way"] in ("older", "over", "above", "more", "greater", "up")
                sign = ">=" if up else "<="
                found.append((match.span(), _bind(sign, match["number"], match["unit"])))
        bounds = [m for m in _BOUND.finditer(text, start, end) if _is_free(found, m) and _is_age(text, clause, m)]
        if len(bounds) == 2 and clause.side == "inclusion" and {_sign(bounds[0])[0], _sign(bounds[1])[0]} == {">", "<"}:
            low, high = sorted(bounds, key=lambda m: _sign(m)[0] != ">")
            if _sign(low) == ">=" and _sign(high) == "<=":
                span = (bounds[0].start(), bounds[1].end())
                return [*found, (span, _in_years(low["number"], high["number"], high["unit"] or low["unit"]))]
        for match in bounds:
            if match["loosely"] and match["number"] == "18" and clause.side == "inclusion":
                self.loosely = "“Over 18” is drafted as 18 and older. Is that what the protocol says?"
                found.append((match.span(), ">= 18 a"))
                continue
            found.append((match.span(), _bind(_sign(match), match["number"], match["unit"])))
        return found

    def _is_known(self, clause: Clause, limit: str) -> bool:
        """Whether the registry's fields ask for the same already."""
        if clause.about is not None:
            return False
        fields = _limit(self.record.least_age, self.record.most_age)
        least, most = self.record.least_age, self.record.most_age
        same = {fields, _limit(least, None), _limit(None, most)} if clause.side == "inclusion" else set()
        if clause.side == "exclusion":
            same = {f"< {least} a" if least is not None else None, f"> {most} a" if most is not None else None}
        return limit in same

    def _add(self, side: str, about: str | None, place: str, limit: str, span: tuple[int, int]) -> None:
        before = len(self.criteria.found)
        fields = _limit(self.record.least_age, self.record.most_age)
        differs = place != "Registry field, ages" and fields is not None and side == "inclusion" and about is None
        question, self.loosely = self.loosely, None
        question = f"The registry's fields say {fields}. Which holds?" if differs else question
        asks: dict[str, object] = {"age": {"is": limit}}
        self.criteria.add(
            "inclusion" if side == "inclusion" else "exclusion", about, place, asks, f"Age {limit}", span, "age",
            question,
        )  # fmt: skip
        if place == "Registry field, ages" and len(self.criteria.found) > before:
            self.criteria.found[-1] = replace(self.criteria.found[-1], under=())


def _is_free(found: list[tuple[tuple[int, int], str | None]], match: re.Match[str]) -> bool:
    return not any(first < match.end() and match.start() < last for (first, last), _ in found)


def _is_age(text: str, clause: Clause, match: re.Match[str]) -> bool:
    """Whether years of life are meant: the unit says "old", or "age" stands close by, and nothing else is measured."""
    said = match["unit"] or ""
    near = text[max(clause.start, match.start() - 28) : match.start()]
    after = text[match.end() : match.end() + 22]
    if re.match(r"\s*(?:%|mg|kg|mm|ml|g/|x |/|points?|weeks?|days?|hours?|times|lines?|uln|score)", after):
        return False
    if re.search(r"old|of age|y/?o", said) or re.match(r"\s*(?:years?)?[ ,]*(?:old|of age|and gender)", after):
        return True
    if re.search(r"\b(?:age[sd]?|adults?|aged|ages)\b[^.;]{0,26}$", near):
        return True
    return (
        bool(said)
        and "year" in said
        and re.search(r"\bage\b", text[clause.start : clause.end]) is not None
        and (re.search(r"\b(?:within|past|last|for|history|least)\b[^,;]{0,12}$", near) is None)
    )


def _sign(match: re.Match[str]) -> str:
    return next(sign for name, sign in (("least", ">="), ("most", "<="), ("over", ">"), ("under", "<")) if match[name])


def _bind(sign: str, number: str, unit: str | None) -> str | None:
    if unit and unit.startswith("month"):
        # Ages are completed years: "at most 24 months" is no limit of theirs, for it ends in the third year of life.
        years, rest = divmod(int(number), 12)
        if rest or sign == "<=":
            return None
        return f"{'<' if sign == '<' else '>='} {years} a"
    return f"{sign} {number} a" if int(number) <= 120 else None


def _in_years(low: str, high: str, unit: str | None) -> str | None:
    if unit and unit.startswith("month"):
        return None
    return f"{low}..{high} a" if int(high) <= 120 else None


def _limit(least: int | None, most: int | None) -> str | None:
    if least is not None and most is not None:
        return f"{least}..{most} a"
    if least is not None:
        return f">= {least} a"
    return f"<= {most} a" if most is not None else None
