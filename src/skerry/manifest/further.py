"""What few services ask for: name look-up, swap and shares of processors, logs, annotations, address of a device.

All of it stands together in ``model.app.Further``, which is left out of the signed form where nothing is said.
Neighbour: ``service.py`` puts the service together.
"""

import re
from typing import Literal

import msgspec

from skerry.manifest.binds import Tree
from skerry.manifest.gpus import list_conditions, read_gpus, read_named
from skerry.manifest.hooks import read_hooks
from skerry.manifest.node_use import read_node_use
from skerry.manifest.nodes import Place
from skerry.manifest.process import read_labels
from skerry.manifest.reading import Reading
from skerry.model.app import Address, DiskLimit, Further, Resources, Service, SharedNamespace
from skerry.model.grants import NodeUse, find_device_flaw
from skerry.model.ids import NetworkName, ServiceName
from skerry.model.limits import INTEGER_MAX

_DNS_OPTION = re.compile(r"[a-z0-9-]+(?::[0-9]{1,5})?", re.ASCII)
_DOMAIN = re.compile(r"\.?|[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_LOG_DRIVERS = ("", "json-file", "local", "journald")
#: Options of a log that are the site's own business.
_LOG_IDLE = ("max-file", "compress", "mode", "max-buffer-size", "labels", "labels-regex", "env", "env-regex", "tag")
_US_MAX = 1_000_000
#: What Compose calls the fields of ``DiskLimit``.
_DISK_WORDS = {
    "device_read_bps": "read_bytes",
    "device_write_bps": "write_bytes",
    "device_read_iops": "read_count",
    "device_write_iops": "write_count",
    "weight_device": "weight",
}


def read_further(
    reading: Reading,
    service: Place,
    tree: Tree,
    limits: Resources,
    addresses: dict[NetworkName, Address],
    shares: dict[SharedNamespace, ServiceName],
) -> Further | msgspec.UnsetType:
    """Return what a service says of all this; unset for one that says nothing."""

    def find(*path: str) -> Place | None:
        return reading.find(service, *path)

    log, log_bytes = _read_log(reading, find("logging"))
    use = read_node_use(reading, service, tree.binds)
    found = Further(
        annotations=read_labels(reading, find("annotations")),
        dns_options=_read_matching(reading, find("dns_opt"), _DNS_OPTION, "an option of name look-up: write ndots:2"),
        dns_search=_read_search(reading, find("dns_search")),
        folders=tuple(tree.folders),
        node_files=tuple(tree.node_files),
        addresses={name: each for name, each in addresses.items() if each != Address()},
        memory_swap_bytes=_read_swap(reading, find("memswap_limit"), limits),
        cpu_shares=reading.whole(find("cpu_shares"), 0, 262_144, 0),
        cpu_period_us=_read_us(reading, find("cpu_period"), 1_000, limits),
        cpu_quota_us=_read_us(reading, find("cpu_quota"), -1, limits),
        io_weight=reading.whole(find("blkio_config", "weight"), 10, 1_000, 0),
        disks=_read_disks(reading, find("blkio_config")),
        root_bytes=_read_root_size(reading, find("storage_opt")),
        oom_score=_read_oom_score(reading, find("oom_score_adj")),
        ipc=_read_ipc(reading, find("ipc")),
        log=log,
        log_bytes=log_bytes,
        post_start=read_hooks(reading, find("post_start")),
        pre_stop=read_hooks(reading, find("pre_stop")),
        vendor_devices=tuple(sorted({*read_gpus(reading, service), *read_named(reading, service)})),
        shares=shares,
        node=use if use != NodeUse() else msgspec.UNSET,
    )
    return found if found != Further() else msgspec.UNSET


def _read_matching(reading: Reading, place: Place | None, pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for item in reading.texts(place):
        text = reading.text(item)
        if pattern.fullmatch(text) is None:
            reading.findings.complain(item, "E-TYPE", f'"{text[:60]}" is not {what}')
        found[text] = None
    return tuple(found)


def _read_search(reading: Reading, place: Place | None) -> tuple[str, ...]:
    """Return domains; an empty one means none, which is written ``.`` where it is used."""
    found = _read_matching(reading, place, _DOMAIN, "a domain to look names up in")
    return tuple(domain or "." for domain in found)


def _read_swap(reading: Reading, place: Place | None, limits: Resources) -> int:
    """Return memory and swap together; it means something beside a limit of memory only."""
    if place is None:
        return 0
    if reading.text(place) == "-1":
        return -1
    size = reading.size(place)
    if size and not limits.memory_bytes:
        reading.findings.complain(place, "E-CONFLICT", "it counts memory too, so mem_limit must be given", at_key=True)
    elif 0 < size < limits.memory_bytes:
        detail = f"it counts memory too, and is below the {limits.memory_bytes} bytes of mem_limit"
        reading.findings.complain(place, "E-RANGE", detail)
    return size


def _read_us(reading: Reading, place: Place | None, low: int, limits: Resources) -> int:
    """Return microseconds, from a bare number or a duration; ``cpus`` says the same in another way."""
    if place is None:
        return 0
    is_number = reading.text(place).lstrip("-").isdigit()
    value = reading.whole(place, low, INTEGER_MAX, 0) if is_number else reading.duration(place, 0)
    if place.name == "cpu_period" and value > _US_MAX:
        reading.findings.complain(place, "E-RANGE", f"{value} is out of range: at most {_US_MAX}")
    if limits.cpu_m and value:
        reading.findings.complain(place, "E-CONFLICT", "cpus is given too", at_key=True)
    return max(value, 0)


def _read_root_size(reading: Reading, place: Place | None) -> int:
    """Return how much a service may write into its root; 0 for no limit. ``placement.py`` asks for fitting nodes."""
    size = 0
    for name, item in place.entries() if place is not None else ():
        if name == "size":
            size = reading.size(item)
        else:
            reading.findings.refuse(item, f'the storage of a site has no option "{name[:40]}"')
    return size


def ask_of_node(service: Service) -> Service:
    """Make what only some nodes have a condition on every alternative of the node."""
    further = service.further or Further()
    wanted = list_conditions(further.vendor_devices)
    if not wanted:
        return service
    terms = ", ".join(wanted)
    node = tuple(f"{text}, {terms}" for text in service.placement.node) or (terms,)
    return msgspec.structs.replace(service, placement=msgspec.structs.replace(service.placement, node=node))


def _read_disks(reading: Reading, place: Place | None) -> tuple[DiskLimit, ...]:
    """Return what is said of single disks, each once, by the names of their devices."""
    found: dict[str, dict[str, int]] = {}
    for word, field in _DISK_WORDS.items():
        for item in reading.texts(reading.find(place, word)):
            device, rate = reading.find(item, "path"), reading.find(item, "weight" if field == "weight" else "rate")
            flaw = find_device_flaw(reading.text(device))
            if flaw:
                reading.findings.complain(device or item, "E-TYPE", flaw)
                continue
            value = _read_rate(reading, rate, field)
            given = found.setdefault(reading.text(device), {})
            if given.setdefault(field, value) != value:
                detail = f"{reading.text(device)[:60]} is named before with something else"
                reading.findings.complain(item, "E-CONFLICT", detail)
    return tuple(DiskLimit(device=device, **given) for device, given in sorted(found.items()) if any(given.values()))


def _read_rate(reading: Reading, place: Place | None, field: str) -> int:
    if field == "weight":
        return reading.whole(place, 10, 1_000, 0)
    if field.endswith("bytes"):
        return reading.size(place)
    return reading.whole(place, 0, INTEGER_MAX, 0)


def _read_oom_score(reading: Reading, place: Place | None) -> int:
    score = reading.whole(place, -1_000, 1_000, 0)
    if place is not None and score < 0:
        detail = "the kernel lets nobody inside a namespace of users be spared when memory runs out"
        reading.findings.refuse(place, detail, hint="limit the others: mem_limit")
    return max(score, 0)


def _read_ipc(reading: Reading, place: Place | None) -> Literal["", "none", "shareable"]:
    match reading.text(place):
        case "none":
            return "none"
        case "shareable":
            return "shareable"
        case _:
            return ""


def _read_log(reading: Reading, place: Place | None) -> tuple[Literal["kept", "none"], int]:
    """Return whether a log is kept and how large it may get; the site has one kind of log store."""
    driver = reading.find(place, "driver")
    name = reading.text(driver)
    if driver is not None and name == "none":
        return "none", 0
    if driver is not None and name not in _LOG_DRIVERS:
        reading.findings.refuse(driver, f'a site keeps its own logs and has no log driver "{name[:40]}"')
        return "kept", 0
    size = 0
    options = reading.find(place, "options")
    for option, item in options.entries() if options is not None else ():
        if option == "max-size":
            size = 0 if reading.text(item) == "-1" else reading.size_of(item, reading.text(item))
        elif option in _LOG_IDLE:
            reading.findings.note(item, "translated", "nothing: the site's log store has its own ways")
        else:
            reading.findings.refuse(item, f'the log store of a site has no option "{option[:40]}"')
    return "kept", size
