"""Every example of `trial_defs/README.md` is accepted by the language, and its invented trial does what it says."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import read_yaml
from tests.builders import PATIENT, body_of
from tests.small_trial import a_trial
from trial_defs.definition.expressions import Trial
from trial_defs.definition.language import VERBS
from trial_defs.definition.loader import read_trial
from trial_defs.definition.patient_page import patient_page_rules, public_page
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import CohortMatch

README = Path(__file__).parents[2] / "trial_defs" / "README.md"


def _blocks() -> list[str]:
    return [textwrap.dedent(text) for text in re.findall(r"^ *```yaml\n(.*?)^ *```$", README.read_text(), re.S | re.M)]


def _block(word: str) -> str:
    return next(text for text in _blocks() if text.startswith(word))


@pytest.mark.parametrize("text", [text for text in _blocks() if text.startswith("- ")])
def test_every_example_is_accepted(text: str, catalogue: Catalogue) -> None:
    items: Any = read_yaml(("items:\n" + text).encode(), README)["items"]
    criteria = [
        item if "id" in item else {"id": f"X{i}", "source": "Example", "text": "Example", "include": item}
        for i, item in enumerate(items)
    ]
    trial = a_trial(catalogue, *criteria)
    assert len(trial.cohorts[0].criteria) == len(items)


def test_every_verb_has_an_example() -> None:
    shown = "\n".join(_blocks())
    assert [verb for verb in VERBS if not re.search(rf"[{{ -]{verb}:", shown)] == []


def test_the_page_for_patients_that_it_shows_has_no_warning(catalogue: Catalogue) -> None:
    page: Any = read_yaml(_block("patient_page:").encode(), README)
    trial = a_trial(catalogue, **page)
    assert public_page(trial, date(2026, 11, 1)) == trial.patient_page
    assert list(patient_page_rules(trial, date(2026, 11, 1))) == []


@pytest.fixture
def invented(tmp_path: Path, catalogue: Catalogue) -> Trial:
    path = tmp_path / "DEMO-KIDNEY.yaml"
    path.write_text(_block("id: DEMO-KIDNEY"))
    return read_trial(path, catalogue)


@pytest.mark.parametrize("index", range(4))
def test_the_invented_trial_passes_the_cases_that_it_shows(index: int, invented: Trial, catalogue: Catalogue) -> None:
    content: Any = read_yaml(_block("trial: DEMO-KIDNEY").encode(), README)
    assert len(content["cases"]) == 4
    case, as_of = content["cases"][index], date.fromisoformat(content["as_of"])
    chart = dict(content["charts"][case["chart"]])
    results = chart["results"] | case.get("with", {}).get("results", {})
    chart["results"] = {name: found for name, found in results.items() if name not in case.get("without", ())}
    found = _cohort(invented, chart, as_of, catalogue)
    outcomes = {f.criterion.id: f.outcome for f in found.findings}
    assert outcomes | case.get("expect", {}) == outcomes
    assert case.get("verdict", found.verdict) == found.verdict


def _cohort(trial: Trial, chart: Mapping[str, Any], as_of: date, catalogue: Catalogue) -> CohortMatch:
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(chart, as_of, catalogue), None)
    builder.whole_chart()
    now = datetime.combine(as_of, time(), UTC)
    return match([trial], builder.build(), catalogue, now, UTC).trials[0].cohorts[0]
