"""What tests of database faults share with others."""

from __future__ import annotations

FEEDBACK = {
    "feedback": [{"card": "x", "outcome": "overridden", "outcomeTimestamp": "2026-11-01T11:00:00Z"}],
}
