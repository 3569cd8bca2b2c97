"""What the secret key is for, each use with a key of its own (HKDF): signed addresses, patient hashes, encryption.

Several secrets may be listed for rotation: the first is current, the others are still understood.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import zlib
from collections.abc import Sequence

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12  # bytes, as AES-GCM wants them


class Keys:
    """The derived keys of every listed secret, current first."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ValueError("needs at least one secret")
        self._address = [_derive(secret, b"signed address") for secret in secrets]
        self._hash = [_derive(secret, b"keyed hash") for secret in secrets]
        self._webhook = _derive(secrets[0], b"webhook")
        self._seal = [AESGCM(_derive(secret, b"encryption at rest")) for secret in secrets]

    def sign_address(self, subject: str, expires: int) -> str:
        """The signature of an address that is good until `expires` (Unix seconds)."""
        return _signature(self._address[0], subject, expires)

    def address_is_good(self, subject: str, expires: int, signature: str, now: int) -> bool:
        given = signature.encode("utf-8", "replace")
        signed = [hmac.compare_digest(_signature(key, subject, expires).encode(), given) for key in self._address]
        return any(signed) and now < expires

    def sign_webhook(self, body: bytes, at: int) -> str:
        """The signature (HMAC-SHA256, hex) of a body that is sent to the site's webhook `at` that Unix second."""
        return hmac.new(self._webhook, f"{at}.".encode() + body, hashlib.sha256).hexdigest()

    @property
    def webhook_key(self) -> str:
        """The key (hex) with which the webhook's receiver checks that signature; of the current secret alone."""
        return self._webhook.hex()

    def keyed_hashes(self, *parts: str) -> tuple[str, ...]:
        """The hash of these parts under every listed secret, current first. It says nothing without the secret."""
        message = b"\0".join(part.encode("utf-8", "surrogatepass") for part in parts)
        return tuple(hmac.new(key, message, hashlib.sha256).hexdigest() for key in self._hash)

    def seal(self, content: bytes) -> bytes:
        """Compressed and encrypted under the current secret."""
        nonce = os.urandom(_NONCE)
        return nonce + self._seal[0].encrypt(nonce, zstandard.compress(content, 1), None)

    def unseal(self, sealed: bytes) -> bytes | None:
        """What was sealed; None when no listed secret opens it."""
        for key in self._seal:
            try:
                return _unpack(key.decrypt(sealed[:_NONCE], sealed[_NONCE:], None))
            except InvalidTag:
                continue
        return None


def _unpack(packed: bytes) -> bytes:
    """What was sealed by earlier versions is packed with zlib, whose first byte differs."""
    return zstandard.decompress(packed) if packed.startswith(zstandard.FRAME_HEADER) else zlib.decompress(packed)


def _derive(secret: str, use: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, b"trialcards " + use).derive(secret.encode())


def _signature(key: bytes, subject: str, expires: int) -> str:
    digest = hmac.new(key, f"{subject}\0{expires}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
