"""The first schema: accounts, numbers, SIP domains and their access, carriers, calls, registrations."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A migration describes the schema of its day: it imports nothing of the store, whose tables go on.


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text) for name in names]


def _required(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _flags(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Boolean, nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Integer) for name in names]


def _data(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.JSON) for name in names]


def _moments(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.DateTime(timezone=True)) for name in names]


def _unique(table: str, *names: str) -> list[sa.UniqueConstraint]:
    return [sa.UniqueConstraint(*names, name=f"uq_{table}_{names[0]}")]


def _part_of(table: str, name: str, parent: str) -> list[Any]:
    rule = sa.ForeignKeyConstraint([name], [f"{parent}.sid"], name=f"fk_{table}_{name}", ondelete="CASCADE")
    return [sa.Column(name, sa.Text, nullable=False), rule]


def _table(name: str, *parts: list[Any], key: str = "sid", indexes: tuple[str, ...] = ()) -> None:
    """Create a resource's table: key, account and dates, then the given parts."""
    op.create_table(
        name,
        sa.Column(key, sa.Text, nullable=False),
        sa.Column("account_sid", sa.Text, nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        *[part for group in parts for part in group],
        sa.PrimaryKeyConstraint(key, name=f"pk_{name}"),
    )
    for column in ("account_sid", "date_created", *indexes):
        op.create_index(f"ix_{name}_{column}", name, [column])


def _installation() -> None:
    """Create the table of the one row that belongs to the installation as a whole."""
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("realm", sa.Text, nullable=False),
        sa.Column("nonce_key", sa.LargeBinary, nullable=False),
        sa.Column("session_key", sa.LargeBinary, nullable=False),
        sa.Column("default_domain_sid", sa.Text),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )


def _identity() -> None:
    """Create accounts, keys and applications."""
    _table(
        "accounts",
        _texts(
            "friendly_name",
            "owner_account_sid",
            "status",
            "type",
            "secondary_auth_token",
            "default_byoc_trunk_sid",
        ),
        _required("auth_token"),
    )
    _table("api_keys", _texts("friendly_name"), _required("secret_sha256"))
    _table(
        "applications",
        _texts(
            "friendly_name",
            "api_version",
            "message_status_callback",
            "sms_status_callback",
            "voice_url",
            "voice_method",
            "voice_fallback_url",
            "voice_fallback_method",
            "status_callback",
            "status_callback_method",
            "sms_url",
            "sms_method",
            "sms_fallback_url",
            "sms_fallback_method",
        ),
        _flags("voice_caller_id_lookup", "public_application_connect_enabled"),
    )


def _numbers_and_bins() -> None:
    """Create numbers, caller IDs and bins."""
    _table(
        "incoming_phone_numbers",
        _required("phone_number"),
        _texts(
            "friendly_name",
            "api_version",
            "address_requirements",
            "origin",
            "status",
            "voice_receive_mode",
            "emergency_status",
            "emergency_address_status",
            "voice_application_sid",
            "sms_application_sid",
            "trunk_sid",
            "address_sid",
            "identity_sid",
            "bundle_sid",
            "emergency_address_sid",
            "type",
            "voice_url",
            "voice_method",
            "voice_fallback_url",
            "voice_fallback_method",
            "status_callback",
            "status_callback_method",
            "sms_url",
            "sms_method",
            "sms_fallback_url",
            "sms_fallback_method",
        ),
        _data("capabilities"),
        _flags("beta", "voice_caller_id_lookup"),
        _unique("incoming_phone_numbers", "phone_number"),
    )
    _table(
        "outgoing_caller_ids",
        _required("phone_number"),
        _texts("friendly_name"),
        _unique("outgoing_caller_ids", "account_sid", "phone_number"),
    )
    _table("twiml_bins", _texts("friendly_name"), _required("twiml"), indexes=("friendly_name",))


def _sip() -> None:
    """Create SIP domains and who may use them."""
    _table("sip_credential_lists", _texts("friendly_name"))
    _table(
        "sip_domains",
        _required("domain_name"),
        _texts(
            "friendly_name",
            "api_version",
            "byoc_trunk_sid",
            "emergency_caller_sid",
            "digest_algorithm",
            "voice_url",
            "voice_method",
            "voice_fallback_url",
            "voice_fallback_method",
            "voice_status_callback_url",
            "voice_status_callback_method",
        ),
        _flags("sip_registration", "secure", "emergency_calling_enabled"),
        _unique("sip_domains", "domain_name"),
    )
    _table("sip_ip_access_control_lists", _texts("friendly_name"))
    _table(
        "sip_credentials",
        _part_of("sip_credentials", "credential_list_sid", "sip_credential_lists"),
        _required("username", "ha1_md5", "ha1_sha256"),
        _unique("sip_credentials", "credential_list_sid", "username"),
        indexes=("credential_list_sid",),
    )
    _table(
        "sip_domain_mappings",
        _part_of("sip_domain_mappings", "domain_sid", "sip_domains"),
        _required("kind", "list_sid"),
        _unique("sip_domain_mappings", "domain_sid", "kind", "list_sid"),
        indexes=("domain_sid", "list_sid"),
    )
    _table(
        "sip_ip_addresses",
        _part_of("sip_ip_addresses", "ip_access_control_list_sid", "sip_ip_access_control_lists"),
        _texts("friendly_name"),
        _required("ip_address"),
        _numbers("cidr_prefix_length"),
        indexes=("ip_access_control_list_sid",),
    )


def _carriers() -> None:
    """Create carriers: trunks, policies and their source addresses."""
    _table(
        "byoc_trunks",
        _texts(
            "friendly_name",
            "connection_policy_sid",
            "from_domain_sid",
            "voice_url",
            "voice_method",
            "voice_fallback_url",
            "voice_fallback_method",
            "status_callback_url",
            "status_callback_method",
        ),
        _flags("cnam_lookup_enabled"),
    )
    _table("connection_policies", _texts("friendly_name"))
    _table(
        "ip_records", _texts("friendly_name"), _required("ip_address"), _numbers("cidr_prefix_length", "port")
    )
    _table(
        "connection_policy_targets",
        _part_of("connection_policy_targets", "connection_policy_sid", "connection_policies"),
        _texts("friendly_name"),
        _required("target"),
        _numbers("priority", "weight"),
        _flags("enabled"),
        indexes=("connection_policy_sid",),
    )
    _table(
        "source_ip_mappings",
        _part_of("source_ip_mappings", "ip_record_sid", "ip_records"),
        _part_of("source_ip_mappings", "sip_domain_sid", "sip_domains"),
        indexes=("ip_record_sid", "sip_domain_sid"),
    )


def _facts() -> None:
    """Create calls, and what is told of each: steps and a journal."""
    _table(
        "call_events",
        _required("call_sid"),
        _numbers("sequence"),
        _data("request", "response"),
        indexes=("call_sid",),
    )
    _table(
        "calls",
        _texts(
            "to",
            "from",
            "phone_number_sid",
            "status",
            "direction",
            "duration",
            "price",
            "price_unit",
            "parent_call_sid",
            "answered_by",
            "forwarded_from",
            "group_sid",
            "caller_name",
            "queue_time",
            "trunk_sid",
            "api_version",
            "sip_call_id",
            "error_code",
        ),
        _moments("start_time", "end_time"),
        _numbers("sip_response_code"),
        indexes=("parent_call_sid", "start_time"),
    )
    _table(
        "journals", _texts("version"), [sa.Column("body", sa.LargeBinary)], _data("dialogs"), key="call_sid"
    )


def _events() -> None:
    """Create notifications and registrations."""
    _table(
        "notifications",
        _texts(
            "call_sid",
            "api_version",
            "error_code",
            "log",
            "message_text",
            "more_info",
            "request_method",
            "request_url",
            "request_variables",
            "response_headers",
            "response_body",
        ),
        _moments("message_date"),
        indexes=("call_sid",),
    )
    _table(
        "registrations",
        _texts("domain_sid", "call_id", "user_agent", "instance", "reg_id"),
        _required("aor", "contact"),
        _data("received", "path"),
        [sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False)],
        [sa.Column("cseq", sa.BigInteger)],
        [sa.Column("q", sa.Double)],
        indexes=("expires_at",),
    )


def upgrade() -> None:
    _installation()
    _identity()
    _numbers_and_bins()
    _sip()
    _carriers()
    _facts()
    _events()
