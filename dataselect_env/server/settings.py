"""Settings of the server, read from the environment."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

ENV_PREFIX = "DATASELECT_"
DEFAULT_PORT = 7860
Synchronous = Literal["normal", "full"]
WITHOUT_PREFIX = frozenset({"PORT", "SPACE_HOST"})
"""Variables that container platforms set without the prefix."""
KUBERNETES = re.compile(
    rf"{ENV_PREFIX}(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
KUBERNETES_PORT = re.compile(rf"{ENV_PREFIX}(?:\w+_)?PORT=(?:tcp|udp|sctp)://.*", re.DOTALL)
"""Variables that Kubernetes sets in every pod where a service is called ``dataselect`` or ``dataselect-...``."""


def token_headers() -> dict[str, str]:
    """Return the Authorization header with ``DATASELECT_TOKEN``; empty if that is not set."""
    token = os.environ.get(f"{ENV_PREFIX}TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def is_set_by_kubernetes(variable: str, value: str) -> bool:
    """Return whether a variable describes a service of Kubernetes, and is no setting."""
    return bool(KUBERNETES.fullmatch(variable) or KUBERNETES_PORT.fullmatch(f"{variable}={value}"))


class SettingsError(Exception):
    """A setting is not valid; the message names the environment variable and says what is allowed."""


class Settings(BaseSettings):
    """Each field is the environment variable ``DATASELECT_<NAME>``; ``PORT`` works as well for the port."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, populate_by_name=True
    )

    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104  (a server in a container)
    port: int = Field(
        DEFAULT_PORT,
        ge=1,
        le=65_535,
        validation_alias=AliasChoices(f"{ENV_PREFIX}PORT", "PORT"),
        description="Port to listen on; PORT works as well.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Worker processes; several need a store in a file or PostgreSQL. A WebSocket stays with one of"
        " them.",
    )
    worker_timeout: float = Field(
        30,
        ge=1,
        description="Seconds after which a worker process that does not respond is killed and replaced; with one worker"
        " nothing watches it.",
    )
    store: str | None = Field(
        None,
        description="Store of the episodes: sqlite:///relative.db, sqlite:////absolute.db, "
        "postgresql://user:password@host/database, which servers on several machines can share, or memory:, which "
        "only this process can use. Default: a SQLite file in the user's data folder.",
    )
    synchronous: Synchronous = Field(
        "normal",
        description="What acknowledged steps survive. normal: the end of the process at any moment. full: a power"
        " failure too; each step then waits for the disk. PostgreSQL has its own setting, synchronous_commit.",
    )
    tasks: str | None = Field(None, description="YAML file with custom tasks, in addition to the built-in ones.")
    token: SecretStr | None = Field(
        None,
        description="Token that requests must send as Authorization: Bearer TOKEN; /health, /ready and the page are "
        "exempt. Default: no token.",
    )
    secret: SecretStr | None = Field(
        None,
        description="Secret of the sealed split and of receipts, at least 32 random characters; needs the extra sealed."
        " Several are separated by spaces or lines: the first is for new episodes, the others for those that were"
        " started under them. Default: no sealed split and no receipts.",
    )
    secret_file: str | None = Field(None, description="File with what DATASELECT_SECRET would have.")
    sealed_size: int = Field(100, ge=2, le=10_000, description="Episodes of each task in the sealed split.")
    sealed_order: Literal["agent", "server"] = Field(
        "agent",
        description="Who chooses the index of a sealed episode. agent: a reset may name it. server: it may not, and"
        " each agent gets another order.",
    )
    agents: Literal["anyone", "registered"] = Field(
        "anyone",
        description="Which agents may play under a name. registered: those of dataselect-env agents add, with their"
        " tokens. anyone: also names that nobody has registered.",
    )
    max_agents: int = Field(10_000, ge=1, description="Names of agents that the store takes.")
    allowed_origins: str = Field(
        "",
        description="Web pages that may use the server from a browser, besides its own and those of localhost: origins "
        "such as https://example.org, separated by commas; * allows all. Their host names may also stand in requests "
        "over the loopback interface.",
    )
    space_host: str | None = Field(
        None,
        validation_alias=AliasChoices(f"{ENV_PREFIX}SPACE_HOST", "SPACE_HOST"),
        description="Host name of a Hugging Face Space, whose page may use the server; SPACE_HOST, which Hugging Face "
        "sets, works as well.",
    )
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="Addresses and networks, separated by commas, of proxies whose X-Forwarded-For header is trusted; "
        "* trusts all.",
    )
    rate_limit: float = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Requests and WebSocket messages per second and client address; bursts may be twice as large. "
        "0: no limit.",
    )
    max_sessions: int = Field(
        256,
        ge=1,
        description="WebSocket connections, and MCP sessions without one, at the same time, per worker. At the limit a"
        " new client gets the place of the MCP session that has been idle longest.",
    )
    max_connections: int = Field(
        4_096,
        ge=1,
        description="Open connections, of HTTP and WebSocket together, per worker; more are closed at once. It is lower"
        " where the process may open fewer files (ulimit -n).",
    )
    max_live_episodes: int = Field(
        64,
        ge=1,
        description="HTTP episodes in memory, per worker; others are rebuilt from the store when needed.",
    )
    max_message_bytes: int = Field(
        262_144, ge=1_024, le=16_777_216, description="Largest request body or WebSocket frame, in bytes."
    )
    max_header_bytes: int = Field(
        16_384, ge=1_024, le=1_048_576, description="Largest head of a request: its first line and headers, in bytes."
    )
    body_timeout: float = Field(
        30, gt=0, description="Seconds within which the head of a request must arrive, and then its body."
    )
    write_timeout: float = Field(
        30, gt=0, description="Seconds after which the connection of a client that does not read is cut."
    )
    idle_timeout: float = Field(
        1_800, gt=0, description="Seconds without a message after which a WebSocket or MCP session is closed."
    )
    session_lifetime: float = Field(
        86_400, gt=0, description="Longest duration of a WebSocket or MCP session, in seconds."
    )
    ping_interval: float = Field(20, gt=0, description="Seconds between pings of a WebSocket client.")
    ping_timeout: float = Field(
        20, gt=0, description="Seconds to wait for the answer to a ping, after which the connection is closed."
    )
    episode_lifetime: float = Field(
        86_400, gt=0, description="Seconds after its start at which an unfinished episode is removed from the store."
    )
    keep_episodes: int = Field(
        100_000, ge=1_000, description="Episodes that the store keeps, the newest; a store in memory at most 20,000."
    )
    keep_days: float = Field(
        30, gt=0, description="Days after its start at which a finished episode is removed from the store."
    )
    stop_timeout: int = Field(
        10, ge=1, description="Seconds that running requests have to finish when the server stops."
    )
    log_format: Literal["text", "json"] = Field("text", description="Format of the log: text or json.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged: debug, info (every request), warning or error."
    )

    @field_validator("token")
    @classmethod
    def _can_travel(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch("[!-~]+", value.get_secret_value()):
            raise ValueError("should have visible ASCII characters only, without spaces")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in filter(None, (part.strip() for part in value.split(","))):
            parts = urlsplit(origin)
            plain = (
                parts.scheme in {"http", "https"} and parts.hostname and origin == f"{parts.scheme}://{parts.netloc}"
            )
            if origin != "*" and not plain:
                raise ValueError("should be origins such as https://example.org, separated by commas, or *")
        return value

    @property
    def bearer(self) -> str | None:
        """The token itself."""
        return None if self.token is None else self.token.get_secret_value()

    @property
    def origins(self) -> frozenset[str]:
        """Allowed origins: those of ``allowed_origins`` and that of the Space."""
        named = frozenset(part.strip() for part in self.allowed_origins.split(",")) - {""}
        return named if self.space_host is None else named | {f"https://{self.space_host}"}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  (the library's signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where values come from: arguments, then the environment without what Kubernetes sets."""
        assert isinstance(env_settings, EnvSettingsSource)  # noqa: S101
        env_settings.env_vars = {
            name: value
            for name, value in env_settings.env_vars.items()
            if not is_set_by_kubernetes(name.upper(), value or "")
        }
        return init_settings, env_settings

    @classmethod
    def check_names(cls) -> None:
        """Refuse variables with our prefix that are no settings.

        Raises:
            SettingsError: There is one; the message has the nearest setting.
        """
        known = [f"{ENV_PREFIX}{name.upper()}" for name in cls.model_fields]
        for variable, value in os.environ.items():
            name = variable.upper()
            if name.startswith(ENV_PREFIX) and name not in known and not is_set_by_kubernetes(name, value):
                (nearest,) = get_close_matches(name, known, n=1, cutoff=0)
                raise SettingsError(f"{variable}: there is no such setting; the nearest name is {nearest}")

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Return the settings of the environment; values of ``overrides`` that are not None replace them.

        Raises:
            SettingsError: A value is not valid, or a variable with our prefix is no setting.
        """
        cls.check_names()
        chosen = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**chosen)  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = str(first["loc"][0]).upper().removeprefix(ENV_PREFIX)
            prefixed = ENV_PREFIX + name
            variable = name if name in WITHOUT_PREFIX and prefixed not in os.environ else prefixed
            raise SettingsError(f"{variable}: {first['msg']}") from None


def default_store_path() -> Path:
    """Return the file of the default store, in the user's data folder."""
    return Path(platformdirs.user_data_dir("dataselect-env", appauthor=False)) / "episodes.db"
