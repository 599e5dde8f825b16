"""Plug-ins that break rules of their contracts, for tests of the checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dataselect_env.testing.rules import Rule


def requires(rule: Rule, check: Callable[[], None], *shown: str) -> None:
    """Require that a check fails by this rule, and that its message shows these parts of the input."""
    with pytest.raises(AssertionError) as caught:
        check()
    message = str(caught.value)
    assert type(caught.value) is AssertionError
    assert message.endswith(f" Rule: {rule.text} Documented in {rule.documented}."), message
    for part in shown:
        assert part in message, message
