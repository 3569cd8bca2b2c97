"""A coordinator answers what only a person can judge on the worklist, and takes it back; the cards follow."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.definitions.served import Definitions
from app.login.people import DEMO_COORDINATOR
from app.storage.audit import Question
from app.wiring import Services
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.hospital import BASE, OPERATOR, bearer
from tests.support.attestations import TRIAL, WHOSE, card_of, newest_report, said_of
from tests.support.cds import SERVICE, call, prefetching
from tests.support.protocol import ask, production_settings
from tests.support.worklist import row_of

Form = dict[str, str]


@pytest.fixture
def judged(tmp_path: Path) -> Services:
    """A service whose site has a trial with one question for a person."""
    folder = tmp_path / "trials"
    folder.mkdir()
    (folder / "DEMO-JUDGED.yaml").write_text(TRIAL)
    return services_with(demo_settings(tmp_path, max_cards=9), Definitions(None, folder))


@pytest.fixture
async def client(judged: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(judged) as client:
        yield client


async def opened_row(client: httpx.AsyncClient) -> str:
    """The address of the row after the chart was opened."""
    assert await card_of(client)
    return await row_of(client, "DEMO-JUDGED")


async def form_of(client: httpx.AsyncClient, row: str, **changes: str) -> Form:
    """The answer form of a row as a browser would send it, filled in."""
    page = (await client.get(row)).text
    hidden = dict(re.findall(r'<input type="hidden" name="(criterion|content)" value="([^"]*)">', page))
    until = re.search(r'name="until" value="([^"]*)"', page)
    assert until, page
    return hidden | {"outcome": "met", "words": "Three drugs failed.", "until": until[1]} | changes


async def test_an_answer_counts_on_the_next_card_and_is_listed_with_its_words(client: httpx.AsyncClient) -> None:
    row = await opened_row(client)
    page = (await client.get(row)).text
    assert "For the investigator: Is the lupus refractory?" in page
    saved = await client.post(f"{row}/answers", data=await form_of(client, row))
    assert (saved.status_code, saved.headers["location"]) == (303, f"{row}?saved=answer")
    page = (await client.get(saved.headers["location"])).text
    assert "The answer is saved." in page
    assert "Confirmed by Demo coordinator on 2026-11-01, holds until 2027-01-30" in page
    assert "“Three drugs failed.”" in page
    assert "Refractory lupus: met, holds until 2027-01-30" in page  # in the history
    assert 'name="criterion"' not in page
    assert said_of(await card_of(client))["criteria"][1]["basis"] == "attested"


async def test_yes_to_an_exclusion_excludes(client: httpx.AsyncClient, judged: Services) -> None:
    assert judged.definitions.site_trials
    (judged.definitions.site_trials / "DEMO-JUDGED.yaml").write_text(TRIAL.replace("include: {judg", "exclude: {judg"))
    assert await judged.definitions.reload_if_changed()
    row = await opened_row(client)
    page = (await client.get(row)).text
    assert "Excluded if: Refractory lupus" in page
    yes = re.search(r'name="outcome" value="([a-z-]+)"[^>]*> Yes, excluded', page)
    assert yes
    await client.post(f"{row}/answers", data=await form_of(client, row, outcome=yes[1]))
    assert await card_of(client) is None
    assert "Present according to Demo coordinator on 2026-11-01" in (await client.get(row)).text


async def test_an_answer_that_is_taken_back_is_asked_again(client: httpx.AsyncClient) -> None:
    row = await opened_row(client)
    await client.post(f"{row}/answers", data=await form_of(client, row, outcome="not-met"))
    assert await card_of(client) is None
    page = (await client.get(row)).text
    end = re.search(rf'action="({row}/answers/[0-9a-f-]+/end)"', page)
    assert end
    assert (await client.post(end[1], data={"x": ""})).headers["location"] == f"{row}?saved=taken-back"
    page = (await client.get(row)).text
    assert "taken back or replaced" in page
    assert "answer taken back" in page
    assert await card_of(client)


async def test_an_answer_whose_time_is_over_says_so_and_the_question_stands_again(
    client: httpx.AsyncClient, judged: Services
) -> None:
    row = await opened_row(client)
    await client.post(f"{row}/answers", data=await form_of(client, row, until="2026-11-02"))
    judged.clock = lambda: NOW + timedelta(days=2)
    assert said_of(await card_of(client))["counts"]["needsHuman"] == 1
    page = (await client.get(row)).text
    assert "its time is over" in page
    assert 'name="criterion"' in page


async def test_an_answer_to_what_is_asked_no_longer_says_so(client: httpx.AsyncClient, judged: Services) -> None:
    assert judged.definitions.site_trials
    row = await opened_row(client)
    await client.post(f"{row}/answers", data=await form_of(client, row))
    changed = TRIAL.replace("version: 1", "version: 2").replace("refractory?", "refractory to two drugs?")
    (judged.definitions.site_trials / "DEMO-JUDGED.yaml").write_text(changed)
    assert await judged.definitions.reload_if_changed()
    page = (await client.get(row)).text
    assert "counts no more: the definition asks something else now" in page


async def test_days_are_counted_where_the_patient_is(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    folder.mkdir()
    (folder / "DEMO-JUDGED.yaml").write_text(TRIAL)
    settings = demo_settings(tmp_path, max_cards=9, timezone="Asia/Shanghai")
    services = services_with(settings, Definitions(None, folder))
    services.clock = lambda: NOW + timedelta(hours=5)  # 17:00 in UTC, the next day in Shanghai
    async with serving(services) as client:
        row = await opened_row(client)
        await client.post(f"{row}/answers", data=await form_of(client, row, until="2026-11-02"))
        card = await card_of(client)
        assert said_of(card)["criteria"][1]["explanation"].endswith("on 2026-11-02, holds until 2026-11-02")
        services.clock = lambda: NOW + timedelta(hours=28)
        assert said_of(await card_of(client))["counts"]["needsHuman"] == 1


async def test_a_definition_that_nobody_confirmed_is_said_to_be_so_on_the_row(client: httpx.AsyncClient) -> None:
    page = (await client.get(await opened_row(client))).text
    assert '<a href="/trials/DEMO-JUDGED#definition">not confirmed by the study team' in page


REFUSED = {
    "no outcome": ({"outcome": ""}, "Choose one of the three answers"),
    "another outcome": ({"outcome": "canary"}, "Choose one of the three answers"),
    "no words": ({"words": "  "}, "Say in 1 to 1000 characters"),
    "too many words": ({"words": "x" * 1001}, "Say in 1 to 1000 characters"),
    "no day": ({"until": "canary"}, "The last day lies between 2026-11-01 and 2027-11-02"),
    "a day that is over": ({"until": "2026-10-31"}, "The last day lies between"),
    "a day too far": ({"until": "2027-11-03"}, "The last day lies between"),
    "no criterion": ({"criterion": "canary"}, "The definition has changed meanwhile"),
    "another content": ({"content": "sha256:0"}, "The definition has changed meanwhile"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_no_answer_is_refused_and_what_was_typed_stays(
    client: httpx.AsyncClient, judged: Services, case: str
) -> None:
    changes, words = REFUSED[case]
    row = await opened_row(client)
    refused = await client.post(f"{row}/answers", data=await form_of(client, row, **changes))
    assert refused.status_code == 422
    assert words in refused.text
    assert "canary" not in refused.text.replace('value="canary"', "")
    assert ("Three drugs failed." in refused.text) is (case not in ("no words", "too many words", "no criterion"))
    assert await judged.answers.of(WHOSE, "DEMO-JUDGED") == []


async def test_a_form_of_another_site_is_refused(client: httpx.AsyncClient, judged: Services) -> None:
    row = await opened_row(client)
    form = await form_of(client, row)
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert (await client.post(f"{row}/answers", data=form, headers=headers)).status_code == 403
    assert await judged.answers.of(WHOSE, "DEMO-JUDGED") == []


async def test_rows_and_answers_that_are_not_there_are_404(client: httpx.AsyncClient) -> None:
    row = await opened_row(client)
    form = await form_of(client, row)
    assert (await client.post("/worklist/00000000-0000-0000-0000-000000000000/answers", data=form)).status_code == 404
    assert (await client.post(f"{row}/answers/canary/end", data=form)).status_code == 404


async def test_no_answer_is_taken_for_a_patient_who_is_not_to_be_approached(
    client: httpx.AsyncClient, judged: Services
) -> None:
    row = await opened_row(client)
    form = await form_of(client, row)
    flag = {
        "resourceType": "Consent",
        "id": "c",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]},
        "patient": call()["prefetch"]["observations"]["entry"][0]["resource"]["subject"],
        "provision": {"type": "deny"},
    }
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": flag}]}
    assert (await client.post(SERVICE, json=prefetching(consents=bundle))).json() == {"cards": []}
    assert (await client.post(f"{row}/answers", data=form)).status_code == 404
    assert await judged.answers.of(WHOSE, "DEMO-JUDGED") == []


async def test_who_answered_stands_in_the_audit_trail(client: httpx.AsyncClient, judged: Services) -> None:
    row = await opened_row(client)
    await client.post(f"{row}/answers", data=await form_of(client, row))
    entries = await judged.audit.entries(Question())
    user = judged.records.user_hashes(replace(WHOSE, user=DEMO_COORDINATOR.subject))[0]
    assert [entry.user for entry in entries if entry.action == "worklist-change"] == [user]


async def test_the_explanation_page_shows_the_words_that_the_card_leaves_out(
    client: httpx.AsyncClient, judged: Services
) -> None:
    row = await opened_row(client)
    await client.post(f"{row}/answers", data=await form_of(client, row))
    await card_of(client)
    assert await newest_report(judged)
    page = (await client.get((await client.get(f"{row}/explanation")).headers["location"])).text
    assert "Confirmed by Demo coordinator on 2026-11-01" in page
    assert "“Three drugs failed.”" in page


async def test_a_token_that_names_nobody_gives_no_answer_and_takes_none_back(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    folder.mkdir()
    (folder / "DEMO-JUDGED.yaml").write_text(TRIAL)
    services = services_with(production_settings(tmp_path), Definitions(None, folder))
    async with serving(services, BASE) as client:
        assert (await ask(client)).status_code == 200
        client.headers["authorization"] = bearer(OPERATOR)["authorization"]
        row = await row_of(client, "DEMO-JUDGED")
        page = (await client.get(row)).text
        assert "an answer carries a name: log in to give one" in page
        form = {"criterion": "I2.refractory", "outcome": "met", "words": "x", "until": "2026-12-01", "content": "x"}
        for address in (f"{row}/answers", f"{row}/answers/canary/end"):
            refused = await client.post(address, data=form)
            assert (refused.status_code, "names nobody" in refused.text) == (403, True)


async def rows_listed(client: httpx.AsyncClient, listed: str = "open") -> str:
    return (await client.get(f"/worklist?trial=DEMO-JUDGED&list={listed}")).text


async def test_the_counts_of_a_row_follow_an_answer_at_once(client: httpx.AsyncClient) -> None:
    row = await opened_row(client)
    assert "1 for a person to judge" in (await client.get(row)).text
    await client.post(f"{row}/answers", data=await form_of(client, row))
    page = (await client.get(row)).text
    assert "0 for a person to judge" in page
    answer = re.search(rf'action="{row}/answers/([^/"]+)/end"', page)
    assert answer
    await client.post(f"{row}/answers/{answer[1]}/end", data={"": ""})
    assert "1 for a person to judge" in (await client.get(row)).text


async def test_an_answer_that_rules_a_row_out_takes_it_off_the_list_at_once_and_back_with_it(
    client: httpx.AsyncClient,
) -> None:
    row = await opened_row(client)
    assert row in await rows_listed(client)
    await client.post(f"{row}/answers", data=await form_of(client, row, outcome="not-met"))
    assert row not in await rows_listed(client)
    assert "a person’s answer rules it out" in await rows_listed(client, "left")
    page = (await client.get(row)).text
    assert "No longer a candidate: a person’s answer rules it out" in page
    answer = re.search(rf'action="{row}/answers/([^/"]+)/end"', page)
    assert answer
    await client.post(f"{row}/answers/{answer[1]}/end", data={"": ""})
    assert row in await rows_listed(client)


async def test_a_row_that_its_chart_has_closed_does_not_come_back_with_an_answer_taken_back(
    client: httpx.AsyncClient,
) -> None:
    row = await opened_row(client)
    await client.post(f"{row}/answers", data=await form_of(client, row, outcome="not-met"))
    page = (await client.get(row)).text
    await card_of(client)  # the chart is opened, and judged with the answer
    answer = re.search(rf'action="{row}/answers/([^/"]+)/end"', page)
    assert answer
    await client.post(f"{row}/answers/{answer[1]}/end", data={"": ""})
    assert row not in await rows_listed(client)
    await card_of(client)
    assert row in await rows_listed(client)


async def test_not_known_yet_is_kept_in_the_history_and_leaves_the_question_open(client: httpx.AsyncClient) -> None:
    row = await opened_row(client)
    form = await form_of(client, row, outcome="not-known", words="Asked Dr. Sample.")
    sent = await client.post(f"{row}/answers", data=form)
    assert sent.headers["location"] == f"{row}?saved=left-open"
    page = (await client.get(sent.headers["location"])).text
    assert "The history says that it is not known yet; the question stays open." in page
    assert "Refractory lupus: not known yet (Asked Dr. Sample.)" in page
    assert 'name="criterion"' in page
    assert said_of(await card_of(client))["counts"]["needsHuman"] == 1


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"words": ""}, "Say in 1 to 1000 characters what it rests on"),
        ({"criterion": "I9.gone"}, "The definition has changed meanwhile"),
    ],
)
async def test_not_known_yet_needs_words_and_a_criterion(
    client: httpx.AsyncClient, changes: Form, problem: str
) -> None:
    row = await opened_row(client)
    sent = await client.post(f"{row}/answers", data=await form_of(client, row, outcome="not-known") | changes)
    assert sent.status_code == 422
    assert problem in sent.text
