"""For which call a token was used, and from when on the same call may use it again."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("used_token", sa.Column("call", sa.String, nullable=True))
    op.add_column("used_token", sa.Column("free_from", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("used_token") as table:
        table.drop_column("free_from")
        table.drop_column("call")
