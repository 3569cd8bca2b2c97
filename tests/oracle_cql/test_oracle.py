"""Another engine says of the same charts what ours says (docs/oracle.md); `make oracle` asks it about more of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest

from app.definitions.served import Definitions, Served
from tests.builders import bundle_of
from tests.oracle_cql import oracle
from tests.oracle_cql.oracle import Disagreement, Question
from trial_defs.engine.findings import Outcome
from trial_defs.export.cql import library_of

TODAY = date(2026, 11, 1)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def served() -> Served:
    return Definitions().now


@pytest.fixture(scope="module")
def engine() -> None:
    """The other engine in `.cache/`, fetched once; skipped where its tools are not here or nothing can be fetched."""
    if missing := oracle.missing_tools():
        pytest.skip(f"needs {', '.join(missing)}: {oracle.INSTALL}")
    try:
        oracle.install()
    except (RuntimeError, OSError, subprocess.TimeoutExpired):
        pytest.skip("the translator and cql-execution cannot be fetched here; `make oracle` says why")


def lines(found: Iterable[Disagreement]) -> str:
    return "\n".join(map(str, found))


@pytest.mark.usefixtures("engine")
def test_another_engine_agrees_on_charts_of_the_case_files_of_every_trial(served: Served) -> None:
    questions = oracle.spread(oracle.from_case_files(served), each=40)
    assert {question.trial for question in questions} == set(served.trials)
    outcomes = oracle.ask_both(questions, served)
    assert outcomes.settled > 20 * len(questions)  # what is open on both sides proves little
    assert not (left := oracle.unexplained(outcomes.disagreements)), lines(left)


@pytest.mark.usefixtures("engine")
def test_another_engine_agrees_on_generated_charts(served: Served) -> None:
    outcomes = oracle.ask_both(oracle.from_generator(200, served, seed=3), served)
    assert outcomes.settled > 10 * 200
    assert not (left := oracle.unexplained(outcomes.disagreements)), lines(left)


def part(code: str, number: float, unit: str) -> Json:
    """A component of an Observation."""
    coding = [{"system": "http://loinc.org", "code": code}]
    return {"code": {"coding": coding}, "valueQuantity": {"value": number, "unit": unit, "code": unit}}


FLOW, NO_FLOW, SHARE = part("3151-8", 2, "L/min"), part("3151-8", 0, "L/min"), part("3150-0", 40, "%")
SATURATION = {"results": {"oxygen-saturation": "97 %"}}
UNDER_OXYGEN = SATURATION | {"treatments": {"oxygen-therapy": {"since": "2026-10-20", "status": "in-progress"}}}
AFTER_OXYGEN = SATURATION | {"treatments": {"oxygen-therapy": {"since": "2026-09-01", "until": "2026-09-08"}}}
NYHA_TO_COME = {"results": {"nyha-class": {"value": "2 {class}", "status": "preliminary"}}}
ROOM_AIR, NYHA = ("NCT06680388", "I4.6.oxygen-saturation"), ("CNCT19-AID", "E7.nyha")
SETTLED_BY_HAND: list[tuple[str, tuple[str, str], Json, Json | None, Outcome]] = [
    ("a saturation", ROOM_AIR, SATURATION, None, Outcome.MET),
    ("a saturation during oxygen therapy", ROOM_AIR, UNDER_OXYGEN, None, Outcome.UNKNOWN),
    ("a saturation after oxygen therapy", ROOM_AIR, AFTER_OXYGEN, None, Outcome.MET),
    ("a saturation with a flow of oxygen", ROOM_AIR, SATURATION, FLOW, Outcome.UNKNOWN),
    ("a saturation with more oxygen than in air", ROOM_AIR, SATURATION, SHARE, Outcome.UNKNOWN),
    ("a saturation with a flow of none during therapy", ROOM_AIR, UNDER_OXYGEN, NO_FLOW, Outcome.MET),
    ("no NYHA class", NYHA, {}, None, Outcome.MET),
    ("a NYHA class that is not final", NYHA, NYHA_TO_COME, None, Outcome.UNKNOWN),
]


def question_of(name: str, trial: str, chart: Json, component: Json | None, served: Served) -> Question:
    bundle = bundle_of(chart, TODAY, served.catalogue)
    for entry in bundle["entry"]:
        if component and entry["resource"]["resourceType"] == "Observation":
            entry["resource"]["component"] = [component]
    return Question(name, trial, TODAY, bundle)


@pytest.mark.usefixtures("engine")
def test_both_say_what_was_settled_by_hand_where_they_once_differed(served: Served) -> None:
    questions = [
        question_of(name, trial, chart, component, served) for name, (trial, _), chart, component, _ in SETTLED_BY_HAND
    ]
    for question, (name, (trial, criterion), _, _, expected) in zip(questions, SETTLED_BY_HAND, strict=True):
        assert oracle.our_answers(question, served.trials[trial], served)[criterion] is expected, name
    assert not (found := oracle.ask_both(questions, served).disagreements), lines(found)


PLATELETS = ("NCT06711146", "I9.platelets")
UNIT_TEXTS = [  # the text that a laboratory writes, and what 180 of it are against at least 25 10*9/L
    ("10*9/L", Outcome.MET),
    ("10*3/uL", Outcome.MET),
    ("x10E3/uL", Outcome.MET),
    ("10^3/uL", Outcome.MET),
    ("Gpt/L", Outcome.MET),
    ("109/L", Outcome.UNKNOWN),
    ("103/uL", Outcome.UNKNOWN),
    ("mmHg", Outcome.UNKNOWN),
    ("EU/mL", Outcome.UNKNOWN),
    ("mg/dL", Outcome.UNKNOWN),
    ("no unit", Outcome.UNKNOWN),
]


@pytest.mark.usefixtures("engine")
def test_a_unit_text_is_read_as_the_mappings_read_it_and_ends_no_other_chart(served: Served) -> None:
    trial, criterion = PLATELETS
    questions = [
        question_of(unit, trial, {"results": {"platelets": f"180 {unit}"}}, None, served) for unit, _ in UNIT_TEXTS
    ]
    for question, (unit, expected) in zip(questions, UNIT_TEXTS, strict=True):
        assert oracle.our_answers(question, served.trials[trial], served)[criterion] is expected, unit
    assert not (found := oracle.ask_both(questions, served).disagreements), lines(found)


@pytest.fixture(scope="module")
def java_engine() -> None:
    """The Java engine in `.cache/`, fetched once; skipped where its tools are not here or nothing can be fetched."""
    if missing := oracle.missing_tools():
        pytest.skip(f"needs {', '.join(missing)}: {oracle.INSTALL}")
    try:
        oracle.install_java_engine()
    except (RuntimeError, OSError, subprocess.TimeoutExpired):
        pytest.skip("the Java engine cannot be fetched here; mvn -f tests/oracle_cql/engine.pom.xml says why")


@pytest.mark.usefixtures("java_engine")
def test_the_java_engine_agrees_on_unit_texts_ages_and_dates_that_are_none(served: Served) -> None:
    """No chart ends the run of another, and nothing that the engine settles contradicts ours."""
    trial, platelets = PLATELETS
    library = library_of(served.trials[trial], served.catalogue)
    questions = [
        question_of(unit, trial, {"results": {"platelets": f"180 {unit}"}}, None, served) for unit, _ in UNIT_TEXTS
    ]
    questions += [
        Question(f"{born} {today}", trial, today, bundle_of({"patient": {"born": born}}, today, served.catalogue))
        for born, today, _ in AGES
    ]
    answers = oracle.java_answers(questions, [library])
    assert len(answers) == len(questions)
    expected = [(platelets, outcome) for _, outcome in UNIT_TEXTS] + [(AGE[1], outcome) for *_, outcome in AGES]
    for question, theirs, (criterion, outcome) in zip(questions, answers, expected, strict=True):
        assert theirs[criterion] is oracle.TRUTHS[outcome], question.name
        ours = oracle.our_answers(question, served.trials[trial], served)
        settled = {name: theirs[name] for name in library.criteria if isinstance(theirs[name], bool)}
        assert {name: oracle.TRUTHS.get(ours[name]) for name in settled} == settled, question.name


AGE = ("NCT06711146", "I2.age")
AGES = [  # born, asked on, whether 18 years have been completed
    ("2008-02-29", date(2026, 2, 28), Outcome.NOT_MET),
    ("2008-02-29", date(2026, 3, 1), Outcome.MET),
    ("2010-03-01", date(2028, 2, 29), Outcome.NOT_MET),
    ("2010-02-28", date(2028, 2, 28), Outcome.MET),
    ("2008", date(2026, 6, 1), Outcome.UNKNOWN),
    ("2007", date(2026, 6, 1), Outcome.MET),
    ("2009", date(2026, 6, 1), Outcome.NOT_MET),
    ("2008-06", date(2026, 6, 15), Outcome.UNKNOWN),
    ("2008-05", date(2026, 6, 15), Outcome.MET),
]


@pytest.mark.usefixtures("engine")
def test_an_age_is_open_unless_both_ends_of_a_partial_birth_date_agree(served: Served) -> None:
    trial, criterion = AGE
    questions = [
        Question(f"{born} {today}", trial, today, bundle_of({"patient": {"born": born}}, today, served.catalogue))
        for born, today, _ in AGES
    ]
    for question, (_, _, expected) in zip(questions, AGES, strict=True):
        assert oracle.our_answers(question, served.trials[trial], served)[criterion] is expected, question.name
    assert not (found := oracle.ask_both(questions, served).disagreements), lines(found)


@pytest.mark.parametrize(
    ("ours", "theirs", "differ"),
    [
        (Outcome.MET, {"a": True}, False),
        (Outcome.MET, {"a": False}, True),
        (Outcome.NOT_MET, {"a": None}, True),
        (Outcome.UNKNOWN, {"a": None}, False),
        (Outcome.UNKNOWN, {"a": False}, True),
        (Outcome.NEEDS_HUMAN, {"a": None}, False),
        (Outcome.NOT_APPLICABLE, {"a": None, "a: applies": False}, False),
        (Outcome.NOT_APPLICABLE, {"a": None, "a: applies": None}, True),
        (Outcome.MET, {"a": None, "a: applies": False}, True),
    ],
)
def test_an_answer_that_is_not_the_same_is_a_disagreement(
    ours: Outcome, theirs: dict[str, bool | None], differ: bool
) -> None:
    question = Question("a chart", "NCT06680388", TODAY, {})
    assert bool(list(oracle.compare(question, ["a"], {"a": ours}, theirs))) is differ


def test_only_what_is_explained_and_open_on_the_other_side_is_passed_over() -> None:
    trial, _, name = next(iter(oracle.explained())).partition(" ")
    question = Question("a chart", trial, TODAY, {})
    passed_over = Disagreement(question, name, ours=True, theirs=None)
    faults = [
        Disagreement(question, name, ours=True, theirs=False),
        Disagreement(question, name, ours=None, theirs=True),
        Disagreement(question, "other", ours=True, theirs=None),
    ]
    assert oracle.unexplained([passed_over, *faults]) == faults


def test_what_is_explained_is_a_criterion_that_the_library_says(served: Served) -> None:
    said = {f"{t.id} {name}" for t in served.trials.values() for name in library_of(t, served.catalogue).criteria}
    assert oracle.explained().keys() <= said


def test_counts_go_between_their_marks_and_leave_the_rest() -> None:
    start, end = oracle.COUNTS
    written = oracle.with_counts(f"before\n{start}\nold\n{end}\nafter", "new")
    assert written == f"before\n{start}\nnew\n{end}\nafter"
    with pytest.raises(ValueError):
        oracle.with_counts("no marks", "new")


def test_no_file_of_the_tools_names_where_packages_come_from() -> None:
    for name in ("package-lock.json", "package.json", "pom.xml"):
        text = (oracle.HERE / name).read_text()
        assert '"resolved"' not in text, name
        assert "<repository>" not in text, name
    packages = json.loads((oracle.HERE / "package-lock.json").read_text())["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
