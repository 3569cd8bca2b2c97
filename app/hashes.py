"""Hashes of names that nobody can guess, so that the table that is asked holds none of them."""

from __future__ import annotations

import hashlib


def sha256_of(*parts: str) -> str:
    """Of these texts in this order, in hex; no two lists of texts without a NUL have the same. Lone surrogates pass."""
    return hashlib.sha256(b"\0".join(part.encode("utf-8", "surrogatepass") for part in parts)).hexdigest()
