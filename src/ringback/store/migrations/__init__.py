"""Alembic's migrations, packaged with Ringback and run by `Store.open`."""
