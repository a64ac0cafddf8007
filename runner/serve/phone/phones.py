"""The telephones of a process: its doors, and a reception at each path of them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.routing import Route

from runner.config.phone import DEFAULT_PHONE, where
from runner.desk import Address
from runner.errors import UsageError
from runner.model.deployment import Deployment
from runner.serve.deployed import Deployed
from runner.serve.door import Door
from runner.serve.guard import address, is_loopback
from runner.serve.phone.kept import Kept
from runner.serve.phone.reception import Behind, Ears, Reception
from runner.tasks import OnFailure
from runner.transports.phonecalls import PhoneCalls


@dataclass(frozen=True, slots=True)
class Place:
    """Where the calls of a deployment are announced: ``webhook`` is the URL on this machine,
    ``secret`` signs what comes there, ``phone`` is where the local engine answers SIP."""

    webhook: str
    secret: str
    phone: str
    reception: Reception


class Phones:
    def __init__(
        self,
        ears: Ears,
        draining: Callable[[], bool],
        env: Mapping[str, str],
        on_failure: OnFailure,
    ) -> None:
        self._ears = ears
        self._draining = draining
        self._env = env
        self._on_failure = on_failure
        self._doors: dict[str, Door] = {}
        self._receptions: dict[tuple[str, str], Reception] = {}
        self._places: dict[Path, Place] = {}

    async def open(self, deployment: Deployment, *, local: bool, asked: bool) -> Place:
        """Listen for the calls of a deployment. ``local``: the engine on this machine answers it,
        ``asked``: the file or the command line says so. UsageError, InputError."""
        known = self._places.get(deployment.source)
        if known is not None:
            return known
        options = deployment.transport.options
        listen, path = where(deployment)
        given = options.get("webhook_secret")
        secret = given.reveal() if given else ""
        if local and not asked:
            _require_loopback("listen", listen)
        if not secret and not local:
            raise UsageError(
                f"{deployment.name}: transport.webhook_secret is missing: anybody could ring",
                "set OPENAI_WEBHOOK_SECRET to the signing secret of the webhook at OpenAI",
            )
        door = await self._door(listen)
        reception = self._receptions.get((listen, path))
        if reception is None:
            reception = Reception(self._ears, self._draining, self._on_failure)
            self._receptions[listen, path] = reception
            door.add(Route(path, reception.webhook, methods=["POST"]))
        secret = secret or self._own_secret(listen)
        place = self._places[deployment.source] = Place(
            door.url + path, secret, DEFAULT_PHONE, reception
        )
        return place

    def _own_secret(self, listen: str) -> str:
        """For an engine of our own: one of a door, so that deployments share the engine."""
        for place in self._places.values():
            if place.webhook.startswith(self._doors[listen].url):
                return place.secret
        return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()

    async def _door(self, listen: str) -> Door:
        door = self._doors.get(listen)
        if door is None:
            door = Door(*address(listen), self._on_failure)
            await door.open()
            self._doors[listen] = door
        return door

    async def admit(self, deployed: Deployed, engine: Address) -> None:
        """The deployment takes calls from now on, and those that a process before us left."""
        assert deployed.desk is not None
        place = self._places[deployed.desk.deployment.source]
        entry = Behind(
            deployed,
            place.secret,
            PhoneCalls(engine.url, engine.api_key, engine.headers),
            Kept(deployed.desk.deployment.source, self._env),
        )
        place.reception.behind.append(entry)
        taken = await place.reception.resume(entry)
        if taken:
            words = "call" if taken == 1 else "calls"
            self._ears.note(deployed, f"{taken} {words} taken over from the process before")

    @property
    def any(self) -> bool:
        return bool(self._places)

    async def empty(self) -> None:
        """Wait until nobody is on the line."""
        for reception in self._receptions.values():
            await reception.empty()

    async def let_go(self) -> None:
        """Leave the calls on the line to the next process."""
        for reception in self._receptions.values():
            await reception.let_go()

    async def close(self) -> None:
        for door in self._doors.values():
            await door.close()
        for reception in self._receptions.values():
            await reception.close()


def _require_loopback(key: str, listen: str) -> None:
    host, _ = address(listen)
    if not is_loopback(host):
        raise UsageError(
            f"transport.{key}: {listen} is open to others, and there is no OPENAI_API_KEY",
            "set OPENAI_API_KEY; or write engine: local if the engine on this machine is to "
            "answer them",
        )
