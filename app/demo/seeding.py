"""The demo's worklist begins with the demo's patients, as if each of their charts had been opened once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec

from app.demo.charts import demo_patients
from app.judge import judge
from app.storage.records import Shown
from app.wiring import Services
from app.worklist.candidates import Reading, known_person, reading_of
from app.worklist.records import Filter
from cds_hooks.words.wording import titles_of
from mappings.chart.chart import ChartBuilder
from mappings.time.clock import Clock


async def seed_worklist(services: Services) -> None:
    """Put the demo's patients onto an empty worklist; one on which there is anything stays as it is."""
    if (await services.worklist.page(Filter(listed="all"), 1, 1)).total:
        return
    readings = await asyncio.to_thread(lambda: list(_readings(services)))
    await services.worklist.take(readings, "hook", services.clock())


def _readings(services: Services) -> Iterator[tuple[Shown, Reading]]:
    served, zone = services.definitions.now.offered, services.settings.zone
    at = Clock(services.clock(), zone)
    for patient in demo_patients(at.today):
        builder = ChartBuilder(None)
        entries = [{"resource": resource} for resource in patient.resources]
        builder.add(msgspec.json.encode({"resourceType": "Bundle", "entry": entries}), None)
        builder.whole_chart()
        judged = judge(builder.build(), served, at, services.site)
        person = known_person(judged.facts.person)
        titles = titles_of(served.catalogue)
        yield Shown("demo", "", patient.id, ""), reading_of(judged.found, judged.withheld, titles, person=person)
