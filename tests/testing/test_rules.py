"""The rules of all checks: each is documented, and asking for a check loads only what it needs."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from dataselect_env import testing
from dataselect_env.testing import checked_store, environments, policies, sources, strategies
from dataselect_env.testing.rules import Rule
from tests.helpers.serving import ROOT

ALL = {
    f"{module.__name__.rpartition('.')[2]}: {name}": rule
    for module in (strategies, policies, sources, checked_store, environments)
    for name, rule in module.RULES.items()
}


@pytest.mark.parametrize("name", ALL)
def test_a_rule_is_a_sentence_and_its_documentation_exists(name: str) -> None:
    rule = ALL[name]
    assert rule.text.endswith(".")
    assert pkgutil.resolve_name(rule.documented) is not None


def test_a_broken_rule_says_what_was_found_and_why() -> None:
    rule = Rule("Numbers are even.", "math.fmod")
    with pytest.raises(AssertionError, match=r"^3 was found\. Rule: Numbers are even\. Documented in math\.fmod\.$"):
        rule.require(holds=False, found="3 was found")
    rule.require(holds=True, found="2 was found")
    with pytest.raises(AssertionError, match=r"^half\(3\) raised ValueError: odd number\. Rule: ") as caught:
        rule.raised("half(3)", ValueError("odd\nnumber"))
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("of_stores", [False, True])
def test_checks_load_no_test_framework_and_only_that_of_stores_loads_the_server(*, of_stores: bool) -> None:
    names = [name for name in testing.__all__ if (name == "check_store") == of_stores]
    code = f"import sys; from dataselect_env.testing import {', '.join(names)}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert ("dataselect_env.server" in loaded) == of_stores
    assert not loaded & {"pytest", "unittest", "fastapi", "dataselect_env.server.app"}


def test_the_checks_are_listed() -> None:
    assert dir(testing) == sorted(testing.__all__)
    with pytest.raises(AttributeError, match="check_nothing"):
        testing.check_nothing  # noqa: B018
