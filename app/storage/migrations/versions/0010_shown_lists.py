"""Which rows a list showed: one line of the audit trail for a list, in the place of one for each row."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "shown_list",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("numbers", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "listed_row",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("ehr", sa.String, nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("patient", sa.String, nullable=False),
        sa.Column("trial", sa.String, nullable=False),
        sa.UniqueConstraint("patient", "trial", name="listed_row_once"),
    )
    op.add_column("audited_call", sa.Column("shown_list", sa.String, nullable=True))
    op.create_index("ix_audited_call_shown_list", "audited_call", ["shown_list"])


def downgrade() -> None:
    op.drop_index("ix_audited_call_shown_list", "audited_call")
    with op.batch_alter_table("audited_call") as table:
        table.drop_column("shown_list")
    op.drop_table("listed_row")
    op.drop_table("shown_list")
