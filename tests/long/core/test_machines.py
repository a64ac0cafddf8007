"""Whole calls with events reordered and repeated and lines broken: the full count."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from support.history_machine import HistoryMachine
from support.machines import CallMachine

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
