"""What a row of the worklist says of the person, and who works on it until when."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("worklist_row", sa.Column("person", sa.LargeBinary, nullable=True))
    op.add_column("worklist_row", sa.Column("owner", sa.String, nullable=True))
    op.add_column("worklist_row", sa.Column("due_on", sa.Date, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("worklist_row") as table:
        table.drop_column("due_on")
        table.drop_column("owner")
        table.drop_column("person")
