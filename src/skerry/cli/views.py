"""Columns that several commands show."""

import re

from skerry.cli.output import Column, format_bytes
from skerry.model.answers import CloudEvent, Condition, DrainedInstance, InstanceView, NodeView, Unplaced

CONDITIONS: tuple[Column[Condition], ...] = (
    Column("condition", lambda each: each.kind),
    Column("reason", lambda each: each.reason),
)


def event_kind(event: CloudEvent) -> str:
    """Return an event's kind without its CloudEvents clothes."""
    return event.type.removeprefix("dev.skerry.").removesuffix(".v1")


def name_drained(each: DrainedInstance) -> str:
    """Name an instance at a site that is drained; of other tenants' only the owner is known."""
    return f"{each.app}/{each.service}.{each.ordinal}" if each.app else f"one of tenant {each.tenant}"


#: A thousandth of a second says nothing in a table; -o json has it.
_FRACTION = re.compile(r"\.\d+(?=Z$)")

EVENTS: tuple[Column[CloudEvent], ...] = (
    Column("id", lambda event: event.id),
    Column("time", lambda event: _FRACTION.sub("", event.time)),
    Column("source", lambda event: event.source.removeprefix("/sites/").removeprefix("/")),
    Column("event", event_kind),
    Column("subject", lambda event: event.subject),
    Column("message", lambda event: event.data.get("message", "")),
    Column("cause", lambda event: event.cause, wide=True),
)
INSTANCES: tuple[Column[InstanceView], ...] = (
    Column("instance", lambda each: f"{each.app}/{each.service}.{each.ordinal}"),
    Column("site", lambda each: each.site),
    Column("phase", lambda each: each.phase),
    Column("health", lambda each: "" if each.health == "none" else each.health),
    Column("revision", lambda each: each.wanted if each.wanted == each.reported else f"{each.reported}→{each.wanted}"),
    Column("restarts", lambda each: each.restarts),
    Column("ports", lambda each: tuple(sorted(each.ports))),
    Column("reason", lambda each: each.reason),
)
NODES: tuple[Column[NodeView], ...] = (
    Column("node", lambda node: node.node),
    Column("keys", lambda node: node.key_class),
    Column("cpu", lambda node: f"{node.cpu_m / 1000:g}" if node.reported else ""),
    Column("memory", lambda node: format_bytes(node.memory_bytes) if node.reported else ""),
    Column("disk free", lambda node: format_bytes(node.disk_free_bytes) if node.reported else ""),
    Column("arch", lambda node: node.arch),
    Column("agent", lambda node: node.agent),
)
STAYING: tuple[Column[DrainedInstance], ...] = (
    Column("instance", lambda each: name_drained(each)),
    Column("reason", lambda each: f"{each.reason}{'; it goes later' if each.waits else ''}"),
)
UNPLACED: tuple[Column[Unplaced], ...] = (
    Column("service", lambda each: each.service),
    Column("site", lambda each: each.site or "any"),
    Column("reason", lambda each: each.reason),
)
