import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator

import pytest
import uvloop
from tests.contract.transport import Rig, TransportContract
from tests.link.rig import make_dialer, make_listener

from skerry.clock import Tasks
from skerry.link.ports import Endpoint, Proxy, parse_endpoint
from skerry.model import limits


class ReboundListener:
    """The real listener, whose port is known once it listens; the rig's endpoint follows it."""

    def __init__(self, tasks: Tasks) -> None:
        self.listener = make_listener(tasks)
        self.rig = Rig(self, make_dialer(), Endpoint("127.0.0.1", 1))

    async def serve(self, handler):
        await self.listener.serve(handler)
        self.rig.endpoint = Endpoint("127.0.0.1", self.listener.port)

    async def stop(self):
        await self.listener.stop()


@contextlib.asynccontextmanager
async def made() -> AsyncGenerator[Rig, None]:
    tasks = Tasks()
    listener = ReboundListener(tasks)
    yield listener.rig
    await tasks.stop()
    assert tasks.failed == []


class TestLinkTransport(TransportContract):
    """On asyncio's own loop, an agent's."""

    @pytest.fixture
    async def rig(self) -> AsyncGenerator[Rig, None]:
        async with made() as rig:
            yield rig


@pytest.mark.parametrize("name", [name for name in dir(TransportContract) if name.startswith("test_")])
def test_the_contract_holds_on_the_loop_of_a_core(name: str):
    async def run() -> None:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        obligation = getattr(TransportContract(), name)
        chosen = {"size": limits.FRAME_BYTES_MAX} if "size" in inspect.signature(obligation).parameters else {}
        async with made() as rig:
            await obligation(rig, **chosen)

    uvloop.run(run())


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("core.example:443", "core.example", 443),
        ("10.0.0.1:8443", "10.0.0.1", 8443),
        ("[2001:db8::1]:443", "2001:db8::1", 443),
    ],
)
def test_an_endpoint_reads_as_a_root_document_writes_it(text: str, host: str, port: int):
    endpoint = parse_endpoint(text)
    assert (endpoint.host, endpoint.port) == (host, port)
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "text", ["", "core", ":443", "core:", "core:0", "core:65536", "core:4 3", "a\r\nb:443", "core:٣", "a..b:443"]
)
def test_what_is_no_endpoint_is_refused(text: str):
    with pytest.raises(ValueError, match="is no"):
        parse_endpoint(text)


def test_a_proxy_does_not_print_its_credential():
    assert "c2VjcmV0" not in repr(Endpoint("core", proxy=Proxy("proxy", 3128, "Basic c2VjcmV0")))
