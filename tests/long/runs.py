"""The list of long runs. A new one is a line here; its module takes the file to write and exits 0 when all held."""

from dataclasses import dataclass

#: Stands for the file that the run has to write.
JSON = "{json}"


@dataclass(frozen=True)
class LongRun:
    """One run: `python -m module arguments…`, its result in docs/results/NAME.json."""

    name: str
    why: str
    module: str
    arguments: tuple[str, ...]
    #: Minutes it may take on two cores; printed, and three times as much only ends a run that hangs.
    budget_min: int


RUNS = (
    LongRun(
        "simulation",
        "seeds that no change has seen, every invariant after every step",
        "skerry.sim",
        (
            *("--seeds", "600", "--first-seed", "100000", "--jobs", "2"),
            *("--page", "docs/results/simulation.md", "--json", JSON),
        ),
        20,
    ),
    LongRun(
        "planted-bugs",
        "small bugs put into the sources one by one: how many seeds until an invariant says so",
        "tests.sim.planted",
        ("--seeds", "200", "--page", "docs/results/planted-bugs.md", "--json", JSON),
        60,
    ),
    LongRun(
        "power-cuts",
        "every write, sync and entry of the stores is a place where the power may go",
        "tests.powercut.run",
        ("--cuts", "2000", "--seed", "1000", "--json", JSON),
        10,
    ),
    LongRun(
        "interrupted",
        "an agent killed before and after each command that makes or takes away networks; the next one puts it right",
        "tests.e2e.interrupted",
        ("--json", JSON),
        8,
    ),
    LongRun(
        "stand-ins",
        "both apps of the demos from images built anew, without Skerry: sizes, times, and that they work",
        "tests.images.check",
        ("--cache", ".cache/images-long", "--fresh", "--json", JSON),
        25,
    ),
    LongRun(
        "demo-spine",
        "the story of the first milestone on real sites, unattended",
        "tests.e2e.demo.spine",
        ("--unattended", "--json", JSON),
        20,
    ),
    LongRun(
        "demo-flows",
        "the same story with a broker, a flow engine and a database",
        "tests.e2e.demo.spine",
        ("--unattended", "--app", "flows", "--json", JSON),
        20,
    ),
    LongRun(
        "demo-retail",
        "a chain of 42 shops, 2 of them real: pulled WAN, power cut, wrong revision, a dark shop that catches up",
        "tests.e2e.demo.retail",
        ("--unattended", "--json", JSON),
        20,
    ),
    LongRun(
        "demo-chain",
        "a firewall, an inspector and a cache from Debian in the path of an app, on a real site: order, faults, change",
        "tests.e2e.demo.chain",
        ("--unattended", "--json", JSON),
        15,
    ),
    LongRun(
        "projects",
        "real projects' Compose files on a site: asked, one container killed, power cut, asked again",
        "tests.e2e.projects.run",
        ("--json", JSON),
        60,
    ),
    LongRun(
        "guest",
        "the shipped units under a real systemd, in an emulated Debian guest that reboots and loses its power",
        "tests.guest.units",
        ("--json", JSON),
        40,
    ),
    LongRun(
        "packages",
        "apt installs, upgrades, removes and purges the packages on a bare Debian guest without a network",
        "tests.guest.packages",
        ("--json", JSON),
        40,
    ),
    LongRun(
        "bench-spine",
        "memory, bytes and ratios of the first milestone",
        "bench.spine",
        ("--page", "docs/results/bench-spine.md", "--json", JSON),
        30,
    ),
    LongRun(
        "bench-api",
        "what a list of 1,000 sites costs, and one apply to 10,000",
        "bench.api",
        ("--json", JSON),
        5,
    ),
    LongRun(
        "bench-net",
        "what networks cost: tunnels, names, a dead instance, a site's memory, many apps and many sites",
        "bench.net",
        ("--page", "docs/results/bench-net.md", "--json", JSON),
        15,
    ),
    LongRun(
        "bench-volumes",
        "what volumes in a pool cost: snapshots, the way back, writes that are waited for, looks at 2,400 snapshots",
        "bench.volumes",
        ("--page", "docs/results/bench-volumes.md", "--json", JSON),
        10,
    ),
    LongRun(
        "bench-console",
        "the console with 10,000 sites in a browser without a graphics processor: pictures, frames, bytes",
        "bench.console",
        ("--json", JSON),
        10,
    ),
    LongRun(
        "agent-kills",
        "10,000 SIGKILLs of an agent at any moment of its life: no container may be another one afterwards",
        "tests.e2e.kill_loop",
        ("--kills", "10000", "--seed", "1", "--progress", ".cache/agent-kills.json", "--json", JSON),
        120,
    ),
    LongRun(
        "api-description",
        "ten seeds of whatever the API's own description allows and forbids, asked as each role",
        "tests.contract.fuzzing",
        ("--examples", "50", "--seeds", "10", "--first-seed", "1", "--json", JSON),
        60,
    ),
)
