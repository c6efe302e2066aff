"""Dialogs move from the journals to the calls that they belong to, and indexes that no query needs go."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_UNUSED = {
    "journals": ("account_sid", "date_created"),
    "registrations": ("account_sid", "date_created", "expires_at"),
    "calls": ("account_sid", "date_created", "parent_call_sid"),
}


def upgrade() -> None:
    op.add_column("calls", sa.Column("dialogs", sa.JSON))
    op.execute(
        "UPDATE calls SET dialogs = (SELECT dialogs FROM journals WHERE journals.call_sid = calls.sid)"
        " WHERE end_time IS NULL"
    )
    for table, columns in _UNUSED.items():
        for column in columns:
            op.drop_index(f"ix_{table}_{column}", table)
    op.create_index("ix_calls_account_sid", "calls", ["account_sid", "date_created"])
    dialed = sa.text("parent_call_sid IS NOT NULL")
    op.create_index(
        "ix_calls_parent_call_sid",
        "calls",
        ["parent_call_sid"],
        sqlite_where=dialed,
        postgresql_where=dialed,
    )
    with op.batch_alter_table("journals") as journals:
        journals.drop_column("dialogs")
