"""Whole calls with reordered, repeated and unknown events, a tenth of the full count."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from support.machines import CallMachine, HistoryMachine

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
