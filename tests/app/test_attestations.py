"""What people answered for a patient: kept for this patient alone, on the next card, and in no earlier report."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.commands.audit import forgotten
from app.definitions.served import Definitions
from app.people import Person
from app.storage.attestations import Answers
from app.storage.database import doing
from app.storage.kept import from_kept
from app.storage.records import Records
from app.storage.signing import Keys
from app.web.examples import WHOLE_CHART
from app.wiring import Services
from cds_hooks.protocol.models import Feedback, OverrideReason
from tests.app.conftest import NOW, SECRET, demo_settings, records_at, services_with, serving
from tests.support.attestations import TRIAL, WHOSE, card_of, newest_report, said_of
from tests.support.cds import SERVICE
from tests.support.records import ANNA, CALLER, COLLEAGUE, everything_in, show
from trial_defs.engine.attestation import Attestation, content_of

NORA = Person("Nora Canary-Name", "subject-canary")
YES = Attestation("NCT1", "I1", "sha256:1", True, NORA.name, "canary words", NOW, NOW.date(), date(2027, 1, 30))


def answers_in(records: Records, *secrets: str, retention: int = 30) -> Answers:
    return Answers(records, Keys(secrets or (SECRET,)), timedelta(retention))


@pytest.fixture
def answers(records: Records) -> Answers:
    return answers_in(records)


async def test_an_answer_is_known_for_its_patient_whoever_opens_the_chart(answers: Answers) -> None:
    await answers.give(ANNA, YES, NORA)
    for user in (ANNA, COLLEAGUE):
        assert (await answers.known(user, NOW)).attestations == {("NCT1", "I1"): YES}
    for other in (
        replace(ANNA, patient="another"),
        replace(ANNA, tenant="another"),
        replace(ANNA, ehr="another"),
    ):
        assert (await answers.known(other, NOW)).attestations == {}


async def test_dismissals_and_answers_come_with_one_question(records: Records, answers: Answers) -> None:
    await show(records)
    item = Feedback("card-1", "overridden", NOW, reason=OverrideReason("ask-later"))
    await records.add_feedback(CALLER, SERVICE.rpartition("/")[2], [item], NOW)
    await answers.give(ANNA, YES, NORA)
    found = await answers.known(ANNA, NOW)
    assert (dict(found.dismissed), dict(found.attestations)) == ({"NCT1": ('{"said":1}',)}, {("NCT1", "I1"): YES})
    assert found.dismissed == await records.dismissed(ANNA, NOW)
    assert (await answers.known(COLLEAGUE, NOW)).dismissed == {}


async def test_nothing_of_an_answer_can_be_read_in_the_database(database: str, answers: Answers) -> None:
    await answers.give(ANNA, YES, NORA)
    stored = everything_in(database)
    assert b"NCT1" in stored
    for secret in (b"canary", b"Nora"):
        assert secret not in stored


async def test_a_newer_answer_ends_the_one_before_it_and_both_are_listed(answers: Answers) -> None:
    await answers.give(ANNA, YES, NORA)
    no = replace(YES, is_met=False, at=NOW + timedelta(hours=1))
    await answers.give(ANNA, no, NORA)
    assert (await answers.known(ANNA, NOW)).attestations == {("NCT1", "I1"): no}
    listed = await answers.of(ANNA, "NCT1")
    assert [(each.answer, each.ended_at) for each in listed] == [(no, None), (YES, no.at)]
    assert await answers.of(ANNA, "NCT2") == []


async def test_an_answer_is_taken_back_once_and_only_for_its_patient(answers: Answers) -> None:
    given = await answers.give(ANNA, YES, NORA)
    assert not await answers.take_back(replace(ANNA, patient="another"), given, NOW)
    assert (await answers.known(ANNA, NOW)).attestations
    assert await answers.take_back(ANNA, given, NOW)
    assert not await answers.take_back(ANNA, given, NOW)
    assert (await answers.known(ANNA, NOW)).attestations == {}


async def test_two_answers_of_the_same_moment_are_taken_back_together(records: Records, answers: Answers) -> None:
    """Neither of two workers saw the other's: taking one back must not bring the other into force."""
    await answers.give(ANNA, replace(YES, is_met=False), NORA)
    await answers.give(ANNA, replace(YES, criterion="I2"), NORA)
    later = await answers.give(ANNA, YES, NORA)
    await records.write(doing(sa.text("UPDATE attestation SET ended_at = NULL")))
    assert await answers.take_back(ANNA, later, NOW)
    assert set((await answers.known(ANNA, NOW)).attestations) == {("NCT1", "I2")}


async def test_an_answer_that_has_ended_is_deleted_when_the_facts_of_that_day_are(answers: Answers) -> None:
    await answers.give(ANNA, YES, NORA)
    await answers.give(ANNA, replace(YES, criterion="I2", until=date(2026, 12, 1)), NORA)
    taken = await answers.give(ANNA, replace(YES, criterion="I3"), NORA)
    await answers.take_back(ANNA, taken, NOW)
    for day, left in ((date(2026, 12, 1), {"I1", "I2"}), (date(2027, 1, 3), {"I1"}), (date(2027, 3, 5), set())):
        await answers.purge(datetime(day.year, day.month, day.day, 13, tzinfo=UTC))
        assert {each.answer.criterion for each in await answers.of(ANNA, "NCT1")} == left


async def test_an_answer_survives_the_rotation_and_then_the_loss_of_the_old_secret(database: str) -> None:
    new = "the next secret, also long enough to be one"
    keys = ((SECRET,), (new, SECRET), (new,))
    before, during, after = (answers_in(records_at(database, *secrets), *secrets) for secrets in keys)
    stores = [each._records for each in (before, during, after)]
    for store in stores:
        await store.prepare()
    await before.give(ANNA, YES, NORA)
    for each in (during, after):
        assert (await each.known(ANNA, NOW)).attestations == {("NCT1", "I1"): YES}
    for store in stores:
        await store.close()


async def test_what_cannot_be_opened_is_no_answer(database: str) -> None:
    stores = [records_at(database), records_at(database, "a secret that the others do not know")]
    for store in stores:
        await store.prepare()
    await answers_in(stores[0]).give(ANNA, YES, NORA)
    blind = Answers(stores[0], Keys(("a secret that the others do not know",)), timedelta(30))
    assert (await blind.known(ANNA, NOW)).attestations == {}
    assert await blind.of(ANNA, "NCT1") == []
    for store in stores:
        await store.close()


# -- the next card, and the report behind an earlier one

CRITERION = "I2.refractory"


@pytest.fixture
def judged(tmp_path: Path) -> Services:
    """A service whose site has a trial with one question for a person."""
    folder = tmp_path / "trials"
    folder.mkdir()
    (folder / "DEMO-JUDGED.yaml").write_text(TRIAL)
    return services_with(demo_settings(tmp_path, max_cards=9), Definitions(None, folder))


async def answer_it(services: Services, is_met: bool = True, days: int = 90) -> str:
    served, today = services.definitions.now, services.clock().date()
    criterion = next(c for c in served.trials["DEMO-JUDGED"].cohorts[0].criteria if c.id == CRITERION)
    asked = content_of(criterion, served.catalogue)
    until = today + timedelta(days=days)
    given = Attestation(
        "DEMO-JUDGED", CRITERION, asked, is_met, NORA.name, "Three drugs failed", services.clock(), today, until
    )
    return await services.answers.give(WHOSE, given, NORA)


async def test_an_answer_stands_on_the_next_card_until_it_ends(judged: Services) -> None:
    async with serving(judged) as client:
        before = await card_of(client)
        assert before
        assert "Is the lupus refractory?" in before["detail"]
        await answer_it(judged)
        card = await card_of(client)
        assert card
        assert "**Answered by a person:** 1 point." in card["detail"]
        assert "Questions" not in card["detail"]
        assert card["summary"].endswith("likely eligible – nothing open")
        assert said_of(card)["criteria"][1]["basis"] == "attested"
        assert "Three drugs failed" not in str(card)
        judged.clock = lambda: NOW + timedelta(days=90)
        assert said_of(await card_of(client))["counts"]["needsHuman"] == 0
        judged.clock = lambda: NOW + timedelta(days=91)
        assert said_of(await card_of(client))["counts"]["needsHuman"] == 1


async def test_not_met_by_a_persons_word_takes_the_card_away_until_it_is_taken_back(judged: Services) -> None:
    async with serving(judged) as client:
        given = await answer_it(judged, is_met=False)
        assert await card_of(client) is None
        await judged.answers.take_back(WHOSE, given, NOW)
        assert await card_of(client)


async def test_a_changed_question_is_asked_again(judged: Services) -> None:
    assert judged.definitions.site_trials
    async with serving(judged) as client:
        await answer_it(judged)
        changed = TRIAL.replace("version: 1", "version: 2").replace("refractory?", "refractory to two drugs?")
        (judged.definitions.site_trials / "DEMO-JUDGED.yaml").write_text(changed)
        assert await judged.definitions.reload_if_changed()
        assert said_of(await card_of(client))["counts"]["needsHuman"] == 1


async def test_a_report_is_repeated_to_the_byte_after_its_answer_was_changed_or_taken_back(judged: Services) -> None:
    async with serving(judged) as client:
        given = await answer_it(judged)
        assert await card_of(client)
        report = await newest_report(judged)
        await answer_it(judged, is_met=False)
        await judged.answers.take_back(WHOSE, given, NOW)
        content = await judged.records.report(report, NOW)
        assert content
        again = await client.get(f"/api/v1/reports/{report}/replay")
        assert (again.status_code, again.content) == (200, from_kept(content).report_bytes)
        assert "Confirmed by Nora Canary-Name" in again.text
        assert "Three drugs failed" not in again.text


async def test_a_match_of_a_bundle_knows_no_answers(judged: Services) -> None:
    async with serving(judged) as client:
        await answer_it(judged)
        body = (await client.post("/api/v1/match?trial=DEMO-JUDGED", json=WHOLE_CHART)).json()
        assert body["trials"][0]["cohorts"][0]["counts"]["needsHuman"] == 1


async def test_erasing_a_patient_erases_the_answers(judged: Services) -> None:
    async with serving(judged):
        await answer_it(judged)
        assert await judged.answers.of(WHOSE, "DEMO-JUDGED")
        await forgotten(judged.settings, WHOSE)
        assert await judged.answers.of(WHOSE, "DEMO-JUDGED") == []


async def test_answers_of_several_workers_at_once_are_all_kept(judged: Services) -> None:
    async with serving(judged) as client:
        await asyncio.gather(*(answer_it(judged, is_met=n % 2 == 0) for n in range(8)))
        listed = await judged.answers.of(WHOSE, "DEMO-JUDGED")
        assert len(listed) == 8
        await card_of(client)
