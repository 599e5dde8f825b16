"""Sessions against a simple model: reset, step, mistakes and resumption in any order."""

from hypothesis import HealthCheck, settings

from bench.reliability.session_machine import SessionMachine

TestSessions = SessionMachine.TestCase
TestSessions.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
