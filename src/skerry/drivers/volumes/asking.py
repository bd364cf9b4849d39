"""Having a limit set by somebody who may: a small program of one request, started by systemd when it is asked.

The agent has no CAP_SYS_ADMIN, which the kernel wants of whoever sets a quota group's limit. A request is one line,
``limit SUBVOLUME BYTES``, the answer one line too: ``ok``, or why not.
"""

import asyncio
import re
from pathlib import Path

from skerry.drivers.base import run_program
from skerry.drivers.volumes.btrfs import NotPermitted, Run

#: Loading a program of Python's takes seconds on a small machine.
_ANSWER_S = 60.0
_LINE_BYTES_MAX = 512
#: Numbers of subvolumes begin at 256; below are the file system's own. No disk has 2^60 bytes.
_REQUEST = re.compile(rb"limit ([1-9][0-9]{2,18}) ([1-9][0-9]{0,17})\n")
_FIRST = 256


#: Where systemd listens for it.
LIMITS_SOCKET = Path("/run/skerry-limits.sock")


class LimitAsker:
    """The way to that program."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ask(self, subvolume: int, limit_bytes: int) -> str:
        """Return why the limit was not set, empty when it is; raise ``NotPermitted`` where there is nobody to ask."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError as error:
            raise NotPermitted("E-STORAGE", f"nobody answers at {self._socket}: {error.strerror}") from error
        try:
            async with asyncio.timeout(_ANSWER_S):
                writer.write(b"limit %d %d\n" % (subvolume, limit_bytes))
                await writer.drain()
                said = (await reader.read(_LINE_BYTES_MAX)).decode("utf-8", "replace").strip()
        except (OSError, TimeoutError) as error:
            return f"setting a limit failed: {type(error).__name__}"
        finally:
            writer.close()
        return "" if said == "ok" else said or "setting a limit failed"


async def answer(request: bytes, path: str, run: Run = run_program) -> str:
    """Do what one request says with the btrfs at ``path``, and return the answer."""
    words = _REQUEST.fullmatch(request)
    if words is None or int(words[1]) < _FIRST:
        return "this is no request"
    code, said = await run("btrfs", "qgroup", "limit", str(int(words[2])), f"0/{int(words[1])}", path)
    return "ok" if code == 0 else said.decode("utf-8", "replace").strip().replace("\n", " ")[:300]
