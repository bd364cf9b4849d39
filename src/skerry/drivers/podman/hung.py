"""Ends what a hanging health command has left running inside an instance.

podman 4.3.1 does not: it neither ends the command at its timeout nor knows its process (such a session says that it is
not running, and has no pid). What belongs to a session is found by its conmon, which carries the session's id in its
arguments. Only processes in the container's own cgroup are ended.
"""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec


class Process(msgspec.Struct, frozen=True):
    """One process of the node."""

    pid: int
    parent: int
    command: str


def end_session(session: str, container: str) -> None:
    """Kill every process that was started by a session inside a container."""
    for pid in list_members(session, list(list_processes())):
        # Held first and looked at then: its number may be somebody else's by now.
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                if container in Path(f"/proc/{pid}/cgroup").read_text(errors="replace"):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)


def list_members(session: str, processes: Iterable[Process]) -> tuple[int, ...]:
    """Return what descends from the session's conmon, without conmon itself, which then reports the end."""
    processes = sorted(processes, key=lambda each: each.pid)
    members = {each.pid for each in processes if session and session in each.command.split("\0")}
    roots = set(members)
    while fresh := {each.pid for each in processes if each.parent in members and each.pid not in members}:
        members |= fresh
    return tuple(sorted(members - roots))


def list_processes() -> Iterator[Process]:
    """Read who runs on the node; one that ends meanwhile is left out."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = Path(entry.path, "stat").read_text(errors="replace").rsplit(")", 1)[1].split()
                command = Path(entry.path, "cmdline").read_bytes().decode("utf-8", "replace")
                yield Process(int(entry.name), int(stat[1]), command)
