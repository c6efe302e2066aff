"""Settings of a server: from the command line, the environment (RINGBACK_...), DIR/ringback.toml, defaults."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ringback.app.errors import Unusable
from ringback.shell.housekeeping import Kept
from ringback.shell.vanished import VANISHED_AFTER

SETTINGS_FILE = "ringback.toml"
DATA_FOLDER = "data"

PREFIX = "RINGBACK_"
OF_OTHERS = ("RINGBACK_REQUIRE_CORE", "RINGBACK_PURE", "RINGBACK_WITHOUT_NPM")
"""Variables with this prefix that are no settings of a server: of the build, and of the choice of twins."""

LOG_LEVELS = ("debug", "info", "warning", "error")

LEAST_RTP = 500
"""Ports of sound: the sandbox carrier has 400 of them, and a call takes two for each leg."""

_HOST_NAME = re.compile(
    r"(?=.{1,200}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\Z"
)


class Address(NamedTuple):
    """An IP literal and a port (0: any that is free)."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default: Address) -> Address:
        """Read ``127.0.0.1:8080``, ``:8080`` (every address), ``[::1]:8080``, ``127.0.0.1`` or ``8080``.

        What is not said is the default's: a port alone opens nothing to the world that was not open before.
        Raises ValueError.
        """
        text = text.strip()
        host, _, port = text.rpartition(":") if not text.isdigit() else (default.host, "", text)
        if text.endswith("]") or (":" not in text and not text.isdigit()):
            host, port = text, str(default.port)
        host = {"": "0.0.0.0", "localhost": "127.0.0.1"}.get(host, host.strip("[]"))
        ipaddress.ip_address(host)
        number = int(port)
        if not 0 <= number <= 65535:
            raise ValueError(f"{number} is no port: 0 to 65535")
        return cls(host, number)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


HTTP = Address("127.0.0.1", 8080)
SIP = Address("0.0.0.0", 5060)
SIPS = Address("0.0.0.0", 5061)


class Settings(BaseSettings):
    """What a server can be told. See docs/settings.md."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", env_ignore_empty=True)

    http: str = str(HTTP)
    sip: str = str(SIP)
    sips: str = str(SIPS)
    rtp: str = "10000-20000"
    public_address: str = "auto"
    base_domain: str = "ringback.localhost"
    database: str = ""
    certificate: str = ""
    key: str = ""
    max_calls: int = Field(0, ge=0)
    drain: float = Field(60.0, ge=0)
    vanished_after: float = Field(VANISHED_AFTER, ge=1)
    keep_records: float = Field(Kept().records, ge=0, le=36_500)
    keep_timelines: float = Field(Kept().timelines, ge=0, le=36_500)
    log_level: str = "info"
    account_sid: str = ""
    auth_token: SecretStr = SecretStr("")
    phone_password: SecretStr = SecretStr("")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line goes before the environment, and both before the file."""
        given = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        file = InitSettingsSource(settings_cls, init_kwargs=given.get("from_file", {}))
        line = InitSettingsSource(settings_cls, init_kwargs=given.get("from_line", {}))
        return line, env_settings, file

    @field_validator("http", "sip", "sips")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            Address.parse(value, HTTP)
        except ValueError:
            raise ValueError(f"{value!r} is no address: IP:PORT is wanted, such as 127.0.0.1:8080") from None
        return value

    @field_validator("rtp")
    @classmethod
    def _ports(cls, value: str) -> str:
        match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value.strip())
        if match is None or not 1024 <= int(match[1]) < int(match[2]) <= 65535:
            raise ValueError(f"{value!r} is no range of ports: LOW-HIGH is wanted, such as 10000-20000")
        if int(match[2]) - int(match[1]) + 1 < LEAST_RTP:
            raise ValueError(
                f"{value!r} are too few ports: {LEAST_RTP} at least, for calls and the sandbox carrier"
            )
        return value.strip()

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.lower() not in LOG_LEVELS:
            raise ValueError(f"{value!r} is no level: {', '.join(LOG_LEVELS)} are")
        return value.lower()

    @field_validator("public_address")
    @classmethod
    def _public(cls, value: str) -> str:
        if value != "auto":
            try:
                ipaddress.ip_address(value)
            except ValueError:
                raise ValueError(f'{value!r} is no IP address; "auto" is the other choice') from None
        return value

    @field_validator("base_domain")
    @classmethod
    def _domain(cls, value: str) -> str:
        if not _HOST_NAME.match(value):
            raise ValueError(f"{value!r} is no domain name")
        return value.lower()

    @field_validator("account_sid")
    @classmethod
    def _sid(cls, value: str) -> str:
        if value and not re.fullmatch(r"AC[0-9a-f]{32}", value):
            raise ValueError("an account SID is AC and 32 hexadecimal digits")
        return value

    @property
    def rtp_ports(self) -> tuple[int, int]:
        """First and last port of RTP."""
        low, _, high = self.rtp.partition("-")
        return int(low), int(high)


def load(directory: Path, **given: Any) -> Settings:
    """The settings of a project directory; ``given`` are those of the command line, None where not given.

    Raises Unusable, with one line for each fault, when they cannot be used.
    """
    file = directory / SETTINGS_FILE
    from_file: dict[str, Any] = {}
    if file.exists():
        try:
            from_file = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
            raise Unusable(f"{file} cannot be read: {problem}") from None
    from_file = {name.replace("-", "_"): value for name, value in from_file.items()}
    from_line = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(from_file=from_file, from_line=from_line)  # type: ignore[call-arg]
    except ValidationError as problem:
        raise Unusable("; ".join(_fault(item, file) for item in problem.errors())) from None


_WORDS = {
    "string_type": "{given} is no text: put it in quotation marks",
    "int_type": "{given} is no whole number",
    "int_parsing": "{given} is no whole number",
    "int_from_float": "{given} is no whole number",
    "float_type": "{given} is no number",
    "float_parsing": "{given} is no number",
    "greater_than_equal": "{given} is too small: {ge} is the least",
    "less_than_equal": "{given} is too large: {le} is the most",
}
"""How a fault is told that pydantic found; those that are not here are told by the validators above."""

_SECRETS = {"auth-token", "phone-password"}


def _fault(item: Any, file: Path) -> str:
    name = "-".join(str(part) for part in item["loc"]).replace("_", "-")
    if item["type"] == "extra_forbidden":
        meant = _nearest(name, [field.replace("_", "-") for field in Settings.model_fields])
        return f"{file} sets {name}, which is no setting{meant}; see docs/settings.md"
    wording = _WORDS.get(item["type"])
    if wording is None:
        return f"{name}: {str(item['msg']).removeprefix('Value error, ')}"
    given = "what is given" if name in _SECRETS else repr(item["input"])
    return f"{name}: {wording.format(given=given, **item.get('ctx', {}))}"


def unknown_variables(environment: Iterable[str]) -> list[str]:
    """One line for each variable that looks like a setting and is none."""
    names = [name.upper() for name in Settings.model_fields]
    known = {PREFIX + name for name in names} | set(OF_OTHERS)
    return [
        f"{name} is no setting and counts for nothing"
        + _nearest(name.upper().removeprefix(PREFIX), names, PREFIX)
        for name in sorted(environment)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]


def _nearest(name: str, known: list[str], prefix: str = "") -> str:
    meant = get_close_matches(name, known, n=1)
    return f": is {prefix}{meant[0]} meant?" if meant else ""
