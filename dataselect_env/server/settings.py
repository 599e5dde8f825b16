"""Settings of the server, read from the environment and checked."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "DATASELECT_"
DEFAULT_PORT = 7860
WITHOUT_PREFIX = frozenset({"PORT", "SPACE_HOST"})
"""Variables that those who run containers set by these names."""


def token_headers() -> dict[str, str]:
    """Return the header that shows ``DATASELECT_TOKEN``, where it is set, to a server that asks for a token."""
    token = os.environ.get(f"{ENV_PREFIX}TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


class SettingsError(Exception):
    """A setting cannot be used; the message names its environment variable and says what is allowed."""


class Settings(BaseSettings):
    """Each field is the environment variable ``DATASELECT_<NAME>``; the port may also be given as ``PORT``."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, populate_by_name=True
    )

    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104  (a server in a container)
    port: int = Field(
        DEFAULT_PORT,
        ge=1,
        le=65_535,
        validation_alias=AliasChoices(f"{ENV_PREFIX}PORT", "PORT"),
        description="Port to listen on; PORT works too.",
    )
    workers: int = Field(
        1, ge=1, le=64, description="Processes that serve; several need a store in a file. A WebSocket stays with one."
    )
    store: str | None = Field(
        None,
        description="Where episodes are kept: sqlite:///relative.db, sqlite:////absolute.db or memory:, which is this "
        "process's alone. Default: a SQLite file in the user's data folder.",
    )
    tasks: str | None = Field(
        None, description="YAML file with tasks of your own, which are offered beside the built-in ones."
    )
    token: SecretStr | None = Field(
        None,
        description="Secret that every request must show as Authorization: Bearer TOKEN; /health, /ready and the page "
        "are open. Default: none is asked for.",
    )
    allowed_origins: str = Field(
        "",
        description="Web pages that may use the server from a browser, besides its own and those of localhost: origins "
        "such as https://example.org, divided by commas; * allows all.",
    )
    space_host: str | None = Field(
        None,
        validation_alias=AliasChoices(f"{ENV_PREFIX}SPACE_HOST", "SPACE_HOST"),
        description="Host that a Hugging Face Space is shown under, whose page may use the server; SPACE_HOST, which "
        "Hugging Face sets, works too.",
    )
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="Addresses and networks, divided by commas, of proxies that are believed when they say whom they "
        "speak for (X-Forwarded-For); * believes all.",
    )
    rate_limit: float = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Requests and WebSocket messages a second that one client address may send; for a moment twice as "
        "many. 0: as many as it likes.",
    )
    max_sessions: int = Field(
        256, ge=1, description="Sessions of WebSocket connections and MCP clients at once, per worker."
    )
    max_live_episodes: int = Field(
        64,
        ge=1,
        description="HTTP episodes held in memory, per worker; older ones are rebuilt from the store when needed.",
    )
    max_message_bytes: int = Field(
        262_144, ge=1_024, le=16_777_216, description="Largest request body and WebSocket frame."
    )
    body_timeout: float = Field(30, gt=0, description="Seconds within which the body of a request must be there.")
    idle_timeout: float = Field(
        1_800, gt=0, description="Seconds of silence after which a WebSocket session ends and frees its place."
    )
    session_lifetime: float = Field(86_400, gt=0, description="Seconds that a WebSocket session may last.")
    ping_interval: float = Field(20, gt=0, description="Seconds between pings of a WebSocket client.")
    ping_timeout: float = Field(
        20, gt=0, description="Seconds to wait for the answer to a ping; then the connection counts as lost."
    )
    episode_lifetime: float = Field(
        86_400, gt=0, description="Seconds after its start at which an episode that is not over leaves the store."
    )
    keep_episodes: int = Field(
        100_000, ge=1_000, description="Newest episodes that the store keeps; in memory at most 20,000."
    )
    keep_days: float = Field(30, gt=0, description="Days after its start at which a finished episode leaves the store.")
    stop_timeout: int = Field(
        10, ge=1, description="Seconds that running requests have to finish once the server is told to stop."
    )
    log_format: Literal["text", "json"] = Field("text", description="text for people, json for programs.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least that is logged: debug, info (every request), warning or error."
    )

    @field_validator("token")
    @classmethod
    def _can_travel(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch("[!-~]+", value.get_secret_value()):
            raise ValueError("should be of visible ASCII characters, without spaces")
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
                raise ValueError("should be origins such as https://example.org, divided by commas, or *")
        return value

    @property
    def origins(self) -> frozenset[str]:
        """The origins in ``allowed_origins``, and that of the Space."""
        named = frozenset(part.strip() for part in self.allowed_origins.split(",")) - {""}
        return named if self.space_host is None else named | {f"https://{self.space_host}"}

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Return the settings of the environment, with what is not None in ``overrides`` in their place.

        Raises:
            SettingsError: A value does not fit.
        """
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
    """Return the file in the user's data folder that keeps episodes when no store is configured."""
    return Path(platformdirs.user_data_dir("dataselect-env", appauthor=False)) / "episodes.db"
