"""What Alembic runs: every step in the transaction of the connection that `schema` holds."""

from __future__ import annotations

from alembic import context

from jupyter_ext.store.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite can: a step that fails half-way leaves nothing behind.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
