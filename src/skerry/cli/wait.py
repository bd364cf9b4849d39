"""``skerry wait``: block until an app, a site or an operation is as somebody needs it."""

from typing import Any

import click
import msgspec

from skerry.cli.names import complete_nouns
from skerry.cli.options import DURATION, pass_session, split_noun
from skerry.cli.output import tell
from skerry.cli.session import Session
from skerry.cli.watching import wait_for_operation, wait_until
from skerry.model.answers import AppSummary, OperationView, SiteSummary
from skerry.model.errors import NotFound
from skerry.sdk.client import Client
from skerry.sdk.waiting import describe_unready_app, describe_unready_site, hint_for

Found = AppSummary | SiteSummary | OperationView


@click.command()
@click.argument("what", metavar="NOUN/NAME", shell_complete=complete_nouns)
@click.option("--for", "wanted", default="ready", show_default=True, help="ready, gone, or PATH=VALUE.")
@click.option("--timeout", "limit_s", type=DURATION, default="5m", show_default=True, help="How long at most.")
@pass_session
def wait(session: Session, what: str, wanted: str, limit_s: int) -> None:
    """Wait until an app, site or operation is as wanted. Exit code 4 when it is not so in time."""
    noun, name = split_noun(what, "app", "site", "operation")
    path, equals, value = wanted.partition("=")
    if wanted not in ("ready", "gone") and not equals:
        raise click.BadParameter(f"--for={wanted} is none of ready, gone, PATH=VALUE.")

    if noun == "operation" and wanted == "ready":
        wait_for_operation(session.client, name, limit_s)
        return

    def look() -> str:
        found = _find(session.client, noun, name)
        if found is None:
            return "" if wanted == "gone" else f"{noun} {name} is not there"
        if equals:
            held = read_path(found, path)
            return "" if held == value else f"{path} of {noun} {name} is {held!r}"
        if wanted == "gone":
            return "" if is_gone(found) else f"{noun} {name} is still there"
        return describe_unready(found)

    wait_until(look, limit_s, f"{noun} {name}", hint_for(noun, name))
    tell(f"{noun} {name} is {wanted}")


def _find(client: Client, noun: str, name: str) -> Found | None:
    try:
        match noun:
            case "app":
                return client.apps.show(name).summary
            case "site":
                return client.sites.show(name).summary
            case _:
                return client.operations.show(name)
    except NotFound:
        return None


def describe_unready(found: Found) -> str:
    """Say what is missing; empty when all is as wanted."""
    match found:
        case AppSummary():
            return describe_unready_app(found)
        case SiteSummary():
            return describe_unready_site(found)
        case OperationView():
            done = found.state != "running"
            return "" if done else f"{found.kind} {found.app}: {found.ready} of {found.wanted} ready"


def is_gone(found: Found) -> bool:
    """Say whether an app has ended and nothing of it is left that the core knows of, or an operation is over."""
    match found:
        case AppSummary():
            return found.state == "ended" and not found.wanted and not found.ready
        case SiteSummary():
            return False
        case OperationView():
            return found.state != "running"


def read_path(found: Found, path: str) -> str:
    """Return the text of one field, as JSON has it; a path goes into objects with dots."""
    value: Any = msgspec.to_builtins(found)
    for step in path.split("."):
        if not isinstance(value, dict) or step not in value:
            raise click.BadParameter(f"There is no {path!r} here; there are: {', '.join(found.__struct_fields__)}.")
        value = value[step]  # pyright: ignore[reportUnknownVariableType]
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
