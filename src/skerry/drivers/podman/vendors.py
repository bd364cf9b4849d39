"""Devices that vendors describe in files of the node (Container Device Interface, 0.5).

podman reads the same folders itself; here only the names in them are read, to tell what the node has and to say that a
device is not there. Of YAML just the form that generators write is understood: ``kind`` at the left edge, and ``name``
as a key of the items of ``devices``. A parser of all YAML costs the agent more memory than this is worth.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from skerry.model.grants import find_vendor_flaw

#: Where descriptions are, the later folder winning (CDI specification, "Container Device Interface directories").
FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
#: Bytes of one description: a machine with eight GPUs in parts has 200 KiB.
_FILE_BYTES_MAX = 4 * 1024 * 1024
_FILES_MAX = 64
_DEVICES_MAX = 1_024
_NAME = re.compile(r"(?P<dash>- )?(?P<pad> *)name:\s*[\"']?(?P<name>[A-Za-z0-9_.:-]+)[\"']?\s*$", re.ASCII)


def read_vendor_devices(folders: Iterable[Path] = FOLDERS) -> frozenset[str]:
    """Return every device that is described, as ``nvidia.com/gpu=0``; what cannot be read is as good as not there."""
    found: set[str] = set()
    for folder in folders:
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".yaml", ".yml"))
        except OSError:
            continue
        for path in files[:_FILES_MAX]:
            try:
                with path.open("rb") as source:
                    text = source.read(_FILE_BYTES_MAX).decode()
            except (OSError, UnicodeDecodeError):
                continue
            kind, names = _read_json(text) if path.suffix == ".json" else read_yaml(text)
            found |= {name for each in names if not find_vendor_flaw(name := f"{kind}={each}")}
    return frozenset(sorted(found)[:_DEVICES_MAX])


def _read_json(text: str) -> tuple[str, list[str]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return "", []
    if not isinstance(content, dict):
        return "", []
    read = cast("dict[str, Any]", content)
    devices = read.get("devices")
    items = cast("list[Any]", devices) if isinstance(devices, list) else []
    return str(read.get("kind", "")), [str(item.get("name", "")) for item in items if isinstance(item, dict)]  # type: ignore[union-attr]


def read_yaml(text: str) -> tuple[str, list[str]]:
    """Return kind and names of the devices of a description in YAML."""
    kind, names = "", list[str]()
    is_inside, indent = False, -1
    for line in text.splitlines():
        body = line.lstrip(" ")
        depth = len(line) - len(body)
        if not body or body.startswith("#"):
            continue
        if depth == 0 and not body.startswith("- "):
            is_inside, indent = body.rstrip() == "devices:", -1
            word, _, value = body.partition(":")
            kind = value.strip().strip("\"'") if word == "kind" else kind
        elif is_inside:
            indent = depth if indent < 0 and body.startswith("- ") else indent
            is_key = depth == indent + 2 or (depth == indent and body.startswith("- "))
            found = _NAME.fullmatch(body) if is_key else None
            names += [found["name"]] if found is not None else []
    return kind, names


def count_vendor_devices(devices: Iterable[str]) -> dict[str, str]:
    """Return facts of the node: how many devices of each kind it has, by ``nvidia.com/gpu``; ``all`` is none more."""
    names: dict[str, set[str]] = {}
    for device in devices:
        kind, _, name = device.partition("=")
        names.setdefault(kind, set()).add(name)
    return {kind: str(max(len(each - {"all"}), 1)) for kind, each in sorted(names.items())}
