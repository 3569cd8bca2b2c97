"""The audit trail: one line for each call about a patient."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "audited_call",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("ehr", sa.String, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("patient", sa.String, nullable=False, index=True),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("report", sa.String, nullable=False),
        sa.Column("definitions", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("audited_call")
