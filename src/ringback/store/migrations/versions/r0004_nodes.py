"""Rows say which server's they are, because several may use one database; what is up and what is old is found by an index.

The index of calls by their start goes: SQLite never used it, because each list is one account's, newest first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("calls", "conferences", "registrations"):
        op.add_column(table, sa.Column("node", sa.Text))
    is_up = sa.text("end_time IS NULL")
    op.create_index("ix_calls_up", "calls", ["date_created"], sqlite_where=is_up, postgresql_where=is_up)
    op.create_index("ix_journals_date_created", "journals", ["date_created"])
    op.drop_index("ix_calls_start_time", "calls")
