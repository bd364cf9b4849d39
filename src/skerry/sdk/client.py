"""The client for plain programs: sends requests, reads pages, follows streams, uploads blobs.

Every answer has a limit, every wait an end, every retry a count (``policy.py``). The same face for asynchronous
programs is ``async_client.py``; what is sent and read is decided once, in ``requests.py``.
"""

import contextlib
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from skerry.clock import Mint, SystemMint
from skerry.model.answers import BlobState, CloudEvent, LogLine, Page, WatchDelta
from skerry.model.asks import (
    BlobQuery,
    ChainTestQuery,
    ControlQuery,
    EventQuery,
    ExecQuery,
    ForwardQuery,
    LogQuery,
    VolumeControlQuery,
    WatchQuery,
)
from skerry.model.errors import Conflict, NotFound, Refused, SkerryError, Unavailable
from skerry.model.ids import Digest
from skerry.model.next_steps import next_step
from skerry.model.observed import ChainProbed
from skerry.model.signing import Answer, Ask
from skerry.sdk import policy, requests
from skerry.sdk.errors import read_problem
from skerry.sdk.faces import Faces
from skerry.sdk.requests import Request, make_request
from skerry.sdk.steps import Pause, Person, Step, Steps

if TYPE_CHECKING:
    import httpx2
    import stamina

    from skerry.model.signed import Envelope
    from skerry.sdk.commands import Command, Nonce
    from skerry.sdk.contexts import Context

T = TypeVar("T")

#: Nouns that the command line lists: where something is not there, one looks for what is.
_LISTED = ("app", "area", "secret", "site", "token", "user-group")


class Client(Faces):
    """``Client.from_context()``, or ``Client(url, token)``. Close it, or use it in ``with``.

    What is signed is signed by the signer that ``person`` names; without one a client only reads.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        ca_pem: str = "",
        insecure: bool = False,
        person: Person | None = None,
        transport: "httpx2.BaseTransport | None" = None,
        mint: Mint | None = None,
        rest: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(self)
        self.url = policy.check_address(url, insecure=insecure)
        self.person = person or Person()
        self._token = token
        self._ca_pem = ca_pem
        self._transport = transport
        self._mint = mint or SystemMint()
        self._rest = rest or _rest
        self._opened: httpx2.Client | None = None

    @classmethod
    def from_context(
        cls, context: "str | Context" = "", *, environment: Mapping[str, str] | None = None, mint: Mint | None = None
    ) -> "Client":
        """Return a client of a context, by default that of the surroundings, as the command line chooses it.

        ``environment`` stands for the process's own variables. Raises ``Refused`` where there is no context.
        """
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

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next request would open new ones."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def send(self, request: Request[T]) -> T:
        """Send one request and return its answer; raises one of ``skerry.sdk.errors``."""
        request = requests.name_change(request, self._mint)
        for attempt in self._retries(request):
            with attempt, contextlib.closing(self._once(request)) as response:
                return requests.read_answer(request, self._read(response))
        raise AssertionError("the last attempt returns or raises")

    def pages(self, request: Request[Page[T]]) -> Iterator[T]:
        """Return the items of a listing, page after page."""
        while True:
            page = self.send(request)
            yield from page.items
            if not page.next_page_token:
                return
            request = requests.next_page(request, page.next_page_token)

    def perform(self, steps: Steps[T]) -> T:
        """Take the steps of an act and return what it ends with; raises what a step or the act itself raises."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._take(step)
                except SkerryError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value

    def _take(self, step: Step) -> object:
        match step:
            case Request():
                return self.send(step)
            case Pause():
                return self._rest(step.seconds)
            case _:
                return ask_signer(self.person, step)

    def events(self, query: EventQuery | None = None, *, after: int = 0) -> Iterator[CloudEvent]:
        """Follow events in order; a lost connection is resumed after the last event that was given out.

        An event of kind ``reset`` says that the stream goes on after its id, because the place asked for is not in the
        log: list again. A core that has no patience left with a slow reader is asked again as well.
        """
        asked = query or EventQuery(after=after)

        def ask() -> tuple[Request[CloudEvent], dict[str, str]]:
            resumed = {"Last-Event-ID": str(asked.after)} if asked.after else {}
            return make_request("follow_events", query=asked), resumed

        with contextlib.closing(self._items(ask, goes_on=asked.follow)) as items:
            for item in items:
                asked = follow_on(asked, item.event, item.id)
                event = read_event(item.event, item.data, item.id)
                if event is not None:
                    yield event

    def watch(self, kinds: str = "site,app") -> Iterator[WatchDelta | None]:
        """Follow the newest state of sites and apps as it changes; a lost connection is made anew.

        None says that everything is to be listed again: it comes first, after a lost connection, and after a flood.
        """
        request: Request[WatchDelta] = make_request("watch", query=WatchQuery(kinds=kinds))
        with contextlib.closing(self._items(lambda: (request, {}), goes_on=True)) as items:
            for item in items:
                if item.event == "reset":
                    yield None
                elif (delta := read_delta(item.event, item.data)) is not None:
                    yield delta

    def _items(
        self, ask: "Callable[[], tuple[Request[Any], dict[str, str]]]", *, goes_on: bool
    ) -> "Generator[httpx2.ServerSentEvent]":
        """Give out a stream's items, over as many connections as that takes."""
        import httpx2

        fruitless = 0
        while True:
            request, resumed = ask()
            try:
                with contextlib.closing(self._connect(request, resumed)) as response:
                    for item in httpx2.EventSource(response, policy.LINE_BYTES_MAX):
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

    def logs(self, app: str, query: LogQuery | None = None) -> Iterator[LogLine]:
        """Stream lines of output; ends with the stream. A cut is an error: lines have no numbers to resume at."""
        import httpx2

        request: Request[LogLine] = make_request("read_logs", parameters={"app": app}, query=query or LogQuery())
        lines = policy.Lines()
        try:
            with contextlib.closing(self._connect(request, {})) as response:
                for content in response.iter_bytes():
                    yield from (requests.read_answer(request, line) for line in lines.feed(content))
                yield from (requests.read_answer(request, line) for line in lines.end())
        except httpx2.TransportError as error:
            raise policy.unreachable(self.url, error) from error

    def run_command(
        self, app: str, query: ExecQuery, sign: "Callable[[Nonce], Envelope]"
    ) -> "contextlib.AbstractContextManager[Command]":
        """Run a command in an instance: ``sign`` makes the call for the nonce that the node draws."""
        from skerry.sdk.commands import open_command

        request: Request[None] = make_request("run_command", parameters={"app": app}, query=query)
        return open_command(self._http(), self.url, requests.write_path(request), sign)

    def forward_port(
        self, app: str, query: ForwardQuery, sign: "Callable[[Nonce], Envelope]"
    ) -> "contextlib.AbstractContextManager[Command]":
        """Make one connection to a port of an instance; ``sign`` as in ``run_command``."""
        from skerry.sdk.commands import open_command

        request: Request[None] = make_request("forward_port", parameters={"app": app}, query=query)
        return open_command(self._http(), self.url, requests.write_path(request), sign)

    def control_instance(self, app: str, query: ControlQuery, sign: "Callable[[Nonce], Envelope]") -> None:
        """Have an instance restarted, stopped or started; ``sign`` as in ``run_command``."""
        request: Request[None] = make_request("control_instance", parameters={"app": app}, query=query)
        self._say(request, sign)

    def test_chain(self, app: str, query: ChainTestQuery, sign: "Callable[[Nonce], Envelope]") -> ChainProbed:
        """Have test packets sent through a chain; ``sign`` as in ``run_command``."""
        request: Request[None] = make_request("test_chain", parameters={"app": app}, query=query)
        answer = self._say(request, sign)
        try:
            return msgspec.json.decode(answer, type=ChainProbed)
        except msgspec.DecodeError as error:
            raise Unavailable("E-ANSWER", f"{query.site} answers what this release does not understand.") from error

    def control_volume(self, app: str, query: VolumeControlQuery, sign: "Callable[[Nonce], Envelope]") -> None:
        """Have a snapshot taken, gone back to or let go; ``sign`` as in ``run_command``."""
        request: Request[None] = make_request("control_volume", parameters={"app": app}, query=query)
        self._say(request, sign)

    def _say(self, request: "Request[None]", sign: "Callable[[Nonce], Envelope]") -> bytes:
        """Have a word said at a site by a call that ``sign`` makes; return what it answers."""
        from skerry.sdk.commands import open_command

        with open_command(self._http(), self.url, requests.write_path(request), sign) as asked:
            return b"".join(data for _, data in asked.output())

    def upload_blob(
        self,
        digest: str,
        size: int,
        read_from: Callable[[int], Iterator[bytes]],
        progress: Callable[[int], None] = lambda _: None,
    ) -> BlobState:
        """Send a blob, from where the core's copy ends; ``read_from`` gives its bytes from an offset on.

        ``progress`` is told how many bytes are there in all. A blob that is complete already costs one question.
        """
        ask: Request[BlobState] = make_request("show_blob", parameters={"digest": digest})
        for attempt in self._retries(ask, policy.UPLOAD_ATTEMPTS_MAX, None):
            with attempt:
                try:
                    state = self.send(ask)
                except NotFound:
                    state = BlobState(digest=Digest(digest), have_bytes=0, complete=False)
                progress(size if state.complete else state.have_bytes)
                if state.complete:
                    return state
                request: Request[BlobState] = make_request(
                    "put_blob",
                    parameters={"digest": digest},
                    query=BlobQuery(offset=state.have_bytes, size=size),
                )
                content = count_bytes(read_from(state.have_bytes), state.have_bytes, progress)
                try:
                    response = self._once(request, content=content)
                except Conflict as error:
                    raise policy.put_off(error) from error
                with contextlib.closing(response):
                    return requests.read_answer(request, self._read(response))
        raise AssertionError("the last attempt returns or raises")

    def download_blob(self, digest: str, offset: int = 0) -> Generator[bytes]:
        """Give the bytes of a blob from ``offset`` on, over as many connections as it takes; whoever reads verifies."""
        import httpx2

        download, is_done = policy.Download(self.url, digest, offset), False
        while not is_done:
            cut: Exception | None = None
            try:
                with contextlib.closing(self._connect(download.request, policy.UNPACKED)) as response:
                    download.begin(response.headers)
                    for content in response.iter_bytes():
                        yield download.take(content)
            except httpx2.TransportError as error:
                cut = error
            is_done = download.is_done(cut)

    def export_site(self, site: str) -> bytes:
        """Return a site's record and newest document, as ``wire.decode_carried`` reads them."""
        request: Request[None] = make_request("export_site", parameters={"site": site})
        with contextlib.closing(self._connect(request, policy.UNPACKED)) as response:
            return self._read(response)

    def _http(self) -> "httpx2.Client":
        if self._opened is None:
            import httpx2

            self._opened = httpx2.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
                verify=policy.make_tls(self.url, self._ca_pem),
                trust_env=not policy.is_loopback(self.url),
                transport=self._transport,
            )
        return self._opened

    def _connect(self, request: Request[Any], headers: dict[str, str]) -> "httpx2.Response":
        """Open a stream, trying again as for any read; the caller closes it."""
        for attempt in self._retries(request):
            with attempt:
                return self._once(request, headers)
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self, request: Request[Any], headers: dict[str, str] | None = None, content: Iterator[bytes] | None = None
    ) -> "httpx2.Response":
        """Return a success whose body is still to be read; the caller closes it. Anything else is raised."""
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
            response = self._http().send(built, stream=True)
        except httpx2.TransportError as error:
            raise policy.unreachable(self.url, error) from error
        if response.is_success:
            return response
        with contextlib.closing(response):
            raise refusal_of(request, response, self._read(response))

    def _read(self, response: "httpx2.Response") -> bytes:
        import httpx2

        try:
            return b"".join(limit_bytes(response.iter_bytes()))
        except httpx2.TransportError as error:
            raise policy.unreachable(self.url, error) from error

    def _retries(
        self,
        request: Request[Any],
        attempts: int = policy.ATTEMPTS_MAX,
        s_max: float | None = policy.ATTEMPTS_S_MAX,
    ) -> "Iterable[stamina.Attempt]":
        import stamina

        backoff = policy.Backoff(request, self._mint)
        return stamina.retry_context(on=backoff, attempts=attempts, timeout=s_max)


def ask_signer(person: Person, ask: Ask) -> Answer:
    """Ask a person's signer one thing; a fresh connection each time, because a signer lets idle ones go."""
    from skerry.sdk.signing import SignerClient

    if not person.signer:
        raise Refused("E-SIGNER", "This context names no signer.", hint="skerry context set NAME --signer PATH")
    with SignerClient(Path(person.signer)) as signer:
        return signer.ask(ask)


def _rest(seconds: float) -> None:
    # A wait for what never comes: the clock's own sleep would need an event loop, and the caller may have one.
    threading.Event().wait(seconds)


def refusal_of(request: Request[Any], response: "httpx2.Response", content: bytes) -> SkerryError:
    """Turn an answer that is no success into its error."""
    error = read_problem(response.status_code, content, response.headers.get("ETag", ""))
    subject = requests.name_subject(request)
    if isinstance(error, NotFound) and subject:
        # The core says the same of everything that is not there; we know what was asked for.
        error.detail = f"{error.detail.removesuffix('.')}: {subject}."
        noun = request.operation.parameters[0].replace("_", "-")
        if noun in _LISTED and error.hint in ("", next_step(error.code)):
            error.hint = f"skerry {noun} list"  # nearer than what the core says of any such error
    return policy.note_retry_after(error, response.headers.get("Retry-After", ""))


def limit_bytes(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass bytes on up to the limit of an answer; raises ``Unavailable`` beyond."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > requests.ANSWER_BYTES_MAX:
            raise Unavailable("E-ANSWER", f"The answer has more than {requests.ANSWER_BYTES_MAX} bytes.")
        yield chunk


def count_bytes(chunks: Iterator[bytes], offset: int, progress: Callable[[int], None]) -> Iterator[bytes]:
    """Pass bytes on and tell how many went, ``offset`` included."""
    for chunk in chunks:
        yield chunk
        offset += len(chunk)
        progress(offset)


def read_id(text: str) -> int:
    """Return an event's number; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def follow_on(query: EventQuery, kind: str, identity: str) -> EventQuery:
    """Return what to ask for after this item; a ``reset`` says where the stream goes on, further back too."""
    place = read_id(identity)
    return msgspec.structs.replace(query, after=place if kind == "reset" and identity else max(query.after, place))


def read_delta(kind: str, data: str) -> WatchDelta | None:
    """Read one item of a watch; None for kinds of a later release and for the word of why it ends."""
    try:
        return msgspec.json.decode(data, type=WatchDelta) if kind == "delta" else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_event(kind: str, data: str, identity: str) -> CloudEvent | None:
    """Read one item of the stream; None for kinds of a later release, which only move the place to resume at."""
    if kind == "reset":
        return CloudEvent(id=identity, source="/core", type="reset", subject="events", data={})
    try:
        return msgspec.json.decode(data, type=CloudEvent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
