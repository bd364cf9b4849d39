"""The client against a signer's desk behind a plain socket: what is asked, what is refused, what is no answer."""

import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec
import pytest
from tests.signer.office import open_desk
from tests.trust import people

from skerry.keys.keyring import FIRST_TENANT
from skerry.model.app import Sites
from skerry.model.errors import Refused, Unavailable
from skerry.model.ids import SecretName, SiteName
from skerry.model.signed import Call
from skerry.model.signing import SIGNER_LINE_BYTES_MAX, Ask, Refusal, SignSite
from skerry.sdk.signing import SignerClient
from skerry.trust.envelope import encode_payload
from skerry.trust.seal import seal_secret


class Socket:
    """A Unix socket whose one connection at a time is answered by a function of the line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen()
        self.answer: Callable[[bytes], bytes] = lambda _: b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._door.accept()
            # A client that has enough goes away in the middle.
            with connection, connection.makefile("rb") as lines, contextlib.suppress(ConnectionError):
                for line in lines:
                    if line == b"stop\n":
                        return
                    answer = self.answer(line)
                    if answer == b"":
                        break
                    connection.sendall(answer)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
            last.sendall(b"stop\n")
            self._thread.join()
        self._door.close()


@pytest.fixture
def served(tmp_path: Path) -> Generator[Socket]:
    served = Socket(tmp_path / "s")
    yield served
    served.close()


@pytest.fixture
def client(served: Socket, tmp_path: Path) -> Generator[SignerClient]:
    desk = open_desk(tmp_path)
    served.answer = lambda line: msgspec.json.encode(desk.answer(msgspec.json.decode(line, type=Ask))) + b"\n"
    with SignerClient(served.path) as client:
        yield client


def test_everything_a_person_signs(client: SignerClient):
    status = client.read_status()
    assert status.tenants.keys() == {FIRST_TENANT}
    root = client.make_root(people.DELIVERY.public, b"der", ("core:443",))
    assert client.read_status().root == root
    revision = encode_payload(people.make_revision(1, tenant=FIRST_TENANT))
    assert client.sign_revision(revision).payload == revision
    tombstone = encode_payload(people.make_tombstone(2, tenant=FIRST_TENANT))
    assert client.sign_tombstone(tombstone).payload == tombstone
    secret = seal_secret(
        b"hush",
        tenant=FIRST_TENANT,
        name=SecretName("s"),
        number=1,
        recipients=[status.sealing],
        mint=people.SeededMint("seal"),
    )
    assert client.sign_secret(encode_payload(secret), Sites()).payload == encode_payload(secret)
    call = Call(
        tenant=FIRST_TENANT,
        site=people.SITE,
        node=people.NODE,
        nonce=b"n",
        verb="exec",
        app=people.SHOP,
        service=people.WEB,
        argv=("ls",),
    )
    assert client.sign_call(encode_payload(call)).payload == encode_payload(call)
    assert b'"oslo"' in client.sign_site(SignSite(site=SiteName("oslo"), number=1)).payload
    assert client.mint_token(SiteName("oslo"), 60).lifetime_s == 60
    assert client.make_tenant(people.BETA).tenants.keys() == {FIRST_TENANT, people.BETA}


def test_a_refusal_is_raised_with_the_signers_words(client: SignerClient):
    with pytest.raises(Refused, match="holds no deploy key of tenant alpha") as refusal:
        client.sign_revision(encode_payload(people.make_revision(1)))
    assert refusal.value.code == "E-KEY"
    # The connection is good for the next ask.
    assert client.read_status().tokens == 0


def test_a_signer_that_is_not_there_is_unavailable(tmp_path: Path):
    for path in (tmp_path / "none", tmp_path / ("x" * 200)):
        with pytest.raises(Unavailable, match="No signer answers"):
            SignerClient(path)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"x\n",
        b"{}\n",
        b'{"answer":"later"}\n',
        b'{"answer":"\xff"}\n',
        b"[" * 10_000 + b"\n",
        b"x" * (SIGNER_LINE_BYTES_MAX + 70_000),
    ],
)
def test_what_is_no_answer_is_unavailable(served: Socket, answer: bytes):
    served.answer = lambda _: answer
    with SignerClient(served.path) as client, pytest.raises(Unavailable, match="did not answer"):
        client.read_status()


def test_an_answer_to_something_else_is_unavailable(served: Socket, client: SignerClient):
    status = msgspec.json.encode(client.read_status()) + b"\n"
    served.answer = lambda _: status
    with pytest.raises(Unavailable, match="something else"):
        client.sign_revision(b"")


def test_a_silent_signer_is_not_waited_for_for_ever(served: Socket):
    with SignerClient(served.path, answer_s_max=0.05) as client:
        served.answer = lambda _: b" "
        with pytest.raises(Unavailable, match="did not answer"):
            client.read_status()


def test_an_answer_may_come_in_pieces_and_with_the_next_one(served: Socket):
    refusal = msgspec.json.encode(Refusal(code="E-ONE", reason="one")) + b"\n"
    other = msgspec.json.encode(Refusal(code="E-TWO", reason="two")) + b"\n"
    served.answer = lambda _: refusal + other
    with SignerClient(served.path) as client:
        for code in ("E-ONE", "E-TWO"):
            with pytest.raises(Refused) as raised:
                client.read_status()
            assert raised.value.code == code
