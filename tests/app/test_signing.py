"""What the secret signs, hashes and seals, and that rotation loses nothing."""

from __future__ import annotations

import zlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.storage.signing import Keys, _derive

OLD, NEW = "an old secret that is long enough here", "a new secret that is long enough here"


def test_an_address_is_good_until_it_expires_and_for_its_subject_only() -> None:
    keys = Keys([OLD])
    signature = keys.sign_address("report", 100)
    assert keys.address_is_good("report", 100, signature, 99)
    assert not keys.address_is_good("report", 100, signature, 100)
    assert not keys.address_is_good("report", 101, signature, 99)
    assert not keys.address_is_good("other", 100, signature, 99)
    assert not keys.address_is_good("report", 100, "ä" + signature[1:], 99)


def test_after_rotation_old_signatures_hashes_and_seals_are_understood() -> None:
    old, both = Keys([OLD]), Keys([NEW, OLD])
    assert both.address_is_good("report", 100, old.sign_address("report", 100), 99)
    assert both.unseal(old.seal(b"content")) == b"content"
    assert old.keyed_hashes("a", "b")[0] == both.keyed_hashes("a", "b")[1]
    assert Keys([NEW]).unseal(old.seal(b"content")) is None


def test_uses_are_separated_and_parts_are_not_run_together() -> None:
    keys = Keys([OLD])
    assert keys.keyed_hashes("a", "bc") != keys.keyed_hashes("ab", "c")
    assert keys.seal(b"same") != keys.seal(b"same")


def test_what_an_earlier_version_sealed_is_still_read() -> None:
    keys = Keys([OLD])
    sealed = keys.seal(b"")
    nonce, key = sealed[:12], AESGCM(_derive(OLD, b"encryption at rest"))
    assert keys.unseal(nonce + key.encrypt(nonce, zlib.compress(b"content", 1), None)) == b"content"


def test_no_secret_is_no_key() -> None:
    with pytest.raises(ValueError, match="at least one secret"):
        Keys([])
