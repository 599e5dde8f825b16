"""Plays the episodes of an evaluation on a running server, and fetches their receipts."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from dataselect_env.core.errors import AttemptUsed, InvalidInput
from dataselect_env.core.models import Action, Reply, RewardMode
from dataselect_env.core.receipts import Receipt
from dataselect_env.core.tasks import SEALED
from dataselect_env.core.validation import parse
from dataselect_env.evaluation.evaluate import Job, players_of
from dataselect_env.evaluation.records import EpisodeRecord, Host, record
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.integrations.http_requests import ask
from dataselect_env.integrations.remote import RemoteEnv, RemoteError


@dataclass(frozen=True, slots=True)
class RemotePlayer:
    """Plays the jobs of an evaluation on a server, over a connection for each job; it can be pickled.

    Attributes:
        url: Address of the server.
        host: What records say about the server.
        agent_token: Token of the agent, if it is registered.
    """

    url: str
    host: Host
    agent_token: str | None = field(default=None, repr=False)

    def __call__(self, job: Job) -> list[EpisodeRecord | None]:
        """Play the episodes of a job; None stands for one that the agent had its attempt at before.

        Raises:
            EnvError: The server refuses an episode or an action; the message is the server's.
            RemoteError: The server cannot be reached, or its answer is not a reply.
        """
        with closing(RemoteEnv(self.url)) as env:
            seat = _Seat(env, self.host, self.agent_token)
            played: list[EpisodeRecord | None] = []
            for name, policy in players_of(job):
                try:
                    episode = rollout(policy, job.task_id, job.seed, env=seat, reward_mode=job.reward_mode)
                except AttemptUsed:
                    played.append(None)
                else:
                    episode_id = episode.replies[0].episode_id
                    found = {"episode_id": episode_id, "receipt": fetch_receipt(self.url, episode_id)}
                    played.append(record(name, episode).model_copy(update=found))
        return played


class _Seat:
    """A connection as the environment of rollouts: sealed episodes are numbered by index, in place of a seed."""

    def __init__(self, env: RemoteEnv, host: Host, agent_token: str | None) -> None:
        self._env, self._host, self._agent_token = env, host, agent_token

    def reset(self, *, task_id: str, seed: int | None, reward_mode: RewardMode) -> Reply:
        """Start an episode; on a sealed split, ``seed`` is the index."""
        sealed = self._host.sealed
        return self._env.reset(
            task_id=task_id,
            reward_mode=reward_mode,
            seed=None if sealed else seed,
            split=SEALED if sealed else None,
            index=seed if sealed else None,
            agent=self._host.agent,
            agent_token=self._agent_token,
        )

    def step(self, action: Action, /) -> Reply:
        """Play one action."""
        return self._env.step(action)


def fetch_receipt(url: str, episode_id: str) -> Receipt | None:
    """Return the server's receipt for a finished episode; None if it has no secret to sign with.

    Raises:
        RemoteError: The server cannot be reached, refuses the request, or its answer is not a grade.
    """
    answer = ask(url, "/grader", {"episode_id": episode_id})
    try:
        receipt = answer.get("receipt")
        return None if receipt is None else parse(Receipt, receipt)
    except (AttributeError, InvalidInput) as error:
        raise RemoteError(f"{url} answers with a receipt that this version cannot read", field="url") from error


def recorded_url(url: str) -> str:
    """Return the address of a server as records name it: without user name, password and query."""
    scheme, host, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, host.rpartition("@")[2], path.rstrip("/").removesuffix("/ws"), "", ""))
