"""What is in force and what was refused, in the shape of Envoy's config_dump."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.config.resolved import resolved
from runner.serve.deployed import Deployed
from runner.serve.mask import Masks, masked
from runner.serve.status import rejection, when


def config_dump(known: Mapping[str, Deployed], masks: Masks) -> dict[str, Any]:
    """``{deployments: [{deployment, file, active_state, error_state}]}``. ``active_state``:
    ``{version_info, last_updated, config}``, None while no file was valid; ``error_state``:
    ``{last_update_attempt, details, problems}`` of the newest refusal since then."""
    return {"deployments": [_dump(name, entry, masks) for name, entry in known.items()]}


def rejected_dump(known: Mapping[str, Deployed]) -> dict[str, Any]:
    """``{deployments: [{deployment, file, at, problems}]}``: those whose newest file is refused."""
    return {
        "deployments": [
            {"deployment": name, "file": str(entry.file.absolute()), **told}
            for name, entry in known.items()
            if (told := rejection(entry.rejected)) is not None
        ]
    }


def _dump(name: str, entry: Deployed, masks: Masks) -> dict[str, Any]:
    active = error = None
    if entry.desk is not None and entry.applier is not None:
        active = {
            "version_info": str(entry.desk.revision),
            "last_updated": when(entry.accepted_at),
            # What `rtrun show --resolved` prints.
            "config": masks(name, masked(resolved(entry.applier.loaded))),
        }
    if entry.rejected is not None:
        error = {
            "last_update_attempt": when(entry.rejected.at),
            "details": "\n".join(problem.headline() for problem in entry.rejected.problems),
            "problems": (rejection(entry.rejected) or {})["problems"],
        }
    file = str(entry.file.absolute())
    return {"deployment": name, "file": file, "active_state": active, "error_state": error}
