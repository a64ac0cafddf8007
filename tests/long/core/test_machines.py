"""Whole calls with reordered, repeated and unknown events: the full count, new ones each time."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from support.machines import CallMachine, HistoryMachine

profile = settings(
    max_examples=4000,
    stateful_step_count=50,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

TestCalls = CallMachine.TestCase
TestCalls.settings = profile
TestHistory = HistoryMachine.TestCase
TestHistory.settings = profile
