"""Whole calls with events reordered and repeated and lines broken, a tenth of the full count."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from support.history_machine import HistoryMachine
from support.machines import CallMachine

pytestmark = pytest.mark.quick

profile = settings(
    max_examples=400,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,  # the same calls in every run; tests/long looks for new ones
    database=None,
    suppress_health_check=list(HealthCheck),
)

TestCalls = CallMachine.TestCase
TestCalls.settings = profile
TestHistory = HistoryMachine.TestCase
TestHistory.settings = profile
