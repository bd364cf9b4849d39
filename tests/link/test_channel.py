import asyncio
import socket

from skerry.link.channel import Channel
from skerry.link.ports import CloseReason, Patience


def test_each_frame_sent_leaves_the_next_acknowledgement_to_the_answer():
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            server, _ = listening.accept()
        with client, server:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            _, channel = await loop.create_connection(
                lambda: Channel(lambda *_: None, Patience(), lambda: b"mask"), sock=client
            )
            for _ in range(2):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                await channel.send(b"beat")
                assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 0
            channel.give_up(CloseReason.OURS, "")
            await channel.wait_lost()

    asyncio.run(main())
