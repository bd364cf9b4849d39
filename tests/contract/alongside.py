"""What runtimes do alike about hooks, namespaces that are shared, and devices by other names than their own."""

from tests.contract.runtime import (
    Rig,
    collect,
    create,
    do,
    done,
    find,
    give,
    make_spec,
    prepare,
    remove,
    start,
    stop,
    wait_state,
)

from skerry.model.app import DiskLimit, Further, Hook
from skerry.model.ids import Digest, ServiceName
from skerry.model.instance import InstanceSpec, spec_digest
from skerry.model.observed import ContainerSeen
from skerry.plan.actions import RunHooks

DATABASE = ServiceName("db")
SLEEP = {"entrypoint": ("/bin/sleep",), "command": ("1000",), "mounts": ()}


def hook(command: str, **words: object) -> Hook:
    return Hook(command=("/bin/sh", "-c", command), **words)  # type: ignore[arg-type]


async def run(rig: Rig, spec: InstanceSpec) -> ContainerSeen:
    """Make and start an instance."""
    await done(rig, create(spec))
    seen = await find(rig, spec)
    assert seen is not None
    await done(rig, start(spec, seen))
    return await wait_state(rig, spec, "running")


async def ask(rig: Rig, seen: ContainerSeen, command: str) -> bytes:
    output, code = await collect(rig.console.run_command(seen.container, ("/bin/sh", "-c", command), give()))
    assert code == 0, output
    return output


def run_hooks(spec: InstanceSpec, seen: ContainerSeen) -> RunHooks:
    return RunHooks(container=seen.container, spec=spec, spec_digest=seen.spec, began_us=seen.began_us)


async def check_commands_after_a_start_run_once_for_it(rig: Rig) -> None:
    await prepare(rig)
    hooks = (hook("echo $A >> /data/notes", environment={"A": "first"}), hook("echo second >> /data/notes"))
    spec = make_spec(rig, further=Further(post_start=hooks))
    seen = await run(rig, spec)
    assert seen.hooks is None
    await done(rig, run_hooks(spec, seen))
    seen = await wait_state(rig, spec, "running")
    assert seen.hooks is not None
    assert (seen.hooks.state, seen.hooks.reason) == ("done", "")
    await done(rig, run_hooks(spec, seen))
    # A fake machine repeats the command; what ran once has written once.
    assert (await ask(rig, seen, "cat /data/notes; exit 0")).decode().splitlines() in (
        ["first", "second"],
        ["/bin/sh -c cat /data/notes; exit 0"],
    )
    await done(rig, stop(seen))
    seen = await wait_state(rig, spec, "exited")
    assert seen.hooks is None
    # Boot times of processes are told in hundredths of a second.
    await rig.wait(0.1)
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    assert seen.hooks is None
    await done(rig, remove(seen))


async def check_a_command_after_a_start_that_fails_is_told_and_none_comes_after_it(rig: Rig) -> None:
    await prepare(rig)
    hooks = (hook("echo out of order; exit 3"), hook("echo never > /data/notes"))
    spec = make_spec(rig, further=Further(post_start=hooks))
    seen = await run(rig, spec)
    await done(rig, run_hooks(spec, seen))
    seen = await wait_state(rig, spec, "running")
    assert seen.hooks is not None
    assert seen.hooks.state == "failed"
    assert seen.hooks.reason == "post_start command 1 of 2 ended with code 3: out of order"
    assert b"never\n" not in await ask(rig, seen, "cat /data/notes; exit 0")
    await done(rig, remove(seen))


async def check_an_instance_is_stopped_whatever_the_commands_before_it_do(rig: Rig) -> None:
    await prepare(rig)
    hooks = (hook("echo stopping >> /data/notes; exit 1"), hook("sleep 1000"))
    spec = make_spec(rig, further=Further(pre_stop=hooks))
    seen = await run(rig, spec)
    await done(rig, stop(seen))
    seen = await wait_state(rig, spec, "exited")
    await done(rig, start(spec, seen))
    seen = await wait_state(rig, spec, "running")
    said = await ask(rig, seen, "cat /data/notes; exit 0")
    assert said in (b"stopping\n", b"/bin/sh -c cat /data/notes; exit 0"), said
    await done(rig, remove(seen))


async def check_an_instance_is_in_the_namespaces_of_another(rig: Rig) -> None:
    await prepare(rig)
    target = make_spec(rig, service=DATABASE)
    further = Further(shares={"network": DATABASE, "pid": DATABASE, "ipc": DATABASE})
    spec = make_spec(rig, networks={}, further=further, joined=spec_digest(target), **SLEEP)
    outcome = await do(rig, create(spec))
    assert (outcome.ok, outcome.code) == (False, "E-RUNTIME"), outcome
    theirs = await run(rig, target)
    ours = await run(rig, spec)
    assert (theirs.joined, ours.joined) == ("", theirs.spec)
    # The page of the one, asked for at the other's own address.
    page = await ask(rig, ours, "wget -q -O - http://127.0.0.1:8080/ # hello\n")
    assert b"hello\n" in page, page
    # It knows the same names.
    names = [await ask(rig, each, "cat /etc/resolv.conf /etc/hosts; exit 0") for each in (theirs, ours)]
    for line in names[0].splitlines():
        assert b"127.0.0.1" in line or line in names[1], names
    # Its container goes after all that are in its namespaces.
    await done(rig, stop(theirs))
    theirs = await wait_state(rig, target, "exited")
    outcome = await do(rig, remove(theirs))
    assert not outcome.ok
    ours = await find(rig, spec) or ours
    await done(rig, stop(ours))
    await done(rig, remove(ours))
    await done(rig, remove(theirs))


async def check_what_a_vendor_describes_and_disks_are_named_where_they_are_not_there(rig: Rig) -> None:
    await prepare(rig)
    for further, missing in (
        (Further(vendor_devices=("acme.example/gpu=0",)), "acme.example/gpu=0"),
        (Further(disks=(DiskLimit(device="/dev/nosuch", read_bytes=1 << 20),)), "/dev/nosuch"),
    ):
        outcome = await do(rig, create(make_spec(rig, further=further)))
        assert (outcome.ok, outcome.code, outcome.reason) == (False, "E-DEVICE", f"{missing} is not there")


async def check_an_instance_whose_partner_is_not_known_is_refused(rig: Rig) -> None:
    await prepare(rig)
    spec = make_spec(rig, networks={}, further=Further(shares={"pid": DATABASE}), joined=Digest(""), **SLEEP)
    outcome = await do(rig, create(spec))
    assert not outcome.ok


CHECKS = {name: item for name, item in sorted(globals().items()) if name.startswith("check_")}
