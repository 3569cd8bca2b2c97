"""The address under which a report can be read for a few minutes, by anybody who holds it and no one else."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from app.storage.signing import Keys

LIVES = timedelta(minutes=15)


def signed_address(keys: Keys, base: str, report_id: str, now: datetime, trial: str | None = None) -> str:
    """An address of the report, opened at one trial, that ends after `LIVES`. It says nothing of the patient."""
    expires = int((now + LIVES).timestamp())
    opened = {"trial": trial} if trial else {}
    query = urlencode(opened | {"expires": str(expires), "signature": keys.sign_address(report_id, expires)})
    return f"{base}/reports/{report_id}?{query}"


def may_read(keys: Keys, report_id: str, expires: str, signature: str, now: datetime) -> bool:
    """Whether an address was signed by us for this report and has not ended."""
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        return False
    return keys.address_is_good(report_id, int(expires), signature, int(now.timestamp()))
