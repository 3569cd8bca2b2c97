"""Texts of a definition in another language: complete, of one text of the definition, and marked until signed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import DefinitionError
from trial_defs.definition.expressions import Trial
from trial_defs.definition.loader import OUR_TRIALS, load_trials
from trial_defs.definition.translation import FOLDER, load_translations, read_translation

OURS = OUR_TRIALS / FOLDER / "NCT06711146.zh-Hans.yaml"
Trials = Mapping[str, Trial]


def changed(folder: Path, before: str, after: str, name: str = OURS.name) -> Path:
    """Our translation with one change, in a file of that name."""
    text = OURS.read_text("utf-8")
    assert before in text
    path = folder / name
    path.write_text(text.replace(before, after, 1), "utf-8")
    return path


def test_every_translation_of_ours_can_be_shown(trials: Trials) -> None:
    loaded = load_translations([OUR_TRIALS], trials)
    assert loaded.problems == ()
    (chinese,) = loaded.found
    assert (chinese.trial, chinese.language, chinese.signed_off) == ("NCT06711146", "zh-Hans", None)
    assert chinese.texts["Platelets at least 25 × 10⁹/L"] == "血小板至少 25 × 10⁹/L"
    assert chinese.texts["Is the hemolytic anemia severe?"] == "溶血性贫血是否为重度？"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "  I9.platelets:",
            "  I9.plateles:",
            "texts.I9.plateles  is not in the definition; did you mean I9.platelets",
        ),
        ("  I9.platelets: 血小板至少 25 × 10⁹/L\n", "", "texts.I9.platelets  is missing"),
        ("  at screening: 筛选时\n", "", "questions.at screening  is missing"),
        ("  sle: ", "  ss: ", "cohorts.sle  is missing"),
        ("hash: sha256:", "hash: sha256:0", "hash"),
        ("version: 3", "version: 2", "version  is 2, and the definition is version 3"),
        ("of: NCT06711146", "of: NCT06711147", "of  there is no trial NCT06711147; did you mean NCT06711146"),
        ("language: zh-Hans", "language: de", "is named after trial and language: NCT06711146.de.yaml"),
        ("language: zh-Hans", "languages: zh-Hans", "language  is required"),
    ],
)
def test_a_translation_that_does_not_fit_is_named_with_the_place(
    before: str, after: str, message: str, tmp_path: Path, trials: Trials
) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_translation(changed(tmp_path, before, after), trials)
    assert message in str(caught.value)


def test_a_translation_of_an_earlier_text_is_left_out(tmp_path: Path, catalogue: Catalogue) -> None:
    definition = (OUR_TRIALS / "NCT06711146.yaml").read_text("utf-8")
    (tmp_path / "NCT06711146.yaml").write_text(definition.replace("at least 25", "at least 26"), "utf-8")
    (tmp_path / FOLDER).mkdir()
    changed(tmp_path / FOLDER, "version: 3", "version: 3")
    trials = load_trials([tmp_path], catalogue).trials
    loaded = load_translations([tmp_path], trials)
    assert loaded.found == ()
    (problem,) = loaded.problems
    assert "was made from another text" in problem.message


def test_a_signature_is_read(tmp_path: Path, trials: Trials) -> None:
    path = changed(tmp_path, "cohorts:", "signed_off: {by: the study team, on: 2026-12-01}\ncohorts:")
    signed = read_translation(path, trials).signed_off
    assert signed is not None
    assert (signed.by, signed.on) == ("the study team", "2026-12-01")
