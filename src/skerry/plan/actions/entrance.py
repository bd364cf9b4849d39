"""Steps about a node's entrance: places, copies behind them, datagrams and certificates."""

from typing import Literal

import msgspec

from skerry.model.ids import Digest
from skerry.plan.actions.base import BaseAction


class Server(msgspec.Struct, frozen=True, order=True):
    """One copy of a service as the entrance asks it."""

    name: str
    address: str
    port: int
    #: ``drain``: what is under way is ended, nothing new is begun.
    state: Literal["up", "drain"] = "up"
    #: 0 is asked first; others, which are at other sites, only where none of a lower rank answers.
    rank: int = 0
    #: The node's own address that it is asked from; empty for whatever routes say.
    source: str = ""


class Backend(msgspec.Struct, frozen=True, order=True):
    """The copies of a service at one of their ports; ``page`` is what a copy that is well answers, empty for any."""

    name: str
    mode: Literal["http", "tcp"]
    page: str
    servers: tuple[Server, ...]


class Route(msgspec.Struct, frozen=True, order=True):
    """A host name and where a service begins at it; ``secure``: by TLS alone. ``holder`` is TENANT/APP/SERVICE."""

    host: str
    path: str
    backend: str
    secure: bool
    holder: str


class Listener(msgspec.Struct, frozen=True, order=True):
    """A TCP port of the node whose connections go to a backend."""

    port: int
    backend: str
    holder: str


class Datagrams(msgspec.Struct, frozen=True, order=True):
    """A UDP port of the node whose datagrams go to servers, those of one sender to one of them."""

    port: int
    holder: str
    servers: tuple[Server, ...]


class Certificate(msgspec.Struct, frozen=True, order=True):
    """What a host name is shown with: the digest of chain and key, or of the sealed payload that has both."""

    host: str
    version: Digest


class Challenge(msgspec.Struct, frozen=True):
    """Hosts for which an authority is answered that the site has them (RFC 8555, section 8.3), and with whose name."""

    hosts: tuple[str, ...] = ()
    #: The name of the site's account key (RFC 7638); the answer is the token that is asked for and this.
    thumbprint: str = ""


class ApplyEntrance(BaseAction, frozen=True, kw_only=True, tag="apply-entrance"):
    """Make the site's entrance equal to this, whole, ending nothing that is under way; without anything, end it.

    Proof: the observed entrance has this digest, and its servers are seen in these states.
    """

    routes: tuple[Route, ...] = ()
    listeners: tuple[Listener, ...] = ()
    backends: tuple[Backend, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    datagrams: tuple[Datagrams, ...] = ()
    challenge: Challenge = Challenge()
    digest: Digest


class MakeAccount(BaseAction, frozen=True, kw_only=True, tag="make-account"):
    """Make the key by which the site asks an authority for certificates. Proof: its thumbprint is observed."""


class ObtainCertificate(BaseAction, frozen=True, kw_only=True, tag="obtain-certificate"):
    """Get a certificate for a host name from the site's authority; the one that is held stays until then.

    Proof: the observed certificate of the host ends later. What fails is remembered, and observed as well.
    """

    host: str
