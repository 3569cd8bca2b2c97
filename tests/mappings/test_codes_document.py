"""docs/codes.md and docs/understood.md: the overlays that they show are accepted, and the counts are today's."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from docs import understood
from mappings.concepts.catalogue import SYSTEMS, Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from tests.conftest import ROOT
from tests.mappings.charts import SNOMED, SUBJECT, an_observation

PAGE = (ROOT / "docs" / "codes.md").read_text(encoding="utf-8")
Json = dict[str, Any]
with_records = pytest.mark.skipif(not understood.RECORDS.is_dir(), reason="../shared/world-fhir is not there")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue([OUR_CONCEPTS, *pack_folders(None)])


def test_the_forms_of_an_overlay_on_the_page_are_accepted(tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.+?)^```", PAGE, re.M | re.S)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        (tmp_path / f"{number}.yaml").write_text(block, encoding="utf-8")
    found = load_catalogue([OUR_CONCEPTS, tmp_path])
    assert found.find("urn:oid:1.2.3.4", "M32.1")[0] == "systemic-lupus-erythematosus"
    assert found.find("urn:oid:1.2.208.176.2.1", "…") == ("platelets",)


def test_every_system_of_which_codes_are_shipped_has_its_row_on_the_page() -> None:
    rows = "\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("|")).lower()
    plain = rows.replace("-", "").replace(" ", "")
    assert all(name.removesuffix("proc") in plain for name in SYSTEMS)


def a_record(kind: str, **more: Any) -> Json:
    return {"resourceType": kind, "id": "r", "status": "completed", "subject": SUBJECT, **more}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            a_record("Condition", code={"coding": [{"system": SNOMED, "code": "1", "display": "Heart failure"}]}),
            "speaks",
        ),
        (a_record("Condition", code={"text": "Gout"}), "other"),
        (a_record("Condition", code={"text": "Choroba"}), "not understood"),
        (a_record("Procedure", code={"text": "Gout"}, status="entered-in-error"), "set aside"),
        (a_record("MedicationStatement", medicationCodeableConcept={"coding": [{"code": "Dexamethasone"}]}), "speaks"),
        (an_observation("4544-3"), "other"),
        (an_observation(code={"coding": [{"system": "urn:oid:1.2.208.176.2.1", "code": "NPU1"}]}), "not understood"),
    ],
)
def test_a_record_falls_into_its_class(catalogue: Catalogue, record: Json, expected: str) -> None:
    assert understood.class_of(record, catalogue) == expected


@with_records
def test_no_family_is_understood_less_than_the_page_says(catalogue: Catalogue) -> None:
    text = understood.PAGE.read_text("utf-8")
    rows = dict(re.findall(r"^\| ([a-z-]+) \| ((?:\d+ \| ){3}\d+) \|$", text, re.M))
    today: dict[str, Counter[str]] = defaultdict(Counter)
    for (family, _), numbers in understood.count(understood.RECORDS, catalogue).items():
        today[family].update(numbers)
    for family, found in today.items():
        *_, not_understood = known = list(map(int, rows[family].split(" | ")))
        assert sum(known) == found.total(), family
        assert found["not understood"] <= not_understood, family


def test_without_records_nothing_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert understood.main([str(tmp_path / "none")]) == 2
    assert understood.main(["--check", str(tmp_path / "none")]) == 0
    assert "there is no such folder; nothing was counted" in capsys.readouterr().err
