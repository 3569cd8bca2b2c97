"""A trial's computed criteria as CQL (Clinical Quality Language 1.5, on FHIR 4.0.1): one define a criterion.

Each define is three-valued like a finding: `true` is met, for exclusions too; `false` is not met; `null` is open, as is
what a person has to judge. The library says of itself what it leaves out. An engine that was written elsewhere can be
asked the same questions with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from mappings.concepts.catalogue import (
    DOSE_UNITS,
    ON_ROOM_AIR,
    OUR_SYSTEM,
    OXYGEN_THERAPIES,
    PREFIX_SYSTEMS,
    SYSTEMS,
    Catalogue,
    DoseRule,
    current_for,
)
from mappings.derived.formulas import DERIVATIONS
from mappings.facts import Polarity
from mappings.readers.events import REPEATED
from mappings.time.times import Period, parse_period
from trial_defs.definition import expressions as x
from trial_defs.export.cql_functions import COURSES, DOSE_FUNCTIONS, HEAD, ON_OXYGEN
from trial_defs.export.cql_units import unit_texts

_POSITIVE = ("10828004", "52101004", "260373001", "LA6576-8", "LA11882-0")
_NEGATIVE = ("260385009", "2667000", "260415000", "LA6577-6", "LA11883-8")
_UNCLEAR = ("82334004", "42425007", "419984006", "LA11884-6")
_FUNCTIONS = {">=": "At least", ">": "Above", "<=": "At most", "<": "Below"}
_UNITS = {"d": "days", "wk": "weeks", "mo": "months", "a": "years", "h": "hours"}
_NULL = "(null as System.Boolean)"
_NULL_QUANTITY = "(null as System.Quantity)"
_QUIET = '"Is quiet"(D)'


class NotSaid(Exception):
    """Something that this rendering does not say in CQL."""


@dataclass(frozen=True, slots=True)
class CqlLibrary:
    """The text, and the criteria in it and not in it (with the cause)."""

    name: str
    text: str
    criteria: tuple[str, ...]
    left_out: Mapping[str, str]


def library_of(trial: x.Trial, catalogue: Catalogue) -> CqlLibrary:
    """The computed criteria of a trial, each once, whatever cohorts it belongs to."""
    writer = _Writer(catalogue)
    criteria = {criterion.id: criterion for cohort in trial.cohorts for criterion in cohort.criteria}
    defines: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for criterion in criteria.values():
        try:
            defines[criterion.id] = writer.criterion(criterion)
        except NotSaid as reason:
            left_out[criterion.id] = str(reason)
    systems = (f"    when address in {_texts(addresses)} then {_text(name)}" for name, addresses in SYSTEMS.items())
    units = unit_texts(catalogue)
    spelled = {text: unit for text, unit in units.items() if text != unit}
    head = (
        HEAD.replace("{SYSTEMS}", "\n".join(systems))
        .replace("{POSITIVE}", _texts(_POSITIVE))
        .replace("{NEGATIVE}", _texts(_NEGATIVE))
        .replace("{UNCLEAR}", _texts(_UNCLEAR))
        .replace("{PLAIN_UNITS}", _texts(tuple(text for text, unit in units.items() if text == unit)))
        .replace("{UNIT_TEXTS}", _texts(tuple(spelled)))
        .replace("{UNITS_OF_TEXTS}", _texts(tuple(spelled.values())))
    )
    notes = [f"// Not in this library: {name} ({_comment(why)})" for name, why in left_out.items()]
    parts = (
        f"// {_comment(trial.title)}\n// Definition version {trial.version}, {trial.hash}",
        f"library {_name(trial.id)} version '{trial.version}'\n{head}",
        *writer.shared.values(),
        *defines.values(),
        *notes,
    )
    return CqlLibrary(trial.id, "\n\n".join(part.strip() for part in parts) + "\n", tuple(defines), left_out)


def _name(text: str) -> str:
    return '"' + text.replace("\\", "").replace('"', "'") + '"'


def _text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _texts(texts: tuple[str, ...]) -> str:
    return "{ " + ", ".join(map(_text, texts)) + " }"


def _comment(text: str) -> str:
    return " ".join(text.replace("*/", "* /").split())


def _ago(period: Period) -> str:
    return f'("Today" - {_length(period)})'


def _length(period: Period) -> str:
    """A length of time, to be added to a day."""
    if period.unit == "h":
        raise NotSaid("a window of hours")
    return f"{period.count} {_UNITS[period.unit]}"


@dataclass
class _Writer:
    """Writes one library: what several criteria need is written once, in `shared`."""

    catalogue: Catalogue
    shared: dict[str, str] = field(default_factory=dict)

    def criterion(self, criterion: x.Criterion) -> str:
        name = criterion.id
        asked = self.expression(criterion.asks)
        if criterion.kind == "exclusion":
            asked = f"not {asked}"
        lines = [f"// {criterion.kind}: {_comment(criterion.text)}"]
        if criterion.only_if is None:
            return "\n".join([*lines, f"define {_name(name)}: {asked}"])
        applies = _name(f"{name}: applies")
        # While it is open whether it applies, only "met" can be said.
        undecided = f"{applies} is false or ({applies} is null and not ({asked}))"
        body = f"if {undecided} then null else {asked}"
        guard = f"define {applies}: {self.expression(criterion.only_if)}"
        return "\n".join([*lines, guard, f"define {_name(name)}: {body}"])

    def expression(self, expression: x.Expression) -> str:
        match expression:
            case x.All():
                return self._join(" and ", expression.parts)
            case x.AnyOf():
                return self._join(" or ", expression.parts)
            case x.Not():
                return f"(not {self.expression(expression.part)})"
            case x.AtLeast():
                return self._at_least(expression)
            case x.Age():
                return f"({' and '.join(map(_aged, _bounds(expression.test)))})"
            case x.SexIs():
                known = "Patient.gender.value in { 'female', 'male' }"
                return f"(if {known} then Patient.gender.value = {_text(expression.sex)} else null)"
            case x.Value():
                return self._with_what_rules_it_out(expression, self._value(expression))
            case x.Condition():
                return self._with_what_rules_it_out(expression, self._condition(expression))
            case x.Treatment():
                return self._treatment(expression)
            case x.Judgement() | x.Consent():
                return _NULL
            case _:
                raise NotSaid("a change over time")

    def _join(self, word: str, parts: tuple[x.Expression, ...]) -> str:
        return f"({word.join(self.expression(part) for part in parts)})"

    def _at_least(self, expression: x.AtLeast) -> str:
        parts = [self.expression(part) for part in expression.parts]
        passing = " + ".join(f"(if {part} then 1 else 0)" for part in parts)
        failing = " + ".join(f"(if {part} is false then 1 else 0)" for part in parts)
        return f'"At least so many"({expression.count}, {passing}, {failing}, {len(parts)})'

    def _with_what_rules_it_out(self, leaf: x.Value | x.Condition, answer: str) -> str:
        """A record that rules the concept out (hysterectomy: pregnancy) answers where nothing else does."""
        names = self.catalogue.concepts[leaf.concept].ruled_out_by
        if not names or (isinstance(leaf, x.Value) and not isinstance(leaf.test, Polarity)):
            return answer
        negative = isinstance(leaf, x.Value) and leaf.test is Polarity.NEGATIVE
        present, absent = ("false", "true") if negative else ("true", "false")
        ruled_out = " or ".join(self._condition(x.Condition(name, "ever", absent="presume")) for name in names)
        said = f"when A is null and R then {absent} when A is {present} and R then null else A"
        return f"First(({{ 1 }}) N let A: {answer}, R: ({ruled_out}) is true return all case {said} end)"

    # By code

    def _is(self, concept: str, *, alone: bool = False) -> str:
        """The function that says whether a record's codes stand for the concept; written when first asked for.

        `alone`: for itself, and not for what it includes.
        """
        name = f"Is {concept}{' alone' if alone else ''}"
        if name not in self.shared:
            exact, starts = _codes_of((concept,) if alone else _family(concept, self.catalogue), self.catalogue)
            # The list is a define of its own, so that an engine builds it once and not for every record.
            codes = f"{concept}{' alone' if alone else ''}: codes"
            self.shared[codes] = f"define {_name(codes)}: {_texts(exact)}"
            begins = " or ".join(f"StartsWith(S, {_text(start)})" for start in starts)
            more = f" or exists ((codes) S where {begins})" if begins else ""
            self.shared[name] = (
                f"define function {_name(name)}(codes List<System.String>):\n"
                f"  exists (codes intersect {_name(codes)}){more}"
            )
        return _name(name)

    # Results

    def _value(self, leaf: x.Value) -> str:
        if leaf.concept in self.catalogue.doses:
            return self._dose(leaf, self.catalogue.doses[leaf.concept])
        if leaf.concept in DERIVATIONS:
            raise NotSaid(f"{leaf.concept} may be calculated from other records")
        if leaf.runs > 1 or leaf.stable_for:
            raise NotSaid("several results in a row")
        found = self._results(leaf.concept)
        if leaf.pick == "latest":
            found = f'("Newest"({found}))'
        window = leaf.within or leaf.current_for
        inside = f'({found} R where "Day of"(R) on or after {_ago(window)})' if window else f"({found})"
        test = self._test(leaf.test, leaf.concept)
        if leaf.concept == ON_ROOM_AIR:
            test = f"if {self._on_oxygen()}(R) then null else {test}"
        if leaf.clear_of and leaf.clear_for:
            test = f"(case when {test} then (if {self._supported(leaf)} then null else true) else {test} end)"
        if leaf.anchor and leaf.distance:
            test = f"(case when {test} then {self._taken_under(leaf)} else {test} end)"
        decide = "Agreed" if leaf.pick == "latest" else "Any"
        counts = f"Count(G), Count((G) R where {test}), Count((G) R where not ({test}))"
        # One element, so that what is inside the window is looked for once.
        answer = f"First(({{ 1 }}) N let G: {inside} return all {_name(decide)}({counts}))"
        if leaf.absent == "presume":
            silent = "true" if _holds_for_nothing(leaf.test) else "false"
            pending = f'exists (("Pending") T where {self._is(leaf.concept)}(T.codes))'
            silence = f"(if {pending} then null else {silent})"
            answer = f"(if not exists {self._results(leaf.concept)} then {silence} else {answer})"
        return self._with_diagnosis(leaf, answer) if isinstance(leaf.test, Polarity) else answer

    def _dose(self, leaf: x.Value, rule: DoseRule) -> str:
        """Today's dose of one course with a plain instruction; several that go on, and a recorded dose, leave it open.

        Words are not read: a drug whose salt or form only its words name leaves a range.
        """
        if rule.measure not in ("daily", "daily-per-kg"):
            raise NotSaid(f"{leaf.concept} is summed over all time")
        if leaf.pick == "any" or leaf.stable_for or leaf.anchor or isinstance(leaf.test, Polarity):
            raise NotSaid(f"{leaf.concept} of other days than today")
        courses, results = self._courses(rule.of), self._results(leaf.concept)
        lately = 'T.first is null or T.first on or after "Today" - 28 days'
        given = f"exists ({self._courses_in('MedicationAdministration', rule.of, False)} T where {lately})"
        low, high = self._equivalents(rule.of)
        per_kg = rule.measure == "daily-per-kg"
        weight = self._weight_today() if per_kg else "1.0"
        test = " and ".join(
            _passes(bound, _amount_a_week(bound, leaf.concept, self.catalogue)) for bound in _bounds(leaf.test)
        )
        silent = "null" if leaf.absent == "ask" else ("true" if _holds_for_nothing(leaf.test) else "false")
        nothing = "true" if _holds_for_nothing(leaf.test) else "false"
        return (
            f"First(({{ 1 }}) N let G: ({courses} T where not (T.goesOn is false)), W: {weight},"
            f" low: First((G) T return all if T.sure and T.goesOn then T.aWeek * {low} / W else 0.0),"
            f" high: First((G) T return all T.aWeek * {high} / W)"
            f" return all case when exists {results} or {given} then null"
            f" when not exists {courses} then {silent} when not exists G then {nothing}"
            f" when Count(G) > 1 then null else ({test}) end)"
        )

    def _equivalents(self, concept: str) -> tuple[str, str]:
        """The least and the most that 1 mg of a record T may be in the drug or salt in which doses are counted."""
        ends: list[str] = []
        members = {
            n: pairs for n in _family(concept, self.catalogue) if (pairs := self.catalogue.concepts[n].equivalents)
        }
        for choose in (min, max):
            said = " ".join(
                f"when {self._is(name, alone=True)}(T.codes) then {_ratio(choose(pairs.values(), key=_factor))}"
                for name, pairs in members.items()
            )
            ends.append(f"(case {said} else null end)")
        return ends[0], ends[1]

    def _weight_today(self) -> str:
        """The newest body weight of the last 180 days, in kg; null where there are several of that day."""
        newest = f'("Newest"({self._results("body-weight")}))'
        recent = f'{newest} R where "Day of"(R) on or after "Today" - 180 days'
        kg = "if (R.value as FHIR.Quantity).code.value = 'kg' then (R.value as FHIR.Quantity).value.value else null"
        return f"(if Count({newest}) = 1 then First(({recent}) R return all {kg}) else null)"

    def _supported(self, leaf: x.Value) -> str:
        """Whether the result R stands, or may stand, under a treatment that raises it."""
        assert leaf.clear_for
        edge = f'("Day of"(R) - {_length(leaf.clear_for)})'
        before = '(T.first is null or T.first on or before "Day of"(R))'
        near = f'{before} and Coalesce(T.last, "Today") on or after {edge}'
        return "(" + " or ".join(f"exists ({self._courses(c)} T where {near})" for c in leaf.clear_of) + ")"

    def _taken_under(self, leaf: x.Value) -> str:
        """Whether the result R was taken so long after a course began that went on."""
        assert leaf.anchor
        assert leaf.distance
        if leaf.anchor.kind != "start":
            raise NotSaid("a result counted from the onset of a disease")
        long_enough = f'T.first + {_length(leaf.distance)} on or before "Day of"(R)'
        went_on = 'case when T.last is not null then T.last on or after "Day of"(R) else T.goesOn end'
        sure = " or ".join(
            f"exists ({self._courses(c)} T where T.sure and {long_enough} and {went_on})" for c in leaf.anchor.concepts
        )
        maybe = " or ".join(
            f"exists ({self._courses(c)} T where T.sure and (T.first is null or {long_enough})"
            f' and not (T.last before "Day of"(R)))'
            for c in leaf.anchor.concepts
        )
        return f"(case when {sure} then true when {maybe} then null else {_silence(leaf.absent)} end)"

    def _on_oxygen(self) -> str:
        """The function that says whether oxygen was given at the time of a saturation, which then decides nothing."""
        if "On oxygen" not in self.shared:
            self.shared["All Procedure"] = _all("Procedure")
            given = " or ".join(f"{self._is(name)}(T.codes)" for name in OXYGEN_THERAPIES)
            self.shared["On oxygen"] = ON_OXYGEN.replace("{GIVEN}", given)
        return '"On oxygen"'

    def _results(self, concept: str) -> str:
        name = f"{concept}: results"
        if name not in self.shared:
            fits = f"{self._is(concept)}(T.codes)"
            if self.catalogue.concepts[concept].panel:
                # One negative test of a panel says nothing of the panel.
                fits += f" and ({self._is(concept, alone=True)}(T.codes) or {self._positive(concept)}(T.entry))"
            self.shared[name] = f'define {_name(name)}: ("Results") T where {fits} return all T.entry'
        return _name(name)

    def _positive(self, concept: str) -> str:
        """The function that says whether a result of the concept is positive: in words, or by its number."""
        by_number = {name: rule for name in _family(concept, self.catalogue) if (rule := self._by_number(name))}
        if not by_number:
            return '"Positive"'
        name = f"Positive {concept}"
        if name not in self.shared:
            rules = " ".join(
                f'when {self._is(member, alone=True)}("Codes"(R.code)) then {rule}'
                for member, rule in by_number.items()
            )
            self.shared[name] = (
                f"define function {_name(name)}(R FHIR.Observation):\n"
                f'  Coalesce("Positive"(R), case {rules} else {_NULL} end)'
            )
        return _name(name)

    def _by_number(self, concept: str) -> str | None:
        """What a number says where it decides between positive and negative."""
        entry = self.catalogue.concepts[concept]
        if entry.detection:
            return '"Detected"(R)'
        if entry.positive_from is None or entry.unit is None:
            return None
        unit, below = _text(entry.unit), entry.positive_from if entry.negative_below is None else entry.negative_below
        positive = f'"At least"(R, {_number(entry.positive_from)} {unit})'
        return f'(case when {positive} then true when "Below"(R, {_number(below)} {unit}) then false else {_NULL} end)'

    def _test(self, test: x.Test, concept: str) -> str:
        match test:
            case Polarity():
                positive = f"{self._positive(concept)}(R)"
                return positive if test is Polarity.POSITIVE else f"not {positive}"
            case x.Between():
                return f"{self._test(test.low, concept)} and {self._test(test.high, concept)}"
            case x.Bound():
                return f"{_name(_FUNCTIONS[test.comparator])}(R, {_limit(test)})"

    def _with_diagnosis(self, leaf: x.Value, answer: str) -> str:
        """A diagnosis says positive where no result speaks, and leaves open what contradicts it."""
        says = "true" if leaf.test is Polarity.POSITIVE else "false"
        other = "false" if says == "true" else "true"
        present = (
            f'exists ({self._diagnoses(leaf.concept)} D where "Is confirmed"(D) and "Goes on"(D, {_NULL_QUANTITY}))'
        )
        return f"(if {present} then (if {answer} is {other} then null else {says}) else {answer})"

    # Diagnoses

    def _diagnoses(self, concept: str, excepting: tuple[str, ...] = ()) -> str:
        if any(self.catalogue.concepts[each].lasts_at_most for each in _family(concept, self.catalogue)):
            raise NotSaid(f"an entry of {concept} may be over of itself")
        name = f"{concept}: diagnoses" + (f" but {', '.join(excepting)}" if excepting else "")
        if name not in self.shared:
            codes = [f"{self._is(concept)}(T.codes)", *(f"not {self._is(other)}(T.codes)" for other in excepting)]
            self.shared[name] = f'define {_name(name)}: ("Entries") T where {" and ".join(codes)} return all T.entry'
        return _name(name)

    def _limit(self, leaf: x.Condition) -> str:
        """How long an entry without a status is believed to go on, by what it is an entry of."""
        family = {each: self.catalogue.concepts[each].acute_for for each in _family(leaf.concept, self.catalogue)}
        acute = [
            f'when {self._is(each, alone=True)}("Codes"(D.code)) then {_length(parse_period(limit))}'
            for each, limit in family.items()
            if limit
        ]
        return f"(case {' '.join(acute)} else {_NULL_QUANTITY} end)" if acute else _NULL_QUANTITY

    def _sure(self, leaf: x.Condition) -> str:
        """Confirmed, and not a disease in remission of which a person says whether it counts."""
        family = {each: self.catalogue.concepts[each] for each in _family(leaf.concept, self.catalogue)}
        asking = [f'{self._is(n, alone=True)}("Codes"(D.code))' for n, each in family.items() if each.remission_asks]
        quiet = [f'{self._is(n, alone=True)}("Codes"(D.code))' for n, each in family.items() if each.in_remission]
        if not asking:
            return '"Is confirmed"(D)'
        return f'("Is confirmed"(D) and not (({" or ".join(asking)}) and ({" or ".join([*quiet, _QUIET])})))'

    def _condition(self, leaf: x.Condition) -> str:
        found, limit, sure = self._diagnoses(leaf.concept, leaf.excepting), self._limit(leaf), self._sure(leaf)
        tests = [f'"Goes on"(D, {limit})'] if leaf.when == "active" else []
        tests += [f'"Present since"(D, {_ago(leaf.within)}, {limit})'] if leaf.within else []
        tests += [self._began(leaf, leaf.began_within)] if leaf.began_within else []
        lasts = f'"Lasts"(D, {_length(leaf.lasting)})' if leaf.lasting else ""
        test = " and ".join([*tests, lasts] if lasts else tests) or "true"
        fitting = f"Count({found} D where {sure} and ({test}))"
        doubtful = f"Count({found} D where (({test}) is null) or (not {sure} and not (({test}) is false)))"
        silence = _silence(leaf.absent)
        if lasts:
            # It is there, and not for so long yet.
            young = " and ".join([*tests, f"{lasts} is false"])
            silence = f"(if exists ({found} D where {young}) then false else {silence})"
        if leaf.when == "ever" or leaf.began_within or leaf.lasting:
            return f'"Recorded"({fitting}, {doubtful}, {silence})'
        return f'"Recorded or stated"({fitting}, {doubtful}, {silence}, {self._stated(leaf)})'

    def _began(self, leaf: x.Condition, within: Period) -> str:
        anchor = leaf.anchor
        if anchor is None:
            return f'"Began since"(D, {_ago(within)})'
        if anchor.kind != "onset" or anchor.side != "around":
            raise NotSaid("an onset counted from one side of another event")
        onsets = ", ".join(
            f'(({self._diagnoses(name)}) A where "Is confirmed"(A) return all "Onset"(A))' for name in anchor.concepts
        )
        # An entry without an onset may be of an earlier one.
        unknown = " or ".join(
            f'exists (({self._diagnoses(name)}) A where "Is confirmed"(A) and "Onset"(A) is null)'
            for name in anchor.concepts
        )
        first, length = f"(if {unknown} then null else Min(flatten {{ {onsets} }}))", _length(within)
        return f'("Onset"(D) on or after ({first} - {length}) and "Onset"(D) on or before ({first} + {length}))'

    def _stated(self, leaf: x.Condition) -> str:
        """What the newest results that state presence or absence say, while they are current, each as a number."""
        positive = f"{self._positive(leaf.concept)}(R)"
        by_number = any(self._by_number(name) for name in _family(leaf.concept, self.catalogue))
        speaks = f'{positive} is not null or "Unclear"(R)' + (" or R.value is FHIR.Quantity" if by_number else "")
        newest = f'("Newest"(({self._results(leaf.concept)} R where {speaks})))'
        current = f' where "Day of"(R) on or after {_ago(leaf.current_for)}' if leaf.current_for else ""
        return f'({newest} R{current} return all "Mark"({positive}))'

    # Treatments

    def _treatment(self, leaf: x.Treatment) -> str:
        if leaf.lasting or leaf.different > 1:
            return self._of_each(leaf)
        family = [name for concept in leaf.concepts for name in _family(concept, self.catalogue)]
        infused = next((name for name in family if self.catalogue.concepts[name].orders_stand_for), None)
        if leaf.when != "ever" and infused:
            raise NotSaid(f"an open order of {infused} may say nothing of today")
        if leaf.anchor:
            return self._from_results(leaf, leaf.anchor)
        return self._count(leaf, _in_time(leaf))

    def _from_results(self, leaf: x.Treatment, anchor: x.Anchor) -> str:
        """Counted from the result in use, its day D; from today, when a new one is taken, where there is none."""
        if anchor.kind != "result" or anchor.side != "before" or leaf.within is None:
            raise NotSaid("a treatment counted from another event than a result after it")
        edge = f"(D - {_length(leaf.within)})"
        tied = (
            f"case when T.first after D or T.last before {edge} then false "
            "when T.first is null or T.first = D then null when T.last is not null or T.goesOn then true "
            f"when T.first on or after {edge} then true else null end"
        )
        test = f"(if D is null then ({_in_time(leaf)}) else ({tied}))"
        said = []
        for name in anchor.concepts:
            limit = current_for(self.catalogue.concepts[name])
            current = f' where "Day of"(R) on or after {_ago(limit)}' if limit else ""
            day = f'First(("Newest"({self._results(name)})) R{current} return all "Day of"(R))'
            said.append(f"First(({{ 1 }}) N let D: {day} return all {self._count(leaf, test)})")
        return f"({' or '.join(said)})"

    def _count(self, leaf: x.Treatment, test: str) -> str:
        courses = [self._courses(concept) for concept in leaf.concepts]
        fitting = " + ".join(f"Count({found} T where T.sure and ({test}))" for found in courses)
        doubtful = " + ".join(
            f"Count({found} T where (not T.sure and not (({test}) is false)) or ({test}) is null)" for found in courses
        )
        return f'"Recorded"({fitting}, {doubtful}, {_silence(leaf.absent)})'

    def _of_each(self, leaf: x.Treatment) -> str:
        """So many of the drugs and procedures of these classes, each for so long: each is looked at for itself."""
        members = dict.fromkeys(name for concept in leaf.concepts for name in _family(concept, self.catalogue))
        said = ", ".join(f'"Mark"({self._said_of(leaf, member)})' for member in members)
        unsure = " or ".join(f"exists ({self._courses(c)} T where not T.sure)" for c in leaf.concepts)
        return f'"Enough of"({{ {said} }}, {leaf.different}, (if {unsure} then null else {_silence(leaf.absent)}))'

    def _said_of(self, leaf: x.Treatment, member: str) -> str:
        """What all records of one drug say together."""
        found, test = f"{self._courses(member, alone=True)} T where T.sure", _in_time(leaf)
        open_ = f"exists ({found} and ({test}) is null)"
        in_time = f"if exists ({found} and ({test})) then true else if {open_} then null else false"
        if not leaf.lasting:
            return in_time
        return f'({in_time}) and "Given for"(({found} and not (({test}) is false)), {_length(leaf.lasting)})'

    def _courses(self, concept: str, *, alone: bool = False) -> str:
        """Everything on record for a treatment as first and last day and whether it goes on.

        `alone`: what its own codes say, and not those of what it includes.
        """
        name = f"{concept} alone: courses" if alone else f"{concept}: courses"
        if name not in self.shared:
            parts = [self._courses_in(kind, concept, alone) for kind in self._kinds(concept)]
            self.shared[name] = f"define {_name(name)}: flatten {{ {', '.join(parts)} }}"
        return _name(name)

    def _kinds(self, concept: str) -> tuple[str, ...]:
        """Where a treatment is recorded; what was dispensed is evidence where orders are."""
        where = tuple(self.catalogue.where(concept))
        return (*where, "MedicationDispense") if "MedicationRequest" in where else where

    def _courses_in(self, kind: str, concept: str, alone: bool) -> str:
        if kind not in COURSES:
            raise NotSaid(f"{concept} is recorded in other resources too")
        if kind in ("MedicationStatement", "MedicationRequest"):
            self.shared["Amount a week"] = DOSE_FUNCTIONS
        self.shared[f"All {kind}"] = _all(kind)
        if kind == "ResearchSubject":
            return f'("All {kind}")'
        found = f'("All {kind}") T where {self._is(concept, alone=alone)}(T.codes)'
        return f"({found} return all {_AGAIN})" if kind == "Procedure" and concept in REPEATED else f"({found})"


def _in_time(leaf: x.Treatment) -> str:
    """Whether one course T is in the time that is asked about."""
    if leaf.when == "current":
        return "T.goesOn"
    if not leaf.within:
        return "true"
    edge = _ago(leaf.within)
    return (
        f"case when T.last is not null then T.last on or after {edge} when T.goesOn then true "
        f"when T.first on or after {edge} then true else null end"
    )


# Done again and again: one that is completed does not say that they are over.
_AGAIN = (
    "Tuple { codes: T.codes, first: T.first, last: T.last, "
    "goesOn: if T.goesOn or T.last after T.first then T.goesOn else null, sure: T.sure, aWeek: T.aWeek }"
)


def _factor(pair: tuple[Decimal, Decimal]) -> Decimal:
    return pair[1] / pair[0]


def _ratio(pair: tuple[Decimal, Decimal]) -> str:
    """ "times equals over mg", so that round amounts stay round."""
    return f"{_number(pair[1])} / {_number(pair[0])}"


def _amount_a_week(bound: x.Bound, concept: str, catalogue: Catalogue) -> Decimal:
    """A limit of a dose as mg (by kg) a week."""
    entry = catalogue.concepts[concept]
    assert entry.dose
    factor = DOSE_UNITS[entry.dose.measure][entry.unit or ""]
    return bound.canonical * 7 / factor


def _passes(bound: x.Bound, limit: Decimal) -> str:
    """Whether everything from `low` to `high` passes, nothing does, or some."""
    number, above = _number(limit), bound.comparator in (">", ">=")
    opposite = {"<=": ">", "<": ">=", ">=": "<", ">": "<="}[bound.comparator]
    sure, never = ("low", "high") if above else ("high", "low")
    passes, fails = f"{sure} {bound.comparator} {number}", f"{never} {opposite} {number}"
    return f"case when {passes} then true when {fails} then false else null end"


def _all(kind: str) -> str:
    return f'define "All {kind}":\n  {COURSES[kind]}'


def _silence(absent: str) -> str:
    return "false" if absent == "presume" else "null"


def _bounds(test: x.Bound | x.Between) -> tuple[x.Bound, ...]:
    return (test.low, test.high) if isinstance(test, x.Between) else (test,)


def _aged(bound: x.Bound) -> str:
    """A limit on the age as a comparison of days: an age in years is not the same in all engines (29 February)."""
    years = int(bound.canonical) + (bound.comparator in (">", "<="))
    reached = f'"Is aged"({years} years)'
    return reached if bound.comparator in (">", ">=") else f"not {reached}"


def _limit(bound: x.Bound) -> str:
    if bound.times is None:
        return f"{_number(bound.number)} {_text(bound.unit)}"
    edge = '"High"(R)' if bound.times == "ULN" else '"Low"(R)'
    limit = edge if bound.number == 1 else f"({_number(bound.number)} * {edge})"
    return f"({limit} + {_number(bound.plus)} {_text(bound.plus_unit)})" if bound.plus else limit


def _number(number: Decimal) -> str:
    text = format(number, "f")
    return text if "." in text else f"{text}.0"


def _holds_for_nothing(test: x.Test) -> bool:
    """What presumed silence comes to: no amount is an amount of 0, and what was not found is negative."""
    match test:
        case Polarity():
            return test is Polarity.NEGATIVE
        case x.Between():
            return _holds_for_nothing(test.low) and _holds_for_nothing(test.high)
        case x.Bound():
            limit = test.canonical
            return {">": limit < 0, ">=": limit <= 0, "<": limit > 0, "<=": limit >= 0}[test.comparator]


def _codes_of(concepts: Iterable[str], catalogue: Catalogue) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The codings of these concepts as "system|code", and the beginnings of codings."""
    names = tuple(concepts)
    exact = [f"{OUR_SYSTEM}|{name}" for name in names]
    starts = []
    for name in names:
        for system, codes in catalogue.concepts[name].codes.items():
            exact += [f"{system}|{code}" for code in codes if not code.endswith("*")]
            starts += [f"{system}|{code[:-1]}" for code in codes if code.endswith("*") and system in PREFIX_SYSTEMS]
    return tuple(dict.fromkeys(exact)), tuple(dict.fromkeys(starts))


def _family(concept: str, catalogue: Catalogue) -> Iterator[str]:
    """The concept and everything below it, each once."""
    seen: dict[str, None] = {}
    waiting = [concept]
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen[name] = None
            waiting += catalogue.concepts[name].includes
    yield from seen
