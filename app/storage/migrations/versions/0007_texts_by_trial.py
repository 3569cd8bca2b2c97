"""Of which trial and version a kept text is, so that what a version changed can be said from it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("definition_text", sa.Column("trial", sa.String, nullable=True))
    op.add_column("definition_text", sa.Column("version", sa.Integer, nullable=True))
    op.create_index("ix_definition_text_trial", "definition_text", ["trial"])


def downgrade() -> None:
    op.drop_index("ix_definition_text_trial", "definition_text")
    with op.batch_alter_table("definition_text") as table:
        table.drop_column("version")
        table.drop_column("trial")
