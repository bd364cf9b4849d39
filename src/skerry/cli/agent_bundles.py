"""``skerry agent apply-bundle``: a stick at this box. The agent reads and judges it; this command asks and waits."""

from pathlib import Path

import click

from skerry.cli.agent import Fields, ask
from skerry.cli.options import pass_session
from skerry.cli.output import Column, Progress, format_bytes, short, tell, with_output, write_table, write_value
from skerry.cli.session import Session
from skerry.clock import SECOND_US, SystemClock, pause
from skerry.model.errors import Refused
from skerry.sdk.errors import Timeout

#: Opening reads the manifests of 200 images from a slow stick.
_OPEN_S = 110.0
#: Between two looks: soon enough for a person, and the agent answers from memory.
_LOOK_S = 0.5
#: A stick that gives nothing for so long is broken, or what needs it waits for something else.
_STILL_S = 600
_STATES = {
    "unasked": "not asked for here",
    "waits": "waits",
    "wrong": "wrong",
    "here": "is here",
    "coming": "on its way",
    "looking": "is looked for",
}
_IMAGES: tuple[Column[Fields], ...] = (
    Column("image", lambda each: each["name"] or short(each["image"])),
    Column("digest", lambda each: short(each["image"])),
    Column("state", lambda each: _STATES.get(each["state"], each["state"])),
    Column("has", lambda each: f"{format_bytes(each['have_bytes'])} of {format_bytes(each['size_bytes'])}"),
    Column("reason", lambda each: each["reason"]),
)


@click.command("apply-bundle")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@with_output
@pass_session
def apply_bundle(session: Session, folder: Path, output: str) -> int:
    """Take from FOLDER, which `skerry export` has written, what this site is to have.

    The agent checks every signature and digest as if the link had brought it, takes no image that its document does not
    ask for, and removes nothing. What was cut goes on when the command is run again. Exit code 3 when something of the
    bundle could not be taken.
    """
    found = ask(session, "POST", "/apply-bundle", {"folder": str(folder.resolve())}, _OPEN_S)
    _say_document(found)
    progress, clock, last = Progress(), SystemClock(), 0
    still_us = clock.boot_us()
    try:
        while not found["done"]:
            pause(_LOOK_S)
            found = ask(session, "GET", "/bundle")
            coming = [each for each in found["images"] if each["state"] == "coming"]
            have = sum(each["have_bytes"] for each in coming)
            if coming:
                total = sum(each["size_bytes"] for each in coming)
                progress.bytes(coming[0]["name"] or short(coming[0]["image"]), have, max(total, 1))
            if have != last:
                still_us, last = clock.boot_us(), have
            if clock.boot_us() - still_us > _STILL_S * SECOND_US:
                detail = f"Nothing of the bundle has moved for {_STILL_S} s; what came is kept."
                raise Timeout("E-TIMEOUT", detail, hint="skerry agent status")
    finally:
        progress.end()
    if output in ("json", "yaml", "jsonl"):
        write_value(found, "json" if output == "jsonl" else output)
    else:
        write_table(found["images"], _IMAGES)
    wrong = [each for each in found["images"] if each["state"] == "wrong"]
    if wrong:
        hint = f"skerry export {wrong[0]['name'] or wrong[0]['image']} --to FOLDER"
        raise Refused("E-BUNDLE", f"{found['folder']}: {wrong[0]['reason']}.", hint=hint)
    tell("Next: skerry agent status")
    return 3 if found["document"] == "refused" or any(each["state"] == "waits" for each in found["images"]) else 0


def _say_document(found: Fields) -> None:
    match found["document"]:
        case "taken":
            tell(f"document {found['epoch']}.{found['generation']} of site {found['site']} is in force")
        case "held":
            tell(f"this box has a newer document than the bundle: {found['document_reason']}")
        case "refused":
            tell(f"the bundle's document was refused: {found['document_reason']}")
        case _:
            tell(f"the bundle has no document for site {found['site']}; its images are looked through")
