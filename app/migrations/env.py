"""Runs the migrations on the connection that `Records.prepare` hands over."""

from alembic import context
from sqlmodel import SQLModel

import app.attestations  # (the tables)
import app.pending
import app.sessions
import app.sign_offs
import app.tables
import app.worklist.tables  # noqa: F401

context.configure(
    connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
