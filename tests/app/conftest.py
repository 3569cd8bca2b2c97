"""The application with real parts: a SQLite file, our own definitions, a fixed clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.definitions.served import Definitions
from app.demo.charts import demo_patients
from app.main import create_app, services_from
from app.settings import Settings, read_settings
from app.storage.records import Records
from app.storage.signing import Keys
from app.wiring import Services
from tests.authorization_server import AuthorizationServer, Launched
from tests.postgres import INSTALL, Cluster, cluster, programs

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SECRET = "a secret of the tests, long enough to be one"

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    found = Definitions()
    assert found.now.trials
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return demo_settings(tmp_path)


def demo_settings(folder: Path, **given: object) -> Settings:
    database = f"sqlite:///{folder}/records.db"
    return read_settings("demo", **({"database_url": database, "secret_key": (SECRET,)} | given))


@pytest.fixture
def services(settings: Settings, definitions: Definitions) -> Services:
    return services_with(settings, definitions)


def services_with(settings: Settings, definitions: Definitions | None = None) -> Services:
    services = services_from(settings)
    services.clock = lambda: NOW
    services.definitions = definitions or services.definitions
    return services


@asynccontextmanager
async def serving(services: Services, base: str = "http://127.0.0.1:8000") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, started and stopped as a server would."""
    app = create_app(services)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            yield client


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services) as client:
        yield client


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server; where there is none, its tests are skipped with the command that installs it."""
    folder = programs()
    if folder is None:
        pytest.skip(INSTALL)
    with cluster(folder) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind that the service runs on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.db"
    found: Cluster = request.getfixturevalue("postgres")
    return found.new_database()


def records_at(database: str, *secrets: str, retention: int = 30) -> Records:
    return Records(database, Keys(secrets or (SECRET,)), timedelta(retention), timedelta(30))


@pytest.fixture
async def records(database: str) -> AsyncIterator[Records]:
    records = records_at(database)
    await records.prepare()
    yield records
    await records.close()


@pytest.fixture
def ehr() -> Iterator[AuthorizationServer]:
    """An EHR with the charts of the demo."""
    from tests.support.launch import CLIENT, PATIENT, TRIAL  # which needs this file

    resources = [r for patient in demo_patients(NOW.date()) for r in patient.resources]
    with AuthorizationServer(CLIENT, resources) as running:
        running.launches["chart"] = Launched(PATIENT, {"appContext": TRIAL})
        yield running
