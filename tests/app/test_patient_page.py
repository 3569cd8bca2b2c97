"""The page for patients: shown with a whole approval only, its texts as they were written, nothing of the worklist."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.definitions.served import Definitions
from app.site_profile import load_profile
from app.web.html import render
from cds_hooks.protocol.contact import Contact
from cds_hooks.words.texts import texts_of
from tests.app.conftest import demo_settings, services_with, serving
from tests.patient_pages import APPROVAL, PAGE, TRIAL, write_definition
from trial_defs.definition.expressions import Approval, PatientPage


@asynccontextmanager
async def _served(folder: Path, page: Mapping[str, Any] | None, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    write_definition(folder / "trials", page, **more)
    definitions = Definitions(None, folder / "trials")
    assert TRIAL in definitions.now.trials, definitions.now.problems
    async with serving(services_with(demo_settings(folder, trials=folder / "trials"), definitions)) as client:
        yield client


async def _page(folder: Path, page: Mapping[str, Any] | None, **more: Any) -> httpx.Response:
    async with _served(folder, page, **more) as client:
        return await client.get(f"/trials/{TRIAL}/patient")


async def test_an_approved_page_shows_its_texts_the_title_and_whether_the_study_recruits(tmp_path: Path) -> None:
    answer = await _page(tmp_path, PAGE)
    assert answer.status_code == 200
    for text in (PAGE["summary"], *PAGE["asks"], *PAGE["risks"], *PAGE["questions_to_ask"]):
        assert text in answer.text
    assert "<h1>Invented cell therapy study</h1>" in answer.text
    assert "Recruiting" in answer.text
    assert "is not an offer to take part. Only a study team can decide" in answer.text
    assert "approved on 2025-10-05: EC-2026-17, version 2.10." in answer.text
    assert "Ask the doctor or nurse who treats you." in answer.text


@pytest.mark.parametrize("field", APPROVAL)
@pytest.mark.parametrize("value", [None, "", "  "])
async def test_without_each_field_of_the_approval_there_is_no_page(
    field: str, value: str | None, tmp_path: Path
) -> None:
    approval = {name: given for name, given in APPROVAL.items() if name != field}
    if value is not None:
        approval[field] = value
    async with _served(tmp_path, {**PAGE, "approval": approval}) as client:
        answer = await client.get(f"/trials/{TRIAL}/patient")
        assert answer.status_code == 404
        assert PAGE["summary"] not in answer.text
        assert "There is no page for patients about this trial" in answer.text
        assert f"{TRIAL}/patient" not in (await client.get(f"/trials/{TRIAL}")).text


@pytest.mark.parametrize(
    "broken",
    [
        {"approval": {**APPROVAL, "date": "2026-11-02"}},  # the day after
        {"approval": {**APPROVAL, "date": "2026-02-30"}},
        {"approval": {**APPROVAL, "date": "20261005"}},
        {"approval": {**APPROVAL, "language": "English please"}},
        {"summary": " "},
        {"asks": [" "]},
    ],
)
async def test_an_approval_that_cannot_hold_or_an_empty_text_shows_no_page(
    broken: Mapping[str, Any], tmp_path: Path
) -> None:
    assert (await _page(tmp_path, {**PAGE, **broken})).status_code == 404


async def test_a_trial_without_a_page_and_an_unknown_one_are_404(tmp_path: Path) -> None:
    async with _served(tmp_path, None) as client:
        for trial in (TRIAL, "NCT06711146", "unknown"):
            answer = await client.get(f"/trials/{trial}/patient")
            assert answer.status_code == 404
            assert "There is no page for patients" in answer.text
            assert "<nav" not in answer.text


async def test_the_trials_own_page_links_to_it(tmp_path: Path) -> None:
    async with _served(tmp_path, PAGE) as client:
        assert f'href="/trials/{TRIAL}/patient"' in (await client.get(f"/trials/{TRIAL}")).text
        assert "/patient" not in (await client.get("/trials/NCT06711146")).text


async def test_texts_are_shown_as_they_are_written(tmp_path: Path) -> None:
    page = {**PAGE, "summary": "<script>alert(1)</script>", "asks": ["<b>Stay</b> & rest"]}
    answer = await _page(tmp_path, page, short_title="<i>Study</i>")
    assert "<script" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "&lt;b&gt;Stay&lt;/b&gt; &amp; rest" in answer.text
    assert "<h1>&lt;i&gt;Study&lt;/i&gt;</h1>" in answer.text


@pytest.mark.parametrize(
    ("language", "heading", "marked"),
    [
        ("en", "What the study is about", None),
        ("de", "Worum es in der Studie geht", None),
        ("de-AT", "Worum es in der Studie geht", None),
        ("zh-Hans", "研究内容", None),
        ("zh-CN", "研究内容", None),
        ("zh", "研究内容", None),
        ("zh-TW", "What the study is about", "en"),
        ("fr", "What the study is about", "en"),
        ("xx", "What the study is about", "en"),
    ],
)
async def test_the_page_is_in_the_language_of_its_approval(
    language: str, heading: str, marked: str | None, tmp_path: Path
) -> None:
    answer = await _page(tmp_path, {**PAGE, "approval": {**APPROVAL, "language": language}})
    assert f'<html lang="{language}">' in answer.text
    assert (f'<h2 lang="{marked}">{heading}</h2>' if marked else f"<h2>{heading}</h2>") in answer.text
    assert answer.text.count(' lang="') == (12 if marked else 1)


async def test_no_page_of_clinicians_is_linked_and_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    answer = await _page(tmp_path, PAGE)
    assert re.findall(r'(?:href|src)="([^"]*)"', answer.text) == [
        "/assets/icon.svg",
        "/assets/site.css",
        "/assets/patient.css",
    ]
    assert "<nav" not in answer.text
    assert "<script" not in answer.text
    assert "set-cookie" not in answer.headers
    assert "script-src 'self'" in answer.headers["content-security-policy"]


async def test_the_sites_contact_for_the_trial_is_whom_to_ask(tmp_path: Path) -> None:
    write_definition(tmp_path / "trials", PAGE)
    site = tmp_path / "site.toml"
    site.write_text(f'[[trial]]\nid = "{TRIAL}"\ncontact = {{ name = "Study office", phone = "+00 0 000 001" }}\n')
    definitions = Definitions(None, tmp_path / "trials", profile=load_profile(site))
    async with serving(services_with(demo_settings(tmp_path), definitions)) as client:
        answer = await client.get(f"/trials/{TRIAL}/patient")
    assert "Study office<br>+00 0 000 001" in answer.text
    assert "Ask the doctor or nurse" not in answer.text


def test_the_office_to_call_is_shown_with_its_number_and_address() -> None:
    office = Contact("Study <office>", "+00 0 000 001", "https://trials.example/study?a=1&b=2")
    texts = texts_of("de")
    page = PatientPage(Approval(**APPROVAL), "Text", ("Besuche",))
    values = {"page": page, "t": texts, "language": "de", "is_ours": True, "title": "T", "recruiting": "Rekrutiert"}
    shown = render("patient.html", contact=office, **values)
    assert "Study &lt;office&gt;<br>+00 0 000 001<br>" in shown
    assert 'href="https://trials.example/study?a=1&amp;b=2"' in shown
    assert texts("patient.no-contact") not in shown
    assert "<h2>Risiken</h2>" not in shown


async def test_a_closed_study_is_said_to_be_closed(tmp_path: Path) -> None:
    answer = await _page(tmp_path, PAGE, recruiting={"status": "closed"})
    assert "Closed to recruitment" in answer.text
