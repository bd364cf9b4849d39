"""What a grant of the node comes to in a real container, which has a namespace of users: asked inside."""

import json
import tempfile
from pathlib import Path

from tests.contract import runtime
from tests.e2e.compose_checks import Inside
from tests.e2e.compose_checks import run as run_prepared

from skerry.model.app import DiskLimit, Further
from skerry.model.grants import Bind, Device, Namespace, NodeUse
from skerry.model.instance import InstanceSpec


def use(**words: object) -> dict[str, Further]:
    return {"further": Further(node=NodeUse(**words))}  # type: ignore[arg-type]


async def run(rig: runtime.Rig, **words: object) -> Inside:
    """Start an instance with some words of its own on a node that has what all need."""
    await runtime.prepare(rig)
    # It knows no signal to stop at, and is waited for in vain.
    return await run_prepared(rig, stop_grace_us=1_000_000, **words)


async def check_a_granted_device_is_opened_by_the_instances_own_root(rig: runtime.Rig) -> None:
    """The node of a device is root's on the machine and becomes the instance's root's inside."""
    device = Device(source="/dev/net/tun", target="/dev/net/tun")
    inside = await run(rig, **use(devices=(device,)), cap_add=("NET_ADMIN",))
    assert await inside.ask("exec 3<>/dev/net/tun && echo opened") == "opened"
    assert " 0        0 " in await inside.ask("ls -ln /dev/net/tun")
    await inside.ask("ip addr add 10.250.0.1/32 dev lo")
    assert "10.250.0.1" in await inside.ask("ip -o addr show dev lo")
    # Its capabilities end where its namespaces end.
    assert await inside.ask("cat /proc/self/uid_map | tr -s ' '") != "0 0 4294967295"


async def check_without_a_grant_there_is_neither_device_nor_capability(rig: runtime.Rig) -> None:
    inside = await run(rig)
    assert await inside.ask("ls /dev/net/tun 2>/dev/null || echo none") == "none"
    assert await inside.ask("mknod /tun c 10 200 2>/dev/null || echo none") == "none"
    assert await inside.ask("ip addr add 10.250.0.1/32 dev lo 2>/dev/null || echo none") == "none"


async def check_namespaces_of_the_node_are_shared_one_by_one(rig: runtime.Rig) -> None:
    for name, file in (("network", "net"), ("pid", "pid"), ("uts", "uts")):
        assert await _is_shared(rig, name, file), name  # type: ignore[arg-type]


async def _is_shared(rig: runtime.Rig, name: Namespace, file: str) -> bool:
    networks: dict[str, object] = {"networks": {}} if name == "network" else {}
    inside = await run(rig, **use(host=(name,)), **networks)
    mine = Path(f"/proc/self/ns/{file}").readlink().name
    return f"{await inside.ask(f'ls -l /proc/self/ns/{file}')}".endswith(mine)


async def check_in_the_nodes_network_capabilities_change_nothing_of_it(rig: runtime.Rig) -> None:
    inside = await run(rig, **use(host=("network",)), networks={}, cap_add=("NET_ADMIN",))
    assert await inside.ask("ip addr add 10.250.0.9/32 dev lo 2>/dev/null || echo none") == "none"


async def check_a_writable_folder_is_the_instances_own_and_a_readable_one_a_strangers(rig: runtime.Rig) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for inner in ("mine", "shown"):
            (folder / inner).mkdir()
            (folder / inner / "open").write_text("open")
            (folder / inner / "closed").write_text("closed")
            (folder / inner / "closed").chmod(0o600)
        binds = (
            Bind(source=f"{folder}/mine", target="/mine", mapped=True),
            Bind(source=f"{folder}/shown", target="/shown", read_only=True),
        )
        inside = await run(rig, **use(binds=binds))
        assert await inside.ask("cat /mine/closed") == "closed"
        await inside.ask("echo new > /mine/new")
        assert (folder / "mine" / "new").read_text() == "new\n"
        assert (folder / "mine" / "new").stat().st_uid == 0
        assert await inside.ask("cat /shown/open") == "open"
        assert await inside.ask("cat /shown/closed 2>/dev/null || echo none") == "none"
        assert await inside.ask("touch /shown/new 2>/dev/null || echo none") == "none"


async def check_a_link_on_the_way_to_a_bind_is_not_followed_at_a_start_either(rig: runtime.Rig) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name) / "given"
        folder.mkdir()
        await runtime.prepare(rig)
        spec: InstanceSpec = runtime.make_spec(rig, **use(binds=(Bind(source=str(folder), target="/given"),)))
        await runtime.done(rig, runtime.create(spec))
        folder.rename(Path(name) / "moved")
        folder.symlink_to("/etc")
        seen = await runtime.find(rig, spec)
        assert seen is not None
        outcome = await runtime.do(rig, runtime.start(spec, seen))
        assert (outcome.ok, outcome.code) == (False, "E-BIND"), outcome
        assert "is a link" in outcome.reason


async def check_protection_is_taken_away_as_it_was_granted(rig: runtime.Rig) -> None:
    inside = await run(rig)
    assert (await inside.ask("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status")).split() == [
        "NoNewPrivs:",
        "1",
        "Seccomp:",
        "2",
    ]
    inside = await run(rig, **use(security=("seccomp=unconfined", "no-new-privileges=false", "systempaths=unconfined")))
    assert (await inside.ask("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status")).split() == [
        "NoNewPrivs:",
        "0",
        "Seccomp:",
        "0",
    ]
    assert await inside.ask("grep -c ' /proc/' /proc/mounts || true") == "0"


async def check_processors_are_those_that_were_asked_for(rig: runtime.Rig) -> None:
    inside = await run(rig, **use(cpuset="0"))
    assert (await inside.ask("grep Cpus_allowed_list /proc/self/status")).split()[-1] == "0"


async def check_a_privileged_instance_has_devices_and_still_its_own_users(rig: runtime.Rig) -> None:
    inside = await run(rig, **use(privileged=True))
    assert int(await inside.ask("ls /dev | wc -l")) > 30
    caps = int((await inside.ask("grep CapEff /proc/self/status")).split()[-1], 16)
    assert caps & 1 << 21, "SYS_ADMIN"
    assert (await inside.ask("cat /proc/self/uid_map")).split()[1] == str(runtime.UID)
    assert "not permitted" in await inside.ask("date -s 2020-01-01 2>&1; true")


async def check_a_device_that_a_vendor_describes_is_there_with_what_belongs_to_it(rig: runtime.Rig) -> None:
    """podman reads the description when the instance starts; the site's ``/run`` is its own."""
    edits = {"deviceNodes": [{"path": "/dev/fuse"}], "env": ["GPU_FOUND=yes"]}
    devices = [{"name": "0", "containerEdits": edits}]
    folder = Path("/run/cdi")
    folder.mkdir(exist_ok=True)
    try:
        (folder / "acme.json").write_text(
            json.dumps({"cdiVersion": "0.5.0", "kind": "acme.example/gpu", "devices": devices})
        )
        inside = await run(rig, further=Further(vendor_devices=("acme.example/gpu=0",)))
        assert await inside.ask("test -c /dev/fuse && echo there") == "there"
        assert "GPU_FOUND=yes" in await inside.ask("cat /proc/1/environ | tr '\\0' '\\n'")
    finally:
        (folder / "acme.json").unlink()


async def check_a_disk_is_limited_as_was_said(rig: runtime.Rig) -> None:
    """Under the older control groups their files are seen inside; the newer ones say it in one."""
    names = sorted(each.name for each in Path("/sys/block").iterdir())
    disks = [name for name in names if Path(f"/dev/{name}").is_block_device()]
    disk = next(name for name in disks if not name.startswith(("zram", "loop", "ram")))
    number = Path(f"/sys/block/{disk}/dev").read_text().strip()
    limit = DiskLimit(device=f"/dev/{disk}", read_bytes=1 << 20, write_count=50)
    inside = await run(rig, further=Further(disks=(limit,)))
    root = "/sys/fs/cgroup"
    said = await inside.ask(f"cat {root}/io.max 2>/dev/null || cat {root}/blkio/blkio.throttle.*_device")
    assert number in said, said
    assert str(1 << 20) in said, said
    assert "50" in said, said


NODE_CHECKS = (
    check_a_device_that_a_vendor_describes_is_there_with_what_belongs_to_it,
    check_a_disk_is_limited_as_was_said,
    check_a_granted_device_is_opened_by_the_instances_own_root,
    check_without_a_grant_there_is_neither_device_nor_capability,
    check_namespaces_of_the_node_are_shared_one_by_one,
    check_in_the_nodes_network_capabilities_change_nothing_of_it,
    check_a_writable_folder_is_the_instances_own_and_a_readable_one_a_strangers,
    check_a_link_on_the_way_to_a_bind_is_not_followed_at_a_start_either,
    check_protection_is_taken_away_as_it_was_granted,
    check_processors_are_those_that_were_asked_for,
    check_a_privileged_instance_has_devices_and_still_its_own_users,
)
