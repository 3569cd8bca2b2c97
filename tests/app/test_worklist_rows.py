"""What a row of the worklist says, and what is done with rows: sorting, tabs, several at once, owner and due day."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from app.demo.charts import demo_patients
from app.demo.seeding import seed_worklist
from app.storage.records import Shown
from app.wiring import Services
from app.worklist.candidates import KnownPerson, Left, Reading
from app.worklist.records import Filter, Row
from app.worklist.sentences import next_step, person_words
from tests.app.conftest import NOW
from tests.support.worklist import TRIAL, a_candidate, listed, opened, row_of

TODAY = NOW.date()


async def page_of(client: httpx.AsyncClient, **query: str) -> str:
    return (await client.get("/worklist", params=query)).text


async def test_a_row_says_age_sex_disease_what_is_missing_and_the_patients_other_trials(
    client: httpx.AsyncClient,
) -> None:
    await opened(client)
    row = next(row for row in await listed(client) if row["trial"] == TRIAL)
    assert re.fullmatch(r"\d+", row["Age"])
    assert row["Sex"] in ("female", "male")
    assert "lupus" in row["Disease"]
    assert row["Next step"].split(": ")[0] in ("Find out", "Answer")
    assert row["Also a candidate for"]
    assert row["Link"].endswith(await row_of(client))
    page = await page_of(client, trial=TRIAL)
    assert f"{row['Age']}, {row['Sex']}" in page
    assert "also: " in page


async def test_the_workbook_holds_the_same_and_no_formula(client: httpx.AsyncClient) -> None:
    await opened(client)
    await client.post(f"{await row_of(client)}/plan", data={"owner": "=cmd|' /C calc'!A0", "due_on": ""})
    answer = await client.get("/worklist/export.xlsx")
    assert answer.headers["content-type"].startswith("application/vnd.openxmlformats")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        text = "".join(book.read(name).decode() for name in book.namelist() if name.endswith(".xml"))
    assert "calc" in text
    assert "<f>" not in text
    assert "<hyperlink" not in text
    csv_text = (await client.get("/worklist/export.csv")).text
    assert "'=cmd" in csv_text
    head = next(csv.reader(io.StringIO(csv_text.removeprefix("\ufeff"))))
    assert head[:4] == ["Patient", "Age", "Sex", "Trial"]
    assert head[-1] == "definition_hash"


async def test_owner_and_due_day_are_kept_and_in_the_history(client: httpx.AsyncClient) -> None:
    await opened(client)
    row = await row_of(client)
    saved = await client.post(f"{row}/plan", data={"owner": " Nurse A. ", "due_on": "2026-11-20"})
    assert (saved.status_code, saved.headers["location"]) == (303, f"{row}?saved=plan")
    page = (await client.get(saved.headers["location"])).text
    assert "Owner and due day are saved." in page
    assert "Owner: Nurse A., due 2026-11-20" in page
    assert next(r["Owner"] for r in await listed(client) if r["trial"] == TRIAL) == "Nurse A."
    await opened(client)  # a chart that is opened again changes neither
    assert "Nurse A." in await page_of(client, order="owner")
    for wrong in ({"due_on": "tomorrow"}, {"owner": "x" * 81}):
        assert (await client.post(f"{row}/plan", data=wrong)).status_code == 422


async def test_several_rows_get_a_status_at_once_and_none_that_was_changed_meanwhile(
    client: httpx.AsyncClient,
) -> None:
    await opened(client)
    page = await page_of(client)
    chosen = re.findall(r'name="row" value="([^"]+)"', page)
    assert len(chosen) > 1
    first = chosen[0].partition("|")[0]
    await client.post(f"/worklist/{first}/status", data={"status": "consented"})
    body = "&".join(f"row={each.replace('|', '%7C')}" for each in chosen)
    answer = await client.post(
        "/worklist/several",
        content=f"{body}&status=contacted&list=open",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 303
    after = await client.get(answer.headers["location"])
    assert f"{len(chosen) - 1} row" in after.text
    statuses = [row["status"] for row in await listed(client)]
    assert sorted(statuses) == ["consented", *["contacted"] * (len(chosen) - 1)]


async def test_tabs_count_the_rows_behind_them(client: httpx.AsyncClient) -> None:
    await opened(client)
    count = len(await listed(client))
    await client.post(f"{await row_of(client)}/status", data={"status": "declined"})
    tabs = dict(
        re.findall(
            r'<a href="/worklist\?[^"]*"[^>]*>([A-Z][^<]+) <span class="count">(\d+)</span>', await page_of(client)
        )
    )
    assert tabs == {
        "Open candidates": str(count - 1), "New": str(count - 1), "Declined": "1", "Everyone": str(count)
    }  # fmt: skip


@pytest.mark.parametrize("order", ["best", "recheck", "recent", "trial", "status", "owner", "due"])
async def test_each_column_can_be_sorted_by(client: httpx.AsyncClient, order: str) -> None:
    await opened(client)
    rows = await listed(client, order=order)
    assert len(rows) == len(await listed(client))
    if order == "trial":
        assert [row["trial"] for row in rows] == sorted(row["trial"] for row in rows)


def a_row(**changes: object) -> Row:
    found = a_candidate()
    values = {
        "id": "1", "ehr": "demo", "tenant": "", "patient_id": "p", "trial": TRIAL, "verdict": found.verdict.value,
        "cohort": "sle", "not_met": 0, "unknown": 0, "needs_human": 0, "recheck_on": None, "definition_version": 1,
        "definition_hash": "h", "report": "", "source": "hook", "first_seen": NOW, "last_seen": NOW, "left": "",
        "status": "new", "changed_at": NOW, "owner": None, "due_on": None,
    }  # fmt: skip
    return Row(**values | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (a_row(), "Contact the patient"),
        (a_row(status="contacted"), "Note what the patient decided"),
        (a_row(status="consented"), "Start screening"),
        (a_row(status="declined", unknown=1), ""),
        (a_row(left="not-eligible"), ""),
        (a_row(unknown=1, missing=("Platelets at least 25",)), "Find out: Platelets at least 25"),
        (a_row(unknown=1), "Find out what is missing"),  # the findings are kept no longer
        (a_row(needs_human=1, questions=("Is it refractory?",)), "Answer: Is it refractory?"),
        (a_row(recheck_on=TODAY + timedelta(1), unknown=1), f"Check again on {TODAY + timedelta(1)}"),
        (a_row(recheck_on=TODAY), "Open the chart again: the day to check has come"),
    ],
)
def test_the_next_step_is_one(row: Row, expected: str) -> None:
    assert next_step(row, TODAY) == expected


def test_who_it_is_is_said_as_exactly_as_it_is_known() -> None:
    born = KnownPerson(date(1990, 1, 1), date(1990, 12, 31), "female")
    assert person_words(a_row(person=born), date(2026, 6, 1)) == ("35–36", "female")
    assert person_words(a_row(), TODAY) == ("not known", "not known")


async def test_of_a_row_that_is_hidden_nothing_is_known(services: Services) -> None:
    await services.records.prepare()
    whose, person = Shown("demo", "", "p1", ""), KnownPerson(date(1990, 1, 1), date(1990, 1, 1), "female")
    await services.worklist.take([(whose, Reading([a_candidate()], person=person))], "hook", NOW)
    (row,) = await services.worklist.every(Filter())
    assert row.person == person
    await services.worklist.take([(whose, Reading(rest=Left.NOT_APPROACHABLE))], "hook", NOW + timedelta(1))
    assert await services.worklist.every(Filter(listed="all")) == []
    (hidden,) = await services.worklist.rows([row.id])
    assert hidden.person == KnownPerson()
    assert hidden.missing == ()


async def test_the_demo_begins_with_its_patients_and_adds_none_to_a_list_in_use(
    services: Services, tmp_path: Path
) -> None:
    await services.records.prepare()
    await seed_worklist(services)
    rows = await services.worklist.every(Filter(listed="all"))
    known = {patient.id for patient in demo_patients(TODAY)}
    assert {row.patient_id for row in rows} <= known
    assert len({row.patient_id for row in rows}) > len(known) / 2
    await services.worklist.forget(Shown("demo", "", str(rows[0].patient_id), ""))
    await seed_worklist(services)
    assert len(await services.worklist.every(Filter(listed="all"))) < len(rows)
