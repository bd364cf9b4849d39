"""What the link sessions of the core ask of the rest of the core.

``core/sessions.py`` speaks with sites and calls these; ``core/link_desk.py`` answers them from the store. Kept apart so
that a session never sees SQL and the store never sees frames. Each method that changes something returns after commit.
"""

from typing import Protocol

import msgspec

from skerry.model.event import Event
from skerry.model.ids import Digest, NodeName, SiteName
from skerry.model.samples import Sample
from skerry.model.signed import Envelope, SiteRecord
from skerry.wire import DocumentPatch, FactsPatch, HelloClaim, JoinAnswer, JoinRequest


class KnownSite(msgspec.Struct, frozen=True):
    """A site as the core holds it: its newest record, verified, and the envelope to hand on."""

    record: SiteRecord
    envelope: Envelope


class Drawn(msgspec.Struct, frozen=True):
    """What a site is to hold, and who it is, read at one moment."""

    #: The newest document as a difference to the base, whole when that is unknown; None when the site is current.
    patch: DocumentPatch | None
    #: None for unknown and removed sites.
    known: KnownSite | None


class SessionGrant(msgspec.Struct, frozen=True):
    """What the core has of a site whose session it just admitted."""

    event_acknowledged: int
    facts_digest: bytes
    #: Mark of that last event, where the site may have written another one under its number; else empty.
    event_mark: bytes = b""


class SessionRefusal(msgspec.Struct, frozen=True):
    """The site is known but this session may not stand: older than another one, or the site was removed."""

    code: str
    reason: str
    #: With ``E-SESSION-OLD``: the newest session epoch seen, for a site whose disk was set back (faults.md P8).
    floor: int = 0


class LinkDesk(Protocol):
    """The core behind a link session."""

    async def read_roots(self, after: int) -> bytes:
        """Return the root envelopes above number ``after`` as JSON, for the plain GET."""
        ...

    async def find_site(self, site: SiteName) -> KnownSite | None:
        """Return the site's newest record; None for unknown and removed ones."""
        ...

    async def open_session(self, claim: HelloClaim, peer: str) -> SessionGrant | SessionRefusal:
        """Admit a proven session durably; an equal or older session epoch than one seen is refused."""
        ...

    async def close_session(self, site: SiteName, session_epoch: int, reason: str) -> None:
        """Note that the session ended."""
        ...

    def hear(self, site: SiteName) -> None:
        """Note that something arrived just now; kept in memory, judged by the parent's boot-time clock."""
        ...

    async def draw_patch(self, site: SiteName, base_epoch: int, base_generation: int) -> Drawn:
        """Return the newest document as a difference to the base, numbered first when the wish has changed since."""
        ...

    async def read_objects(self, site: SiteName, digests: tuple[Digest, ...]) -> dict[Digest, Envelope]:
        """Return those signed objects that exist and that this site's newest document names."""
        ...

    async def record_answer(
        self, site: SiteName, epoch: int, generation: int, *, accepted: bool, code: str, reason: str
    ) -> None:
        """Record that the site holds, or refused, a document."""
        ...

    async def ingest_events(self, site: SiteName, events: tuple[Event, ...], dropped: int) -> int:
        """Store events exactly once, in order, and return the highest sequence committed without a gap."""
        ...

    async def ingest_facts(self, site: SiteName, patch: FactsPatch) -> bool:
        """Store changed facts; False when the digest does not match afterwards, so that all are asked for again."""
        ...

    async def size_blob(self, site: SiteName, blob: Digest) -> int | None:
        """Return the size of an image blob that this site's newest document wants; None for all others."""
        ...

    async def read_blob(self, blob: Digest, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes of a stored blob from ``offset``."""
        ...

    async def join(self, request: JoinRequest, nonce: bytes, server_digest: bytes, peer: str) -> JoinAnswer:
        """Check a join request, burn its token and store it for the signer; say what came of it so far."""
        ...

    async def wait_joined(self, site: SiteName, node: NodeName, until_us: int) -> JoinAnswer:
        """Wait until the signer has vouched for a pending node, at most until the given boot time."""
        ...

    def take_sample(self, site: SiteName, sample: Sample, rtt_us: int) -> None:
        """Remember what a site uses; kept in memory, the newest counts."""
        ...

    async def count_bytes(self, site: SiteName, sent: dict[str, int], received: dict[str, int]) -> None:
        """Add link bytes by purpose to the site's totals."""
        ...
