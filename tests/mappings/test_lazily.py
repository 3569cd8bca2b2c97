"""A lazy sequence reads like a tuple and works out no more than is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from mappings.lazily import Lazily


def test_no_more_is_worked_out_than_is_looked_at() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    lazy = Lazily(numbers())
    assert lazy
    assert lazy[1] == 1
    assert lazy[:3] == (0, 1, 2)
    assert next(number for number in lazy.where(lambda n: n % 2 == 1)) == 1
    assert taken == [0, 1, 2]
    assert len(lazy) == 10


@given(st.lists(st.integers()), st.slices(8))
def test_it_reads_like_a_tuple(items: list[int], part: slice) -> None:
    assert Lazily(items)[part] == tuple(items)[part]
    assert Lazily(items) == tuple(items)
    assert bool(Lazily(items)) is bool(items)
    assert list(Lazily(items).where(lambda n: n > 0)) == [n for n in items if n > 0]
    lazy = Lazily(items)
    assert [(a, b) for a in lazy for b in lazy] == [(a, b) for a in items for b in items]
