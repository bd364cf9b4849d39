"""``skerry image``: what services run from, sent from here; neither the core nor a site ever asks a registry."""

import platform as machine
from functools import partial
from pathlib import Path

import click

from skerry.cli.asking import confirm, read_secret
from skerry.cli.options import DURATION, pass_session, with_dry_run, with_yes
from skerry.cli.output import Column, Progress, format_bytes, format_time, short, show_list, tell, with_output
from skerry.cli.session import Session
from skerry.model.answers import ImageView
from skerry.model.errors import Refused
from skerry.model.reference import parse_reference
from skerry.sdk import oci
from skerry.sdk.images import ImageSource, open_image, push_image
from skerry.sdk.registry import Registry

COLUMNS: tuple[Column[ImageView], ...] = (
    Column("name", lambda image: image.name),
    Column("digest", lambda image: short(image.digest)),
    Column("size", lambda image: format_bytes(image.size_bytes)),
    Column("arch", lambda image: image.architecture),
    Column("registered", lambda image: format_time(image.registered_us)),
    Column("parts", lambda image: len(image.blobs), wide=True),
    Column("config", lambda image: short(image.config), wide=True),
)
#: Names in a question; nobody reads more before saying yes.
_NAMES_SHOWN = 5
#: What kernels call processors, and what images do.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def default_platform() -> str:
    """Return this machine's platform: most sites are like the machine their operator sits at."""
    name = machine.machine()
    return f"linux/{_ARCHITECTURES.get(name, name)}"


with_platform = click.option(
    "--platform", default=default_platform, help="For which machines; this one's kind by default.", metavar="OS/ARCH"
)


@click.command()
@with_output
@pass_session
def list_images(session: Session, output: str) -> None:
    """List images that the core has."""
    show_list(session.client.images.list(page_size=1_000), COLUMNS, output, lambda image: f"image/{image.digest}")


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path), metavar="DIRECTORY|ARCHIVE")
@click.argument("name", required=False)
@with_platform
@with_dry_run
@with_output
@pass_session
def push(session: Session, source: Path, name: str | None, platform: str, dry_run: bool, output: str) -> None:
    """Send an image from an OCI layout, an OCI archive or a `docker save` archive.

    NAME is what manifests call it; by default what the image calls itself. Layers are sent uncompressed, and only those
    that the core lacks.
    """
    with open_image(source, oci.parse_platform(platform), name or "") as image:
        chosen = name or image.name
        if not chosen:
            raise Refused("E-IMAGE", "The image has no name of its own.", hint=f"skerry image push {source} NAME")
        _send(session, image, str(parse_reference(chosen)), dry_run=dry_run, output=output)


@click.command("import")
@click.argument("name")
@with_platform
@click.option("--username", default="", help="Name at the registry; the password is asked for, or read from a pipe.")
@click.option("--password-file", help="File with the password; - is stdin.")
@click.option("--insecure", is_flag=True, help="Allow plain http to a registry on another machine.")
@with_dry_run
@with_output
@pass_session
def import_image(
    session: Session,
    name: str,
    platform: str,
    username: str,
    password_file: str | None,
    insecure: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Fetch an image from a registry, check every digest, and send it to the core."""
    reference = parse_reference(name)
    password = read_secret(session, f"Password at {reference.registry}", password_file).decode() if username else ""
    progress = Progress()
    with Registry(reference.registry, username=username, password=password, insecure=insecure) as registry:
        image = registry.find_image(reference, oci.parse_platform(platform), progress.bytes)
        _send(session, image, str(reference), dry_run=dry_run, output=output)


@click.command()
@click.option(
    "--revisions",
    type=click.IntRange(1, 1_000),
    default=10,
    show_default=True,
    help="Keep what this many newest revisions of each app run.",
)
@click.option(
    "--older-than", type=DURATION, default="1d", show_default=True, help="Keep what was registered less long ago."
)
@with_yes
@with_dry_run
@with_output
@pass_session
def prune(session: Session, revisions: int, older_than: int, yes: bool, dry_run: bool, output: str) -> None:
    """Remove images from the core that nothing needs.

    An image stays while a site should have it, while one of the newest revisions of an app runs it, and while it is
    young. Sites clear their own disks; going back to a revision whose image was removed wants the image pushed again.
    """
    prune_images = partial(session.client.images.prune, revisions=revisions, age_s=older_than)
    found = prune_images(dry_run=True)
    if not found.images:
        tell(f"nothing to remove: {found.kept} images are needed or young")
        return
    if not dry_run:
        names = ", ".join(image.name for image in found.images[:_NAMES_SHOWN])
        more = f" and {len(found.images) - _NAMES_SHOWN} more" if len(found.images) > _NAMES_SHOWN else ""
        count = f"{len(found.images)} images ({format_bytes(found.freed_bytes)})"
        confirm(session, f"Remove {count} from the core: {names}{more}?", yes=yes)
        found = prune_images()
    word = "would remove" if dry_run else "removed"
    tell(f"{word} {len(found.images)} images, {format_bytes(found.freed_bytes)}; {found.kept} stay")
    show_list(found.images, COLUMNS, output, lambda image: f"image/{image.digest}")


def _send(session: Session, image: ImageSource, name: str, *, dry_run: bool, output: str) -> None:
    if dry_run:
        tell(f"would send {name} with {len(image.layers)} layers")
        return
    progress = Progress()
    try:
        view = push_image(session.client, image, name, progress.bytes)
    finally:
        progress.end()
    tell(f"image {view.name} is at the core: {format_bytes(view.size_bytes)} in {len(image.layers)} layers")
    show_list([view], COLUMNS, output, lambda each: f"image/{each.digest}")
