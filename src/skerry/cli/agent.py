"""``skerry agent``: this box, asked over its agent's own socket; works cut off, without a core and without a token.

Answers are shown as the agent gives them: one small HTTP request, the standard library alone. A person at a small box
waits for every import, so errors are imported where one is raised.
"""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from skerry.cli.asking import read_secret
from skerry.cli.options import pass_session
from skerry.cli.output import Column, tell, with_output, write_pairs, write_section, write_table, write_value
from skerry.cli.session import Session

#: The agent answers from memory; joining waits for the signer's word, up to two minutes.
ANSWER_S, JOIN_S = 20.0, 150.0
#: 500 events of 32 KiB at most, in practice a hundredth of it.
_ANSWER_BYTES_MAX = 32 * 1024 * 1024

Fields = Mapping[str, Any]

_INSTANCES: tuple[Column[Fields], ...] = (
    Column("instance", lambda each: each["instance"]),
    Column("phase", lambda each: each["phase"]),
    Column("health", lambda each: each["health"]),
    Column("restarts", lambda each: each["restarts"]),
    Column("ports", lambda each: tuple(sorted(each["ports"]))),
    Column("reason", lambda each: each["reason"]),
)
_CHECKS: tuple[Column[Fields], ...] = (
    Column("check", lambda each: each["name"]),
    Column("verdict", lambda each: each["verdict"]),
    Column("detail", lambda each: each["detail"]),
    Column("hint", lambda each: each.get("hint", "")),
)
_EVENTS: tuple[Column[Fields], ...] = (
    Column("sequence", lambda each: each["sequence"]),
    Column("event", lambda each: each["type"]),
    Column("subject", lambda each: each.get("subject", "")),
    Column("message", lambda each: each.get("message", "")),
)


@click.command()
@click.argument("token", required=False)
@click.option("--core", required=True, metavar="HOST:PORT", help="The core's link listener; several with commas.")
@click.option("--site", required=True, help="The site this box joins.")
@pass_session
def join(session: Session, token: str | None, core: str, site: str) -> None:
    """Join this box to a site; without TOKEN it is read from stdin or asked for."""
    token = token or read_secret(session, "Join token").decode("ascii", "replace").strip()
    tell(f"asking {core} to let this box join site {site}")
    answer = ask(session, "POST", "/join", {"token": token, "core": core, "site": site}, JOIN_S)
    tell(f"this box is node {answer['node']} of site {answer['site']} now")
    tell("Next: skerry agent status")


@click.command()
@with_output
@pass_session
def status(session: Session, output: str) -> int:
    """Show how this site is, by its own agent. Exit code 3 when something is not as wished."""
    found = ask(session, "GET", "/status")
    if output in ("json", "yaml", "jsonl"):
        write_value(found, "json" if output == "jsonl" else output)
    else:
        link = f"{found['link']} for {found['link_since_s']} s"
        write_pairs(
            (
                ("site", found["site"] or "not joined"),
                ("node", found["node"]),
                ("link", f"{link}: {found['link_reason']}" if found["link_reason"] else link),
                ("document", f"{found['epoch']}.{found['generation']}"),
                ("settled", found["settled"]),
                ("outbox", f"{found['outbox']} events wait for the core"),
            )
        )
        write_section("Instances", found["instances"], _INSTANCES)
        for wait in found["waits"]:
            click.echo(f"  waits: {wait}")
    return 0 if found["joined"] and found["settled"] else 3


@click.command()
@with_output
@pass_session
def doctor(session: Session, output: str) -> int:
    """Check what this site needs. Exit code 3 when a check is bad."""
    found = ask(session, "GET", "/doctor")
    if output in ("json", "yaml", "jsonl"):
        write_value(found, "json" if output == "jsonl" else output)
    else:
        write_table(found["checks"], _CHECKS)
    return 3 if any(check["verdict"] == "bad" for check in found["checks"]) else 0


@click.command()
@click.option("--tail", type=click.IntRange(1, 500), default=100, show_default=True, help="How many events.")
@with_output
@pass_session
def logs(session: Session, tail: int, output: str) -> None:
    """Show this site's own events, also those that the core has not had yet."""
    found = ask(session, "GET", "/logs", {"tail": str(tail)})
    match output:
        case "json" | "yaml":
            write_value(found, output)
        case "jsonl":
            for event in found["events"]:
                click.echo(json.dumps(event))
        case _:
            write_table(found["events"], _EVENTS)


@click.command("accept-loss")
@click.argument("volume")
@pass_session
def accept_loss(session: Session, volume: str) -> None:
    """Give up VOLUME (tenant/app/name), which was here with data and is gone: it is made anew, empty.

    Look first whether its disk is only not mounted: once it is back, everything starts by itself.
    """
    ask(session, "POST", "/accept-loss", {"volume": volume})
    tell(f"volume {volume} is missed no more; what waited for it starts with an empty one")
    tell("Next: skerry agent status")


@click.command()
@pass_session
def rekey(session: Session) -> None:
    """Change the key of this box's tunnels to other sites.

    The other sites move to the new key by themselves, and nothing is lost meanwhile. The old key goes when every one of
    them was heard by the new one: at once where all are linked, and as late as the last one of them is heard of.
    """
    number = ask(session, "POST", "/rekey")["number"]
    tell(f"overlay key {number} is made; the one before it goes once every other site was heard by the new one")
    tell("Next: skerry agent status")


def _make_control(verb: str, about: str, done: str) -> click.Command:
    @click.command(verb, help=about)
    @click.argument("what", metavar="TENANT/APP[/SERVICE[/ORDINAL]]")
    @pass_session
    def control(session: Session, what: str) -> None:
        for name in ask(session, "POST", f"/{verb}", {"what": what})["instances"]:
            tell(f"{name} {done}")
        tell("Next: skerry agent status")

    return control


restart = _make_control(
    "restart", "End what runs here and start it again, unless its owner forbids it.", "is being restarted"
)
stop = _make_control(
    "stop",
    "Stop what runs here, where its owner allows it: until it is started here, or restarted by its owner.",
    "is stopped until it is started here",
)
start = _make_control("start", "Start what was stopped here.", "may run again")


def ask(
    session: Session, method: str, path: str, given: dict[str, str] | None = None, limit_s: float = ANSWER_S
) -> dict[str, Any]:
    """Ask this box's agent, or that of the local site that ``skerry up`` has started; see ``ask_at``."""
    places = (session.places.run / "agent.sock", session.places.run / "site" / "agent.sock")
    found = session.settings.agent_socket or next(filter(Path.exists, places), places[0])
    return ask_at(found, method, path, given, limit_s)


def ask_at(
    place: str | Path, method: str, path: str, given: dict[str, str] | None = None, limit_s: float = ANSWER_S
) -> dict[str, Any]:
    """Ask the agent at a socket; raises ``Unavailable`` when none answers, ``Refused`` with the agent's words."""
    body = json.dumps(given or {}).encode() if method == "POST" else b""
    target = path if method == "POST" or not given else f"{path}?{urlencode(given)}"
    request = f"{method} {target} HTTP/1.1\r\nHost: agent\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    try:
        content = _exchange(place, request, limit_s)
        head, _, rest = content.partition(b"\r\n\r\n")
        status, found = int(head.split(b" ", 2)[1]), json.loads(rest)
    except OSError as error:
        from skerry.model.errors import Unavailable

        detail = f"No agent answers at {place}: {error.strerror or error}."
        raise Unavailable("E-AGENT", detail, hint="systemctl status skerry-agent") from error
    except (ValueError, IndexError) as error:
        from skerry.model.errors import Unavailable

        raise Unavailable("E-AGENT", f"What answers at {place} is no agent.") from error
    if status != 200:
        from skerry.model.errors import Refused

        raise Refused(found.get("code", "E-AGENT"), found.get("detail", ""), hint=found.get("hint", ""))
    return found


def _exchange(place: str | Path, request: bytes, limit_s: float) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        opened.settimeout(limit_s)
        opened.connect(str(place))
        opened.sendall(request)
        content = bytearray()
        while part := opened.recv(64 * 1024):
            content += part
            if len(content) > _ANSWER_BYTES_MAX:
                raise OSError("the answer is too long")
        return bytes(content)
