"""Edits to a definition's text leave every other line as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mappings.yaml_files import read_yaml
from trial_defs.definition.edits import (
    NotEditable,
    part_text,
    parts_of,
    replaced,
    with_signature,
    with_version,
    without_signature,
)
from trial_defs.definition.loader import OUR_TRIALS

TEXT = """\
# head of the file
id: INVENTED   # its id
version: 3  # raised by hand
title: Invented
signed_off:
  by: Study team
  on: 2026-10-01
# the common ones
before:
  # about platelets
  - id: I1.platelets
    source: here
    text: Platelets
    # why 75
    include: {value: {of: platelets, is: ">= 75 10*9/L"}}  # from the protocol

  # about hemoglobin
  - {id: I2.hemoglobin, source: here, text: Hemoglobin,
     include: {value: {of: hemoglobin, is: ">= 90 g/L"}}}
cohorts:
  sle:
    title: Lupus
    # the gate
    gate: {condition: {is: systemic-lupus-erythematosus}}
    question: Which?
    criteria:
    - id: I3.words
      source: here
      text: |
        Long words
        # which is no comment
      include:
        judgement:
          ask: Is it so?
after: []
# the end
"""


def test_a_part_is_its_own_lines_and_no_others() -> None:
    parts = parts_of(TEXT)
    assert list(parts) == ["I1.platelets", "I2.hemoglobin", "I3.words", "gate:sle"]
    assert parts["I1.platelets"].text.startswith("id: I1.platelets\nsource: here\n")
    assert parts["I1.platelets"].text.endswith("# from the protocol")
    assert parts["I1.platelets"].comments == ["# why 75"]
    assert parts["I1.platelets"].place == "before"
    assert parts["I2.hemoglobin"].text.startswith("{id: I2.hemoglobin,")
    assert parts["I3.words"].text.endswith("    ask: Is it so?")
    assert parts["I3.words"].place == "cohorts.sle.criteria"
    assert parts["gate:sle"].text.endswith("question: Which?")
    assert "# the gate" in parts["gate:sle"].text


@pytest.mark.parametrize("path", sorted(OUR_TRIALS.glob("*.yaml")), ids=lambda path: path.stem)
def test_writing_a_part_as_it_is_changes_nothing(path: Path) -> None:
    text = path.read_text("utf-8")
    parts = parts_of(text)
    content = yaml.safe_load(text)
    ids = {c["id"] for key in ("before", "after") for c in content.get(key) or ()}
    assert ids <= set(parts)
    for part in parts.values():
        assert replaced(text, part, [part.text]) == text


def test_a_part_is_replaced_and_every_comment_elsewhere_stays() -> None:
    part = parts_of(TEXT)["I2.hemoglobin"]
    one = part_text({"id": "I2.a", "source": "here", "text": "A: b", "include": {"sex": "female"}})
    two = part_text({"id": "I2.b", "source": "here", "text": "B", "include": {"sex": "male"}})
    edited = replaced(TEXT, part, [one, two])
    assert [c["id"] for c in yaml.safe_load(edited)["before"]] == ["I1.platelets", "I2.a", "I2.b"]
    assert re.findall("#.*", edited) == re.findall("#.*", TEXT)
    assert replaced(edited, parts_of(edited)["I2.b"], []).count("- id: I2") == 1


def test_a_cohorts_head_is_replaced_and_its_criteria_stay() -> None:
    edited = replaced(TEXT, parts_of(TEXT)["gate:sle"], ["title: Lupus\ngate: {sex: female}"])
    cohort = yaml.safe_load(edited)["cohorts"]["sle"]
    assert (cohort["gate"], "question" in cohort, cohort["criteria"][0]["id"]) == ({"sex": "female"}, False, "I3.words")


def test_a_part_that_repeats_another_by_an_alias_says_so() -> None:
    parts = parts_of("before:\n- {id: A, include: &x {sex: male}}\n- id: B\n  include: *x\n- id: C\n  text: t")
    assert [part.is_whole for part in parts.values()] == [True, False, True]
    assert parts["B"].text == "id: B\ninclude: *x"


def test_version_and_signature_are_written_into_the_text() -> None:
    assert with_version(TEXT, 4).count("version: 4  # raised by hand") == 1
    bare = without_signature(TEXT)
    assert "signed_off" not in bare
    assert "# the common ones" in bare
    signed = with_signature(TEXT, 'N. "N"', "2026-12-01", ["I1.platelets by N. N."])
    assert read_yaml(signed.encode(), Path("T.yaml"))["signed_off"] == {"by": 'N. "N"', "on": "2026-12-01"}
    assert "# Signed I1.platelets by N. N.\nsigned_off:" in signed
    assert without_signature(signed) == bare


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id: [", "not readable YAML"),
        ("cohorts: {a: {title: T, gate: {sex: male}}}", "over several lines"),
        ("cohorts:\n  a:\n    criteria: []\n    gate: {sex: male}", "above its criteria"),
    ],
)
def test_what_cannot_be_edited_line_by_line_says_why(text: str, said: str) -> None:
    with pytest.raises(NotEditable, match=said):
        parts_of(text)


@pytest.mark.parametrize(
    ("edit", "said"),
    [(lambda t: with_version(t, 2), "version"), (lambda t: with_signature(t, "N", "2026-12-01"), "cohorts")],
)
def test_a_text_without_the_member_says_so(edit: object, said: str) -> None:
    with pytest.raises(NotEditable, match=said):
        edit("id: A")  # type: ignore[operator]
