"""Runs the runtime contract with the real drivers, inside a site of the lab; prints one JSON object of results."""

import asyncio
import json
import sys
import traceback
from pathlib import Path

from tests.contract import runtime
from tests.e2e.archive_source import ArchiveSource
from tests.e2e.tiny_image import tiny_image

from skerry.agent.perform import Performer
from skerry.drivers.host import HostDriver
from skerry.drivers.images import ImagesDriver
from skerry.drivers.networks import NetworksDriver
from skerry.drivers.podman import PodmanDriver
from skerry.drivers.podman.files import FileStage
from skerry.drivers.volumes import VolumesDriver
from skerry.model.ids import NodeName
from skerry.safe.paths import RealDirectory


class RealRig:
    """The drivers of one site."""

    def __init__(self, folder: Path, socket: str) -> None:
        source = ArchiveSource()
        self.image = source.add(tiny_image("probe:1"))
        folder.mkdir(exist_ok=True)
        (folder / "volumes").mkdir(exist_ok=True)
        (folder / "images").mkdir(exist_ok=True)
        images = ImagesDriver(RealDirectory.open_root(folder / "images"), source)
        volumes = VolumesDriver(RealDirectory.open_root(folder / "volumes"))
        self.console = PodmanDriver(
            socket,
            files=FileStage(Path("/run/skerry-files"), lambda version: version.encode()),
            read_archive=images.read_archive,
            volume_path=volumes.data_path,
        )
        networks = NetworksDriver(self.console.read_addresses)
        host = HostDriver(NodeName("n1"), folder, {})
        self.performer = Performer((images, self.console, volumes, networks, host))
        self.wait = asyncio.sleep


async def run(folder: Path, socket: str) -> dict[str, str]:
    """Run every check; the result is its trace, or nothing when it held."""
    results: dict[str, str] = {}
    for name, check in runtime.CHECKS.items():
        rig = RealRig(folder, socket)
        try:
            await check(rig)
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
        await runtime.tidy(rig)
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Path(sys.argv[1]), sys.argv[2]))))
