"""Words of transcripts: durations, and what an app is said to be, as ``AppWords``."""

import re
from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from skerry.clock import SECOND_US
from skerry.model.chain import Chain, ChainEnd
from skerry.model.entrance import Entrance
from skerry.model.ids import ServiceName
from skerry.model.policy import Autonomy, Priority
from skerry.model.rollout import Gate, InSite, Rollout, TimeWindow
from skerry.model.volume import SnapshotPlan
from skerry.sim.apps import AppWords

#: Rollouts by name: in waves with a short bake, and the same with a person's word between them.
_ROLLOUTS = {
    "waves": Rollout(bake_us=60 * SECOND_US, gate=Gate(healthy_us=60 * SECOND_US, timeout_us=300 * SECOND_US)),
    "asked": Rollout(bake_us=0, approve="each-wave", gate=Gate(healthy_us=0, timeout_us=300 * SECOND_US)),
}
_ROLLOUTS["night"] = msgspec.structs.replace(_ROLLOUTS["waves"], windows=(TimeWindow(2 * 60, 5 * 60, zone="utc"),))
#: What an app may wish of a site that is cut off.
_AUTONOMIES = {
    "stop": Autonomy(offline="stop-after", max_offline_us=86_400 * SECOND_US),
    "alarm": Autonomy(max_offline_us=3_600 * SECOND_US),
    "wait": Autonomy(restart_offline=False),
    "replace": Autonomy(replace_after_us=600 * SECOND_US),
    "move": Autonomy(replace_after_us=600 * SECOND_US, on_return="keep-replacement"),
    "newest": Autonomy(replace_after_us=600 * SECOND_US, on_return="newest"),
    "longest": Autonomy(replace_after_us=600 * SECOND_US, on_return="longest-running"),
    "hands-off": Autonomy(local_control="none"),
    "hands-on": Autonomy(local_control="full"),
}
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 365 * 86_400}


def seconds(text: str) -> int:
    """Read ``3d``, ``90s`` or ``-1h``."""
    match = re.fullmatch(r"(-?\d+)([smhdy])", text)
    if match is None:
        raise ValueError(f"{text!r} is no duration: 90s, 5m, 2h, 3d, 1y")
    return int(match[1]) * _UNITS_S[match[2]]


#: What ``hooks`` says of the commands after a start and before a stop.
_HOOKS = {
    "no": ("", ""),
    "yes": ("echo ready; exit 0", "echo leaving; exit 0"),
    "fail": ("echo out of order; exit 3", "echo stuck; exit 1"),
}

#: Words of ``apply`` that are no service.
_KNOWN = (
    "tenant",
    "match",
    "total",
    "per_site",
    "restart",
    "size",
    "port",
    "volume",
    "health",
    "rollout",
    "offline",
    "priority",
    "memory",
    "follow",
    "shares",
    "hooks",
    "order",
    "fence",
    "apart",
    "together",
    "sites_max",
    "max_down",
    "withdraw",
    "stretched",
    "door",
    "chain",
    "fail",
    "led",
    "every",
    "keep",
)


def read_app(named: Mapping[str, str]) -> AppWords:
    """Read what ``apply`` says of an app: services with their images, and the words about them."""

    def names(word: str) -> tuple[str, ...]:
        return tuple(named[word].split(",")) if word in named else ()

    steps = dict(each.split(":") for each in names("chain"))
    return AppWords(
        services={**{name: image for name, image in named.items() if name not in _KNOWN}, **steps},
        chain=_read_chain(tuple(steps), named) if steps else None,
        match=(named["match"].replace(":", "="),) if "match" in named else (),
        total=int(named.get("total", "0")),
        per_site=int(named.get("per_site", "1")),
        port=int(named.get("port", "0")),
        volume=named.get("volume", "yes") == "yes" and "total" not in named,
        health=named.get("health") == "yes",
        ill=named.get("health") == "ill",
        autonomy=_AUTONOMIES[named["offline"]] if "offline" in named else None,
        priority=_read_priority(named["priority"]) if "priority" in named else None,
        memory_bytes=int(named.get("memory", "0")) << 20,
        follow=named.get("follow", ""),
        shares=named.get("shares", ""),
        after_start=_HOOKS[named.get("hooks", "no")][0],
        before_stop=_HOOKS[named.get("hooks", "no")][1],
        in_site=InSite(order=named["order"]) if "order" in named else None,  # type: ignore[arg-type]
        rollout=_ROLLOUTS[named["rollout"]] if "rollout" in named else None,
        restart=named.get("restart", "always"),  # type: ignore[arg-type]
        fence=names("fence"),
        apart=names("apart"),
        together=names("together"),
        sites_max=int(named.get("sites_max", "0")),
        max_down=int(named.get("max_down", "0")),
        stretched=names("stretched"),
        snapshots=SnapshotPlan(every_us=seconds(named["every"]) * 1_000_000, keep=int(named["keep"]))
        if "every" in named
        else UNSET,
        entrances=_read_doors(names("door")),
        withdraw="tenant" if named.get("withdraw") == "tenant" else "core",
    )


def _read_chain(steps: tuple[str, ...], named: Mapping[str, str]) -> Chain:
    """Read ``chain=wall:image,look:image fail=open``: what leaves the site passes these services.

    With ``led=users`` it is what users bring, and with ``led=lan1`` what comes from that device.
    """
    inside, led = ChainEnd(kind="network", name="default"), named.get("led", "")
    start = ChainEnd(kind="users") if led == "users" else ChainEnd(kind="interface", name=led) if led else inside
    return Chain(
        name="out",
        start=start,
        through=tuple(map(ServiceName, steps)),
        end=inside if led == "users" else ChainEnd(kind="uplink"),
        fail="open" if named.get("fail") == "open" else "closed",
    )


def _read_doors(texts: tuple[str, ...]) -> dict[str, tuple[Entrance, ...]]:
    """Read ``door=web:shop.example,web:2525,web:5353/udp``: by host name, or by a port of the node."""
    found: dict[str, tuple[Entrance, ...]] = {}
    for text in texts:
        service, _, place = text.partition(":")
        number, _, protocol = place.partition("/")
        if protocol == "udp":
            one = Entrance(udp=int(number), port=53)
        else:
            one = Entrance(tcp=int(place), port=80) if place.isdigit() else Entrance(host=place, port=80)
        found[service] = (*found.get(service, ()), one)
    return found


def _read_priority(text: str) -> Priority:
    """Read ``300``, or ``300!`` for one that nobody may preempt."""
    return Priority(value=int(text.removesuffix("!")), preemptible=not text.endswith("!"))
