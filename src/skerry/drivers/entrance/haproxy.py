"""HAProxy's files and words from what is wished, and what is there from its answers. Pure.

A file holds what needs a reload: ports, backends, routes. Copies come, leave and go by words to the running process;
the file has them too, for the next start. What the file is made of without the copies is its *shape*; the process shows
that as its description, so that one answer tells whether it runs as it should.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.entrance import HTTP_PORT, HTTPS_PORT, is_host, is_path
from skerry.model.observed import DoorCounts
from skerry.plan.actions import ApplyEntrance, Backend, Server

#: How a copy is asked whether it is there: a dead one is out after two checks, a silent one in 1.7 s (decision 0021).
_CHECKS = "inter 500ms fall 2 rise 1 observe layer4 error-limit 2 on-error mark-down"
#: Of TCP alone: a request that its copy broke off is asked again, unless its session is shut down in that moment.
_SHUT = " on-marked-down shutdown-sessions"
_NAME = re.compile(r"[A-Za-z0-9]{1,24}", re.ASCII)
_ADDRESS = re.compile(r"[0-9a-f.:]{2,39}", re.ASCII)
#: Pages that stand in a line of the file as they are; others are asked for by a connection alone.
_PAGE = re.compile(r"/[A-Za-z0-9._~/?=&-]{0,200}", re.ASCII)
#: Bits of ``srv_admin_state`` (HAProxy management guide, ``show servers state``).
_MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20
_DRAINING = 0x08 | 0x10
_WELL = ("L4OK", "L6OK", "L7OK", "L7OKC")

#: Name of an account key: 256 bits in base64url (RFC 7638).
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
#: Where an authority asks; its tokens have at least 128 bits in base64url (RFC 8555, section 8.3).
_CHALLENGE = r"^/\.well-known/acme-challenge/[A-Za-z0-9_-]{16,256}$"

CONFIG, PLACES, CERTIFICATES, SOCKET = "haproxy.cfg", "places.map", "certificates.list", "haproxy.sock"
CHALLENGED = "challenged.list"


class Around(msgspec.Struct, frozen=True):
    """What the file depends on beside the wish."""

    #: Folder of the files, of Skerry's own choosing.
    folder: str
    #: User and group of the process; empty to stay who starts it.
    user: str
    #: The node has IPv6.
    v6: bool = True
    #: Ports that something else has, and hosts whose certificate is none: left out.
    ports: frozenset[int] = frozenset()
    hosts: frozenset[str] = frozenset()


class Copy(msgspec.Struct, frozen=True):
    """A server as the running process has it."""

    backend: str
    name: str
    address: str
    port: int
    state: str
    well: bool
    sessions: int


class Answers(msgspec.Struct, frozen=True):
    """What the running process says of itself."""

    pid: int
    shape: str
    copies: tuple[Copy, ...]
    counts: dict[str, DoorCounts] = {}


def certificate_file(host: str) -> str:
    """Name the file of a host's certificate; no tenant's word becomes a path."""
    return "certificate-" + hashlib.sha256(host.encode()).hexdigest()[:24] + ".pem"


def write_files(action: ApplyEntrance, around: Around) -> dict[str, bytes]:
    """Return the files by name, certificates aside; raise ``ValueError`` where a word of a tenant has no safe form."""
    _check(action)
    shape = read_shape(action, around)
    return {
        CONFIG: _write_config(action, around, shape).encode(),
        PLACES: _write_places(action).encode(),
        CERTIFICATES: _write_certificates(action, around).encode(),
        CHALLENGED: _write_challenged(action).encode(),
    }


def read_shape(action: ApplyEntrance, around: Around) -> str:
    """Name what needs a reload when it changes."""
    bare = tuple(msgspec.structs.replace(each, servers=()) for each in action.backends)
    bare_action = msgspec.structs.replace(action, backends=bare)
    parts = (
        _write_config(bare_action, around, ""),
        _write_places(action),
        _write_certificates(action, around),
        _write_challenged(action),
    )
    return "skerry-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _check(action: ApplyEntrance) -> None:
    """Hold every word that goes into a file against its own form, whoever let it come so far."""
    for route in action.routes:
        if not (is_host(route.host) and is_path(route.path)):
            raise ValueError("a place is none")
    for backend in action.backends:
        for server in backend.servers:
            if not (_NAME.fullmatch(server.name) and _ADDRESS.fullmatch(server.address)):
                raise ValueError("a server has no such name or address")
            if server.source and not _ADDRESS.fullmatch(server.source):
                raise ValueError("nothing is asked from such an address")
    challenge = action.challenge
    if challenge.hosts and not (all(map(is_host, challenge.hosts)) and _THUMBPRINT.fullmatch(challenge.thumbprint)):
        raise ValueError("an authority is not answered like this")


def _write_config(action: ApplyEntrance, around: Around, shape: str) -> str:
    owner = [f"  user {around.user}", f"  group {around.user}"] if around.user else []
    lines = [
        "# Written by the Skerry agent at each change.",
        "global",
        f"  description {shape or '-'}",
        *owner,
        "  nbthread 1",
        "  maxconn 2000",
        f"  stats socket {around.folder}/{SOCKET} mode 600 level admin expose-fd listeners",
        "  hard-stop-after 30s",
        "  tune.ssl.default-dh-param 2048",
        "  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        "defaults",
        "  mode http",
        "  timeout connect 2s",
        "  timeout check 1s",
        "  timeout client 60s",
        "  timeout server 60s",
        "  timeout http-request 10s",
        "  timeout queue 5s",
        "  timeout tunnel 1h",
        "  retries 2",
        "  option redispatch 1",
        "  option dontlognull",
        "  retry-on conn-failure empty-response",
    ]
    if action.routes:
        lines += ["frontend plain", *_bind(HTTP_PORT, around)]
        lines += [*_answer_authority(action, around), *_route(around, is_secure=False)]
    if any(each.host not in around.hosts for each in action.certificates):
        words = f" ssl crt-list {around.folder}/{CERTIFICATES} alpn h2,http/1.1 strict-sni"
        lines += ["frontend secure", *_bind(HTTPS_PORT, around, words), *_route(around, is_secure=True)]
    for listener in action.listeners:
        lines += [f"frontend tcp{listener.port}", "  mode tcp", "  timeout client 1h", "  option clitcpka"]
        lines += [*_bind(listener.port, around), f"  default_backend {listener.backend}"]
    for backend in action.backends:
        lines += _write_backend(backend)
    return "\n".join(lines) + "\n"


def _bind(port: int, around: Around, words: str = "") -> list[str]:
    if port in around.ports:
        return []
    return [f"  bind 0.0.0.0:{port}{words}"] + ([f"  bind [::]:{port} v6only{words}"] if around.v6 else [])


def _answer_authority(action: ApplyEntrance, around: Around) -> list[str]:
    """Say by the token that is asked for that the site has the host; nobody has to be told of it before."""
    if not action.challenge.hosts:
        return []
    return [
        '  http-request return status 200 content-type text/plain lf-string "%[path,field(4,/)].'
        f'{action.challenge.thumbprint}" if {{ path -m reg {_CHALLENGE} }} '
        f"{{ req.hdr(host),host_only,lower -m str -f {around.folder}/{CHALLENGED} }}"
    ]


def _route(around: Around, *, is_secure: bool) -> list[str]:
    """Lead a request to the longest place that fits; the slash at the end keeps /shopping out of /shop."""
    lines = [
        "  http-request set-var(txn.slash) str(/)",
        "  http-request set-var(txn.path) path,concat(,txn.slash,)",
        "  http-request set-var(txn.place) req.hdr(host),host_only,lower,concat(,txn.path,)",
        f"  http-request set-var(txn.to) var(txn.place),map_beg({around.folder}/{PLACES})",
        '  http-request return status 404 content-type text/plain string "nothing is here" '
        "unless { var(txn.to) -m found }",
    ]
    if not is_secure:
        lines.append("  http-request redirect scheme https code 308 if { var(txn.to) -m end .secure }")
    return [
        *lines,
        # What may have reached a copy is not sent to another one unless asking twice does no harm (RFC 9110 §9.2.2).
        "  http-request disable-l7-retry if !{ method GET HEAD OPTIONS }",
        "  http-request set-header X-Forwarded-For %[src]",
        f"  http-request set-header X-Forwarded-Proto {'https' if is_secure else 'http'}",
        "  use_backend %[var(txn.to),field(1,.)]",
    ]


def _write_backend(backend: Backend) -> list[str]:
    lines = [f"backend {backend.name}", f"  mode {backend.mode}", "  balance leastconn", "  option allbackups"]
    lines.append(f"  default-server {_write_checks(backend)}")
    if backend.mode == "tcp":
        lines += ["  timeout server 1h", "  option srvtcpka"]
    elif _PAGE.fullmatch(backend.page):
        lines += [f"  option httpchk GET {backend.page}", "  http-check expect status 200-399"]
    return [*lines, *(f"  server {each.name} {_write_server(each)}" for each in backend.servers)]


def _write_checks(backend: Backend) -> str:
    return _CHECKS + (_SHUT if backend.mode == "tcp" else "")


def _write_server(server: Server) -> str:
    weight = " weight 0" if server.state == "drain" else ""
    return f"{_write_address(server)}{_write_rank(server)}{weight}"


def _write_rank(server: Server) -> str:
    """Copies here are asked whether they are there; of the reserve the names of other sites say so."""
    source = f" source {_bracket(server.source)}" if server.source else ""
    return f" backup{source}" if server.rank else f" check{source}"


def _write_address(server: Server) -> str:
    return f"{_bracket(server.address)}:{server.port}"


def _bracket(address: str) -> str:
    """Keep what follows an address from being taken for a part of it."""
    return f"[{address}]" if ":" in address else address


def _write_places(action: ApplyEntrance) -> str:
    """Return place → backend and whether it is for TLS alone."""
    lines = [
        f"{each.host}{each.path.rstrip('/')}/ {each.backend}.{'secure' if each.secure else 'plain'}"
        for each in action.routes
    ]
    return "".join(f"{line}\n" for line in lines)


def _write_challenged(action: ApplyEntrance) -> str:
    return "".join(f"{host}\n" for host in action.challenge.hosts)


def _write_certificates(action: ApplyEntrance, around: Around) -> str:
    return "".join(
        f"{around.folder}/{certificate_file(each.host)} {each.host}\n"
        for each in action.certificates
        if each.host not in around.hosts
    )


#: Asked in one connection; its answers are parted by empty lines.
QUESTIONS = b"show info;show servers state;show stat -1 6 -1\n"


def read_answers(content: bytes) -> Answers:
    """Read what the process said to ``QUESTIONS``; raise ``ValueError`` for anything else."""
    try:
        info, servers, stats = content.decode("ascii", "replace").strip("\n").split("\n\n")[:3]
        facts = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
        rows = {(row["# pxname"], row["svname"]): row for row in csv.DictReader(stats.splitlines())}
        names = servers.splitlines()[1].removeprefix("# ").split(" ")
        found = [dict(zip(names, line.split(" "), strict=False)) for line in servers.splitlines()[2:]]
        copies = tuple(_read_copy(each, rows) for each in found)
        counts = {name: _count(row) for (name, part), row in rows.items() if part == "BACKEND"}
        return Answers(int(facts["Pid"]), facts.get("description", ""), copies, counts)
    except (KeyError, IndexError) as error:
        raise ValueError(f"an answer without {error}") from error


def _count(row: dict[str, str]) -> DoorCounts:
    """Read what a backend was asked; fields that it has not are empty (HAProxy management guide, section 9.1)."""

    def read(name: str) -> int:
        text = row.get(name) or "0"
        return int(text) if text.isdigit() else 0

    answers = tuple(read(f"hrsp_{each}") for each in ("1xx", "2xx", "3xx", "4xx", "5xx", "other"))
    return DoorCounts(
        connections=read("stot"),
        open=read("scur"),
        received_bytes=read("bin"),
        sent_bytes=read("bout"),
        answers=answers if any(answers) else (),
        answer_us=read("rtime") * 1_000,
    )


def _read_copy(server: dict[str, str], rows: Mapping[tuple[str, str], dict[str, str]]) -> Copy:
    row = rows.get((server["be_name"], server["srv_name"]), {})
    admin = int(server["srv_admin_state"])
    is_unasked = row.get("status", "") == "no check"
    is_draining = admin & _DRAINING or int(server["srv_uweight"]) == 0
    return Copy(
        backend=server["be_name"],
        name=server["srv_name"],
        address=server["srv_addr"],
        port=int(server["srv_port"]),
        state="maint" if admin & _MAINTENANCE else "drain" if is_draining else "up",
        well=is_unasked
        or (row.get("check_status", "").removeprefix("* ") in _WELL and row.get("status", "") != "DOWN"),
        sessions=int(row.get("scur") or 0),
    )


def list_words(backends: Iterable[Backend], there: Iterable[Copy]) -> list[str]:
    """Return the words that make the running copies those that are wished; none where they are."""
    known = {(each.backend, each.name): each for each in there}
    words: list[str] = []
    for backend in backends:
        for server in backend.servers:
            words += _bring(backend, server, known.pop((backend.name, server.name), None))
    for each in known.values():
        name = f"{each.backend}/{each.name}"
        if each.state != "maint":
            words += [f"set server {name} state maint", f"shutdown sessions server {name}"]
        words.append(f"del server {name}")
    return words


def is_as_wished(backends: Iterable[Backend], there: Iterable[Copy]) -> bool:
    """Say whether the running copies are those that are wished; what is in maintenance is as good as gone."""
    return not [word for word in list_words(backends, there) if not word.startswith("del ")]


def _bring(backend: Backend, server: Server, there: Copy | None) -> list[str]:
    name = f"{backend.name}/{server.name}"
    state = "ready" if server.state == "up" else "drain"
    if there is None:
        checks = "" if server.rank else f" {_write_checks(backend)}"
        words = [f"add server {name} {_write_address(server)}{_write_rank(server)}{checks}"]
        # A server that comes later begins in maintenance and unchecked.
        words += [f"enable server {name}"] if server.rank else [f"enable health {name}", f"enable server {name}"]
        return words + ([f"set server {name} state drain"] if state == "drain" else [])
    words: list[str] = []
    if (there.address, there.port) != (server.address, server.port):
        words.append(f"set server {name} addr {server.address} port {server.port}")
    if there.state != server.state:
        # One that the file had as draining has no weight.
        words += [f"set server {name} weight 1"] if state == "ready" else []
        words.append(f"set server {name} state {state}")
    return words
