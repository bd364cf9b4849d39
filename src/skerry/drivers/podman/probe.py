"""Asks an instance whether it is well, at its own address: a connection that it takes, or a page that it has.

One question, one connection. Of an answer only its first line is read, and no redirect is followed: whoever sends
people elsewhere is there.
"""

import asyncio
import re

from skerry.model.app import Probe

#: First line of an answer: version, status, and a phrase that servers keep short.
_LINE_BYTES_MAX = 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?\r?\n", re.DOTALL)


async def ask(address: str, probe: Probe, timeout_us: int) -> str:
    """Return what is wrong with the instance at ``address``; empty when it is well."""
    if not address:
        return "it has no address at which it could be asked"
    try:
        async with asyncio.timeout(timeout_us / 1_000_000):
            reader, writer = await asyncio.open_connection(address, probe.port, limit=_LINE_BYTES_MAX)
            try:
                return await _ask_page(reader, writer, probe) if probe.path else ""
            finally:
                writer.transport.abort()
    except TimeoutError:
        return f"port {probe.port} gave no answer within {timeout_us / 1_000_000:g} s"
    except OSError as error:
        return f"port {probe.port} takes no connection: {error.strerror or type(error).__name__}"


async def _ask_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, probe: Probe) -> str:
    # The name that a command inside would use: servers that know their names mostly know this one.
    head = (
        f"GET {probe.path} HTTP/1.1\r\nHost: localhost:{probe.port}\r\nUser-Agent: skerry\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode("ascii"))
    try:
        line = await reader.readline()
    except ValueError:
        line = b""
    found = _STATUS.fullmatch(line)
    if found is None:
        return f"port {probe.port} does not speak HTTP"
    status = int(found[1])
    return "" if 200 <= status < 400 else f"{probe.path} at port {probe.port} answered {status}"
