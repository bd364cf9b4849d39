"""``skerry export``: what apps and sites need, written to a stick that is carried to a box which no link reaches."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from skerry.cli.names import complete_apps, complete_images, complete_sites
from skerry.cli.options import pass_session, with_dry_run
from skerry.cli.output import Column, Progress, format_bytes, short, show_list, tell, with_output
from skerry.cli.seeds import find_image
from skerry.cli.session import Session
from skerry.model.answers import ImageView
from skerry.model.errors import NotFound
from skerry.model.ids import Digest
from skerry.sdk.client import Client
from skerry.sdk.exporting import (
    Written,
    export_document,
    export_images,
    list_app_images,
    list_document_images,
    open_bundle,
)

_WRITTEN: tuple[Column[Written], ...] = (
    Column("image", lambda each: each.name),
    Column("digest", lambda each: short(each.image)),
    Column("size", lambda each: format_bytes(each.size_bytes)),
    Column("written", lambda each: format_bytes(each.written_bytes)),
)


def _complete_what(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [*complete_apps(context, parameter, incomplete), *complete_images(context, parameter, incomplete)]


@click.command()
@click.argument("what", nargs=-1, metavar="[APP|IMAGE]...", shell_complete=_complete_what)
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where to; what is there already is kept, and an export that was cut goes on.",
)
@click.option(
    "--site",
    "sites",
    multiple=True,
    shell_complete=complete_sites,
    help="Also the newest document of this site and the images it asks for; may be said again.",
)
@with_dry_run
@with_output
@pass_session
def export(
    session: Session, what: tuple[str, ...], folder: Path, sites: tuple[str, ...], dry_run: bool, output: str
) -> None:
    """Write images, and signed documents of sites, to a FOLDER that is carried to a box which no link reaches.

    An APP stands for the images of its newest revision. With --site the box learns from the stick what it is to run; it
    needs a token of an operator. At the box, `skerry agent apply-bundle FOLDER` takes what that site is to have.
    """
    if not what and not sites:
        raise click.UsageError("Name an app or an image, or a site with --site.")
    client = session.client
    known = {each.digest: each for each in client.images.list(page_size=1_000)}
    wanted = {image.digest: image for text in what for image in _find(client, known, text)}
    if dry_run:
        for image in wanted.values():
            tell(f"would write {image.name}, {format_bytes(image.size_bytes)}")
        for site in sites:
            tell(f"would write the document of site {client.sites.show(site).summary.site} and the images it asks for")
        return
    opened = open_bundle(folder)
    for site in sites:
        found = list_document_images(export_document(client, opened, site))
        tell(f"the document of site {site} is written; it asks for {len(found)} images")
        wanted |= {digest: known[digest] for digest in found if digest in known}
        for digest, name in found.items():
            if digest not in known:
                tell(f"  not written: {name or short(digest)} is not this tenant's, or not at the core any more")
    progress = Progress()
    try:
        done = export_images(client, opened, list(wanted.values()), progress.bytes)
    finally:
        progress.end()
        opened.close()
    total = format_bytes(sum(each.written_bytes for each in done))
    tell(f"{len(done)} images are in {folder}, {total} of them written now")
    show_list(done, _WRITTEN, output, lambda each: f"image/{each.image}")
    tell(f"Next, at the box: skerry agent apply-bundle {folder}")


def _find(client: Client, known: dict[Digest, ImageView], text: str) -> list[ImageView]:
    """Return the images that a word means: an app's, or the one image of that name or digest."""
    noun, _, name = text.partition("/")
    if noun == "image" and name:
        return [find_image(client, name)]
    try:
        found = list_app_images(client, name if noun == "app" and name else text)
    except NotFound:
        if noun == "app" and name:
            raise
        try:
            return [find_image(client, text)]
        except NotFound as error:
            raise NotFound(error.code, f"The core has no app and no image {text!r}.", hint="skerry app list") from error
    lost = [image or short(digest) for digest, image in found.items() if digest not in known]
    if lost:
        detail = f"The core does not have {lost[0]} any more, which app {text} runs."
        raise NotFound("E-IMAGE", detail, hint=f"skerry image push ARCHIVE {lost[0]}")
    return [known[digest] for digest in found]
