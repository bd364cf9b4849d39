"""The client for asynchronous programs: the same requests, limits and retries as ``client.py``, awaited."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from skerry.clock import SECOND_US, Clock, Mint, SystemClock, SystemMint
from skerry.model.answers import BlobState, CloudEvent, LogLine, Page, WatchDelta
from skerry.model.asks import BlobQuery, EventQuery, LogQuery, WatchQuery
from skerry.model.errors import Conflict, NotFound, SkerryError, Unavailable
from skerry.model.ids import Digest
from skerry.sdk import policy, requests
from skerry.sdk.client import ask_signer, count_bytes, follow_on, read_delta, read_event, refusal_of
from skerry.sdk.faces import AsyncFaces
from skerry.sdk.requests import Request, make_request
from skerry.sdk.steps import Pause, Person, Step, Steps

if TYPE_CHECKING:
    import httpx2
    import stamina

    from skerry.sdk.contexts import Context

T = TypeVar("T")


class AsyncClient(AsyncFaces):
    """``AsyncClient.from_context()``, or ``AsyncClient(url, token)``. Close it, or use it in ``async with``."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        ca_pem: str = "",
        insecure: bool = False,
        person: Person | None = None,
        transport: "httpx2.AsyncBaseTransport | None" = None,
        mint: Mint | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(self)
        self.url = policy.check_address(url, insecure=insecure)
        self.person = person or Person()
        self._token = token
        self._ca_pem = ca_pem
        self._transport = transport
        self._mint = mint or SystemMint()
        self._clock = clock or SystemClock()
        self._opened: httpx2.AsyncClient | None = None

    @classmethod
    def from_context(
        cls, context: "str | Context" = "", *, environment: Mapping[str, str] | None = None, mint: Mint | None = None
    ) -> "AsyncClient":
        """Return a client of a context; see ``Client.from_context``."""
        from skerry.sdk import surroundings

        found = surroundings.find_context(context, environment) if isinstance(context, str) else context
        return cls(
            found.url,
            found.token,
            ca_pem=found.ca,
            insecure=found.insecure,
            person=surroundings.find_person(found, environment),
            mint=mint,
        )

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the next request would open new ones."""
        if self._opened is not None:
            await self._opened.aclose()
            self._opened = None

    async def send(self, request: Request[T]) -> T:
        """Send one request and return its answer; raises one of ``skerry.sdk.errors``."""
        request = requests.name_change(request, self._mint)
        async for attempt in self._retries(request):
            with attempt:
                async with self._closing(await self._once(request)) as response:
                    return requests.read_answer(request, await self._read(response))
        raise AssertionError("the last attempt returns or raises")

    async def pages(self, request: Request[Page[T]]) -> AsyncIterator[T]:
        """Return the items of a listing, page after page."""
        while True:
            page = await self.send(request)
            for item in page.items:
                yield item
            if not page.next_page_token:
                return
            request = requests.next_page(request, page.next_page_token)

    async def perform(self, steps: Steps[T]) -> T:
        """Take the steps of an act and return what it ends with; see ``Client.perform``."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._take(step)
                except SkerryError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value

    async def _take(self, step: Step) -> object:
        match step:
            case Request():
                return await self.send(step)
            case Pause():
                return await self._clock.sleep_until(self._clock.boot_us() + int(step.seconds * SECOND_US))
            case _:
                # The signer's client blocks, mostly for a millisecond; its disk may be slow.
                return await asyncio.to_thread(ask_signer, self.person, step)

    async def events(self, query: EventQuery | None = None, *, after: int = 0) -> AsyncIterator[CloudEvent]:
        """Follow events in order; see ``Client.events``."""
        asked = query or EventQuery(after=after)

        def ask() -> tuple[Request[CloudEvent], dict[str, str]]:
            resumed = {"Last-Event-ID": str(asked.after)} if asked.after else {}
            return make_request("follow_events", query=asked), resumed

        async with contextlib.aclosing(self._items(ask, goes_on=asked.follow)) as items:
            async for item in items:
                asked = follow_on(asked, item.event, item.id)
                event = read_event(item.event, item.data, item.id)
                if event is not None:
                    yield event

    async def watch(self, kinds: str = "site,app") -> AsyncIterator[WatchDelta | None]:
        """Follow the newest state of sites and apps; see ``Client.watch``."""
        request: Request[WatchDelta] = make_request("watch", query=WatchQuery(kinds=kinds))
        async with contextlib.aclosing(self._items(lambda: (request, {}), goes_on=True)) as items:
            async for item in items:
                if item.event == "reset":
                    yield None
                elif (delta := read_delta(item.event, item.data)) is not None:
                    yield delta

    async def _items(
        self, ask: "Callable[[], tuple[Request[Any], dict[str, str]]]", *, goes_on: bool
    ) -> "AsyncGenerator[httpx2.ServerSentEvent]":
        """Give out a stream's items, over as many connections as that takes."""
        import httpx2

        fruitless = 0
        while True:
            request, resumed = ask()
            try:
                async with self._closing(await self._connect(request, resumed)) as response:
                    async for item in httpx2.EventSource(response, policy.LINE_BYTES_MAX):
                        # To be told why a stream ends is no fruit.
                        fruitless = fruitless if item.event == "end" else 0
                        yield item
                if not goes_on:
                    return
            except httpx2.TransportError as error:
                if fruitless >= policy.FRUITLESS_MAX:
                    raise policy.unreachable(self.url, error) from error
            fruitless += 1
            if fruitless > policy.FRUITLESS_MAX:
                raise Unavailable("E-UNREACHABLE", f"{self.url} ends the stream of events again and again.")

    async def logs(self, app: str, query: LogQuery | None = None) -> AsyncIterator[LogLine]:
        """Stream lines of output; see ``Client.logs``."""
        import httpx2

        request: Request[LogLine] = make_request("read_logs", parameters={"app": app}, query=query or LogQuery())
        lines = policy.Lines()
        try:
            async with self._closing(await self._connect(request, {})) as response:
                async for content in response.aiter_bytes():
                    for line in lines.feed(content):
                        yield requests.read_answer(request, line)
                for line in lines.end():
                    yield requests.read_answer(request, line)
        except httpx2.TransportError as error:
            raise policy.unreachable(self.url, error) from error

    async def upload_blob(
        self,
        digest: str,
        size: int,
        read_from: Callable[[int], Iterator[bytes]],
        progress: Callable[[int], None] = lambda _: None,
    ) -> BlobState:
        """Send a blob, from where the core's copy ends; see ``Client.upload_blob``."""
        ask: Request[BlobState] = make_request("show_blob", parameters={"digest": digest})
        async for attempt in self._retries(ask, policy.UPLOAD_ATTEMPTS_MAX, None):
            with attempt:
                try:
                    state = await self.send(ask)
                except NotFound:
                    state = BlobState(digest=Digest(digest), have_bytes=0, complete=False)
                progress(size if state.complete else state.have_bytes)
                if state.complete:
                    return state
                query = BlobQuery(offset=state.have_bytes, size=size)
                request: Request[BlobState] = make_request("put_blob", parameters={"digest": digest}, query=query)
                content = _as_async(count_bytes(read_from(state.have_bytes), state.have_bytes, progress))
                try:
                    response = await self._once(request, content=content)
                except Conflict as error:
                    raise policy.put_off(error) from error
                async with self._closing(response):
                    return requests.read_answer(request, await self._read(response))
        raise AssertionError("the last attempt returns or raises")

    async def download_blob(self, digest: str, offset: int = 0) -> AsyncGenerator[bytes]:
        """Give the bytes of a blob from ``offset`` on; see ``Client.download_blob``."""
        import httpx2

        download, is_done = policy.Download(self.url, digest, offset), False
        while not is_done:
            cut: Exception | None = None
            try:
                async with self._closing(await self._connect(download.request, policy.UNPACKED)) as response:
                    download.begin(response.headers)
                    async for content in response.aiter_bytes():
                        yield download.take(content)
            except httpx2.TransportError as error:
                cut = error
            is_done = download.is_done(cut)

    async def export_site(self, site: str) -> bytes:
        """Return a site's record and newest document; see ``Client.export_site``."""
        request: Request[None] = make_request("export_site", parameters={"site": site})
        async with self._closing(await self._connect(request, policy.UNPACKED)) as response:
            return await self._read(response)

    def _http(self) -> "httpx2.AsyncClient":
        if self._opened is None:
            import httpx2

            self._opened = httpx2.AsyncClient(
                base_url=self.url,
                headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
                verify=policy.make_tls(self.url, self._ca_pem),
                trust_env=not policy.is_loopback(self.url),
                transport=self._transport,
            )
        return self._opened

    async def _connect(self, request: Request[Any], headers: dict[str, str]) -> "httpx2.Response":
        async for attempt in self._retries(request):
            with attempt:
                return await self._once(request, headers)
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self, request: Request[Any], headers: dict[str, str] | None = None, content: AsyncIterator[bytes] | None = None
    ) -> "httpx2.Response":
        import httpx2

        silence_s = policy.STREAM_SILENCE_S if request.operation.style in ("events", "lines") else policy.ANSWER_S
        built = self._http().build_request(
            request.operation.method,
            requests.write_path(request),
            headers=requests.write_headers(request) | (headers or {}),
            content=requests.write_body(request) if content is None else content,
            timeout=httpx2.Timeout(silence_s, connect=policy.CONNECT_S),
        )
        try:
            response = await self._http().send(built, stream=True)
        except httpx2.TransportError as error:
            raise policy.unreachable(self.url, error) from error
        if response.is_success:
            return response
        async with self._closing(response):
            raise refusal_of(request, response, await self._read(response))

    @contextlib.asynccontextmanager
    async def _closing(self, response: "httpx2.Response") -> AsyncGenerator["httpx2.Response"]:
        try:
            yield response
        finally:
            await response.aclose()

    async def _read(self, response: "httpx2.Response") -> bytes:
        import httpx2

        content = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > requests.ANSWER_BYTES_MAX:
                    raise Unavailable("E-ANSWER", f"The answer has more than {requests.ANSWER_BYTES_MAX} bytes.")
        except httpx2.TransportError as error:
            raise policy.unreachable(self.url, error) from error
        return bytes(content)

    def _retries(
        self,
        request: Request[Any],
        attempts: int = policy.ATTEMPTS_MAX,
        s_max: float | None = policy.ATTEMPTS_S_MAX,
    ) -> "AsyncIterable[stamina.Attempt]":
        import stamina

        backoff = policy.Backoff(request, self._mint)
        return stamina.retry_context(on=backoff, attempts=attempts, timeout=s_max)


async def _as_async(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
