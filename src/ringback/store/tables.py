"""The tables. Columns carry Twilio's field names; a comment marks those that Twilio does not show.

What Twilio computes (`uri`, `url`, `links`, `subresource_uris`, `auth_type`, `*_formatted`) is not stored.
"""

from typing import Any

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint
from sqlalchemy import text as sql_text
from sqlalchemy.schema import SchemaItem

from ringback.store.columns import big, blob, data, flag, moment, number, parent, real, secret, text, texts

API_VERSION = "2010-04-01"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SID_PREFIXES: dict[str, str] = {}
"""Table name to the prefix of its SIDs; tables whose key is given from outside are missing."""


def _resource(
    name: str,
    prefix: str | None,
    *items: SchemaItem | list[Column[Any]],
    key: str = "sid",
    listed: bool = True,
) -> Table:
    """Declare a resource table: key, account, dates, and the given columns and rules.

    Rows that are `listed` by account or date have an index on each. An index costs each call more than a column.
    """
    if prefix is not None:
        SID_PREFIXES[name] = prefix
    flat = [part for item in items for part in (item if isinstance(item, list) else [item])]
    return Table(
        name,
        metadata,
        Column(key, Text, primary_key=True),
        text("account_sid", required=True, index=listed),
        moment("date_created", required=True, index=listed),
        moment("date_updated", required=True),
        *flat,
    )


def _only(condition: str) -> dict[str, Any]:
    """Return the options of an index on the rows that meet a condition."""
    return {"sqlite_where": sql_text(condition), "postgresql_where": sql_text(condition)}


def _voice(status_callback: str = "status_callback", suffix: str = "") -> list[Column[Any]]:
    """Declare the voice and status callback URLs with their methods."""
    return [
        text("voice_url"),
        text("voice_method", "POST"),
        text("voice_fallback_url"),
        text("voice_fallback_method", "POST"),
        text(f"{status_callback}{suffix}"),
        text(f"{status_callback}_method", "POST"),
    ]


def _sms() -> list[Column[Any]]:
    """Declare the message URLs, which are kept for Twilio's SDKs and not used."""
    return [
        text("sms_url"),
        text("sms_method", "POST"),
        text("sms_fallback_url"),
        text("sms_fallback_method", "POST"),
    ]


accounts = _resource(
    "accounts",
    "AC",  # account_sid is the account's own sid
    text("friendly_name"),
    text("owner_account_sid"),
    text("status", "active"),
    text("type", "Full"),
    secret("auth_token", required=True),
    secret("secondary_auth_token"),  # not shown: accepted beside the first while tokens are rotated
    text("default_byoc_trunk_sid"),  # not shown: the carrier of calls that name none
)

api_keys = _resource("api_keys", "SK", text("friendly_name"), secret("secret_sha256", required=True))

incoming_phone_numbers = _resource(
    "incoming_phone_numbers",
    "PN",
    Column("phone_number", Text, nullable=False, unique=True),
    text("friendly_name"),
    text("api_version", API_VERSION),
    data("capabilities", {"voice": True, "sms": False, "mms": False, "fax": False}),
    text("address_requirements", "none"),
    text("origin", "twilio"),
    text("status", "in-use"),
    text("voice_receive_mode", "voice"),
    text("emergency_status", "Inactive"),
    text("emergency_address_status", "unregistered"),
    texts("voice_application_sid", "sms_application_sid", "trunk_sid", "address_sid", "identity_sid"),
    texts("bundle_sid", "emergency_address_sid", "type"),
    flag("beta"),
    flag("voice_caller_id_lookup"),
    _voice(),
    _sms(),
)

applications = _resource(
    "applications",
    "AP",
    text("friendly_name"),
    text("api_version", API_VERSION),
    flag("voice_caller_id_lookup"),
    flag("public_application_connect_enabled"),
    texts("message_status_callback", "sms_status_callback"),
    _voice(),
    _sms(),
)

outgoing_caller_ids = _resource(
    "outgoing_caller_ids",
    "PN",
    text("phone_number", required=True),
    text("friendly_name"),
    UniqueConstraint("account_sid", "phone_number"),
)

sip_domains = _resource(
    "sip_domains",
    "SD",
    Column("domain_name", Text, nullable=False, unique=True),
    text("friendly_name"),
    text("api_version", API_VERSION),
    flag("sip_registration"),
    flag("secure"),
    flag("emergency_calling_enabled"),
    texts("byoc_trunk_sid", "emergency_caller_sid"),
    text("digest_algorithm", "MD5"),  # not shown: the challenge's, "MD5", "SHA-256" or "SHA-256,MD5"
    _voice("voice_status_callback", "_url"),
)

sip_credential_lists = _resource("sip_credential_lists", "CL", text("friendly_name"))

sip_credentials = _resource(
    "sip_credentials",
    "CR",
    parent("credential_list_sid", "sip_credential_lists"),
    text("username", required=True),
    secret("ha1_md5", required=True),  # never shown: RFC 7616 section 3.4.2, against the installation's realm
    secret("ha1_sha256", required=True),  # never shown
    UniqueConstraint("credential_list_sid", "username"),
)

sip_ip_access_control_lists = _resource("sip_ip_access_control_lists", "AL", text("friendly_name"))

sip_ip_addresses = _resource(
    "sip_ip_addresses",
    "IP",
    parent("ip_access_control_list_sid", "sip_ip_access_control_lists"),
    text("friendly_name"),
    text("ip_address", required=True),
    number("cidr_prefix_length", 32),
)

sip_domain_mappings = _resource(
    "sip_domain_mappings",
    "DM",  # not shown: Twilio gives the list's sid as the mapping's
    parent("domain_sid", "sip_domains"),
    text("kind", required=True),
    text("list_sid", required=True, index=True),  # CL or AL, by the kind
    UniqueConstraint("domain_sid", "kind", "list_sid"),
)

connection_policies = _resource("connection_policies", "NY", text("friendly_name"))

connection_policy_targets = _resource(
    "connection_policy_targets",
    "NE",
    parent("connection_policy_sid", "connection_policies"),
    text("friendly_name"),
    text("target", required=True),
    number("priority", 10),
    number("weight", 10),
    flag("enabled", True),
)

byoc_trunks = _resource(
    "byoc_trunks",
    "BY",
    text("friendly_name"),
    flag("cnam_lookup_enabled"),
    texts("connection_policy_sid", "from_domain_sid"),
    _voice("status_callback", "_url"),
)

ip_records = _resource(
    "ip_records",
    "IL",
    text("friendly_name"),
    text("ip_address", required=True),
    number("cidr_prefix_length", 32),
    number("port"),  # not shown: source port, null for any; tells carriers on one host apart
)

source_ip_mappings = _resource(
    "source_ip_mappings",
    "IB",
    parent("ip_record_sid", "ip_records"),
    parent("sip_domain_sid", "sip_domains"),
)

twiml_bins = _resource("twiml_bins", "EH", text("friendly_name", index=True), text("twiml", required=True))

calls = _resource(
    "calls",
    "CA",
    texts("to", "from", "phone_number_sid", "status", "direction", "duration", "price", "price_unit"),
    text("parent_call_sid"),
    texts("answered_by", "forwarded_from", "group_sid", "caller_name", "queue_time", "trunk_sid"),
    text("api_version", API_VERSION),
    moment("start_time"),
    moment("end_time"),
    texts("sip_call_id", "error_code"),  # not shown
    number("sip_response_code"),  # not shown
    data("dialogs"),  # not shown: those to hang up in if this server dies; null when the call is over
    text("node"),  # not shown: the server that has the call
    Index("ix_calls_up", "date_created", **_only("end_time IS NULL")),
    Index("ix_calls_account_sid", "account_sid", "date_created"),
    Index("ix_calls_parent_call_sid", "parent_call_sid", **_only("parent_call_sid IS NOT NULL")),
    listed=False,
)

conferences = _resource(
    "conferences",
    "CF",
    texts("friendly_name", "region", "status", "reason_conference_ended", "call_sid_ending_conference"),
    text("api_version", API_VERSION),
    text("node"),  # not shown: the server that has the conference
    Index("ix_conferences_account_sid", "account_sid", "date_created"),
    listed=False,
)

call_events = _resource(
    "call_events",
    "EV",  # not shown
    text("call_sid", required=True, index=True),
    number("sequence", 0),
    data("request"),
    data("response"),
)

notifications = _resource(
    "notifications",
    "NO",
    text("call_sid", index=True),
    text("api_version", API_VERSION),
    texts("error_code", "log", "message_text", "more_info", "request_method", "request_url"),
    texts("request_variables", "response_headers", "response_body"),
    moment("message_date"),
)

journals = _resource(
    "journals",
    None,
    text("version"),
    blob("body"),
    Index("ix_journals_date_created", "date_created"),
    key="call_sid",
    listed=False,
)

registrations = _resource(
    "registrations",
    None,  # the sid follows from the server, the AOR and the contact
    text("node"),  # the server that the phone registered with
    text("domain_sid"),
    text("aor", required=True),
    text("contact", required=True),
    data("received"),
    moment("expires_at", required=True),
    texts("call_id", "user_agent", "instance", "reg_id"),
    data("path"),
    big("cseq"),
    real("q"),
    listed=False,
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    text("realm", required=True),
    Column("nonce_key", LargeBinary, nullable=False),
    Column("session_key", LargeBinary, nullable=False),
    text("default_domain_sid"),
    moment("date_created", required=True),
)

FACTS = frozenset({"calls", "conferences", "call_events", "notifications", "journals", "registrations"})
"""Tables that the facts writer owns; they are not part of the configuration."""

CONFIGURATION = tuple(
    table.name for table in metadata.sorted_tables if table.name not in FACTS and table.name != "installation"
)
"""Tables that are kept in memory as a whole, parents before their parts."""
