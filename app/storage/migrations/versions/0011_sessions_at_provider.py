"""By what the provider names a login: to end it when the provider does, and there when a person ends it here."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("login_session", sa.Column("subject", sa.String, nullable=True))
    op.add_column("login_session", sa.Column("at_provider", sa.String, nullable=True))
    op.add_column("login_session", sa.Column("id_token", sa.LargeBinary, nullable=True))
    op.create_index("ix_login_session_subject", "login_session", ["subject"])
    op.create_index("ix_login_session_at_provider", "login_session", ["at_provider"])


def downgrade() -> None:
    op.drop_index("ix_login_session_at_provider", "login_session")
    op.drop_index("ix_login_session_subject", "login_session")
    with op.batch_alter_table("login_session") as table:
        table.drop_column("id_token")
        table.drop_column("at_provider")
        table.drop_column("subject")
