"""The first tables: cards shown, reports kept, feedback, dismissals, used tokens."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _instant(name: str, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, index=index)


def upgrade() -> None:
    op.create_table(
        "issued_card",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("report", sa.String, nullable=False, index=True),
        sa.Column("ehr", sa.String, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("patient", sa.String, nullable=False, index=True),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("trial", sa.String, nullable=False, index=True),
        sa.Column("definition_version", sa.Integer, nullable=False),
        sa.Column("definition_hash", sa.String, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("said", sa.String, nullable=False),
        sa.Column("evidence", sa.String, nullable=False),
        _instant("shown_at"),
    )
    op.create_table(
        "kept_report",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        _instant("expires_at", index=True),
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("ehr", sa.String, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("card", sa.String, nullable=False, index=True),
        sa.Column("trial", sa.String, nullable=True, index=True),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=True),
        sa.Column("comment", sa.LargeBinary, nullable=True),
        sa.Column("suggestions", sa.String, nullable=False),
        _instant("happened_at"),
        _instant("received_at"),
    )
    op.create_table(
        "dismissal",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("ehr", sa.String, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("patient", sa.String, nullable=False, index=True),
        sa.Column("trial", sa.String, nullable=False),
        sa.Column("said", sa.String, nullable=False),
        sa.Column("user", sa.String, nullable=True),
        _instant("until", index=True),
    )
    op.create_table(
        "used_token",
        sa.Column("id", sa.String, primary_key=True),
        _instant("expires_at", index=True),
    )


def downgrade() -> None:
    for table in ("used_token", "dismissal", "feedback", "kept_report", "issued_card"):
        op.drop_table(table)
