"""What people answered to criteria that are for a person to judge, and which definitions they signed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _text(name: str, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String, nullable=False, index=index)


def _instant(name: str, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, index=index)


def upgrade() -> None:
    op.create_table(
        "attestation",
        sa.Column("id", sa.String, primary_key=True),
        _text("ehr"),
        _text("tenant"),
        _text("patient", index=True),
        _text("trial"),
        _text("criterion"),
        _text("sealed"),
        _instant("given_at"),
        sa.Column("until", sa.Date, nullable=False, index=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_table(
        "sign_off",
        sa.Column("id", sa.String, primary_key=True),
        _text("trial", index=True),
        _text("hash"),
        sa.Column("version", sa.Integer, nullable=False),
        _text("person"),
        _text("subject"),
        _instant("signed_at"),
        sa.Column("on", sa.Date, nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("sign_off")
    op.drop_table("attestation")
