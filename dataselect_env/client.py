"""Door for OpenEnv's AutoEnv, which looks here for an environment's client under the last three names."""

from dataselect_env.integrations.openenv_client import (
    Action,
    DataselectAction,
    DataselectEnv,
    DataSelectEnvClient,
    DataselectObservation,
    EpisodeLostError,
    ServerError,
)

__all__ = [
    "Action",
    "DataSelectEnvClient",
    "DataselectAction",
    "DataselectEnv",
    "DataselectObservation",
    "EpisodeLostError",
    "ServerError",
]
