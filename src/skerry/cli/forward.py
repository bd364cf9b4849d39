"""``skerry forward``: a port of this machine that leads to a port of one far instance.

Each connection is one signed call with a window of its own at both ends, so that one that nobody reads holds up no
other and fills no memory. It listens at this machine's own address: whoever may use this machine may use the port.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager

import click

from skerry.cli.calls import find_site, make_sign, say_what_is_missing, split_copy, with_instance
from skerry.cli.main import describe_error
from skerry.cli.options import pass_session
from skerry.cli.output import tell
from skerry.cli.session import Session
from skerry.model.asks import ForwardQuery, InstanceQuery
from skerry.model.errors import Invalid, NotFound, SkerryError
from skerry.model.limits import STREAMS_PER_SITE_MAX
from skerry.model.signed import Envelope
from skerry.sdk.client import Client
from skerry.sdk.commands import INPUT_BYTES_MAX, Command, Nonce
from skerry.sdk.requests import make_request

_HOST = "127.0.0.1"
#: Connections at once: half of what a site streams, so that logs and commands still go. More wait to be taken.
CONNECTIONS_MAX = STREAMS_PER_SITE_MAX // 2
_PORT_MAX = 65_535


@click.command()
@with_instance
@click.argument("ports", metavar="[LOCAL:]PORT")
@pass_session
def forward(session: Session, where: str, site: str | None, ordinal: int, ports: str) -> None:
    """Lead a port of this machine to a port of an instance, until interrupted.

    LOCAL is PORT unless it is said, and 0 takes any that is free. Only the instance's own address is reached, by the
    site's own link; the site opens no port for it.
    """
    app, service, copy = split_copy(where, ordinal)
    ordinal = copy or 0
    local, port = split_ports(ports)
    site = site or find_site(session, app, service)
    query = ForwardQuery(service=service, site=site, ordinal=ordinal, port=port)
    client = session.client
    with say_what_is_missing(app, query):
        _find_instance(client, app, query)
    # One at a time: the session keeps one connection to the signer.
    lock = threading.Lock()
    sign_alone = make_sign(session, app, query, verb="forward", port=port)

    def sign(told: Nonce) -> Envelope:
        with lock:
            return sign_alone(told)

    with _listen(local) as listener:
        url = f"http://{_HOST}:{listener.getsockname()[1]}"
        click.echo(f"{url} leads to port {port} of {app}/{service}.{ordinal} at {site}; Ctrl-C ends it.")
        Carrier(lambda: client.forward_port(app, query, sign)).serve(listener)


def split_ports(text: str) -> tuple[int, int]:
    """Return the local port and the instance's."""
    first, colon, last = text.rpartition(":")
    local = first if colon else last
    if not (_is_port(local, 0) and _is_port(last, 1)):
        raise click.BadParameter(f"{text!r} names no ports: write PORT or LOCAL:PORT, each up to {_PORT_MAX}.")
    return int(local), int(last)


def _is_port(text: str, lowest: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and lowest <= int(text) <= _PORT_MAX


def _find_instance(client: Client, app: str, query: ForwardQuery) -> None:
    asked = InstanceQuery(app=app, site=query.site)
    for each in client.pages(make_request("list_instances", query=asked)):
        if (each.service, each.ordinal) == (query.service, query.ordinal):
            return
    raise NotFound("E-NOT-FOUND", "There is no such thing.")


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((_HOST, port), backlog=CONNECTIONS_MAX)
    except OSError as error:
        raise Invalid(
            "E-PORT-IN-USE",
            f"Nothing can listen at {_HOST}:{port}: {error.strerror}.",
            hint="Name another port of this machine: LOCAL:PORT, or 0:PORT for any that is free.",
        ) from error


class Carrier:
    """Carries connections until interrupted; each has two threads, and what is still open is ended at the end."""

    def __init__(self, open_call: Callable[[], AbstractContextManager[Command]]) -> None:
        self._open_call = open_call
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._lock = threading.Lock()
        self._calls: set[Command] = set()
        self._is_over = False

    def serve(self, listener: socket.socket) -> None:
        """Take connections, as many at once as there may be."""
        try:
            while True:
                self._slots.acquire()
                connection, _ = listener.accept()
                threading.Thread(target=self._carry, args=(connection,), daemon=True).start()
        finally:
            self._is_over = True
            with self._lock:
                calls = list(self._calls)
            for call in calls:
                call.leave()

    def _carry(self, connection: socket.socket) -> None:
        try:
            with connection, self._open_call() as call, self._kept(call):
                try:
                    threading.Thread(target=_send_up, args=(connection, call), daemon=True).start()
                    for _, data in call.output():
                        if data:
                            connection.sendall(data)
                        else:
                            connection.shutdown(socket.SHUT_WR)
                finally:
                    # Closing alone ends nothing while the other thread waits for what comes.
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
        except SkerryError as error:
            if not self._is_over:
                tell(describe_error(error).rstrip())
        except OSError:
            return  # whoever connected here has gone
        finally:
            self._slots.release()

    @contextlib.contextmanager
    def _kept(self, call: Command) -> Generator[None]:
        with self._lock:
            self._calls.add(call)
        try:
            yield
        finally:
            with self._lock:
                self._calls.discard(call)


def _send_up(connection: socket.socket, call: Command) -> None:
    try:
        while data := connection.recv(INPUT_BYTES_MAX):
            call.write(data)
    except OSError:
        pass  # broken off here: the far end is told that nothing more comes
    except SkerryError:
        return  # the call is over, which its reader says
    try:
        call.end()
    except SkerryError:
        return
