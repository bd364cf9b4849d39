"""What a Compose field comes to in a real container: asked inside, not read back from what was sent to podman."""

import msgspec
from tests.contract import runtime

from skerry.model.app import (
    Address,
    FileMount,
    FolderFile,
    FolderMount,
    Further,
    Mount,
    NetworkPlan,
    NodeFile,
    Port,
    Resources,
    Subnet,
    Ulimit,
)
from skerry.model.ids import NetworkName
from skerry.model.instance import InlineFile, InlineFolder, InstanceSpec
from skerry.plan.actions import CreateNetwork, RemoveNetwork

LAN = {**runtime.NETWORK, "name": NetworkName("lan"), "internal": False}

#: Ask a web server for its page.
GET = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5"


class Inside:
    """A running instance, and what it says of itself."""

    def __init__(self, rig: runtime.Rig, seen: runtime.ContainerSeen) -> None:
        self.rig = rig
        self.seen = seen

    async def ask(self, command: str) -> str:
        """Run a shell command inside."""
        argv = ("/bin/sh", "-c", command)
        said, code = await runtime.collect(self.rig.console.run_command(self.seen.container, argv, runtime.give()))
        assert code == 0, (command, said)
        return said.decode().strip()

    async def read_group(self, newer: str, older: str) -> str:
        """Read a value of its control group, under either version of them."""
        root = "/sys/fs/cgroup"
        return await self.ask(f"cat {root}/{newer} 2>/dev/null || cat {root}/{older}")


async def run(rig: runtime.Rig, **words: object) -> Inside:
    """Start an instance with some words of its own."""
    spec: InstanceSpec = runtime.make_spec(rig, **words)
    await runtime.done(rig, runtime.create(spec))
    seen = await runtime.find(rig, spec)
    assert seen is not None
    await runtime.done(rig, runtime.start(spec, seen))
    return Inside(rig, await runtime.wait_state(rig, spec, "running"))


async def end(inside: Inside) -> None:
    await runtime.done(inside.rig, runtime.remove(inside.seen))


async def check_a_process_is_who_and_where_it_was_told(rig: runtime.Rig) -> None:
    """User, groups, folder, names, init, root, capabilities, labels of the process."""
    await runtime.prepare(rig)
    inside = await run(
        rig,
        command=("30",),
        entrypoint=("/bin/sleep",),
        user="1000:1001",
        group_add=("44",),
        working_dir="/www",
        environment={"A": "b c"},
        hostname="till",
        domainname="shop.example",
        init=True,
        read_only=True,
        cap_drop=("ALL",),
        extra_hosts=("bank:192.0.2.7",),
        further=Further(oom_score=300, ipc="none", annotations={"made.by": "tests"}),
    )
    assert await inside.ask("id -u; id -g; id -G; pwd") == "1000\n1001\n1001 44\n/www"
    assert await inside.ask("echo $A; cat /proc/sys/kernel/hostname") == "b c\ntill.shop.example"
    status = dict(line.split(":\t", 1) for line in (await inside.ask("cat /proc/self/status")).splitlines())
    assert (int(status["CapBnd"], 16), status["NoNewPrivs"], status["Seccomp"]) == (0, "1", "2")
    assert "catatonit" in await inside.ask("cat /proc/1/cmdline") or "init" in await inside.ask("cat /proc/1/cmdline")
    assert await inside.ask("cat /proc/1/oom_score_adj") == "300"
    assert "192.0.2.7" in await inside.ask("cat /etc/hosts")
    root = next(line for line in (await inside.ask("cat /proc/mounts")).splitlines() if line.split()[1] == "/")
    assert root.split()[3].startswith("ro")
    await end(inside)


async def check_a_process_gets_no_more_than_it_was_given(rig: runtime.Rig) -> None:
    """Memory, swap, processors and their shares, processes, limits of the tree, kernel parameters, shared memory."""
    await runtime.prepare(rig)
    inside = await run(
        rig,
        limits=Resources(cpu_m=500, memory_bytes=64 << 20, pids=50),
        ulimits=(Ulimit(name="nofile", soft=100, hard=200), Ulimit(name="core", soft=-1, hard=-1)),
        sysctls={"net.core.somaxconn": "777"},
        shm_bytes=1 << 20,
        further=Further(memory_swap_bytes=96 << 20, cpu_shares=512),
    )
    assert await inside.read_group("memory.max", "memory/memory.limit_in_bytes") == str(64 << 20)
    assert await inside.read_group("memory.swap.max", "memory/memory.memsw.limit_in_bytes") in (
        str(32 << 20),  # version 2 of control groups counts swap alone, version 1 memory with it
        str(96 << 20),
    )
    assert await inside.read_group("cpu.max", "cpu/cpu.cfs_quota_us") in ("50000 100000", "50000")
    assert await inside.read_group("cpu.weight", "cpu/cpu.shares") in ("20", "512")
    assert await inside.read_group("pids.max", "pids/pids.max") == "50"
    limits = await inside.ask("cat /proc/1/limits")
    assert "Max open files            100                  200" in limits
    assert "Max core file size        unlimited            unlimited" in limits
    assert await inside.ask("cat /proc/sys/net/core/somaxconn") == "777"
    shm = next(line for line in (await inside.ask("cat /proc/mounts")).splitlines() if line.split()[1] == "/dev/shm")
    assert "size=1024k" in shm
    await end(inside)


async def check_files_folders_and_memory_are_seen_as_asked(rig: runtime.Rig) -> None:
    """Configs with owner and mode, whole folders in place of the image's own, memory with its options, local time."""
    await runtime.prepare(rig)
    files = {name: InlineFile(FileMount(source=name, target=name), name.encode()) for name in ("a", "sub/b")}
    inside = await run(
        rig,
        files=(InlineFile(FileMount(source="c", target="/etc/app.conf", mode=0o640, uid=33, gid=34), b"conf"),),
        folders=(InlineFolder("/www", files),),
        mounts=(
            Mount(kind="tmpfs", target="/fast", size_bytes=1 << 20, options=("mode=1750", "noexec")),
            Mount(kind="volume", source="data", target="/data", options=("nocopy",)),
        ),
        further=Further(
            folders=(FolderMount(target="/www", files={name: FolderFile(source=name) for name in files}),),
            node_files=(
                NodeFile(kind="localtime", target="/etc/localtime"),
                NodeFile(kind="timezone", target="/etc/timezone"),
            ),
        ),
    )
    assert await inside.ask("cat /etc/app.conf; stat -c '%a %u %g' /etc/app.conf") == "conf640 33 34"
    # Nothing of the image is seen at the folder's place.
    assert await inside.ask("ls /www /www/sub; cat /www/sub/b") == "/www:\na\nsub\n\n/www/sub:\nb\nsub/b"
    assert "cannot" in (await inside.ask("touch /www/new 2>&1 || echo cannot"))
    mount = next(line for line in (await inside.ask("cat /proc/mounts")).splitlines() if line.split()[1] == "/fast")
    assert "noexec" in mount
    assert "size=1024k" in mount
    assert await inside.ask("stat -c '%a' /fast") == "1750"
    assert (await inside.ask("cat /etc/localtime")).startswith("TZif")
    assert await inside.ask("cat /etc/timezone")
    await end(inside)


async def check_addresses_are_those_of_the_plan(rig: runtime.Rig) -> None:
    """Range, gateway, packet size, and address, hardware address and device of one service in it."""
    await runtime.prepare(rig)
    plan = NetworkPlan(subnets=(Subnet(subnet="172.29.7.0/24", gateway="172.29.7.1"),), mtu=1400)
    wanted = CreateNetwork(**LAN, plan=plan)
    await runtime.done(rig, wanted)
    seen = {item.name: item.plan for item in (await runtime.see(rig)).networks}
    assert seen == {"default": "", "lan": wanted.plan_name}
    inside = await run(
        rig,
        networks={NetworkName("lan"): ("ledger",)},
        dns=("192.0.2.53",),
        further=Further(
            dns_options=("ndots:3",),
            dns_search=("shop.example",),
            addresses={NetworkName("lan"): Address(ipv4="172.29.7.9", mac="02:00:00:00:00:09", device="lan0")},
        ),
    )
    said = await inside.ask("ip addr show lan0; ip route")
    assert "172.29.7.9/24" in said
    assert "02:00:00:00:00:09" in said
    assert "mtu 1400" in said
    assert "default via 172.29.7.1" in said
    resolv = await inside.ask("cat /etc/resolv.conf")
    assert "ndots:3" in resolv
    assert "shop.example" in resolv
    await end(inside)
    await runtime.done(rig, RemoveNetwork(**{name: LAN[name] for name in ("tenant", "app", "name")}))


async def check_a_service_in_two_networks_has_its_names_in_both(rig: runtime.Rig) -> None:
    """A neighbour finds it by its service's name and by its further names, in each network."""
    await runtime.prepare(rig)
    await runtime.done(rig, CreateNetwork(**LAN))
    both = {NetworkName("default"): ("ledger",), NetworkName("lan"): ("books",)}
    server = await run(rig, networks=both)
    for name, alias in (("default", "ledger"), ("lan", "books")):
        client = await run(rig, service="client", networks={NetworkName(name): ()}, mounts=())
        for known in ("web", alias):
            assert (await client.ask(f"{GET} {known} 8080")).endswith("hello")
        await end(client)
    await end(server)
    await runtime.done(rig, RemoveNetwork(**{name: LAN[name] for name in ("tenant", "app", "name")}))


async def check_a_service_without_logs_has_none(rig: runtime.Rig) -> None:
    """Another one has what it wrote."""
    await runtime.prepare(rig)
    words = {"entrypoint": ("/bin/sh", "-c"), "command": ("echo said; sleep 30",)}
    for log, expected in (("kept", b"said\n"), ("none", b"")):
        inside = await run(rig, further=Further(log=log) if log == "none" else msgspec.UNSET, **words)
        await inside.ask("true")
        said, _ = await runtime.collect(rig.console.read_logs(inside.seen.container, tail=10, follow=False))
        assert said.startswith(expected) if expected else b"said" not in said, said
        await end(inside)


async def check_a_port_of_sctp_and_one_of_a_range_are_created(rig: runtime.Rig) -> None:
    """podman takes the protocol; what the site chose is an ordinary port by then."""
    await runtime.prepare(rig)
    ports = (Port(target=8080, published=18081, among=(18080, 18089)), Port(target=9, protocol="sctp"))
    inside = await run(rig, ports=ports)
    assert (await inside.ask(f"{GET} 127.0.0.1 8080")).endswith("hello")
    await end(inside)


COMPOSE_CHECKS = (
    check_a_process_is_who_and_where_it_was_told,
    check_a_process_gets_no_more_than_it_was_given,
    check_files_folders_and_memory_are_seen_as_asked,
    check_addresses_are_those_of_the_plan,
    check_a_service_in_two_networks_has_its_names_in_both,
    check_a_service_without_logs_has_none,
    check_a_port_of_sctp_and_one_of_a_range_are_created,
)
