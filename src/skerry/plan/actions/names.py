"""Steps about the names that a node answers for."""

import msgspec

from skerry.model.ids import AppName, Digest, NetworkName, ServiceName, SiteName, TenantName
from skerry.plan.actions.base import BaseAction


class Named(msgspec.Struct, frozen=True, order=True):
    """Where a name leads."""

    name: str
    #: None now where it is empty: the name is known all the same.
    addresses: tuple[str, ...]


class PortNamed(msgspec.Struct, frozen=True, order=True):
    """A declared port of a service, found as ``_PORT._PROTOCOL.SERVICE``."""

    service: str
    port: int
    protocol: str
    #: The name of the service that the answer gives; empty while it leads nowhere.
    target: str


class Zone(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """Everything that one network knows by name, and at which of the node's addresses it asks."""

    tenant: TenantName
    app: AppName
    network: NetworkName
    gateways: tuple[str, ...]
    #: It has no way out, so nothing else is asked for it.
    shut: bool = False
    names: tuple[Named, ...] = ()
    ports: tuple[PortNamed, ...] = ()
    #: Address to the name that it belongs to.
    reverse: tuple[tuple[str, str], ...] = ()
    #: What other sites may ask: by service, where its instances are at this site.
    own: tuple[Named, ...] = ()
    #: Names that are of other networks of an instance that begins: no answer, so that it asks again.
    unsaid: tuple[str, ...] = ()


class Asker(msgspec.Struct, frozen=True, order=True):
    """An instance of several networks asks for all of them at whichever gateway."""

    address: str
    #: Its networks.
    tenant: TenantName
    app: AppName
    networks: tuple[NetworkName, ...]


class Question(msgspec.Struct, frozen=True, order=True):
    """What to ask the name server of another site, from the node's own address in the network."""

    tenant: TenantName
    app: AppName
    network: NetworkName
    service: ServiceName
    site: SiteName
    #: Its address in its part of the network, and ours.
    server: str
    source: str
    #: Ranges in which its answers may lie.
    ranges: tuple[str, ...]
    #: What is heard there is used now, or nothing was heard yet: asked often; others are asked seldom.
    often: bool
    #: People who come to this site are led there now: one that dies is to be left soon.
    soon: bool = False


class ApplyNames(BaseAction, frozen=True, kw_only=True, tag="apply-names"):
    """Make what the node's name server answers equal to this, whole, and ask other sites this from now on.

    Without zones no server runs. Proof: the observed digest of names is ``digest``.
    """

    zones: tuple[Zone, ...]
    askers: tuple[Asker, ...]
    questions: tuple[Question, ...]
    digest: Digest
