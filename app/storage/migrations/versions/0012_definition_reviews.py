"""Definitions under review: the text as it is by now, who changed which part of it, and who signed each part."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _text(name: str, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String, nullable=False, index=index)


def _instant(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def upgrade() -> None:
    op.create_table(
        "definition_review",
        sa.Column("trial", sa.String, primary_key=True),
        _text("content"),
        _text("began_from"),
        sa.Column("revision", sa.Integer, nullable=False),
        _instant("changed_at"),
    )
    op.create_table(
        "definition_edit",
        sa.Column("id", sa.String, primary_key=True),
        _text("trial", index=True),
        _text("part"),
        _text("act"),
        _text("person"),
        _text("subject"),
        _instant("at"),
    )
    op.create_table(
        "part_signature",
        sa.Column("id", sa.String, primary_key=True),
        _text("trial", index=True),
        _text("part"),
        _text("hash"),
        _text("person"),
        _text("subject"),
        _text("meaning"),
        _instant("signed_at"),
    )
    op.create_table(
        "screened_criterion",
        sa.Column("trial", sa.String, primary_key=True),
        sa.Column("criterion", sa.String, primary_key=True),
        sa.Column("met", sa.Integer, nullable=False),
        sa.Column("not_met", sa.Integer, nullable=False),
        sa.Column("open", sa.Integer, nullable=False),
        _text("definition_hash"),
        _instant("as_of"),
    )


def downgrade() -> None:
    for table in ("screened_criterion", "part_signature", "definition_edit", "definition_review"):
        op.drop_table(table)
