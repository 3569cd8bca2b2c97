"""Which code decides answers: a digest of it, so that an answer that only an upgrade changed can be told apart."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]
# Concepts and definitions have hashes of their own.
_DECIDES = ("mappings/**/*.py", "mappings/values/*.yaml", "trial_defs/definition/*.py", "trial_defs/engine/*.py")


@lru_cache(maxsize=1)
def engine_digest() -> str:
    """SHA-256 (hex) of the code that reads charts and judges criteria; the same for the same files."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _DECIDES for path in _ROOT.glob(pattern)}):
        digest.update(str(path.relative_to(_ROOT)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
