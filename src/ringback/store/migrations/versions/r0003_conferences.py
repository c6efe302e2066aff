"""Conferences are kept as calls are, because what has ended can be read as long as the database lasts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXTS = (
    "friendly_name",
    "region",
    "status",
    "reason_conference_ended",
    "call_sid_ending_conference",
    "api_version",
)


def upgrade() -> None:
    op.create_table(
        "conferences",
        sa.Column("sid", sa.Text, nullable=False),
        sa.Column("account_sid", sa.Text, nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        *[sa.Column(name, sa.Text) for name in _TEXTS],
        sa.PrimaryKeyConstraint("sid", name="pk_conferences"),
    )
    op.create_index("ix_conferences_account_sid", "conferences", ["account_sid", "date_created"])
