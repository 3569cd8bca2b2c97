"""The drawing of an analyte over time: where its points lie, which limits it shows, and how it is said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from decimal import Decimal

import pytest

from cds_hooks.explanation.trends import HEIGHT, WIDTH, Limit, Trend, limits_of, trend_of
from cds_hooks.words.wording import titles_of
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Interval, Range, Reason, Result
from mappings.time.times import parse_moment
from tests.support.paraphrase import asked
from trial_defs.definition.expressions import Criterion


def platelets(value: str, day: str, problem: Reason | None = None, normal: Range | None = None) -> Result:
    return Result(
        "platelets",
        f"Observation/{day}",
        parse_moment(day, UTC),
        Interval.exactly(Decimal(value)),
        "10*9/L",
        f"{value} K/uL",
        range=normal,
        problem=problem,
    )


def criterion(text: str, catalogue: Catalogue, kind: str = "inclusion") -> Criterion:
    assert kind in ("inclusion", "exclusion")
    side = "inclusion" if kind == "inclusion" else "exclusion"
    return Criterion("X1", side, "Example", "Example", asked(text, catalogue))  # type: ignore[arg-type]


def drawn(results: Sequence[Result], *limits: Limit) -> Trend:
    trend = trend_of(results, limits, titles_of(None))
    assert trend
    return trend


HISTORY = [platelets("24", "2026-10-20"), platelets("31", "2026-09-01"), platelets("58", "2026-06-01")]


def test_points_run_from_old_to_new_and_higher_values_lie_higher() -> None:
    trend = drawn(HISTORY)
    across = [point.x for point in trend.points]
    down = [point.y for point in trend.points]
    assert across == sorted(across)
    assert down == sorted(down)
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in zip(across, down, strict=True))
    assert (trend.first_day, trend.last_day, trend.newest) == ("2026-06-01", "2026-10-20", "24")


def test_who_does_not_see_the_drawing_hears_it() -> None:
    assert drawn(HISTORY, Limit(Decimal(25), True)).said == (
        "Platelets from 2026-06-01 to 2026-10-20: 58, 31, 24 × 10⁹/L, the newest 24 × 10⁹/L; limit 25"
    )


def test_one_result_is_no_trend() -> None:
    assert trend_of(HISTORY[:1], (), titles_of(None)) is None
    assert trend_of([], (), titles_of(None)) is None


def test_a_result_that_cannot_be_used_is_not_drawn() -> None:
    history = [*HISTORY, platelets("9000", "2026-05-01", Reason.IMPLAUSIBLE)]
    assert len(drawn(history).points) == 3


def test_a_long_history_is_drawn_with_its_newest_twenty() -> None:
    history = [platelets(str(100 + n), date(2026, 1, 1 + n).isoformat()) for n in reversed(range(30))]
    trend = drawn(history)
    assert len(trend.points) == 20
    assert trend.last_day == "2026-01-30"


def test_the_good_side_of_a_limit_is_shaded() -> None:
    above = drawn(HISTORY, Limit(Decimal(25), True))
    (line,) = above.lines
    assert above.zone
    assert (above.zone.top, above.zone.top + above.zone.height) == (10, line.y)
    below = drawn(HISTORY, Limit(Decimal(25), False))
    assert below.zone
    assert below.zone.top == line.y


def test_between_two_limits_is_shaded_and_two_of_one_kind_are_not() -> None:
    between = drawn(HISTORY, Limit(Decimal(25), True), Limit(Decimal(50), False))
    assert between.zone
    assert between.zone.top == between.lines[1].y
    assert drawn(HISTORY, Limit(Decimal(25), True), Limit(Decimal(50), True)).zone is None


def test_the_label_of_the_newest_value_stays_clear_of_the_limits() -> None:
    trend = drawn(HISTORY, Limit(Decimal(25), True))
    assert abs(trend.newest_y - trend.lines[0].y) >= 13


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ('{value: {of: platelets, is: ">= 25 10*9/L"}}', "inclusion", [Limit(Decimal(25), True)]),
        ('{value: {of: platelets, is: "< 50 10*9/L"}}', "exclusion", [Limit(Decimal(50), True)]),
        ('{not: {value: {of: platelets, is: "< 50 10*9/L"}}}', "inclusion", [Limit(Decimal(50), True)]),
        (
            '{value: {of: platelets, is: "30..90 10*9/L"}}',
            "inclusion",
            [Limit(Decimal(30), True), Limit(Decimal(90), False)],
        ),
        ('{value: {of: hemoglobin, is: ">= 8 g/dL"}}', "inclusion", []),
        ('{value: {of: platelets, is: "<= 2 ULN"}}', "inclusion", [Limit(Decimal(800), False)]),
    ],
)
def test_limits_are_those_of_the_criterion(text: str, kind: str, expected: list[Limit], catalogue: Catalogue) -> None:
    newest = platelets("60", "2026-10-20", normal=Range(Decimal(150), Decimal(400), "own"))
    assert list(limits_of(criterion(text, catalogue, kind), "platelets", newest)) == expected


def test_a_limit_of_normal_that_did_not_come_with_the_result_is_not_drawn(catalogue: Catalogue) -> None:
    asks = criterion('{value: {of: platelets, is: "<= 2 ULN"}}', catalogue)
    assert limits_of(asks, "platelets", platelets("60", "2026-10-20")) == ()
