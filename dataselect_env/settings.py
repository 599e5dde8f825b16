"""Settings of the server, read from the environment and checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import platformdirs
from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "DATASELECT_"
DEFAULT_PORT = 7860


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
    store: str | None = Field(
        None,
        description="Where episodes are kept: sqlite:///relative.db, sqlite:////absolute.db or memory:, which is this "
        "process's alone. Default: a SQLite file in the user's data folder.",
    )
    max_sessions: int = Field(256, ge=1, description="WebSocket sessions at once; each takes about 1 MB.")
    max_live_episodes: int = Field(
        64, ge=1, description="HTTP episodes held in memory; older ones are rebuilt from the store when needed."
    )
    max_message_bytes: int = Field(
        262_144, ge=1_024, le=16_777_216, description="Largest request body and WebSocket frame."
    )

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
            variable = name if name == "PORT" and prefixed not in os.environ else prefixed
            raise SettingsError(f"{variable}: {first['msg']}") from None


def default_store_path() -> Path:
    """Return the file in the user's data folder that keeps episodes when no store is configured."""
    return Path(platformdirs.user_data_dir("dataselect-env", appauthor=False)) / "episodes.db"
