"""Draws how the cost grows: `python -m docs.plots`, after `python -m benchmarks.bench_growth`.

Reads `bench-results/growth.json`, and `screen.json` for the largest screen that was run; writes
docs/pictures/growth-*.svg, which are in docs/performance.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import RESULTS

FOLDER = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 30, 58, 46
COLOURS = ("#1f5fa8", "#b3541e", "#4b7a2b")  # told apart by the blind to red and green, and in grey by their marks
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """`series` by what the legend says; an axis that is `log` goes by powers of ten."""

    name: str
    title: str
    x: str
    y: str
    series: Mapping[str, Points]
    log: tuple[str, ...] = ()  # "x", "y"


def plots(figures: Mapping[str, float], largest: Mapping[str, float]) -> Iterator[Plot]:
    def of(name: str) -> Points:
        """The figures named "NAME: 100", by that number."""
        found = ((key.rpartition(": "), value) for key, value in figures.items())
        return sorted((float(number), value) for (series, _, number), value in found if series == name)

    def with_largest(name: str, of_largest: str) -> Points:
        known = [point for point in of(name) if point[0] != largest.get("patients")]
        return sorted([*known, *([(largest["patients"], largest[of_largest])] if of_largest in largest else [])])

    yield Plot(
        "observations",
        "A hook call, by the length of the chart",
        "Observations",
        "ms of processor",
        {"the call": of("hook by Observations"), "orjson.loads of its body": of("orjson.loads by Observations")},
    )
    yield Plot(
        "trials",
        "A hook call, by the number of trials served",
        "trials",
        "ms of processor",
        {"the call, 1,000 Observations": of("hook by trials")},
        ("x",),
    )
    yield Plot(
        "patients",
        "A screen, by the number of patients",
        "patients, 200 records each",
        "s of processor",
        {
            "the screen": with_largest("screen by patients", "screen, all processors"),
            "DuckDB reads and groups": with_largest("DuckDB by patients", "DuckDB, all processors"),
        },
        ("x", "y"),
    )
    yield Plot(
        "memory",
        "A screen's memory, by the number of patients",
        "patients, 200 records each",
        "MiB, all processes",
        {"most held": with_largest("screen, memory by patients", "peak memory, all processes")},
        ("x",),
    )
    yield Plot(
        "workers",
        "A second worker: what the same work costs",
        "workers",
        "times one worker",
        {
            "hook, processor": _relative(of("hook by workers")),
            "screen, processor": _relative(of("screen by workers")),
        },
    )


def _relative(points: Points) -> Points:
    return [(x, y / points[0][1]) for x, y in points]


# Drawn


def drawn(plot: Plot) -> str:
    across = _axis([x for points in plot.series.values() for x, _ in points], "x" in plot.log)
    up = _axis([y for points in plot.series.values() for _, y in points], "y" in plot.log)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + across.share(x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up.share(y) * (HEIGHT - TOP - BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="#222" role="img">',
        f"<title>{plot.title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="18" font-size="14" font-weight="600">{plot.title}</text>',
        *_grid(across, up, place),
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{plot.x}</text>',
        f'<text x="8" y="{TOP - 10}">{plot.y}</text>',
    ]
    for place_of, (name, points) in enumerate(plot.series.items()):
        parts += _line(name, [place(x, y) for x, y in points], points, place_of)
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class Axis:
    share: Callable[[float], float]  # of its length, 0 to 1
    marks: Sequence[float]


def _axis(values: Sequence[float], is_log: bool) -> Axis:
    most = max(values)
    if not is_log:
        step = _round_step(most)
        top = math.ceil(most / step * 1.02) * step
        return Axis(lambda value: value / top, [step * number for number in range(round(top / step) + 1)])
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(most))
    return Axis(lambda value: (math.log10(value) - low) / (high - low), [10.0**power for power in range(low, high + 1)])


def _round_step(most: float) -> float:
    """1, 2 or 5 times a power of ten, of which four to eight make the axis."""
    size = 10.0 ** math.floor(math.log10(most / 4))
    return next(step for step in (size, 2 * size, 5 * size, 10 * size) if most / step <= 8)


def _grid(across: Axis, up: Axis, place: Callable[[float, float], tuple[float, float]]) -> Iterable[str]:
    (x0, y0), (x1, y1) = (place(across.marks[0], up.marks[0]), place(across.marks[-1], up.marks[-1]))
    for mark in up.marks:
        _, y = place(across.marks[0], mark)
        yield f'<path d="M{x0:.1f} {y:.1f}H{x1:.1f}" stroke="#ddd"/>'
        yield f'<text x="{x0 - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{mark:,g}</text>'
    for mark in across.marks:
        x, _ = place(mark, up.marks[0])
        yield f'<path d="M{x:.1f} {y0:.1f}v4" stroke="#888"/>'
        yield f'<text x="{x:.1f}" y="{y0 + 17:.1f}" text-anchor="middle">{mark:,g}</text>'
    yield f'<path d="M{x0:.1f} {y1:.1f}V{y0:.1f}H{x1:.1f}" fill="none" stroke="#888"/>'


def _line(name: str, places: Points, points: Points, number: int) -> Iterable[str]:
    colour, dash = COLOURS[number], ("", ' stroke-dasharray="6 4"', ' stroke-dasharray="2 3"')[number]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    for (x, y), (_, value) in zip(places, points, strict=True):
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
        if value < 0.9:
            continue  # it would be written over the axis
        above = -8 if number % 2 == 0 else 17
        at = f'x="{x:.1f}" y="{y + above:.1f}" text-anchor="middle"'
        yield f'<text {at} font-size="11" fill="{colour}">{_short(value)}</text>'
    left = LEFT + 100 + number * 170
    yield f'<path d="M{left} {TOP - 14}h22" stroke="{colour}" stroke-width="2"{dash}/>'
    yield f'<text x="{left + 27}" y="{TOP - 10}">{name}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _figures(name: str) -> dict[str, float]:
    path = RESULTS / f"{name}.json"
    return {each["name"]: each["value"] for each in json.loads(path.read_text())} if path.exists() else {}


def main() -> None:
    for plot in plots(_figures("growth"), _figures("screen")):
        (FOLDER / f"growth-{plot.name}.svg").write_text(drawn(plot), encoding="utf-8")


if __name__ == "__main__":
    main()
