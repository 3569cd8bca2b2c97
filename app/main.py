"""Builds the application. The only place where the real parts are chosen; tests build the same one with others."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import msgspec
from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as RouterException
from starlette.requests import Request
from starlette.responses import Response

from app.auth import Authenticator
from app.definitions.compiled import Compiled
from app.definitions.served import Definitions
from app.demo import site as demo_site
from app.demo.seeding import seed_worklist
from app.ehrs import Caller, Ehr, demo_ehr, load_ehrs
from app.errors import ServiceError, Unavailable, Unusable, error_response, from_status
from app.judge import judge
from app.logs import configure_logs, log, where_it_broke
from app.metrics import Metrics
from app.outbound import Outbound
from app.routes import (
    answers,
    api,
    audit,
    cds,
    docs,
    fhir,
    health,
    launch,
    login,
    pages,
    patient_page,
    replay,
    reports,
    reviews,
    worklist,
)
from app.settings import Settings, read_settings
from app.site_profile import profile_of
from app.storage.database import LONGEST, RecordsUnavailable
from app.storage.records import Records
from app.storage.signing import Keys
from app.storage.used_tokens import UsedTokens
from app.tokens.key_sets import KeySets
from app.traces import tracer_for
from app.web.edge import Edge
from app.web.examples import WHOLE_CHART
from app.web.profiling import Profiling
from app.wiring import Services
from cds_hooks.cards.trial_cards import cards_for
from cds_hooks.fhir import fhir_drafts
from cds_hooks.report import VERSION
from mappings.chart.chart import ChartBuilder
from mappings.time.clock import Clock
from mappings.understanding.classes import understanding_of
from mappings.values import units
from trial_defs.engine.version import engine_digest

READ_WITHIN = 5.0  # seconds that a start waits for the definitions
LOOK_EVERY = 3.0  # seconds between looks at the definition files
PURGE_EVERY = 600.0  # seconds between deletions of what has expired


def from_settings() -> FastAPI:
    """The production service, as `uvicorn --factory app.main:from_settings` starts it."""
    return _assemble(read_settings("production"))


def demo() -> FastAPI:
    """The demo service on loopback, as `make run` starts it. Its worklist begins with its patients."""
    app = _assemble(read_settings("demo"))
    app.state.begins_with_patients = True
    return app


def _assemble(settings: Settings) -> FastAPI:
    configure_logs()
    return create_app(services_from(settings))


def services_from(settings: Settings) -> Services:
    """The real parts for these settings. EhrsError, SiteProfileError: the file of EHRs or the profile is not usable."""
    keys = Keys(settings.secret_key)
    outbound = Outbound()
    retention, snooze = timedelta(settings.retention_days), timedelta(settings.snooze_days)
    records = Records(settings.database_url, keys, retention, snooze)
    tokens = UsedTokens(records, keys, longest_attempt(settings))
    ehrs = _ehrs_of(settings)
    metrics = Metrics(tracer_for(settings.traces))
    anyone = Caller(ehrs[0]) if settings.is_demo else None
    return Services(
        settings=settings,
        ehrs=ehrs,
        definitions=Definitions(
            settings.mappings,
            settings.trials,
            Compiled(settings.cache, _compiled_not_kept),
            profile_of(settings),
        ),
        records=records,
        outbound=outbound,
        authenticator=Authenticator(
            ehrs, KeySets(outbound), tokens, settings.operator_tokens, anyone, _counting(metrics)
        ),
        keys=keys,
        clock=lambda: datetime.now(UTC),
        metrics=metrics,
    )


def longest_attempt(settings: Settings) -> timedelta:
    """After how long a hook call has ended, whatever became of it."""
    return timedelta(seconds=settings.deadline + 1)


def _counting(metrics: Metrics) -> Callable[[str], None]:
    return lambda reason: metrics.refused_tokens.labels(reason).inc()


def _ehrs_of(settings: Settings) -> Sequence[Ehr]:
    if settings.is_demo:
        return (demo_ehr(settings.demo_fhir, settings.timezone),)
    assert settings.ehrs is not None
    return load_ehrs(settings.ehrs)


def create_app(services: Services) -> FastAPI:
    """The application around these parts."""
    app = FastAPI(
        title="TrialCards",
        version=VERSION,
        description="Holds a patient's chart against clinical trial criteria and answers with evidence cards.",
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.services = services
    for router in (
        cds.router,
        api.router,
        audit.router,
        fhir.router,
        health.router,
        reports.router,
        launch.router,
        replay.router,
        worklist.router,
        answers.router,
        pages.router,
        patient_page.router,
        reviews.router,
    ):
        app.include_router(router)
    docs.install(app)
    login.install(app)
    pages.install_assets(app)
    if services.settings.is_demo:
        demo_site.install(app, services.clock, services.settings.demo_fhir)
    app.add_exception_handler(ServiceError, _say_error)
    app.add_exception_handler(RouterException, _say_router_error)
    app.add_exception_handler(HTTPException, _say_router_error)
    app.add_exception_handler(RequestValidationError, _say_wrong_parameter)
    app.add_exception_handler(RecordsUnavailable, _say_no_database)
    if services.settings.profile_calls:
        app.add_middleware(Profiling)
    app.add_middleware(
        Edge,
        metrics=services.metrics,
        origins=[origin for ehr in services.ehrs for origin in ehr.cors_origins],
        loopback_origins=services.settings.is_demo,
        secure=(services.settings.public_url or "").startswith("https://"),
    )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    # So long may the event loop keep a thread of the database waiting after each of its statements; usual are 5 ms.
    sys.setswitchinterval(0.001)
    begun = asyncio.create_task(asyncio.to_thread(_warm_up, services))
    # A few definitions are read at once; while thousands are, /healthz answers and /readyz says what is waited for.
    await asyncio.wait({begun}, timeout=READ_WITHIN)
    if begun.done():
        begun.result()
    await _prepare_records(services)
    upkeep = asyncio.create_task(_upkeep(services, begun))
    has_own_patients = getattr(app.state, "begins_with_patients", False) and not services.settings.demo_fhir
    if has_own_patients and services.records.is_ready:
        await asyncio.wait({begun})  # however busy the machine is: the patients are matched with what is read
        await seed_worklist(services)
    yield
    upkeep.cancel()
    with suppress(asyncio.CancelledError):
        await upkeep
    await services.outbound.close()
    services.terminology.close()
    await services.records.close()
    services.metrics.tracer.close()


def _compiled_not_kept(error: OSError) -> None:
    log.warning("compiled definitions not kept", error=error.strerror)


def _warm_up(services: Services) -> None:
    """Read the definitions, load the libraries, match an example, so that the first call waits for nothing."""
    units.warm(())
    fhir_drafts.lay_out()
    services.read_texts()
    engine_digest()
    served = services.definitions.read()
    builder = ChartBuilder(None)
    builder.add(msgspec.json.encode(WHOLE_CHART), None)
    builder.whole_chart()
    understanding_of(served.catalogue).prepare()
    judged = judge(builder.build(), served, Clock(services.clock(), UTC), services.site)
    cards_for(judged.found, served.catalogue, new_uuid=lambda: "warm-up")
    _spare_the_collector()


def _spare_the_collector() -> None:
    """What is loaded now stays: it is taken out of the collector's way, which then runs rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _prepare_records(services: Services) -> bool:
    """Whether the tables are ready. The service starts without its database, and /readyz says so."""
    try:
        await services.records.prepare(LONGEST)
        await services.take_signatures()
        await services.terminology.take(services.definitions)
    except RecordsUnavailable:
        log.error("database not reachable")
        return False
    return True


async def _upkeep(services: Services, begun: asyncio.Future[None]) -> None:
    """Every few seconds, off the calls' way: look for changed definitions, for the database, for what has expired."""
    try:
        await begun
    except Exception as error:
        log.error("definitions not read", where=where_it_broke(error))
    loop = asyncio.get_running_loop()
    purge_at = loop.time()
    asking = asyncio.create_task(_ask_terminology(services))
    try:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                if services.records.is_ready:
                    await services.terminology.take(services.definitions)
                if asking.done():  # its own task, because an expansion takes minutes
                    asking = asyncio.create_task(_ask_terminology(services))
                if await services.definitions.reload_if_changed():
                    log.info("definitions read again", problems=len(services.definitions.now.problems))
                if not services.records.is_ready:
                    await _prepare_records(services)
                    continue
                await services.take_signatures()
                if loop.time() >= purge_at:
                    await services.records.purge(services.clock())
                    await services.pending.purge(services.clock())
                    await services.answers.purge(services.clock())
                    keep = timedelta(services.settings.audit_days)
                    await services.audit.purge(services.clock(), keep)
                    await services.worklist.purge(services.clock(), keep)
                    await services.sessions.purge(services.clock())
                    purge_at = loop.time() + PURGE_EVERY
            except RecordsUnavailable:
                log.warning("database not reachable")
            except Exception as error:
                # Upkeep must outlive whatever goes wrong in one round.
                log.error("upkeep failed", where=where_it_broke(error))
    finally:
        asking.cancel()


async def _ask_terminology(services: Services) -> None:
    if services.settings.terminology is None or not services.records.is_ready:
        return
    try:
        await services.terminology.refresh(services.definitions, services.clock())
    except RecordsUnavailable:
        log.warning("database not reachable")
    except Exception as error:
        log.error("terminology server not asked", where=where_it_broke(error))


async def _say_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return error_response(request.url.path, error)


async def _say_router_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RouterException)
    return error_response(request.url.path, from_status(error.status_code, error.headers))


async def _say_wrong_parameter(request: Request, _: Exception) -> Response:
    return error_response(request.url.path, Unusable("A parameter is not usable; see the API documentation."))


async def _say_no_database(request: Request, error: Exception) -> Response:
    assert isinstance(error, RecordsUnavailable)
    services: Services = request.app.state.services
    services.metrics.no_database.inc()
    return error_response(request.url.path, Unavailable("The database cannot be reached.", error.retry_after))
