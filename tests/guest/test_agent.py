"""The conversation with a guest's agent: what belongs to another conversation is skipped, and silence has an end."""

import base64
import json
import socket
import threading

import pytest

from tests.guest.agent import GuestAgent, GuestRefused, GuestSilent


class FakeGuest:
    """Answers as QEMU's agent does; ``answers`` gives what it says to each command, None for nothing."""

    def __init__(self, folder, answers, before=b""):
        self.place = folder / "agent.sock"
        self.asked = []
        self._answers = answers
        self._before = before
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.place))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                opened, _ = self._listener.accept()
            except OSError:
                return
            with opened, opened.makefile("rb") as lines:
                for line in lines:
                    self._answer(opened, json.loads(line.lstrip(b"\xff")))

    def _answer(self, opened, question):
        command, given = question["execute"], question.get("arguments", {})
        self.asked.append((command, given))
        if command == "guest-sync-delimited":
            opened.sendall(self._before + b"\xff" + json.dumps({"return": given["id"]}).encode() + b"\n")
            return
        said = self._answers[command](given)
        if said is not None:
            opened.sendall(json.dumps(said).encode() + b"\n")

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def make_guest(tmp_path):
    made = []

    def make(**parts):
        made.append(FakeGuest(tmp_path, **parts))
        return made[-1], GuestAgent(made[-1].place)

    yield make
    for each in made:
        each.close()


def test_a_command_is_run_to_its_end_and_its_words_come_back(make_guest):
    looks = iter(
        [
            {"return": {"exited": False}},
            {"return": {"exited": True, "exitcode": 3, "out-data": base64.b64encode(b"found").decode()}},
        ]
    )
    answers = {"guest-exec": lambda _: {"return": {"pid": 7}}, "guest-exec-status": lambda _: next(looks)}
    guest, agent = make_guest(answers=answers)
    done = agent.run(["cat", "-"], b"given", ["A=b"], 20)
    agent.close()
    assert (done.exit, done.out, done.err) == (3, "found", "")
    started = next(given for command, given in guest.asked if command == "guest-exec")
    assert [started["path"], *started["arg"]] == ["timeout", "--kill-after=5", "20", "cat", "-"]
    assert base64.b64decode(started["input-data"]) == b"given"
    assert started["env"] == ["A=b"]


def test_what_an_earlier_conversation_left_is_no_answer(make_guest):
    left = b'{"return": {"pid": 1}}\n\xff{"return": 0}\n'
    _, agent = make_guest(answers={"guest-ping": lambda _: {"return": {}}}, before=left)
    assert agent.ask("guest-ping") == {}
    agent.close()


def test_an_error_of_the_guest_is_told_with_its_words(make_guest):
    answers = {"guest-exec": lambda _: {"error": {"class": "GenericError", "desc": "no such program"}}}
    _, agent = make_guest(answers=answers)
    with pytest.raises(GuestRefused, match="no such program"):
        agent.run(["none"], b"", [], 1)
    agent.close()


def test_a_silent_guest_is_left_after_the_limit_and_asked_anew(make_guest):
    guest, agent = make_guest(answers={"guest-ping": lambda _: None, "guest-info": lambda _: {"return": 1}})
    with pytest.raises(GuestSilent):
        agent.ask("guest-ping", 0.2)
    assert agent.ask("guest-info") == 1
    agent.close()
    assert [command for command, _ in guest.asked].count("guest-sync-delimited") == 2


def test_no_guest_is_silence(tmp_path):
    with pytest.raises(GuestSilent):
        GuestAgent(tmp_path / "none.sock").ask("guest-ping", 1)
