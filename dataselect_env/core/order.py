"""The order of calls, in one table: which operations an episode refuses in which phase, and by which error."""

from __future__ import annotations

from typing import Final, Literal

from dataselect_env.core.errors import EnvError, EpisodeOver, EpisodeRunning, NoEpisode

Phase = Literal["none", "running", "over"]
"""Where an episode stands: not started, running, or over."""
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
"""The refused pairs; every other pair is allowed. A reset is always allowed: it abandons the running episode."""


def check_order(operation: Operation, phase: Phase, *, lane: int | None = None) -> None:
    """Raise the error of the table if ``operation`` is refused in ``phase``.

    Args:
        operation: What is to be done.
        phase: Where the episode stands.
        lane: Number of the lane to name in the message, in a vector environment.

    Raises:
        NoEpisode, EpisodeOver, EpisodeRunning: As the table says.
    """
    refusal = REFUSED.get((operation, phase))
    if refusal is not None:
        error, message = refusal
        raise error(message.format(where="" if lane is None else f" in lane {lane}"))
