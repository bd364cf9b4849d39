"""Completion of names: what the core has of sites, apps and the like, asked for while somebody types.

Rules: (1) an answer within ``ANSWER_S_MAX`` or none, and never a word about what went wrong; (2) an answer is kept for
a minute, so that a second TAB costs no second question; (3) nothing but click is imported until a name is wanted.
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from skerry.cli.session import Session
    from skerry.sdk.client import Client

#: Somebody waits with a finger on a key; a core on the same continent answers in a tenth.
ANSWER_S_MAX = 1.5
#: How long an answer is good (interfaces.md §1.1).
KEPT_US = 60 * 1_000_000
#: Names that are kept and offered: a shell shows no more in any useful way.
NAMES_MAX = 2_000
#: The file of kept answers: a hundred questions of 2,000 names.
_FILE_BYTES_MAX = 16 * 1024 * 1024

T = TypeVar("T")
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Ask = Callable[["Client"], Iterable[str]]


def _complete(context: click.Context, question: str, ask: Ask, incomplete: str) -> list[CompletionItem]:
    """Return the names that begin as typed; none when the core does not say in time."""
    return _offer(run_shortly(lambda: _find(_session(context), question, ask)), incomplete)


def complete_sites(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a site."""
    return _complete(context, "sites", lambda client: (each.site for each in _all(client.sites.list)), incomplete)


def complete_nodes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete SITE/NODE."""

    def ask(client: "Client") -> Iterable[str]:
        return (f"{each.site}/{each.node}" for each in _all(client.nodes.list))

    return _complete(context, "nodes", ask, incomplete)


def complete_profiles(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a profile; the built-in ones whatever the core says."""

    def ask(client: "Client") -> Iterable[str]:
        return (each.profile for each in _all(client.profiles.list))

    from skerry.model.profile import PROFILES

    return [*_offer(list(PROFILES), incomplete), *_complete(context, "profiles", ask, incomplete)]


def complete_apps(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an app."""
    return _complete(context, "apps", lambda client: (each.app for each in _all(client.apps.list)), incomplete)


def complete_services(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete APP, and then APP/SERVICE."""
    app, slash, _ = incomplete.partition("/")
    if not slash:
        return complete_apps(context, parameter, incomplete)

    def ask(client: "Client") -> Iterable[str]:
        return (f"{app}/{service}" for service in client.apps.show(app).services)

    return _complete(context, f"services of {app}", ask, incomplete)


def complete_networks(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete APP/NETWORK."""

    def ask(client: "Client") -> Iterable[str]:
        return (f"{each.app}/{each.network}" for each in _all(client.networks.list))

    return _complete(context, "networks", ask, incomplete)


def complete_chains(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete APP/CHAIN."""

    def ask(client: "Client") -> Iterable[str]:
        return (f"{each.app}/{each.chain}" for each in _all(client.chains.list))

    return _complete(context, "chains", ask, incomplete)


def complete_volumes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete APP/VOLUME."""

    def ask(client: "Client") -> Iterable[str]:
        return (f"{each.app}/{each.volume}" for each in _all(client.volumes.list))

    return _complete(context, "volumes", ask, incomplete)


def complete_secrets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a secret."""
    return _complete(context, "secrets", lambda client: (each.name for each in _all(client.secrets.list)), incomplete)


def complete_images(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an image that the core has."""
    return _complete(context, "images", lambda client: (each.name for each in _all(client.images.list)), incomplete)


def complete_areas(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an area."""
    # One carries up to 2,000 corners, so they come in smaller pages.
    return _complete(
        context, "areas", lambda client: (each.name for each in client.areas.list(page_size=100)), incomplete
    )


def complete_user_groups(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a group of users."""

    def ask(client: "Client") -> Iterable[str]:
        return (each.name for each in client.user_groups.list(page_size=100))

    return _complete(context, "user groups", ask, incomplete)


def complete_tokens(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an API token."""
    return _complete(context, "tokens", lambda client: (each.name for each in _all(client.tokens.list)), incomplete)


def complete_roles(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a role, with whose it is."""

    def ask(client: "Client") -> Iterable[str]:
        return (f"{each.of}/{each.role}" for each in client.core.list_roles())

    return _complete(context, "roles", ask, incomplete)


def complete_keys(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a key that the signer holds."""

    def read() -> list[str]:
        status = _session(context).signer.read_status()
        return ["root", "registrar", *(f"deploy/{tenant}" for tenant in sorted(status.tenants)), "sealing"]

    return _offer(run_shortly(read), incomplete)


def complete_users(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a person."""
    return _complete(context, "users", lambda client: (each.name for each in _all(client.users.list)), incomplete)


def complete_nouns(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete app/NAME and site/NAME."""
    noun, slash, name = incomplete.partition("/")
    if not slash:
        return _offer(["app/", "site/"], incomplete)
    completers: dict[str, Completer] = {"app": complete_apps, "site": complete_sites}
    found = completers[noun](context, parameter, name) if noun in completers else []
    return [CompletionItem(f"{noun}/{each.value}") for each in found]


def complete_contexts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a context."""

    def read() -> list[str]:
        from skerry.sdk.contexts import list_contexts

        return list_contexts(_session(context).places.config)

    return _offer(run_shortly(read), incomplete)


def _session(context: click.Context) -> "Session":
    from skerry.cli.session import Session

    session = context.find_root().ensure_object(Session)
    session.choose(context_name=context.find_root().params.get("context_name"), no_input=True, debug=False)
    return session


def _all(listing: Callable[..., Iterable[T]]) -> Iterable[T]:
    return listing(page_size=1_000)


def _offer(names: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def run_shortly(work: Callable[[], list[str]], s_max: float = ANSWER_S_MAX) -> list[str]:
    """Return what ``work`` finds in the time there is; nothing when it fails or takes longer."""
    found: list[str] = []

    def run() -> None:
        try:
            found.extend(work())
        except Exception:
            found.clear()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    # The process ends with the answer; a thread that still waits for the core ends with it.
    thread.join(s_max)
    return [] if thread.is_alive() else found


def _find(session: "Session", question: str, ask: Ask) -> list[str]:
    import itertools

    import msgspec

    from skerry.clock import SystemClock

    file = session.places.state / "client" / "names.json"
    key = f"{session.context.url} {session.context.tenant} {question}"
    now_us = SystemClock().wall_us()
    kept = _read_kept(file)
    if key in kept and 0 <= now_us - kept[key][0] < KEPT_US:
        return kept[key][1]
    names = sorted(set(itertools.islice(ask(session.client), NAMES_MAX)))
    fresh = {old: answer for old, answer in kept.items() if 0 <= now_us - answer[0] < KEPT_US}
    _write_kept(file, msgspec.json.encode(fresh | {key: (now_us, names)}))
    return names


def _read_kept(file: Path) -> dict[str, tuple[int, list[str]]]:
    import msgspec

    try:
        with file.open("rb") as source:
            return msgspec.json.decode(source.read(_FILE_BYTES_MAX), type=dict[str, tuple[int, list[str]]])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _write_kept(file: Path, content: bytes) -> None:
    """Keep answers; where that cannot be, they are asked for again."""
    import contextlib
    import os

    fresh = file.with_suffix(f".{os.getpid()}.new")
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            sink.write(content)
        fresh.replace(file)
