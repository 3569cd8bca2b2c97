"""What tests of fuzz share with others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from app.definitions.served import Definitions
from tests.app.conftest import demo_settings, services_with, serving


class Door:
    """The application behind a plain function, in an event loop of its own."""

    def __init__(self, folder: Path, definitions: Definitions) -> None:
        self._runner = asyncio.Runner()
        self._serving = serving(services_with(demo_settings(folder), definitions))
        self._client: httpx.AsyncClient = self._runner.run(self._serving.__aenter__())

    def post(self, path: str, content: bytes) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return self._runner.run(self._client.post(path, content=content, headers=headers))

    def request(self, method: str, url: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, url, **more))

    def close(self) -> None:
        self._runner.run(self._serving.__aexit__(None, None, None))
        self._runner.close()
