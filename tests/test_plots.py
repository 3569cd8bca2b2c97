"""The plots of docs/performance.md are drawn from what was measured."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from docs.plots import drawn, plots

GROWTH = {
    "hook by Observations: 100": 20.0, "hook by Observations: 1000": 50.0, "orjson.loads by Observations: 100": 1.0,
    "orjson.loads by Observations: 1000": 14.0, "hook by trials: 5": 50.0, "hook by trials: 1000": 55.0,
    "screen by patients: 500": 4.0, "screen by patients: 3000": 10.0, "DuckDB by patients: 500": 2.0,
    "DuckDB by patients: 3000": 9.0, "screen, memory by patients: 500": 220.0,
    "screen, memory by patients: 3000": 250.0, "hook by workers: 1": 50.0, "hook by workers: 2": 51.0,
    "screen by workers: 1": 14.0, "screen by workers: 2": 15.0,
}  # fmt: skip
LARGEST = {"patients": 100_000.0, "screen, all processors": 290.0, "DuckDB, all processors": 350.0}


def test_every_measured_number_stands_in_its_plot() -> None:
    drawings = {plot.name: drawn(plot) for plot in plots(GROWTH, LARGEST)}
    assert drawings.keys() == {"observations", "trials", "patients", "memory", "workers"}
    for drawing in drawings.values():
        ET.fromstring(drawing)
    texts = [element.text for element in ET.fromstring(drawings["patients"]).iter()]
    assert {"4", "10", "290", "2", "9", "350"} <= set(texts)  # the largest screen is beside those of the growth


def test_a_line_rises_where_the_cost_does() -> None:
    plot = next(plot for plot in plots(GROWTH, {}) if plot.name == "observations")
    heights = [float(e.attrib["cy"]) for e in ET.fromstring(drawn(plot)).iter() if e.tag.endswith("circle")]
    assert heights[0] > heights[1]  # the page counts downwards
    assert heights[2] > heights[3]
    assert heights[3] > heights[1]
