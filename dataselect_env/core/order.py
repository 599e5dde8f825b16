"""The order of calls as a table: the operations that an episode refuses in each phase, and the error for each."""

from __future__ import annotations

from typing import Final, Literal

from dataselect_env.core.errors import EnvError, EpisodeOver, EpisodeRunning, NoEpisode

Phase = Literal["none", "running", "over"]
"""Phase of an episode: not started, running or over."""
Operation = Literal["reset", "step", "state", "grade"]

_NONE = "There is no episode{where} yet; reset starts one."
_OVER = "The episode{where} is over; reset starts another one."
_RUNNING = "The episode{where} is not over: stop, or play until budget or steps are used up, then ask again."

REFUSED: Final[dict[tuple[Operation, Phase], tuple[type[EnvError], str]]] = {
    ("step", "none"): (NoEpisode, _NONE),
    ("step", "over"): (EpisodeOver, _OVER),
    ("state", "none"): (NoEpisode, _NONE),
    ("grade", "none"): (NoEpisode, _NONE),
    ("grade", "running"): (EpisodeRunning, _RUNNING),
}
"""The refused pairs; every other pair is allowed. A reset is always allowed and abandons the running episode."""


def check_order(operation: Operation, phase: Phase, *, lane: int | None = None) -> None:
    """Raise the error of the table if ``operation`` is refused in ``phase``.

    Args:
        operation: The requested operation.
        phase: Phase of the episode.
        lane: In a vector environment, the lane that the message names.

    Raises:
        NoEpisode, EpisodeOver, EpisodeRunning: The operation is refused.
    """
    refusal = REFUSED.get((operation, phase))
    if refusal is not None:
        error, message = refusal
        raise error(message.format(where="" if lane is None else f" in lane {lane}"))
