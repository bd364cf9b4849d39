"""``skerry core``: backup, restore, another database and a look at its health, on the core's own machine.

The work is done by a program beside the core, as the same user; it needs no API and no token, so that a core that does
not start can still be looked after. Only the signer is asked from here.
"""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from skerry.cli.options import pass_session
from skerry.cli.output import Column, format_time, tell, with_output, write_table, write_value
from skerry.cli.processes import skerry_command
from skerry.cli.session import Session
from skerry.clock import SystemClock
from skerry.model.errors import Refused, SkerryError, Unavailable

Fields = Mapping[str, Any]

#: Backups in a folder that ``--keep`` looks after: the day and second in UTC, so that names sort by age.
_KEPT = re.compile(r"core-\d{8}T\d{6}Z\.backup")

_CHECKS: tuple[Column[Fields], ...] = (
    Column("check", lambda each: each["name"]),
    Column("verdict", lambda each: each["verdict"]),
    Column("detail", lambda each: each["detail"]),
    Column("next", lambda each: each.get("hint", "")),
)
_DATA = click.option("--data", type=click.Path(path_type=Path), help="The core's data directory.")
_URL = click.option("--database-url", metavar="URL", help="Its database, when it is not a file in there.")
_SETTINGS = click.option("--settings", type=click.Path(path_type=Path), help="The core's settings file.")


def _of_a_core(function: Any) -> Any:
    """Give a command the options that say which core."""
    return _SETTINGS(_URL(_DATA(function)))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(min=1, max=1000),
    metavar="N",
    help="FILE is a folder: write a file named by date into it, then keep the newest N of these.",
)
@_of_a_core
@with_output
@pass_session
def backup(
    session: Session,
    file: Path,
    keep: int | None,
    data: Path | None,
    database_url: str | None,
    settings: Path | None,
    output: str,
) -> None:
    """Write the core's database and delivery key to FILE; the core may run meanwhile.

    FILE appears when it is whole and was read back. It holds a secret: keep it where nobody else reads it.
    """
    folder = file
    if keep is not None:
        if not folder.is_dir():
            raise Refused("E-FILE", f"{folder} is no folder: --keep needs one.")
        file = folder / f"core-{format_time(SystemClock().wall_us()).replace('-', '').replace(':', '')}.backup"
    found = _keep(session, data, database_url, settings, do="backup", file=file.absolute())
    if keep is not None:
        _forget_oldest(folder, keep)
    if output != "table":
        write_value(found, "json" if output in ("jsonl", "name", "wide") else output)
        return
    about = found["about"]
    rows = sum(table["rows"] for table in about["tables"].values())
    click.echo(f"backed up {rows} rows of {len(about['tables'])} tables at {format_time(about['made_us'])}")
    tell("Not in it: the bytes of images (blobs/ beside the database) and the signer's keyring.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace the core that is there; a file is kept beside.")
@_of_a_core
@pass_session
def restore(
    session: Session,
    file: Path,
    overwrite: bool,
    data: Path | None,
    database_url: str | None,
    settings: Path | None,
) -> None:
    """Put the backup FILE in the place of the core's database; the core must be stopped.

    A core set back to yesterday learns from its sites what it has forgotten, and orders nothing away meanwhile.
    """
    words = {"overwrite": "true"} if overwrite else {}
    found = _keep(session, data, database_url, settings, do="restore", file=file.absolute(), **words)
    click.echo(f"restored {found['rows']} rows into {found['place']}")
    if found["kept"]:
        tell(f"what was there is kept as {found['kept']}")
    tell("Next: start the core; apps shown as lost are applied again by their owners")


@click.command()
@click.option(
    "--to", "target", required=True, metavar="URL", help="postgresql://USER@HOST/NAME, or the path of a file."
)
@_of_a_core
@pass_session
def migrate(session: Session, target: str, data: Path | None, database_url: str | None, settings: Path | None) -> None:
    """Copy the stopped core whole into another, empty database, and check counts and digests of every table."""
    found = _keep(session, data, database_url, settings, do="migrate", to=target)
    click.echo(f"copied {found['rows']} rows of {found['tables']} tables from {found['source']} to {found['target']}")
    tell(
        f"What was in {found['source']} is still there. Next: start the core with SKERRY_DATABASE_URL={_shown(target)}"
    )


@click.command()
@_of_a_core
@with_output
@pass_session
def doctor(session: Session, data: Path | None, database_url: str | None, settings: Path | None, output: str) -> int:
    """Check what this machine's core needs, whether or not it runs. Exit code 3 when a check is bad."""
    checks: list[Fields] = [
        *_keep(session, data, database_url, settings, do="doctor")["checks"],
        _check_signer(session),
    ]
    if output in ("json", "yaml", "jsonl"):
        write_value({"checks": checks}, "json" if output == "jsonl" else output)
    else:
        write_table(checks, _CHECKS)
    return 3 if any(check["verdict"] == "bad" for check in checks) else 0


def _forget_oldest(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` backups that bear a date; whatever else is there is somebody's own."""
    dated = sorted(each for each in folder.iterdir() if _KEPT.fullmatch(each.name) and not each.is_symlink())
    for old in dated[:-keep]:
        old.unlink(missing_ok=True)


def _check_signer(session: Session) -> Fields:
    try:
        status = session.signer.read_status()
    except (SkerryError, OSError) as error:
        detail = error.detail if isinstance(error, SkerryError) else str(error)
        hint = (isinstance(error, SkerryError) and error.hint) or "systemctl start skerry-signer, or skerry up"
        return {"name": "signer", "verdict": "warning", "detail": detail, "hint": hint}
    return {"name": "signer", "verdict": "good", "detail": f"holds keys of {len(status.tenants)} tenants"}


def _keep(
    session: Session, data: Path | None, database_url: str | None, settings: Path | None, **order: object
) -> dict[str, Any]:
    """Run the keeper over this machine's core and return its answer; raises what it says."""
    file = settings or session.places.config / "core.toml"
    given = {"settings": file} if settings or file.exists() else {}
    if data or not given:
        given["data"] = data or session.places.state / "core"
    # An address may hold a password, and a command line is read by everybody: it travels in the environment.
    environment = dict(session.environment)
    if database_url:
        environment["SKERRY_DATABASE_URL"] = database_url
    command = skerry_command("keeper", **given, **order)
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        found = msgspec.json.decode(done.stdout, type=dict[str, dict[str, Any]])
    except msgspec.DecodeError:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise Unavailable("E-START", f"The keeper ended with {done.returncode}: {said[-500:]}") from None
    if "problem" in found:
        problem = found["problem"]
        raise Refused(problem["code"], problem["detail"], hint=problem["hint"])
    return found["answer"]


def _shown(address: str) -> str:
    """Return an address without its password."""
    scheme, colon, rest = address.partition("://")
    who, at, where = rest.rpartition("@")
    return f"{scheme}{colon}{who.partition(':')[0]}{at}{where}" if colon else address
