"""What a site uses of itself at one moment: the numbers that travel beside facts, often changing and soon stale.

A sample may be lost: whatever grows is counted since a beginning (of a boot, of a container), so the next sample says
what the lost one would have said, and the difference of any two is a true mean. States and restarts are
facts (facts.py) and not repeated here. Arrays on the wire: fields are only ever appended.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from skerry.model.ids import AppName, InstanceId, NetworkName, ServiceName, SiteName, TenantName, VolumeId
from skerry.model.limits import (
    CHAIN_STEPS_MAX,
    INTEGER_MAX,
    SAMPLE_CHAINS_MAX,
    SAMPLE_DOORS_MAX,
    SAMPLE_INSTANCES_MAX,
    SAMPLE_NETWORKS_MAX,
    SAMPLE_PEERS_MAX,
    SAMPLE_PURPOSES_MAX,
    SAMPLE_VOLUMES_MAX,
)
from skerry.model.uplinks import UPLINKS_MAX

#: Bytes, microseconds or thousandths; a site that says anything else is not understood.
Amount = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]


class HostUse(msgspec.Struct, frozen=True, array_like=True):
    """What the machine uses; what it has is its ``NodeFact``."""

    #: Time that its processors worked since the boot, in microseconds of one processor.
    cpu_us: Amount
    #: Mean length of the run queue over a minute, in thousandths.
    load_m: Amount
    #: Memory that a new process could not have.
    memory_bytes: Amount
    #: Used bytes of the disk that holds images and volumes.
    disk_bytes: Amount
    #: Files (inodes) that this disk can have and has; 0 and 0 where its file system does not count them.
    files: Amount = 0
    files_used: Amount = 0
    #: Hottest sensor in thousandths of a degree Celsius; 0 where there is none.
    temperature_m: Amount = 0


class InstanceUse(msgspec.Struct, frozen=True, array_like=True):
    """What one instance uses; all but the memory is counted since its container started."""

    instance: Annotated[InstanceId, Meta(max_length=256)]
    #: Processor time in microseconds.
    cpu_us: Amount
    memory_bytes: Amount
    #: Bytes over its networks.
    received_bytes: Amount = 0
    sent_bytes: Amount = 0
    #: Bytes from and to block devices.
    read_bytes: Amount = 0
    written_bytes: Amount = 0


class VolumeUse(msgspec.Struct, frozen=True, array_like=True):
    """Room that one volume's data takes on the disk, as it was when it was last measured."""

    volume: Annotated[VolumeId, Meta(max_length=256)]
    disk_bytes: Amount


class StepUse(msgspec.Struct, frozen=True, array_like=True):
    """Packets given to one step of a chain on their way out and back, test packets among them."""

    service: Annotated[ServiceName, Meta(max_length=64)]
    out: Amount
    back: Amount


class ChainUse(msgspec.Struct, frozen=True, array_like=True):
    """What the steps of one service chain were given, counted since the node's chains were last changed."""

    tenant: Annotated[TenantName, Meta(max_length=64)]
    app: Annotated[AppName, Meta(max_length=64)]
    chain: Annotated[str, Meta(max_length=64)]
    #: From the near end on.
    steps: Annotated[tuple[StepUse, ...], Meta(max_length=CHAIN_STEPS_MAX)]


class DoorUse(msgspec.Struct, frozen=True, array_like=True):
    """What people asked of one port of a service over the site's entrance, counted since its proxy was started anew."""

    tenant: Annotated[TenantName, Meta(max_length=64)]
    app: Annotated[AppName, Meta(max_length=64)]
    service: Annotated[ServiceName, Meta(max_length=64)]
    #: Of the instance.
    port: Annotated[int, Meta(ge=1, le=65_535)]
    kind: Literal["http", "tcp"]
    connections: Amount
    #: Those that are open now.
    open: Amount
    #: Bytes from people and to them.
    received_bytes: Amount
    sent_bytes: Amount
    #: Answers by the first digit of their code, from 1 to 5, and those with none; all 0 where nobody speaks HTTP.
    answers: Annotated[tuple[Amount, ...], Meta(max_length=6)] = ()
    #: Mean time until a copy answered, of the last 1,024 requests, in microseconds.
    answer_us: Amount = 0


class NetworkUse(msgspec.Struct, frozen=True, array_like=True):
    """What went between a network and anywhere else, counted since the node counts it."""

    tenant: Annotated[TenantName, Meta(max_length=64)]
    app: Annotated[AppName, Meta(max_length=64)]
    network: Annotated[NetworkName, Meta(max_length=64)]
    #: From it and to it, behind all rules.
    sent_packets: Amount
    sent_bytes: Amount
    received_packets: Amount
    received_bytes: Amount
    #: What some rule of the node dropped, both ways together.
    dropped_packets: Amount
    dropped_bytes: Amount


class PeerUse(msgspec.Struct, frozen=True, array_like=True):
    """The way to another site."""

    site: Annotated[SiteName, Meta(max_length=64)]
    #: Its tunnel was told to go by the relay.
    relayed: bool
    #: Seconds since both ends agreed on keys; -1 for never.
    heard_s: Annotated[int, Meta(ge=-1, le=INTEGER_MAX)]
    #: It sends and hears nothing.
    trying: bool
    received_bytes: Amount
    sent_bytes: Amount
    #: Round trip of questions for names; 0 where nothing is asked there.
    rtt_us: Amount = 0
    #: Such questions since the agent began, and those that nobody answered in time.
    asked: Amount = 0
    unanswered: Amount = 0


class UplinkUse(msgspec.Struct, frozen=True, array_like=True):
    """What went over an uplink this month, both ways together, as the node counted it."""

    uplink: Annotated[str, Meta(max_length=64)]
    #: The agent's link goes by it.
    has_link: bool
    #: Like ``2026-12``; empty while nobody has told the node the time.
    month: Annotated[str, Meta(max_length=16)]
    used_bytes: Amount
    #: Of these, by purpose; what is of none of them is everything else at that device.
    purposes: Annotated[dict[Annotated[str, Meta(max_length=32)], Amount], Meta(max_length=SAMPLE_PURPOSES_MAX)]


class OutboxUse(msgspec.Struct, frozen=True, array_like=True):
    """What waits at the site for the core's acknowledgement."""

    events: Amount
    #: Bytes of those events in the journal.
    bytes: Amount


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One look at a node."""

    host: HostUse | None
    instances: Annotated[tuple[InstanceUse, ...], Meta(max_length=SAMPLE_INSTANCES_MAX)] = ()
    volumes: Annotated[tuple[VolumeUse, ...], Meta(max_length=SAMPLE_VOLUMES_MAX)] = ()
    outbox: OutboxUse | None = None
    #: The node's wall clock in milliseconds since 1970 when this was read; 0 when it was not told.
    clock_ms: Amount = 0
    chains: Annotated[tuple[ChainUse, ...], Meta(max_length=SAMPLE_CHAINS_MAX)] = ()
    doors: Annotated[tuple[DoorUse, ...], Meta(max_length=SAMPLE_DOORS_MAX)] = ()
    networks: Annotated[tuple[NetworkUse, ...], Meta(max_length=SAMPLE_NETWORKS_MAX)] = ()
    peers: Annotated[tuple[PeerUse, ...], Meta(max_length=SAMPLE_PEERS_MAX)] = ()
    uplinks: Annotated[tuple[UplinkUse, ...], Meta(max_length=UPLINKS_MAX)] = ()
