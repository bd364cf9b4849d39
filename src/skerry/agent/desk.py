"""What the agent's link session asks of the rest of the agent.

``agent/session.py`` speaks with the parent and calls these; ``agent/agent.py`` answers them from journal and drivers.
Nothing here waits for the parent, so a cut link never holds the site up.
"""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

import msgspec

from skerry.drivers.base import Typed
from skerry.model.event import Event
from skerry.model.ids import Digest
from skerry.model.samples import Sample
from skerry.model.signed import Envelope
from skerry.plan.uplinks import Ways
from skerry.wire import CallRequest, DocumentPatch, HelloClaim, StreamData


class DocumentVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the site made of a document patch."""

    #: ``accepted``: durable. ``missing``: fetch ``digests`` and present it again. ``whole``: base not held.
    state: str
    epoch: int = 0
    generation: int = 0
    code: str = ""
    reason: str = ""
    digests: tuple[Digest, ...] = ()


class Refusal(NamedTuple):
    """Why nothing was done."""

    code: str
    reason: str


class CallAnswer(msgspec.Struct, frozen=True):
    """First answer to a call; when ``stream`` is given its items follow under the call's id."""

    ok: bool
    body: bytes = b""
    code: str = ""
    reason: str = ""
    stream: AsyncIterator[StreamData] | None = None


class AgentDesk(Protocol):
    """The agent behind its link session."""

    async def begin_session(self, above: int = 0) -> HelloClaim:
        """Raise the session epoch durably, beyond ``above`` too, and return the claim to prove."""
        ...

    async def prove(self, nonce: bytes, server_digest: bytes, claim: bytes) -> bytes:
        """Sign a claim with the device key (trust/proof.py)."""
        ...

    async def accept_site_record(self, envelope: Envelope) -> None:
        """Verify and keep a newer site record; a bad one becomes a security event and changes nothing."""
        ...

    async def accept_document(self, patch: DocumentPatch, objects: tuple[Envelope, ...]) -> DocumentVerdict:
        """Verify a patch with all objects at hand and keep it whole or not at all; durable when it returns."""
        ...

    async def read_facts(self) -> dict[str, bytes]:
        """Return all present facts by key, encoded."""
        ...

    async def read_sample(self) -> Sample | None:
        """Return what this node uses now; None when nothing can be seen."""
        ...

    async def read_outbox(self, after: int, limit: int) -> tuple[tuple[Event, ...], int]:
        """Return the next events above ``after`` in order, and how many between were lost to the outbox's limit."""
        ...

    async def trim_outbox(self, through: int, mark: bytes = b"") -> None:
        """The parent has committed every event up to ``through``, the last of which has this ``mark`` if one is given.

        An event of that number with another mark means that an old disk was set back, as in ``raise_outbox``.
        """
        ...

    async def raise_outbox(self, floor: int) -> None:
        """The parent holds events up to ``floor`` that this journal never wrote: an old disk was set back.

        What waits moves up above ``floor``: the parent never sees a number twice, and an audit event says so.
        """
        ...

    async def answer_call(self, request: CallRequest, stdin: AsyncIterator[Typed]) -> CallAnswer:
        """Answer a call of the parent: nonce, logs, exec, forward, stats; unknown kinds are refused by name."""
        ...

    def note_link(self, state: str, reason: str) -> None:
        """Show the link's state locally: ``up``, ``down`` with a typed reason, ``captive``, ``busy`` …"""
        ...

    def list_ways(self) -> Ways:
        """Return the devices by which to dial, the best first."""
        ...

    def note_way(self, device: str) -> None:
        """Show by which device the link was made; empty where the node's own routes said it."""
        ...

    def wants_answer(self) -> bool:
        """Say whether the parent is to be asked for a sign of life now."""
        ...

    def note_answer(self, asked_us: int) -> None:
        """The parent has given one; it was asked at this boot time."""
        ...

    async def wait_changed(self) -> None:
        """Return when facts or outbox have changed since the last return."""
        ...
