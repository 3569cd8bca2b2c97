"""Runs the migrations on the connection that `Records.prepare` hands over."""

from alembic import context
from sqlmodel import SQLModel

import app.definitions.sign_offs
import app.login.sessions
import app.oauth.pending
import app.storage.attestations  # (the tables)
import app.storage.tables
import app.worklist.tables  # noqa: F401

context.configure(
    connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
