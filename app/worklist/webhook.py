"""The counts of the worklist's digest, sent to an address of the site (`[webhook]` of its profile).

They name no patient: numbers by trial and verdict, and the address of the worklist, which is behind login. The body is
signed with a key of its own, so that the receiver knows who sent it and when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import httpx
import msgspec

from app.storage.signing import Keys
from app.worklist.records import Row

SIGNATURE = "X-TrialCards-Signature"  # "t=1793534400,v1=<HMAC-SHA256 of '1793534400.' and the body, hex>"
_SECONDS = 10


class WebhookFailed(Exception):
    """The counts did not arrive; the message says why, without the address."""


def counts_of(rows: Sequence[Row], since: str, site: str, base: str) -> bytes:
    """The body: how many rows and patients are new, by trial and verdict, and where they are listed."""
    by_trial: dict[str, Counter[str]] = {}
    for row in rows:
        by_trial.setdefault(row.trial, Counter())[row.verdict] += 1
    content = {
        "site": site,
        "since": since,
        "rows": len(rows),
        "patients": len({(row.ehr, row.tenant, row.patient_id) for row in rows}),
        "trials": {trial: dict(sorted(verdicts.items())) for trial, verdicts in sorted(by_trial.items())},
        "worklist": f"{base}/worklist",
    }
    return msgspec.json.encode(content)


async def send(client: httpx.AsyncClient, url: str, body: bytes, keys: Keys, now: int) -> None:
    """Post the body once, signed at `now` (Unix seconds). WebhookFailed unless the answer is a success.

    A redirect is not followed: the address is the one that the site wrote down.
    """
    headers = {"Content-Type": "application/json", SIGNATURE: f"t={now},v1={keys.sign_webhook(body, now)}"}
    try:
        answer = await client.post(url, content=body, headers=headers, timeout=_SECONDS, follow_redirects=False)
    except httpx.HTTPError as error:
        raise WebhookFailed(f"the webhook could not be reached ({type(error).__name__})") from None
    if not answer.is_success:
        raise WebhookFailed(f"the webhook answered with {answer.status_code}")
