"""Words to the running HAProxy over its socket, which is root's alone."""

import asyncio

#: It answers in milliseconds; one that is busy beyond this is treated as not there.
_ANSWER_S = 5.0
#: A thousand copies are 300 kB of answers.
_ANSWER_BYTES_MAX = 8 * 1024 * 1024


async def ask(socket: str, words: bytes) -> bytes:
    """Return the answer to one line of words; raise ``OSError`` where nobody answers in time."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(words)
                await writer.drain()
                answer = bytearray()
                while chunk := await reader.read(64 * 1024):
                    answer += chunk
                    if len(answer) > _ANSWER_BYTES_MAX:
                        raise OSError("the proxy answers without end")
                return bytes(answer)
            finally:
                writer.close()
    except TimeoutError as error:
        raise OSError(f"the proxy does not answer within {_ANSWER_S:.0f} s") from error
