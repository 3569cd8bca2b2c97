"""What changed between two versions of a definition, found by criterion id and said as a coordinator would."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_hooks.words.change_words import ChangedVersion, changed_words
from cds_hooks.words.wording import titles_of
from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import read_yaml
from trial_defs.definition.changes import changes
from trial_defs.definition.compiler import compile_trial
from trial_defs.definition.expressions import Trial
from trial_defs.definition.history import OUR_HISTORY, history_folder, history_of, keep_version
from trial_defs.definition.language import TrialWords
from trial_defs.definition.lint import meaning_of, read_versions
from trial_defs.definition.loader import OUR_TRIALS, read_trial

Json = dict[str, Any]
Edit = Callable[[Json], object]

TRIAL: Json = yaml.safe_load("""
id: T-1
version: 1
title: An invented trial
short_title: Invented
source: {document: invented, read_on: "2026-11-01"}
recruiting:
  status: recruiting
  sites:
    - {name: Charité, city: Berlin, country: Germany, status: recruiting}
before:
  - id: I1.age
    source: "1"
    text: Adults up to 65
    include: {age: {is: 18..65 a}}
cohorts:
  sle:
    title: Lupus
    gate: {condition: {is: systemic-lupus-erythematosus}}
    criteria:
      - id: I2.platelets
        source: "2"
        text: Platelets at least 50
        include: {value: {of: platelets, is: ">= 50 10*9/L", within: 4 wk}}
      - id: E1.rituximab
        source: "3"
        text: Rituximab in the last 6 months
        exclude: {treatment: {of: rituximab, when: within 6 mo, absent: presume}}
      - id: E2.kidney
        source: "4"
        text: Kidney
        exclude:
          any:
            - {value: {of: creatinine, is: "> 2 mg/dL"}}
            - {judgement: {ask: "Is the kidney failing?"}}
  ss:
    title: Sjögren
    gate: {condition: {is: sjogren-disease}}
""")


def compiled(words: Json, catalogue: Catalogue) -> Trial:
    return compile_trial(TrialWords.model_validate(words), catalogue, Path("-"), "-")


def criterion(words: Json, name: str) -> Json:
    every = (*words["before"], *words["cohorts"]["sle"]["criteria"])
    found: Json = next(each for each in every if each["id"] == name)
    return found


@pytest.fixture
def said(catalogue: Catalogue) -> Callable[[Edit], ChangedVersion]:
    def after(edit: Edit) -> ChangedVersion:
        words = copy.deepcopy(TRIAL)
        edit(words)
        words["version"] = 2
        found = changes(compiled(TRIAL, catalogue), compiled(words, catalogue))
        return changed_words(found, titles_of(catalogue))

    return after


def set_value(name: str, **terms: object) -> Edit:
    return lambda words: criterion(words, name)["include"]["value"].update(terms)


def set_treatment(**terms: object) -> Edit:
    return lambda words: criterion(words, "E1.rituximab")["exclude"]["treatment"].update(terms)


LINES: dict[str, tuple[str, Edit, tuple[str, ...]]] = {
    "a limit": (
        "I2.platelets",
        set_value("I2.platelets", **{"is": ">= 25 10*9/L"}),
        ("Platelets – limit: at least 50 × 10⁹/L, now at least 25 × 10⁹/L",),
    ),
    "a limit and a window": (
        "I2.platelets",
        set_value("I2.platelets", **{"is": ">= 25 10*9/L", "within": "90 d"}),
        (
            "Platelets – limit: at least 50 × 10⁹/L, now at least 25 × 10⁹/L; "
            "the newest result of the last 4 weeks counted, now the newest result of the last 90 days does",
        ),
    ),
    "which result counts": (
        "I2.platelets",
        set_value("I2.platelets", pick="any"),
        (
            "Platelets – the newest result of the last 4 weeks counted, now any result of the last 4 weeks does",
        ),
    ),
    "a tolerance": (
        "I2.platelets",
        lambda words: criterion(words, "I2.platelets").update(near="none"),
        ("Platelets – a near miss up to 10 % beside the limit, now no near miss",),
    ),
    "another concept": (
        "I2.platelets",
        set_value("I2.platelets", of="leukocytes"),
        (
            "Was “Platelets at least 50 × 10⁹/L, newest result, at most 4 weeks old”, "
            "now “Leukocytes at least 50 × 10⁹/L, newest result, at most 4 weeks old”",
        ),
    ),
    "a washout": (
        "E1.rituximab",
        set_treatment(when="within 12 mo"),
        ("Rituximab – counts within the last 6 months, now within the last 12 months",),
    ),
    "a duration": (
        "E1.rituximab",
        set_treatment(when="ever", lasting="3 mo"),
        ("Rituximab – counts within the last 6 months, now at any time; for at least: not asked, now 3 months",),
    ),
    "what silence means": (
        "E1.rituximab",
        set_treatment(absent="ask"),
        (
            "Was “Rituximab in the last 6 months, no record is taken as absent”, now “Rituximab in the last 6 months”",
        ),
    ),
    "an age": (
        "I1.age",
        lambda words: words["before"][0]["include"]["age"].update({"is": "18..70 a"}),
        ("Age – limit: from 18 to 65 years, now from 18 to 70 years",),
    ),
    "one alternative of several": (
        "E2.kidney",
        lambda words: criterion(words, "E2.kidney")["exclude"]["any"][0]["value"].update({"is": "> 1.5 mg/dL"}),
        ("Creatinine in serum – limit: above 2 mg/dL, now above 1.5 mg/dL",),
    ),
    "an alternative more": (
        "E2.kidney",
        lambda words: criterion(words, "E2.kidney")["exclude"]["any"].append(
            {"condition": {"is": "end-stage-renal-disease"}}
        ),
        ("Added: End-stage renal disease on record as active",),
    ),
    "an alternative less": (
        "E2.kidney",
        lambda words: criterion(words, "E2.kidney")["exclude"]["any"].pop(),
        ("Taken out: Asked of the investigator: Is the kidney failing?",),
    ),
    "a guard": (
        "E2.kidney",
        lambda words: criterion(words, "E2.kidney").update(only_if={"sex": "female"}),
        ("Asked only if: Added: Sex recorded as female",),
    ),
    "the side": (
        "E2.kidney",
        lambda words: criterion(words, "E2.kidney").update(
            include=criterion(words, "E2.kidney")["exclude"], exclude=None
        ),
        ("Was an exclusion, is an inclusion now",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_a_criterion_that_decides_otherwise_says_what_and_only_that(
    said: Callable[[Edit], ChangedVersion], case: str
) -> None:
    name, edit, lines = LINES[case]
    found = said(edit)
    assert [(each.id, each.kind) for each in found.criteria] == [(name, "changed")]
    assert found.criteria[0].lines == lines
    assert found.about == ()


def test_a_new_criterion_and_one_that_is_gone_are_said_with_what_they_ask(
    said: Callable[[Edit], ChangedVersion],
) -> None:
    def edit(words: Json) -> None:
        criteria = words["cohorts"]["sle"]["criteria"]
        criteria[1] = {
            "id": "E9.pregnant",
            "source": "9",
            "text": "Pregnancy",
            "exclude": {"condition": {"is": "pregnancy"}},
        }

    found = said(edit).criteria
    assert [(each.id, each.kind) for each in found] == [("E9.pregnant", "new"), ("E1.rituximab", "gone")]
    assert found[0].lines == ("Excluded: Pregnancy on record as active",)
    assert found[1].lines == ("Excluded: Rituximab in the last 6 months, no record is taken as absent",)


def test_a_reworded_criterion_comes_after_those_that_decide_otherwise(said: Callable[[Edit], ChangedVersion]) -> None:
    def edit(words: Json) -> None:
        criterion(words, "I1.age").update(text="Adults until 65", reading="As we read it")
        set_treatment(when="ever")(words)

    found = said(edit).criteria
    assert [(each.id, each.kind) for each in found] == [("E1.rituximab", "changed"), ("I1.age", "reworded")]
    assert found[1].lines == (
        "Text: “Adults up to 65”, now “Adults until 65”",
        "Reading of an unclear passage: “As we read it”, new",
    )


def test_a_common_criterion_that_a_cohort_replaces_is_said_once(said: Callable[[Edit], ChangedVersion]) -> None:
    found = said(lambda words: words["cohorts"]["ss"].update(without=["I1.age"])).criteria
    assert [(each.id, each.lines) for each in found] == [("I1.age", ("No longer asked in ss",))]


ABOUT: dict[str, tuple[Edit, str]] = {
    "status": (lambda words: words["recruiting"].update(status="closed"), "Status: recruiting, now closed"),
    "status of two words": (
        lambda words: words["recruiting"].update(status="not-yet-recruiting"),
        "Status: recruiting, now not yet recruiting",
    ),
    "end": (
        lambda words: words["recruiting"].update(overdue_after="2027-12-31"),
        "Completion date: not stated, now 2027-12-31",
    ),
    "site": (
        lambda words: words["recruiting"]["sites"][0].update(status="closed"),
        "Site Charité, Berlin: recruiting, now closed",
    ),
    "new site": (
        lambda words: words["recruiting"]["sites"].append({"name": "LMU", "city": "Munich", "country": "Germany"}),
        "New site LMU, Munich (unknown)",
    ),
    "no site": (lambda words: words["recruiting"]["sites"].clear(), "Site Charité, Berlin is no longer listed"),
    "title": (lambda words: words.update(title="Another"), "Title: An invented trial, now Another"),
    "cohort closed": (lambda words: words["cohorts"]["ss"].update(open=False), "Cohort Sjögren is closed now"),
    "cohort gone": (lambda words: words["cohorts"].pop("ss"), "Cohort Sjögren is gone"),
    "cohort new": (
        lambda words: words["cohorts"].update(ra={"title": "RA", "gate": TRIAL["cohorts"]["sle"]["gate"]}),
        "New cohort: RA",
    ),
    "gate": (
        lambda words: words["cohorts"]["ss"]["gate"]["condition"].update(when="ever"),
        "Who is asked for Sjögren: Sjögren's disease – counts while active, now at any time",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ABOUT)
def test_what_changed_about_the_trial_is_one_line(said: Callable[[Edit], ChangedVersion], case: str) -> None:
    edit, line = ABOUT[case]
    found = said(edit)
    assert (found.about, found.criteria) == ((line,), ())


def test_the_same_definition_changed_nothing(said: Callable[[Edit], ChangedVersion]) -> None:
    assert said(lambda _: None).is_empty


# -- the texts of earlier versions


def kept(folder: Path, catalogue: Catalogue, *versions: int, newest: int) -> Trial:
    """The trial in its newest version; these earlier ones are kept, each with its own limit."""
    for version in (*versions, newest):
        words = copy.deepcopy(TRIAL) | {"version": version}
        set_value("I2.platelets", **{"is": f">= {10 * version} 10*9/L"})(words)
        keep_version(folder, "T-1", version, yaml.safe_dump(words).encode())
    return read_trial(folder / f"T-1.v{newest}.yaml", catalogue)


def test_each_version_is_held_against_the_nearest_earlier_one_that_is_at_hand(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    trial = kept(tmp_path, catalogue, 1, 3, newest=4)
    (tmp_path / "T-1.v2.yaml").write_text("no: definition")
    keep_version(tmp_path, "T-1", 7, b"a later one")
    found = history_of(trial, [tmp_path], catalogue)
    assert [(step.before.version, step.after.version) for step in found.steps] == [(3, 4), (1, 3)]
    assert found.lost == (2,)


def test_the_sites_text_of_a_version_goes_before_ours(tmp_path: Path, catalogue: Catalogue) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    trial = kept(ours, catalogue, 1, newest=2)
    words = copy.deepcopy(TRIAL) | {"title": "The site's"}
    keep_version(theirs, "T-1", 1, yaml.safe_dump(words).encode())
    assert history_of(trial, [ours, theirs], catalogue).steps[0].before.title == "The site's"


def test_a_file_of_another_trial_or_version_is_no_version_of_this_one(tmp_path: Path, catalogue: Catalogue) -> None:
    trial = kept(tmp_path, catalogue, newest=2)
    keep_version(tmp_path, "T-1", 1, yaml.safe_dump(TRIAL | {"id": "T-2"}).encode())
    assert history_of(trial, [tmp_path], catalogue).lost == (1,)


def test_the_versions_of_a_folder_stand_beside_it() -> None:
    assert history_folder(OUR_TRIALS) == OUR_HISTORY
    assert history_folder(Path("/site/my-trials")) == Path("/site/my-trials.versions")


def test_every_version_of_our_trials_is_kept_as_it_was_recorded() -> None:
    """`trialcards trials lint --record` writes both; a version that is not kept could not be compared later."""
    for name, known in read_versions(OUR_TRIALS.parent / "versions.yaml").items():
        for version in range(1, known.version + 1):
            path = OUR_HISTORY / f"{name}.v{version}.yaml"
            found = meaning_of(TrialWords.model_validate(read_yaml(path.read_bytes(), path)))
            assert found.version == version
            assert (found.meaning == known.meaning) is (version == known.version)
