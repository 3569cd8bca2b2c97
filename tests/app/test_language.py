"""Cards and pages come in the language of the service, or of the EHR that calls."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.definitions.served import Definitions
from app.web.examples import WHOLE_CHART, hook_call
from cds_hooks.words.texts import texts_of
from tests.app.conftest import demo_settings, services_with, serving

SERVICE = "/cds-services/trial-match-patient-view"


async def the_cards(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.post(SERVICE, json=copy.deepcopy(hook_call("patient-view")))
    assert answer.status_code == 200
    cards: list[dict[str, Any]] = answer.json()["cards"]
    assert cards
    return cards


@pytest.mark.parametrize(
    ("language", "verdict", "refer", "reason"),
    [
        ("en", "eligible", "Refer to the study team: ", "Not my patient"),
        ("de", "geeignet", "An das Studienteam überweisen: ", "Nicht von mir behandelt"),
        ("zh-Hans", "符合条件", "转介至研究团队：", "不是我的患者"),
    ],
)
async def test_cards_are_in_the_language_of_the_service(
    language: str, verdict: str, refer: str, reason: str, tmp_path: Path, definitions: Definitions
) -> None:
    async with serving(services_with(demo_settings(tmp_path, language=language), definitions)) as client:
        card = (await the_cards(client))[0]
    assert verdict in card["summary"]
    assert verdict in card["detail"]
    assert card["suggestions"][0]["label"].startswith(refer)
    assert reason in [each["display"] for each in card["overrideReasons"]]


def test_an_ehr_may_have_a_language_of_its_own(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(demo_settings(tmp_path, language="de"), definitions)
    (ehr,) = services.ehrs
    assert services.texts_of(ehr).language == services.texts_of(None).language == "de"
    assert services.texts_of(ehr.model_copy(update={"language": "zh-Hans"})).language == "zh-Hans"


async def test_a_report_is_repeated_in_the_language_of_its_day(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(demo_settings(tmp_path, language="zh-Hans"), definitions)
    async with serving(services) as client:
        card = (await the_cards(client))[0]
        report = card["links"][-1]["url"].split("/reports/")[1].split("?")[0]
    later = services_with(demo_settings(tmp_path, language="en"), definitions)
    async with serving(later) as client:
        again = await client.get(f"/api/v1/reports/{report}/replay")
    assert again.status_code == 200
    said = {each["explanation"] for trial in again.json()["trials"] for c in trial["cohorts"] for each in c["criteria"]}
    assert any("血小板" in each for each in said)


async def test_a_match_over_http_is_explained_in_the_language_of_the_ehr(
    tmp_path: Path, definitions: Definitions
) -> None:
    async with serving(services_with(demo_settings(tmp_path, language="de"), definitions)) as client:
        answer = await client.post("/api/v1/match?asOf=2026-11-01", json=WHOLE_CHART)
    assert answer.status_code == 200
    criteria = [c for t in answer.json()["trials"] for cohort in t["cohorts"] for c in cohort["criteria"]]
    platelets = next(each for each in criteria if each["id"] == "I9.platelets")
    assert platelets["explanation"].startswith("Thrombozyten ")
    assert "erforderlich ≥ 25" in platelets["explanation"]


@pytest.mark.parametrize(
    ("language", "heading", "read"),
    [("de", "Nicht erfüllt", "Akte gelesen am "), ("zh-Hans", "不符合", "病历读取时间 ")],
)
async def test_the_page_of_a_report_is_in_the_language_of_its_cards(
    language: str, heading: str, read: str, tmp_path: Path, definitions: Definitions
) -> None:
    async with serving(services_with(demo_settings(tmp_path, language=language), definitions)) as client:
        address = (await the_cards(client))[0]["links"][-1]["url"]
        page = (await client.get(address)).text
    assert f'<html lang="{language}">' in page
    assert read in page
    assert heading.lower() in page.lower()
    for ours in (
        "What was read of the chart",
        "Evidence, source",
        "Taken as absent",
        "Not a medical device",
        "Inclusion ",
    ):
        assert ours not in page


async def test_a_trial_that_carries_its_texts_in_the_language_is_shown_in_it_with_the_english_beside(
    tmp_path: Path, definitions: Definitions
) -> None:
    async with serving(services_with(demo_settings(tmp_path, language="zh-Hans"), definitions)) as client:
        cards = await the_cards(client)
        card = next(each for each in cards if each["source"]["topic"]["code"] == "NCT06711146")
        page = (await client.get(card["links"][-1]["url"])).text
    assert card["summary"].startswith("CD19 CAR-T（Meta10-19）治疗活动性狼疮")
    assert "中重度活动性系统性红斑狼疮" in card["detail"]
    assert "Hangzhou，中国" in card["detail"]
    drafts = [action["resource"] for each in card["suggestions"] for action in each["actions"]]
    assert drafts[0]["code"]["text"] == "转介至研究团队：CD19 CAR-T（Meta10-19）治疗活动性狼疮 (NCT06711146)"
    assert not any(re.search("[a-z]{4,}", draft["code"]["text"]) for draft in drafts[1:])
    assert "定义及译文未经研究团队确认" in card["detail"]
    assert "血小板至少 25 × 10⁹/L" in page
    assert '<p class="quiet" lang="en">Platelets at least 25 × 10⁹/L</p>' in page
    assert "定义及译文未经研究团队确认" in page
    # A report keeps what a definition asks in English; its page has it in the reader's language.
    assert "待办：筛选时" in page
    assert "待办：at screening" not in page
    assert '<span lang="en">Inclusion, 5th point</span>' in page


def test_texts_of_definitions_are_added_only_in_their_language(definitions: Definitions) -> None:
    served, german, chinese = definitions.now, texts_of("de"), texts_of("zh-Hans")
    assert served.texts_in(german) is german
    assert served.texts_in(chinese) is served.texts_in(chinese)
    assert served.texts_in(chinese).unsigned == {"NCT06711146"}
    assert chinese.translated("Circulation stable") == "Circulation stable"
    assert served.texts_in(chinese).translated("Circulation stable") == "循环稳定"
