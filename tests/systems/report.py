"""What came of trying the service beside a real system, as a row of the table in docs/systems.md."""

from __future__ import annotations

from dataclasses import dataclass, field

NONE = "–"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was tried. `holds`: whether what came back is what must come back."""

    sent: str
    came_back: str
    holds: bool = True
    lost: str = NONE
    doubled: str = NONE
    recovery: str = NONE


@dataclass
class Report:
    """The rows of one system, with its version and how it was had."""

    system: str
    source: str
    rows: list[Row] = field(default_factory=list)

    def add(self, sent: str, came_back: object, expected: object = None, **more: str) -> None:
        """A row; with `expected`, what came back must be that."""
        holds = expected is None or came_back == expected
        self.rows.append(Row(sent, _words(came_back), holds, **more))

    @property
    def text(self) -> str:
        """The table as Markdown."""
        head = f"## {self.system}\n\n{self.source}\n\n"
        head += "| sent | came back | lost | doubled | recovery |\n|---|---|---|---|---|\n"
        lines = (
            f"| {row.sent} | {row.came_back}{'' if row.holds else ' **(wrong)**'} | {row.lost} | {row.doubled} "
            f"| {row.recovery} |\n"
            for row in self.rows
        )
        return head + "".join(lines)


def _words(value: object) -> str:
    return "; ".join(map(_words, value)) if isinstance(value, list | tuple) else str(value)
