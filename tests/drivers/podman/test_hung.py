"""Which processes belong to a session of podman."""

from skerry.drivers.podman.hung import Process, list_members

SESSION = "6239a9c92cab"
PROCESSES = [
    Process(1, 0, "init"),
    Process(10, 1, "conmon\0-c\0other-container\0"),
    Process(11, 10, "server\0"),
    Process(20, 1, f"/usr/bin/conmon\0-u\0{SESSION}\0--exec-attach\0"),
    Process(21, 20, "/bin/sh\0-c\0sleep 987; true\0"),
    Process(22, 21, "sleep\0987\0"),
    Process(30, 1, f"grep\0{SESSION[:6]}\0"),
    Process(31, 30, "child\0"),
]


def test_what_a_session_started_is_found_with_its_children_and_nothing_else():
    assert list_members(SESSION, reversed(PROCESSES)) == (21, 22)


def test_a_session_that_is_over_or_nameless_has_no_processes():
    assert list_members("f" * 64, PROCESSES) == ()
    assert list_members("", PROCESSES) == ()
