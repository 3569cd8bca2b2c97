"""What survives: the service in production, several workers on one database, killed and restarted in the middle."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from app.web.examples import hook_call
from tests.hospital import VIEW, Production, production, settings_of, signed

FEEDBACK = VIEW + "/feedback"


def overridden(card: str, at: str = "2026-11-01T11:00:00Z") -> dict[str, Any]:
    reason = {"reason": {"code": "not-appropriate"}}
    return {"card": card, "outcome": "overridden", "outcomeTimestamp": at, "overrideReason": reason}


def topics(server: Production) -> dict[str, str]:
    answer = server.post(VIEW, hook_call("patient-view"))
    assert answer.status_code == 200, answer.text
    return {card["source"]["topic"]["code"]: card["uuid"] for card in answer.json()["cards"]}


def summary(server: Production) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/api/v1/feedback/summary").json()["feedback"]
    return found


def test_what_was_answered_with_200_is_there_after_a_kill(tmp_path: Path, database: str) -> None:
    settings = settings_of(tmp_path, database, WORKERS="2")
    with production(tmp_path, settings) as server:
        cards = _shown_once_whichever_worker_answers(server)
        _lets_a_token_in_once_whichever_worker_sees_it(server)
        used = signed()
        assert server.post(VIEW, hook_call("patient-view"), used).status_code == 200
        assert server.post(FEEDBACK, {"feedback": [overridden(cards["NCT06711146"])]}).status_code == 200
        server.kill()
    with production(tmp_path, settings | {"TRIALCARDS_WORKERS": "1"}) as server:
        assert [(row["trial"], row["count"]) for row in summary(server)] == [("CT1190B-SLE-SSC", 1), ("NCT06711146", 1)]
        assert "NCT06711146" not in topics(server)
        assert server.post(VIEW, hook_call("patient-view"), used).status_code == 401
        _answers_what_it_began_when_it_is_stopped(server)


def _shown_once_whichever_worker_answers(server: Production) -> dict[str, str]:
    """Cards of one worker are known to the other: feedback on each finds its trial."""
    first = topics(server)
    with ThreadPoolExecutor(8) as pool:
        sent = [overridden(first["CT1190BSLESSC"])] * 8
        answers = list(pool.map(lambda item: server.post(FEEDBACK, {"feedback": [item]}), sent))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert [(row["trial"], row["count"]) for row in summary(server)] == [("CT1190B-SLE-SSC", 1)]
    return first


def _lets_a_token_in_once_whichever_worker_sees_it(server: Production) -> None:
    token = signed()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.post(VIEW, hook_call("patient-view"), token), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


def _answers_what_it_began_when_it_is_stopped(server: Production) -> None:
    with ThreadPoolExecutor(6) as pool:
        began = [pool.submit(server.post, VIEW, hook_call("patient-view")) for _ in range(6)]
        time.sleep(0.05)
        assert server.stop() in (0, -signal.SIGTERM)
        answers = [call.exception() or call.result() for call in began]
    # What was taken in is answered; what was not is refused as a connection, never cut off in the middle.
    for answer in answers:
        assert isinstance(answer, BaseException) or answer.status_code == 200
