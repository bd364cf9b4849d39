"""``gpus`` and ``deploy.resources.reservations.devices``: GPUs by the names that their vendors give them on the node.

Vendors describe their devices in files of the node (Container Device Interface); which ones a copy gets is said by
number, as Docker counts them: from the first on. A node has to have them, which is a condition on it. Whoever names
several kinds gets a node that has all of them.
"""

from skerry.manifest.nodes import Mapping, Place, Sequence
from skerry.manifest.reading import Reading
from skerry.model.grants import Need, find_vendor_flaw, needs_grant

#: Vendor of each driver, by the word that Compose files have for it; without one they mean NVIDIA's.
_VENDORS = {"": "nvidia.com", "nvidia": "nvidia.com", "amd": "amd.com", "intel": "intel.com"}
#: What else NVIDIA's own software knows to ask for: its description gives all of it.
_IDLE = ("compute", "utility", "graphics", "video", "display", "compat32", "ngx", "nvidia", "tpu")
#: GPUs of one copy: no machine has more.
_COUNT_MAX = 64


def read_gpus(reading: Reading, service: Place) -> tuple[str, ...]:
    """Return the devices that both fields name, as ``nvidia.com/gpu=0``, sorted."""
    found: set[str] = set()
    gpus = reading.find(service, "gpus")
    if gpus is not None and not isinstance(gpus.node, Sequence):
        if reading.text(gpus) == "all":
            found.add("nvidia.com/gpu=all")
        else:
            reading.findings.complain(gpus, "E-TYPE", f'"{reading.text(gpus)[:40]}" is neither all nor a list')
    reserved = reading.find(service, "deploy", "resources", "reservations", "devices")
    for place in (gpus, reserved):
        for item in place.elements() if place is not None else ():
            found.update(_read_request(reading, item, needs_capability=place is reserved))
    return tuple(sorted(found))


def read_named(reading: Reading, service: Place) -> tuple[str, ...]:
    """Return the devices of vendors that ``devices`` names; all but GPUs need a grant."""
    found: set[str] = set()
    for item in reading.texts(reading.find(service, "devices")):
        if isinstance(item.node, Mapping) or "=" not in reading.text(item):
            continue
        found.update(_read_full_name(reading, item))
    return tuple(sorted(found))


def list_conditions(devices: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a node has to be known for: as many of each kind as the highest number needs."""
    most: dict[str, int] = {}
    for device in devices:
        kind, _, name = device.partition("=")
        most[kind] = max(most.get(kind, 0), int(name) if name.isdigit() and len(name) < 3 else 0)
    return tuple(f"{kind}>{number}" for kind, number in sorted(most.items()))


def _read_request(reading: Reading, place: Place, *, needs_capability: bool) -> list[str]:
    wanted = [reading.text(item) for item in reading.texts(reading.find(place, "capabilities"))]
    others = sorted(set(wanted) - {"gpu"} - set(_IDLE))
    if others or (needs_capability and "gpu" not in wanted):
        shown = f'"{others[0][:40]}"' if others else "anything"
        detail = f"nodes have no devices for {shown}: GPUs are asked for by capabilities: [gpu]"
        reading.findings.refuse(reading.find(place, "capabilities") or place, detail)
        return []
    options = reading.find(place, "options")
    if options is not None and (any(options.entries()) or any(options.elements())):
        reading.findings.refuse(options, "what a vendor describes has no options")
    driver = reading.find(place, "driver")
    ids, count = reading.find(place, "device_ids"), reading.find(place, "count")
    if ids is not None and count is not None:
        reading.findings.complain(count, "E-CONFLICT", "device_ids is given too", at_key=True)
        return []
    names = [reading.text(item) for item in reading.texts(ids)]
    if reading.text(driver) == "cdi":
        return _read_full_names(reading, ids or place)
    vendor = _VENDORS.get(reading.text(driver))
    if vendor is None:
        if driver is not None:
            known = ", ".join(sorted(filter(None, _VENDORS)))
            detail = f'nothing is known of the driver "{reading.text(driver)[:40]}": there are {known} and cdi'
            reading.findings.refuse(driver, detail)
        return []
    if ids is None:
        is_all = count is None or reading.text(count) in ("all", "-1")
        number = 0 if is_all else reading.whole(count, 1, _COUNT_MAX, 1)
        names = ["all"] if is_all else [str(each) for each in range(number)]
    found = [f"{vendor}/gpu={name}" for name in names]
    flaws = [flaw for name in found if (flaw := find_vendor_flaw(name))]
    flaw = flaws[0] if flaws else ""
    if flaw:
        reading.findings.complain(ids or place, "E-TYPE", flaw)
        return []
    return found


def _read_full_names(reading: Reading, place: Place) -> list[str]:
    return [name for item in reading.texts(place) for name in _read_full_name(reading, item)]


def _read_full_name(reading: Reading, item: Place) -> tuple[str, ...]:
    """Return the name of one vendor's device, asking for its grant; nothing after a complaint."""
    name = reading.text(item)
    if flaw := find_vendor_flaw(name):
        reading.findings.complain(item, "E-TYPE", flaw)
        return ()
    if needs_grant(name):
        reading.findings.ask_grant(item, Need("devices", name))
    return (name,)
