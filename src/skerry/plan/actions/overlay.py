"""Steps about networks that span sites: tunnels, relays and keys."""

import msgspec

from skerry.model.ids import Digest, SiteName
from skerry.model.relay import RelayTable
from skerry.plan.actions.base import BaseAction


class Tunnel(msgspec.Struct, frozen=True, order=True):
    """An encrypted way to one key of another site, at the interface of one of the node's own keys."""

    #: Number of the node's own key.
    own: int
    #: At the second interface of that key, where a peer's next key stands beside its present one.
    aside: bool
    site: SiteName
    #: The peer's public key.
    key: bytes
    #: Where to look for the peer; empty to wait for it.
    endpoint: str
    #: Ranges of addresses that are at the peer.
    ranges: tuple[str, ...]
    #: Seconds after which a way that is quiet is kept open, as NAT needs it; 0 for never.
    keepalive_s: int = 0
    #: What goes to these ranges goes this way.
    used: bool = True


class ApplyOverlay(BaseAction, frozen=True, kw_only=True, tag="apply-overlay"):
    """Make the node's tunnels and the routes into them equal to this, whole. Proof: the overlay's digest is ``digest``.

    A peer that moved is not told its old place again: a place is set only where it is another than was set before.
    """

    tunnels: tuple[Tunnel, ...]
    digest: Digest


class ApplyRelay(BaseAction, frozen=True, kw_only=True, tag="apply-relay"):
    """Have this node's relay for other sites do just this; without pairs it ends. Proof: its digest is ``digest``."""

    table: RelayTable
    #: The address to listen at.
    host: str
    #: Empty where there is nothing to relay.
    digest: Digest


class MakeOverlayKey(BaseAction, frozen=True, kw_only=True, tag="make-overlay-key"):
    """Make the node's next overlay key and have its device key sign it. Proof: the key is seen."""

    number: int


class DropOverlayKey(BaseAction, frozen=True, kw_only=True, tag="drop-overlay-key"):
    """Forget an overlay key that no tunnel uses any more. Proof: the key is no longer seen."""

    number: int
