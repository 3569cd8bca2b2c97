"""What tests of auth share with others."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey

BASE = "https://cards.example"

SERVICE = f"{BASE}/cds-services/trial-match-patient-view"

ISSUER = "https://ehr.example/oauth2"

EC = ECKey.generate_key("P-384", {"kid": "ec/+=", "use": "sig"}, private=True)

ENCRYPTS = ECKey.generate_key("P-384", {"kid": "enc"}, private=True)


def key_set(*keys: Any) -> bytes:
    described = [key.as_dict(private=False) | ({"use": "enc"} if key is ENCRYPTS else {}) for key in keys]
    return json.dumps({"keys": described}).encode()


def token(key: Any = EC, alg: str = "ES384", header: Mapping[str, Any] | None = None, **claims: Any) -> str:
    """A good token, but for what is given; a claim of None is left out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": SERVICE, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())} | claims
    head = {"alg": alg, "typ": "JWT", "kid": key.kid} | dict(header or {})
    payload = json.dumps({name: value for name, value in good.items() if value is not None}).encode()
    protected = {name: value for name, value in head.items() if value is not None}
    return jws.serialize_compact(protected, payload, key, algorithms=[alg])
