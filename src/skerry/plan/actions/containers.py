"""Steps about containers and their links, from making one to removing it."""

import msgspec

from skerry.model.app import HealthCheck
from skerry.model.ids import Digest, InstanceId, NetworkName, SecretName
from skerry.model.instance import InstanceSpec
from skerry.model.lan import Lan
from skerry.plan.actions.base import BaseAction


class CreateContainer(BaseAction, frozen=True, kw_only=True, tag="create-container"):
    """Make the instance's container, not started. Proof: a container with this spec digest in state ``created``."""

    spec: InstanceSpec
    spec_digest: Digest
    uid_start: int


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance is attached to one of its app's networks."""

    network: NetworkName
    #: Name of the device inside the instance.
    device: str
    mac: str
    #: Each with the prefix length of its range.
    addresses: tuple[str, ...]
    #: The node's addresses through which it leaves; none in a network without a way out.
    gateways: tuple[str, ...] = ()
    #: Bytes of the largest packet; 0 for the kernel's own choice.
    mtu: int = 0
    #: It is a step of a service chain, so it passes on what came from other addresses.
    passes: bool = False
    #: All that it may send and be sent, in bits per second; 0 without limit.
    up_bps: int = 0
    down_bps: int = 0
    #: What it stands on where that is no bridge of its network.
    lan: Lan | None = None


class StartContainer(BaseAction, frozen=True, kw_only=True, tag="start-container"):
    """Start a container that exists, its memory-backed files laid out afresh. Proof: state ``running``.

    Its links are made before its first process runs; a container in which that was half done is begun again.
    """

    container: str
    spec: InstanceSpec
    spec_digest: Digest
    uid_start: int
    #: One for each of its networks; empty where the runtime makes them.
    links: tuple[Link, ...] = ()

    @property
    def instance(self) -> InstanceId:
        """The instance it belongs to."""
        return self.spec.id


class StopContainer(BaseAction, frozen=True, kw_only=True, tag="stop-container"):
    """Ask it to stop, kill it after the grace. Proof: state ``exited``."""

    container: str
    instance: InstanceId
    #: 0 for what it was made with, where the wish that it came from is no longer held.
    grace_us: int
    signal: str = ""


class UnpauseContainer(BaseAction, frozen=True, kw_only=True, tag="unpause-container"):
    """Let a container go on that somebody froze by hand. Proof: state ``running``."""

    container: str
    instance: InstanceId


class RenewSecrets(BaseAction, frozen=True, kw_only=True, tag="renew-secrets"):
    """Write new versions into the files of a running container, then send it a signal. Proof: it is seen with them."""

    container: str
    spec: InstanceSpec
    spec_digest: Digest
    uid_start: int
    names: tuple[SecretName, ...]
    signal: str

    @property
    def instance(self) -> InstanceId:
        """The instance it belongs to."""
        return self.spec.id


class RunHooks(BaseAction, frozen=True, kw_only=True, tag="run-hooks"):
    """Run the commands after a start inside, unless they have begun for this process before.

    Proof: it is seen that they are done, or which of them failed.
    """

    container: str
    spec: InstanceSpec
    spec_digest: Digest
    #: Boot time at which the process began that they are for.
    began_us: int

    @property
    def instance(self) -> InstanceId:
        """The instance it belongs to."""
        return self.spec.id


class RemoveContainer(BaseAction, frozen=True, kw_only=True, tag="remove-container"):
    """Remove a stopped or surplus container; never its named volumes. Proof: it is no longer seen."""

    container: str
    instance: InstanceId


class CheckHealth(BaseAction, frozen=True, kw_only=True, tag="check-health"):
    """Run the instance's health command, or ask by its probe, once.

    Its outcome is the proof: ``healthy``, or not with the output's end or what the probe found.
    """

    container: str
    instance: InstanceId
    check: HealthCheck
