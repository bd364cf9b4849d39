"""Acts that take several requests, as steps: what is asked of the core and of the signer, and nothing done.

An act is a generator. A client takes its steps one after the other, blocking or awaiting, and gives each answer back;
so an act is written once for both clients. Neighbours: ``publishing.py``, ``sealing.py`` and ``waiting.py`` hold the
acts, ``acts.py`` their methods.
"""

from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from skerry.model.answers import Page
from skerry.model.errors import Refused, Unavailable
from skerry.model.ids import TenantName
from skerry.model.signed import Envelope
from skerry.model.signing import Ask, ReadStatus, Signed, SignerStatus
from skerry.sdk.requests import Request, next_page

T = TypeVar("T")
A = TypeVar("A", bound=msgspec.Struct)


class Pause(msgspec.Struct, frozen=True):
    """Let ``seconds`` pass."""

    seconds: float


#: One thing to do: ask the core, ask the signer, or wait.
Step = Request[Any] | Ask | Pause
#: An act that ends with a ``T``.
Steps = Generator[Step, Any, T]


class Person(msgspec.Struct, frozen=True):
    """On whose behalf a client signs, and what of this machine it may use for that."""

    #: Whose deploy key signs; empty means the only tenant whose key the signer holds.
    tenant: str = ""
    #: The signer's socket; empty where nothing is signed.
    signer: str = ""
    #: Folder in which the client remembers what it sealed; None where it remembers nothing.
    state: Path | None = None
    #: Variables that a manifest may use.
    environment: Mapping[str, str] = {}


class Sender(Protocol):
    """What the methods for a plain program stand on."""

    @property
    def person(self) -> Person:
        """Return on whose behalf acts are signed."""
        ...

    @property
    def url(self) -> str:
        """Return the core's address."""
        ...

    def send(self, request: Request[T]) -> T:
        """Send one request and return its answer."""
        ...

    def pages(self, request: Request[Page[T]]) -> Iterator[T]:
        """Return the items of a listing, page after page."""
        ...

    def perform(self, steps: Steps[T]) -> T:
        """Take the steps of an act and return what it ends with."""
        ...


class AsyncSender(Protocol):
    """What the methods for an asynchronous program stand on."""

    @property
    def person(self) -> Person:
        """Return on whose behalf acts are signed."""
        ...

    @property
    def url(self) -> str:
        """Return the core's address."""
        ...

    async def send(self, request: Request[T]) -> T:
        """Send one request and return its answer."""
        ...

    def pages(self, request: Request[Page[T]]) -> AsyncIterator[T]:
        """Return the items of a listing, page after page."""
        ...

    async def perform(self, steps: Steps[T]) -> T:
        """Take the steps of an act and return what it ends with."""
        ...


class Noun:
    """The methods of one noun, for plain programs."""

    def __init__(self, client: Sender) -> None:
        self._client = client


class AsyncNoun:
    """The methods of one noun, for asynchronous programs."""

    def __init__(self, client: AsyncSender) -> None:
        self._client = client


def send(request: Request[T]) -> Steps[T]:
    """Ask the core."""
    return (yield request)


def collect(request: Request[Page[T]]) -> Steps[list[T]]:
    """Ask the core for all items of a listing."""
    items: list[T] = []
    while True:
        page = yield from send(request)
        items += page.items
        if not page.next_page_token:
            return items
        request = next_page(request, page.next_page_token)


def ask_signer(ask: Ask, into: type[A]) -> Steps[A]:
    """Ask the signer; raises ``Refused`` with its words when it refuses."""
    answer: Any = yield ask
    if not isinstance(answer, into):
        raise Unavailable("E-SIGNER", "The signer gave an answer to something else.")
    return answer


def sign(ask: Ask) -> Steps[Envelope]:
    """Have something signed."""
    signed = yield from ask_signer(ask, Signed)
    return signed.envelope


def find_tenant(person: Person) -> Steps[TenantName]:
    """Return the tenant that is spoken for. Never by the core's word: it could choose whose key signs."""
    if person.tenant:
        return TenantName(person.tenant)
    status = yield from ask_signer(ReadStatus(), SignerStatus)
    if len(status.tenants) != 1:
        held = ", ".join(sorted(status.tenants)) or "none"
        raise Refused("E-KEY", f"The signer must hold one tenant's key, and holds: {held}.", hint="Name the tenant.")
    return next(iter(status.tenants))
