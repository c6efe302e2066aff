"""Run the migrations on the connection that the store hands over; there is no offline mode."""

from alembic import context

from ringback.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's DDL is transactional, the store commits or rolls back as a whole
    render_as_batch=True,  # SQLite alters tables by copying them
)
with context.begin_transaction():
    context.run_migrations()
