"""The telephones of a process: its doors, and a reception at each path of them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from runner.config.phone import DEFAULT_PHONE, where
from runner.desk import Address
from runner.errors import UsageError
from runner.model.deployment import Deployment
from runner.model.secret import Secret
from runner.serve.deployed import Deployed
from runner.serve.door import Door
from runner.serve.guard import address, is_loopback
from runner.serve.phone.answering import Ears
from runner.serve.phone.kept import Kept
from runner.serve.phone.probe import PATH, answer, answer_socket
from runner.serve.phone.reception import Behind, Reception
from runner.serve.phone.streams import Number, Streams
from runner.tasks import OnFailure
from runner.transports.phonecalls import PhoneCalls
from runner.transports.twilio_rest import API_URL


@dataclass(frozen=True, slots=True)
class Place:
    """Where the calls of a deployment are announced: ``webhook`` is the URL on this machine,
    ``public`` the one on the internet where it is known, ``secret`` signs what comes there,
    ``phone`` is where the local engine answers SIP, ``api_url`` Twilio's REST API."""

    webhook: str
    secret: str = field(repr=False)
    reception: Reception | Streams
    public: str = ""
    phone: str = DEFAULT_PHONE
    api_url: str = API_URL


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
        self._receptions: dict[tuple[str, str], Reception | Streams] = {}
        self._places: dict[Path, Place] = {}

    async def open(self, deployment: Deployment, *, local: bool, asked: bool) -> Place:
        """Listen for the calls of a deployment. ``local``: the engine on this machine answers it,
        ``asked``: the file or the command line says so. UsageError, InputError."""
        known = self._places.get(deployment.source)
        if known is not None:
            return known
        sip = deployment.transport.type == "sip"
        place = await (self._sip if sip else self._twilio)(deployment, local and not asked, local)
        self._places[deployment.source] = place
        return place

    async def _sip(self, deployment: Deployment, by_default: bool, local: bool) -> Place:
        listen, path = where(deployment)
        secret = given(deployment, "webhook_secret")
        if by_default:
            _require_loopback("listen", listen, address(listen)[0])
        if not secret and not local:
            raise UsageError(
                f"{deployment.name}: transport.webhook_secret is missing: anybody could ring",
                "set OPENAI_WEBHOOK_SECRET to the signing secret of the webhook at OpenAI",
            )
        door = await self._door(listen)
        reception = self._announced(door, listen, path)
        phone = self._env.get("RTRUN_SIP") or DEFAULT_PHONE
        return Place(door.url + path, secret or self._own_secret(listen), reception, phone=phone)

    async def open_here_sip(self, deployment: Deployment) -> Place:
        """Listen for one call that a phone on this machine places with the local engine, at
        addresses of its own. InputError."""
        path = where(deployment)[1]
        door = await self._door("127.0.0.1:0", f"for {deployment.source}")
        reception = self._announced(door, f"for {deployment.source}", path)
        place = Place(door.url + path, _new_secret(), reception, phone="127.0.0.1:0")
        self._places[deployment.source] = place
        return place

    async def _twilio(self, deployment: Deployment, by_default: bool, local: bool) -> Place:
        listen, path = where(deployment)
        token, public = given(deployment, "auth_token"), given(deployment, "public_url")
        if not token:
            raise UsageError(
                f"{deployment.name}: transport.auth_token is missing: anybody could ring",
                "set TWILIO_AUTH_TOKEN to the auth token of the account at Twilio",
            )
        if not public:
            raise UsageError(
                f"{deployment.name}: transport.public_url is missing: nobody could ring",
                "the HTTPS address at which Twilio finds this machine",
            )
        if by_default:
            _require_loopback("listen", listen, address(listen)[0])
            _require_loopback("public_url", public, urlsplit(public).hostname or "")
        door = await self._door(listen)
        reception = self._streams(door, listen, path)
        public = public.rstrip("/") + path
        api_url = given(deployment, "api_url") or API_URL
        return Place(door.url + path, token, reception, public, api_url=api_url)

    async def open_here(self, deployment: Deployment, token: str, api_url: str) -> Place:
        """Listen for one call that Twilio's double on this machine places, at an address of its
        own. The double signs with ``token``, and its REST API is at ``api_url``. InputError."""
        path = where(deployment)[1]
        door = await self._door("127.0.0.1:0", f"for {deployment.source}")
        reception = self._streams(door, f"for {deployment.source}", path)
        place = Place(door.url + path, token, reception, door.url + path, api_url=api_url)
        self._places[deployment.source] = place
        return place

    def _announced(self, door: Door, listen: str, path: str) -> Reception:
        reception = self._receptions.get((listen, path))
        if reception is None:
            reception = Reception(self._ears, self._draining, self._on_failure)
            self._receptions[listen, path] = reception
            door.add(Route(path, reception.webhook, methods=["POST"]))
            self._let_probe(door, path, reception)
        assert isinstance(reception, Reception)  # validated: no two kinds at one address
        return reception

    def _streams(self, door: Door, listen: str, path: str) -> Streams:
        reception = self._receptions.get((listen, path))
        if reception is None:
            reception = Streams(self._ears, self._draining, self._on_failure)
            self._receptions[listen, path] = reception
            door.add(Route(path, reception.ring, methods=["POST"]))
            below = f"{path.rstrip('/')}/{{token}}"
            door.add(WebSocketRoute(below, reception.stream))
            door.add(Route(below, reception.after_transfer, methods=["POST"]))
            self._let_probe(door, path, reception)
        assert isinstance(reception, Streams)
        return reception

    def _let_probe(self, door: Door, path: str, reception: Reception | Streams) -> None:
        """Whoever asks whether this address leads here is answered."""

        def secrets() -> list[str]:
            return [p.secret for p in self._places.values() if p.reception is reception]

        async def look(request: Request) -> Response:
            return answer(request, secrets())

        async def look_socket(socket: WebSocket) -> None:
            await answer_socket(socket, secrets())

        where_to = path.rstrip("/") + PATH
        door.add(Route(where_to, look, methods=["GET"]))
        door.add(WebSocketRoute(where_to, look_socket))

    def _own_secret(self, listen: str) -> str:
        """For an engine of our own: one of a door, so that deployments share the engine."""
        for place in self._places.values():
            if place.webhook.startswith(self._doors[listen].url):
                return place.secret
        return _new_secret()

    async def _door(self, listen: str, name: str = "") -> Door:
        """The one at this address, or the one of this ``name``."""
        door = self._doors.get(name or listen)
        if door is None:
            door = Door(*address(listen), self._on_failure)
            await door.open()
            self._doors[name or listen] = door
        return door

    async def admit(self, deployed: Deployed, engine: Address) -> None:
        """The deployment takes calls from now on, and those that a process before us left."""
        assert deployed.desk is not None
        place = self._places[deployed.desk.deployment.source]
        if isinstance(place.reception, Streams):
            number = Number(deployed, place.secret, place.public, place.api_url)
            place.reception.behind.append(number)
            return
        entry = Behind(
            deployed,
            place.secret,
            PhoneCalls(engine.url, engine.api_key, engine.headers),
            Kept(deployed.desk.deployment.source, self._env),
        )
        place.reception.behind.append(entry)
        place.reception.prepare(entry)
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


def given(deployment: Deployment, key: str) -> str:
    """A text of `transport:`, a secret too; empty when it is not there."""
    given = deployment.transport.options.get(key) or ""
    return given.reveal() if isinstance(given, Secret) else str(given)


def _require_loopback(key: str, given: str, host: str) -> None:
    if not is_loopback(host):
        raise UsageError(
            f"transport.{key}: {given} is open to others, and there is no OPENAI_API_KEY",
            "set OPENAI_API_KEY; or write engine: local if the engine on this machine is to "
            "answer them",
        )


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
