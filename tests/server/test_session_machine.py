"""Sessions against a simple model: reset, step, mistakes and resumption in any order."""

from hypothesis import settings

from bench.reliability.session_machine import SessionMachine

TestSessions = SessionMachine.TestCase
TestSessions.settings = settings(stateful_step_count=20)
