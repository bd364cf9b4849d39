"""Runs the runtime contract with the real drivers, inside a site of the lab; prints one JSON object of results."""

import asyncio
import json
import sys
import traceback
from collections.abc import AsyncGenerator
from pathlib import Path

from tests.contract import alongside, runtime
from tests.e2e.archive_source import ArchiveSource
from tests.e2e.compose_checks import COMPOSE_CHECKS
from tests.e2e.lan_checks import LAN_CHECKS
from tests.e2e.node_checks import NODE_CHECKS
from tests.e2e.tiny_image import tiny_image
from tests.e2e.wired_checks import WIRED_CHECKS

from skerry.agent.perform import Performer
from skerry.drivers.host import HostDriver
from skerry.drivers.images import ImagesDriver
from skerry.drivers.networks import NetworksDriver
from skerry.drivers.podman import PodmanDriver
from skerry.drivers.podman.files import FileStage
from skerry.drivers.podman.wiring import Wiring
from skerry.drivers.translation import TranslationDriver
from skerry.drivers.volumes import VolumesDriver
from skerry.model.app import HealthCheck
from skerry.model.ids import NodeName
from skerry.model.signed import Window
from skerry.plan.actions import CheckHealth
from skerry.safe.paths import RealDirectory


class RealRig:
    """The drivers of one site."""

    def __init__(self, folder: Path, socket: str, declared: tuple[str, ...] = (), *, wired: bool = False) -> None:
        """With ``wired`` Skerry makes networks and links, else podman does."""
        source = ArchiveSource()
        self.image = source.add(tiny_image("probe:1", volumes=declared))
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
            keep_volume=volumes.perform,
            wiring=Wiring(Path("/run/skerry-wires")) if wired else None,
        )
        networks = NetworksDriver(self.console.read_addresses)
        host = HostDriver(NodeName("n1"), folder, {})
        further = (TranslationDriver(),) if wired else ()
        self.performer = Performer((images, self.console, volumes, networks, *further, host))
        self.wait = asyncio.sleep


async def check_what_only_the_image_declares_is_kept_over_revisions(rig: RealRig) -> None:
    """A folder that an image declares as a volume is one of ours: listed, kept, and there again for the next one."""
    await runtime.prepare(rig)
    said = b""
    for counter, command in ((0, "echo precious > /kept/file"), (1, "cat /kept/file")):
        spec = runtime.make_spec(rig, restart_counter=counter)
        await runtime.done(rig, runtime.create(spec))
        seen = await runtime.find(rig, spec)
        assert seen is not None
        await runtime.done(rig, runtime.start(spec, seen))
        seen = await runtime.wait_state(rig, spec, "running")
        said, code = await runtime.collect(
            rig.console.run_command(seen.container, ("/bin/sh", "-c", command), runtime.give())
        )
        assert code == 0, said
        await runtime.done(rig, runtime.remove(seen))
    assert said == b"precious\n"
    kept = [item for item in (await runtime.see(rig)).volumes if item.name != "data"]
    assert [(item.name[:10], item.strange, item.born) for item in kept] == [("image-web-", False, 0)]
    assert kept[0].name in seen.volumes
    await runtime.done(rig, runtime.DeleteVolume(**runtime.volume(kept[0].name), tombstone=rig.image.digest))


async def check_a_health_command_that_hangs_is_ended(rig: RealRig) -> None:
    """It counts as failed, and no process of it stays in the instance, whoever else runs a command there."""
    await runtime.prepare(rig)
    check = HealthCheck(test=("CMD-SHELL", "sleep 987; true"), timeout_us=1_000_000)
    spec = runtime.make_spec(rig, healthcheck=check)
    await runtime.done(rig, runtime.create(spec))
    seen = await runtime.find(rig, spec)
    assert seen is not None
    await runtime.done(rig, runtime.start(spec, seen))
    seen = await runtime.wait_state(rig, spec, "running")
    mine = asyncio.create_task(
        runtime.collect(rig.console.run_command(seen.container, ("/bin/sleep", "30"), runtime.give()))
    )
    outcome = await runtime.do(rig, CheckHealth(container=seen.container, instance=spec.id, check=check))
    assert (outcome.ok, outcome.healthy) == (True, False), outcome
    left, _ = await runtime.collect(
        rig.console.run_command(seen.container, ("/bin/sh", "-c", "cat /proc/*/cmdline"), runtime.give())
    )
    assert b"987" not in left, left
    assert not mine.done()
    mine.cancel()
    await runtime.done(rig, runtime.remove(seen))


async def check_a_terminal_that_is_left_ends_its_command(rig: RealRig) -> None:
    """Nobody could end it any more: podman itself would let it run for ever."""
    await runtime.prepare(rig)
    spec = runtime.make_spec(rig)
    await runtime.done(rig, runtime.create(spec))
    seen = await runtime.find(rig, spec)
    assert seen is not None
    await runtime.done(rig, runtime.start(spec, seen))
    seen = await runtime.wait_state(rig, spec, "running")
    command, size = ("/bin/sh", "-c", "echo here; sleep 987; true"), Window(columns=80, rows=24)
    output = rig.console.run_command(seen.container, command, runtime.give(forever=True), size)
    assert isinstance(output, AsyncGenerator)
    assert (await anext(output)).data == b"here\r\n"
    await output.aclose()
    left, _ = await runtime.collect(
        rig.console.run_command(seen.container, ("/bin/sh", "-c", "cat /proc/*/cmdline"), runtime.give())
    )
    assert b"987" not in left, left
    await runtime.done(rig, runtime.remove(seen))


#: Checks that need a real image, with the folders that it declares.
REAL_CHECKS = {
    check.__name__: (check, ("/kept",))
    for check in (
        check_what_only_the_image_declares_is_kept_over_revisions,
        check_a_health_command_that_hangs_is_ended,
        check_a_terminal_that_is_left_ends_its_command,
    )
}

#: Checks in parts that are short enough to be run one by one.
_CONTRACT = [(name, (check, ())) for name, check in runtime.CHECKS.items()]
PARTS = {
    "contract": dict(_CONTRACT[::2]),
    "contract, second half": dict(_CONTRACT[1::2]),
    "alongside": {name: (check, ()) for name, check in alongside.CHECKS.items()},
    "image": REAL_CHECKS,
    "compose": {check.__name__: (check, ()) for check in COMPOSE_CHECKS},
    "wired": {name: (check, ()) for name, check in (WIRED_CHECKS | LAN_CHECKS).items()},
    "node": {check.__name__: (check, ()) for check in NODE_CHECKS},
}
#: Checks that only make sense where Skerry makes the links.
ONLY_WIRED = "wired"
#: What does not change with who makes the links, and is asked once, where podman does: images, health, commands inside,
#: grants of the node, and those fields of Compose that no network is in.
ALIKE = {
    *PARTS["image"],
    *PARTS["node"],
    "check_a_fetched_and_loaded_image_is_listed_by_both_digests",
    "check_a_device_that_is_not_there_is_named",
    "check_health_is_what_the_command_says",
    "check_a_failing_health_command_is_told_with_its_output",
    "check_a_running_instance_is_told_of_a_new_version_of_its_secret",
    "check_streams_give_output_and_exit",
    "check_input_reaches_a_command_and_its_end_closes_it",
    "check_a_terminal_has_a_size_that_follows_and_ctrl_c_reaches_it",
    "check_an_instance_without_its_image_is_refused",
    "check_commands_after_a_start_run_once_for_it",
    "check_a_command_after_a_start_that_fails_is_told_and_none_comes_after_it",
    "check_what_a_vendor_describes_and_disks_are_named_where_they_are_not_there",
    "check_a_process_is_who_and_where_it_was_told",
    "check_a_process_gets_no_more_than_it_was_given",
    "check_files_folders_and_memory_are_seen_as_asked",
    "check_a_service_without_logs_has_none",
}


def list_checks(part: str, links: str) -> list[str]:
    """Name the checks of a part with links that podman makes, or Skerry (``skerry``)."""
    if links == "podman":
        return [] if part == ONLY_WIRED else list(PARTS[part])
    return [name for name in PARTS[part] if name not in ALIKE]


async def run(folder: Path, socket: str, part: str, links: str) -> dict[str, str]:
    """Run the checks of a part; the result is the trace of each, or nothing when it held."""
    results: dict[str, str] = {}
    for name in list_checks(part, links):
        check, declared = PARTS[part][name]
        rig = RealRig(folder, socket, declared, wired=links == "skerry")
        try:
            await check(rig)
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
        await runtime.tidy(rig)
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Path(sys.argv[1]), *sys.argv[2:5]))))
