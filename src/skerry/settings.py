"""The only reader of environment and settings files: struct ← TOML ← ``SKERRY_*`` ← flags (interfaces.md §5).

What stands below is handed values. An unknown key is an error, because a misspelt setting must not be obeyed by half.
Rule: what the command line needs of this file imports the standard library alone, or every command waits for it.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    import msgspec

    from skerry.model.errors import Invalid

T = TypeVar("T", bound="msgspec.Struct")

#: A settings file of every setting with a comment on each is under 20 KiB.
SETTINGS_BYTES_MAX = 256 * 1024


class Places(NamedTuple):
    """Where a person's, or as root the machine's, files are."""

    #: Contexts, keyring, settings.
    config: Path
    #: What must survive a reboot.
    state: Path
    #: Sockets and process ids: gone with the power.
    run: Path


class ClientSettings(NamedTuple):
    """What the command line takes from its surroundings."""

    context: str = ""
    #: With ``token``: talk to this core whatever the contexts say.
    url: str = ""
    token: str = ""
    tenant: str = ""
    signer: str = ""
    agent_socket: str = ""


def read_environment() -> dict[str, str]:
    """Return the environment, for whoever substitutes a person's variables in a person's file."""
    return dict(os.environ)


def find_places(environment: Mapping[str, str] | None = None) -> Places:
    """Say where files are: XDG's directories, as root those of the FHS unless XDG's are set."""
    environment = os.environ if environment is None else environment
    is_root = os.geteuid() == 0
    home = Path(environment.get("HOME") or "/")

    def choose(variable: str, for_root: str, for_people: Path) -> Path:
        given = environment.get(variable, "")
        if given.startswith("/"):
            return Path(given, "skerry")
        return Path(for_root) if is_root else for_people / "skerry"

    state = choose("XDG_STATE_HOME", "/var/lib/skerry", home / ".local" / "state")
    return Places(
        config=choose("XDG_CONFIG_HOME", "/etc/skerry", home / ".config"),
        state=state,
        run=choose("XDG_RUNTIME_DIR", "/run/skerry", state / "run"),
    )


def read_client(environment: Mapping[str, str] | None = None) -> ClientSettings:
    """Return the command line's settings: they come from the environment alone, contexts have files of their own."""
    environment = os.environ if environment is None else environment
    return ClientSettings(*(environment.get(f"SKERRY_{name.upper()}", "") for name in ClientSettings._fields))


def read_supervisor(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what systemd tells a program it starts: where to report, and how often at least, in microseconds."""
    environment = os.environ if environment is None else environment
    found: dict[str, Any] = {"notify_socket": environment.get("NOTIFY_SOCKET", "")}
    period = environment.get("WATCHDOG_USEC", "")
    found["watchdog_us"] = int(period) if period.isascii() and period.isdigit() else None
    return {key: value for key, value in found.items() if value}


def read_database(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return where the core's database is, by the one variable that the core and its commands share."""
    environment = os.environ if environment is None else environment
    address = environment.get("SKERRY_DATABASE_URL", "")
    return {"database_url": address} if address else {}


def split_flags(arguments: Sequence[str]) -> tuple[Path | None, dict[str, Any]]:
    """Read ``--settings FILE`` and ``--NAME VALUE`` of a program; raises ``Invalid``."""
    file: Path | None = None
    flags: dict[str, Any] = {}
    left = list(arguments)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("--") or (not equals and not left):
            raise _refuse(f"{word!r} is no setting: write --NAME VALUE.")
        value = value if equals else left.pop(0)
        if name == "--settings":
            file = Path(value)
        else:
            flags[name.removeprefix("--").replace("-", "_")] = value
    return file, flags


def load(
    kind: type[T],
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    prefix: str = "SKERRY_",
) -> T:
    """Return settings of ``kind``: defaults, then ``file``, then ``PREFIX_FIELD``, then ``flags`` that are not None.

    Raises ``Invalid`` that says which file or variable is wrong.
    """
    import msgspec

    environment = os.environ if environment is None else environment
    found: dict[str, Any] = {} if file is None else _read_file(file)
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    for source, names in ((str(file), found.keys() - fields.values()), ("a flag", (flags or {}).keys() - fields)):
        if names:
            raise _refuse(f"{source} has an unknown setting {min(names)!r}.")
    for name, key in fields.items():
        text = environment.get(prefix + name.upper(), "")
        if text:
            found[key] = text
        if flags is not None and flags.get(name) is not None:
            found[key] = flags[name]
    try:
        return msgspec.convert(found, kind, strict=False, dec_hook=_read_path)
    except msgspec.ValidationError as error:
        source = f"{file}, {prefix}* or the flags" if file else f"{prefix}* or the flags"
        raise _refuse(f"A setting in {source} is wrong: {error}.") from error


def _refuse(detail: str) -> "Invalid":
    from skerry.model.errors import Invalid

    return Invalid("E-SETTINGS", detail)


def _read_path(kind: type[Any], value: Any) -> Any:
    """Read the one type of ours that ``msgspec`` does not know."""
    if kind is not Path or not isinstance(value, str):
        raise TypeError(f"expected a path, got {type(value).__name__}")
    return Path(value)


def _read_file(file: Path) -> dict[str, Any]:
    # Only programs have settings files: a command should not wait for the reader of one.
    import tomllib

    try:
        with file.open("rb") as source:
            content = source.read(SETTINGS_BYTES_MAX + 1)
    except OSError as error:
        raise _refuse(f"{file} cannot be read: {error.strerror}.") from error
    if len(content) > SETTINGS_BYTES_MAX:
        raise _refuse(f"{file} has more than {SETTINGS_BYTES_MAX} bytes.")
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refuse(f"{file} is no TOML: {error}.") from error
