"""A deployment to be tested, and a test held with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.engines import Engine
from runner.testing import Report, run_test

SHOP = """\
agents:
  desk:
    instructions: |
      You are the front desk of a bicycle shop called Spokes.
      We are open from 9 to 5, Monday to Friday.
      A new tyre costs 12 dollars.
    greeting: Spokes, how can I help?
    tools: [price, end_call]
  workshop:
    instructions: You answer for the workshop.
tools:
  price:
    command: { argv: [sleep, "60"] }
    description: Find the price of a repair.
    parameters:
      type: object
      properties: { repair: { type: string, enum: [brake, chain] } }
      required: [repair]
    timeout: 30s
"""


def hold(deployment: Path, engine: Engine, *turns: Mapping[str, Any], **more: Any) -> Report:
    about = {"name": "a test", "turns": list(turns), **more}
    return asyncio.run(run_test(deployment, about, engine=engine, env={}))


def words(report: Report) -> list[str]:
    return [failure.message for failure in report.failures]


HOURS = {"caller": "When are you open?", "expect": {"agent": "9 to 5", "within": "5s"}}
