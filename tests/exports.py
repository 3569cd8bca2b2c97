"""Bulk Data exports for tests: resources as NDJSON files, and what a screen of them wrote."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from app.screen.export import open_export
from app.screen.order import Order
from app.screen.shard import Question
from mappings.concepts.catalogue import Catalogue
from tests.builders import bundle_of
from trial_defs.definition.expressions import Trial

Json = dict[str, Any]
AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
Rows = list[tuple[Any, ...]]


def a_patient(name: str, catalogue: Catalogue, **spec: Any) -> list[Json]:
    """The resources of one patient, in the shorthand of `tests/builders.py`."""
    whole = {"patient": {"born": "1990-01-01", "sex": "female"}} | spec
    text = json.dumps(bundle_of(whole, date(2026, 11, 1), catalogue)).replace("Patient/p1", f"Patient/{name}")
    resources: list[Json] = [entry["resource"] for entry in json.loads(text)["entry"]]
    for resource in resources:
        resource["id"] = name if resource["resourceType"] == "Patient" else f"{name}-{resource['id']}"
    return resources


def write_export(folder: Path, resources: Iterable[Json], *, compressed: bool = False) -> Path:
    """One file for each resource type."""
    folder.mkdir(parents=True, exist_ok=True)
    by_type: dict[str, list[str]] = {}
    for resource in resources:
        by_type.setdefault(resource["resourceType"], []).append(json.dumps(resource, ensure_ascii=False))
    for kind, lines in by_type.items():
        content = ("\n".join(lines) + "\n").encode()
        path = folder / f"{kind}.ndjson"
        if compressed:
            path.with_suffix(".ndjson.gz").write_bytes(gzip.compress(content))
        else:
            path.write_bytes(content)
    return folder


def an_order(
    export: Path, out: Path, trials: Iterable[Trial], catalogue: Catalogue, *, everything: bool = True, **changes: Any
) -> Order:
    files = open_export([export], everything=everything, base_url=changes.pop("base_url", None))
    labels = changes.pop("labels", frozenset())
    question = Question(tuple(trials), catalogue, AS_OF, "UTC", files.base_url, files.complete, labels)
    return replace(Order(files, question, out), **changes)


def rows_of(out: Path, table: str = "criteria") -> Rows:
    """Every row of a table, in its order."""
    import duckdb

    with duckdb.connect() as db:
        return db.execute("SELECT * FROM read_parquet(?)", [str(out / f"{table}.parquet")]).fetchall()


def verdicts_of(out: Path) -> Mapping[tuple[str, str, str], str]:
    """(patient, trial, cohort) -> verdict."""
    return {row[:3]: row[3] for row in rows_of(out, "matches")}
