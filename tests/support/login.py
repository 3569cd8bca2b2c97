"""What tests of login share with others."""

from __future__ import annotations

from typing import Any

import httpx

from tests.authorization_server import AuthorizationServer, Registered

CLIENT = Registered("trialcards", secret="a client's secret: with / and %")

GROUP, SIGNERS = "trial-team", "principal-investigators"


def oidc(provider: AuthorizationServer, **more: object) -> dict[str, Any]:
    return {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT.id,
        "oidc_client_secret": CLIENT.secret,
        "oidc_groups": (GROUP, "another-team"),
        "oidc_signers": (SIGNERS,),
        "oidc_private_network": True,
    } | more


async def sent_to_provider(client: httpx.AsyncClient, wanted: str = "/worklist", **more: str) -> str:
    answer = await client.get("/login", params={"next": wanted} | more)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def at_provider(address: str) -> str:
    """What the provider does with a browser: it is sent back, with a code or an error."""
    answer = httpx.get(address, trust_env=False)
    assert answer.status_code == 302, answer.text
    location: str = answer.headers["location"]
    return location


async def log_in(client: httpx.AsyncClient, wanted: str = "/worklist", **more: str) -> httpx.Response:
    return await client.get(at_provider(await sent_to_provider(client, wanted, **more)))


async def is_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/worklist")).status_code == 200
