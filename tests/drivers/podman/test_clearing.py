"""Who still clears up after a container's former process, and that a start waits for it."""

import asyncio
import subprocess
import uuid

from skerry.drivers.podman.clearing import find_conmons, wait_cleared
from skerry.drivers.podman.hung import Process

CONTAINER, SESSION = "5875bac7e7f0", "9b7b4927b1d8"
PROCESSES = [
    Process(1, 0, "init"),
    Process(10, 1, f"/usr/bin/conmon\0-c\0{CONTAINER}\0-u\0{CONTAINER}\0-r\0/usr/bin/crun\0"),
    Process(11, 10, f"/usr/bin/conmon\0-c\0{CONTAINER}\0-u\0{CONTAINER}\0-r\0/usr/bin/crun\0"),
    Process(12, 1, f"/usr/bin/conmon\0-c\0{CONTAINER}\0-u\0{SESSION}\0--exec-attach\0"),
    Process(13, 1, "/usr/bin/conmon\0-c\0another\0-u\0another\0"),
    Process(14, 1, f"grep\0-u\0{CONTAINER}\0"),
]


def test_conmons_of_a_containers_own_processes_count_and_none_of_commands_inside():
    assert find_conmons(CONTAINER, PROCESSES) == {10, 11}
    assert find_conmons("", PROCESSES) == set()


async def test_what_clears_up_is_waited_for_and_what_watches_a_process_is_not():
    container = uuid.uuid4().hex
    words = ["conmon", "-c", "read _", "-u", container]
    with subprocess.Popen(words, executable="/bin/sh", stdin=subprocess.PIPE) as conmon:
        await wait_cleared(container, conmon.pid)
        waiting = asyncio.create_task(wait_cleared(container, 0))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        conmon.communicate()
        await waiting
