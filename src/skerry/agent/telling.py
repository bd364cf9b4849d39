"""What a node tells of itself: facts rounded so that small changes are no news, and events in words for people.

Functions of values, without effects: the loop decides when something is told, the journal keeps it.
"""

from typing import TypeGuard

import msgspec

from skerry.agent import journal
from skerry.model.facts import AppFact, ChainFact, Fact, InstanceFact, NodeFact, VolumeFact
from skerry.model.ids import VolumeId
from skerry.model.observed import NodeSeen
from skerry.plan.actions import DeleteVolume, ObtainCertificate
from skerry.plan.history import AppId, Deleting
from skerry.plan.site_plan import SitePlan

#: Free space of a disk is told in such steps; what places apps needs it no finer.
FREE_STEP_BYTES = 256 * 1024 * 1024
#: A volume's size is told again when it is off by an eighth or by so much, and never for less than ``SIZE_STEP_BYTES``.
SIZE_OFF_BYTES = 256 * 1024 * 1024
SIZE_STEP_BYTES = 64 * 1024
#: A volume that is so much larger than was told has grown within one measuring: that is an event.
GROWN_BYTES = 1 << 30


def is_verdict(fact: Fact, plan: SitePlan) -> TypeGuard[AppFact]:
    """Say whether a health gate has spoken in this plan."""
    if not isinstance(fact, AppFact) or fact.verdict == "watching":
        return False
    return AppId(f"{fact.tenant}/{fact.app}") in plan.judged


def tell_verdict(fact: AppFact, wall_us: int) -> journal.Draft:
    """Say what the health gate found."""
    if fact.verdict == "proven":
        message = f"revision {fact.number} of {fact.app} has passed its health gate"
    else:
        message = f"revision {fact.number} of {fact.app} did not pass its health gate: {fact.reason}"
    return journal.Draft(
        time_us=wall_us,
        type=f"revision.{fact.verdict}",
        subject=f"app/{fact.tenant}/{fact.app}",
        tenant=fact.tenant,
        message=message,
    )


def tell_deleted(volume: VolumeId, deleting: Deleting | DeleteVolume, wall_us: int) -> journal.Draft:
    """Say that a volume was deleted as its tombstone wants it."""
    return journal.Draft(
        time_us=wall_us,
        type="volume.deleted",
        klass="security",
        subject=f"volume/{volume}",
        tenant=deleting.tenant,
        cause=deleting.cause,
        message=f"volume {deleting.name} of {deleting.app} was deleted by its tombstone",
        data={"tombstone": deleting.tombstone},
    )


def tell_obtained(action: ObtainCertificate, wall_us: int) -> journal.Draft:
    """Say that the site got a certificate."""
    return journal.Draft(
        time_us=wall_us,
        type="certificate.obtained",
        klass="event",
        subject=f"certificate/{action.host}",
        cause=action.cause,
        message=f"the site got a certificate for {action.host}",
    )


def describe_change(fact: Fact, before: bytes | None, wall_us: int) -> list[journal.Draft]:
    """Say in an event what changed of a fact, where a person would care."""
    if isinstance(fact, InstanceFact):
        old = None if before is None else msgspec.msgpack.decode(before, type=InstanceFact)
        if old is not None and (old.phase, old.revision, old.restarts) == (fact.phase, fact.revision, fact.restarts):
            return []
        tenant, app, service, _ = fact.instance.split("/")
        return [
            journal.Draft(
                time_us=wall_us,
                type=f"instance.{fact.phase}",
                subject=f"instance/{fact.instance}",
                tenant=tenant,
                message=f"{app}/{service} is {fact.phase}" + (f": {fact.reason}" if fact.reason else ""),
                data={"revision": str(fact.number), "restarts": str(fact.restarts)},
            )
        ]
    if isinstance(fact, ChainFact) and before is not None:
        return _describe_chain(fact, msgspec.msgpack.decode(before, type=ChainFact), wall_us)
    if isinstance(fact, VolumeFact) and before is None:
        tenant, app, name = fact.volume.split("/")
        return [
            journal.Draft(
                time_us=wall_us,
                type="volume.seen",
                subject=f"volume/{fact.volume}",
                tenant=tenant,
                message=f"volume {name} of {app} is here ({fact.state})",
            )
        ]
    return []


def _describe_chain(fact: ChainFact, before: ChainFact, wall_us: int) -> list[journal.Draft]:
    """Say where a chain's traffic goes now, and whether that takes too long; a change under way is no news."""
    told: list[tuple[str, str]] = []
    if fact.state not in (before.state, "changing"):
        why = f": {fact.reason}" if fact.reason else ""
        told.append((f"chain.{fact.state}", f"chain {fact.chain} of {fact.app} is {fact.state} at {fact.node}{why}"))
    if fact.late != before.late:
        word = "late" if fact.late else "in time"
        why = f": {fact.flaw}" if fact.late else ""
        told.append(
            (f"chain.{word.replace(' ', '-')}", f"chain {fact.chain} of {fact.app} is {word} at {fact.node}{why}")
        )
    return [
        journal.Draft(
            time_us=wall_us,
            type=kind,
            subject=f"chain/{fact.tenant}/{fact.app}/{fact.chain}",
            tenant=fact.tenant,
            message=message,
        )
        for kind, message in told
    ]


def tell_grown(fact: VolumeFact, old_bytes: int, wall_us: int) -> journal.Draft:
    """Say that a volume has grown within one measuring."""
    tenant, app, name = fact.volume.split("/")
    return journal.Draft(
        time_us=wall_us,
        type="volume.grown",
        subject=f"volume/{fact.volume}",
        tenant=tenant,
        message=f"volume {name} of {app} grew from {old_bytes >> 20} MiB to {fact.size_bytes >> 20} MiB",
    )


def size_to_tell(size_bytes: int, told_bytes: int) -> int:
    """Return the size of a volume to be told, ``told_bytes`` having been told before: small changes are no news."""
    off = abs(size_bytes - told_bytes)
    small = off < SIZE_STEP_BYTES or off < min(told_bytes // 8, SIZE_OFF_BYTES)
    return told_bytes if small else size_bytes


def tell_reverted(why: str, now_us: int) -> journal.Draft:
    """Tell that wishes about the node's own network were taken back."""
    return journal.Draft(time_us=now_us, type="uplinks.reverted", klass="security", message=why)


def tell_networks_reverted(app: AppId, why: str, now_us: int) -> journal.Draft:
    """Tell that the networks of an app were taken back."""
    tenant = app.partition("/")[0]
    return journal.Draft(
        time_us=now_us, type="networks.reverted", klass="security", subject=f"app/{app}", tenant=tenant, message=why
    )


def node_fact(seen: NodeSeen, agent_version: str, told_free: int | None) -> NodeFact:
    """Return what is to be told of the machine, ``told_free`` bytes of free space having been told before.

    A fact is sent when it changes, and free space always does: it is rounded, and what was told stands until it is off
    by a whole step, so that space which swings around a step costs nothing.
    """
    free = seen.disk_free_bytes // FREE_STEP_BYTES * FREE_STEP_BYTES
    if told_free is not None and -FREE_STEP_BYTES < seen.disk_free_bytes - told_free < 2 * FREE_STEP_BYTES:
        free = told_free
    return NodeFact(
        node=seen.node,
        cpu_m=seen.cpu_m,
        memory_bytes=seen.memory_bytes,
        disk_bytes=seen.disk_bytes,
        disk_free_bytes=free,
        arch=seen.arch,
        kernel=seen.kernel,
        agent=agent_version,
        facts=seen.facts,
        devices=seen.devices,
    )
