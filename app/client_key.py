"""Our private key as a client of authorization servers: how it is read, what it signs, how its public half is shown."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFETIME = 240  # seconds; servers refuse assertions that live longer than five minutes
_ALGORITHMS = {"RSA": "RS384", "EC": "ES384"}
SigningKey = RSAKey | ECKey


class KeyUnusable(ValueError):
    """A key file that cannot be used; the message says what is wrong with it, and shows nothing of it."""


def read_key(path: Path) -> SigningKey:
    """A private key: a JWK, a JWK set with one key, or PEM. RSA, or EC on the curve P-384."""
    try:
        raw = path.read_bytes()
        content: Any = json.loads(raw) if raw.lstrip().startswith(b"{") else raw
        if isinstance(content, dict) and "keys" in content:
            (content,) = content["keys"]
        key = JWKRegistry.import_key(content) if isinstance(content, dict) else _from_pem(content)
    except OSError as error:
        raise KeyUnusable(f"cannot be read ({error.strerror})") from None
    except (JoseError, ValueError, TypeError, KeyError):
        raise KeyUnusable("is not one private key as JWK, JWK set or PEM") from None
    if (
        not isinstance(key, RSAKey | ECKey)
        or not key.is_private
        or (isinstance(key, ECKey) and key.curve_name != "P-384")
    ):
        raise KeyUnusable("must be a private RSA key, or a private EC key on the curve P-384")
    return key


def _from_pem(raw: bytes) -> SigningKey:
    try:
        return RSAKey.import_key(raw)
    except (JoseError, ValueError, TypeError):
        return ECKey.import_key(raw)


def client_assertion(key: SigningKey, client_id: str, token_url: str, now: int, kid: str | None = None) -> str:
    """What shows a token endpoint that we are this client (RFC 7523): RS384 or ES384, as the key is. `now` in seconds.

    The key id is `kid`, else the key's own, else none.
    """
    algorithm = _ALGORITHMS[key.key_type]
    kid = kid or key.kid
    header = {"alg": algorithm, "typ": "JWT"} | ({"kid": kid} if kid else {})
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_url,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + _LIFETIME,
    }
    return jwt.encode(header, claims, key, algorithms=[algorithm])


def key_id(key: SigningKey) -> str:
    """The key's own id, or the thumbprint of its public half (RFC 7638)."""
    return key.kid or key.thumbprint()


def public_key_set(keys: Iterable[SigningKey]) -> dict[str, Any]:
    """The public halves as a JWK set, each once, under the ids that assertions name."""
    shown = {key_id(key): _shown(key) for key in keys}
    return {"keys": list(shown.values())}


def _shown(key: SigningKey) -> dict[str, Any]:
    public = key.as_dict(private=False)
    return public | {"kid": key_id(key), "use": "sig", "alg": _ALGORITHMS[key.key_type], "key_ops": ["verify"]}
