"""What a kernel has, by what ``ip`` and ``tc`` say when they are asked to make it."""

import asyncio

from skerry.drivers.kernel import probe_kernel


def probe(ip: tuple[int, bytes], tc: tuple[int, bytes]) -> dict[str, str]:
    async def run(*argv: str, given: bytes) -> tuple[int, bytes]:
        assert argv[:2] == ("unshare", "--net")  # never in the node's own network
        assert given.endswith(b"\n")
        return ip if "ip" in argv else tc

    return asyncio.run(probe_kernel(run))


def test_what_is_refused_is_lacking_and_the_rest_is_there():
    ip = b"Error: Unknown device type.\nCommand failed -:2\nCannot find device\nCommand failed -:3\n"
    tc = b"Error: Specified qdisc kind is unknown.\nCommand failed -:3\nCommand failed -:4\n"
    assert probe((1, ip), (1, tc)) == {
        "net.macvlan": "true",
        "net.ipvlan": "true",
        "qdisc.htb": "true",
        "qdisc.tbf": "true",
    }


def test_a_kernel_that_has_all_says_nothing_wrong():
    assert len(probe((0, b""), (0, b""))) == 7


def test_where_nothing_can_be_tried_nothing_is_told():
    assert probe((1, b"unshare: Operation not permitted"), (127, b"tc: no such file")) == {}
    # Without a pair of links none of the kinds was tried.
    assert probe((1, b"Command failed -:1\n"), (127, b"")) == {}
