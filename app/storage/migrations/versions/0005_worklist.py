"""The coordinator's worklist, what happened to its rows, and who is logged in."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _text(name: str, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String, nullable=False, index=index)


def _number(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer, nullable=False)


def _instant(name: str, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, index=index)


def upgrade() -> None:
    op.create_table(
        "worklist_row",
        sa.Column("id", sa.String, primary_key=True),
        _text("ehr"),
        _text("tenant"),
        _text("patient", index=True),
        sa.Column("patient_id", sa.LargeBinary, nullable=False),
        _text("trial", index=True),
        _text("verdict"),
        _number("rank"),
        _text("cohort"),
        _number("not_met"),
        _number("unknown"),
        _number("needs_human"),
        sa.Column("recheck_on", sa.Date, nullable=True),
        _number("definition_version"),
        _text("definition_hash"),
        _text("said"),
        sa.Column("findings", sa.LargeBinary, nullable=True),
        _text("report"),
        _text("source"),
        _instant("first_seen"),
        _instant("last_seen", index=True),
        _text("left"),
        _text("status"),
        _instant("changed_at"),
        sa.UniqueConstraint("patient", "trial", name="worklist_row_once"),
    )
    op.create_table(
        "worklist_event",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("row", index=True),
        _instant("at"),
        _text("kind"),
        _text("said"),
        sa.Column("note", sa.LargeBinary, nullable=True),
        _text("person"),
        _text("subject"),
    )
    op.create_table(
        "login_session",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("person", sa.LargeBinary, nullable=False),
        _instant("seen_at"),
        _instant("ends_at", index=True),
    )


def downgrade() -> None:
    op.drop_table("login_session")
    op.drop_table("worklist_event")
    op.drop_table("worklist_row")
