"""A sequence that is worked out only as far as it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar, overload

T = TypeVar("T")
_END = object()


class Lazily(Sequence[T], Generic[T]):
    """The items of an iterable, each taken once and kept; its length takes them all."""

    __slots__ = ("_rest", "_seen")

    def __init__(self, items: Iterable[T]) -> None:
        self._seen: list[T] = []
        self._rest = iter(items)

    def where(self, holds: Callable[[T], bool]) -> Lazily[T]:
        """Those for which it holds, in the same order."""
        return Lazily(item for item in self if holds(item))

    def _take(self, count: int | None) -> None:
        wanted = None if count is None else max(0, count - len(self._seen))
        self._seen.extend(islice(self._rest, wanted))

    def _take_one(self) -> bool:
        """Whether there is one more."""
        for item in self._rest:
            self._seen.append(item)
            return True
        return False

    def __bool__(self) -> bool:
        return bool(self._seen) or self._take_one()

    def __len__(self) -> int:
        self._take(None)
        return len(self._seen)

    def __iter__(self) -> Iterator[T]:
        seen, rest, place = self._seen, self._rest, 0
        while True:
            if place == len(seen):  # nobody else has taken more meanwhile
                item = next(rest, _END)
                if item is _END:
                    return
                seen.append(item)  # type: ignore[arg-type]
            yield seen[place]
            place += 1

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        if isinstance(place, int):
            self._take(place + 1 if place >= 0 else None)
            return self._seen[place]
        from_the_front = (place.start or 0) >= 0 and (place.step or 1) > 0
        self._take(place.stop if place.stop is not None and place.stop >= 0 and from_the_front else None)
        return tuple(self._seen[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]
