"""``skerry image seed`` and ``show``: images at sites ahead of need, and where an image is."""

import click

from skerry.cli.images import COLUMNS
from skerry.cli.names import complete_images, complete_sites
from skerry.cli.options import DURATION, pass_session, with_dry_run, with_wait
from skerry.cli.output import (
    Column,
    format_bytes,
    format_time,
    short,
    show_list,
    show_value,
    tell,
    with_output,
    write_pairs,
    write_section,
)
from skerry.cli.session import Session
from skerry.cli.watching import wait_until
from skerry.model.answers import ImageAtSite, ImageView, SeedView
from skerry.model.errors import NotFound
from skerry.model.ids import is_digest
from skerry.sdk.client import Client

#: Sites named in a line of progress; the listing has all of them.
_SITES_NAMED = 3
_SEEDS: tuple[Column[SeedView], ...] = (
    Column("name", lambda seed: seed.name),
    Column("digest", lambda seed: short(seed.digest)),
    Column("size", lambda seed: format_bytes(seed.size_bytes)),
    Column("where", lambda seed: _say_where(seed)),
    Column("held", lambda seed: f"{seed.held} of {seed.sites}"),
    Column("ends", lambda seed: format_time(seed.ends_us)),
)
_SITES: tuple[Column[ImageAtSite], ...] = (
    Column("site", lambda each: each.site),
    Column("state", lambda each: each.state),
    Column("for", lambda each: tuple(word for word, said in (("use", each.used), ("seed", each.seeded)) if said)),
    Column("has", lambda each: "all" if each.held else format_bytes(each.have_bytes)),
    Column("reason", lambda each: each.reason),
)


@click.command()
@click.argument("images", nargs=-1, metavar="IMAGE...", shell_complete=complete_images)
@click.option("--sites", "selector", default="", help="At sites whose labels match, for example tier=store.")
@click.option("--site", "names", multiple=True, help="At this site; may be said again.", shell_complete=complete_sites)
@click.option("--for", "lifetime", type=DURATION, default="7d", show_default=True, help="For how long they are kept.")
@click.option("--end", is_flag=True, help="Want them ahead of need no more.")
@click.option("--list", "listed", is_flag=True, help="List what is seeded.")
@with_wait
@with_dry_run
@with_output
@pass_session
def seed(
    session: Session,
    images: tuple[str, ...],
    selector: str,
    names: tuple[str, ...],
    lifetime: int,
    end: bool,
    listed: bool,
    wait_s: int,
    dry_run: bool,
    output: str,
) -> None:
    """Have images at sites ahead of need, for some time: before a window, or before a link gets dear.

    Without --sites and --site it is every site that admits the tenant. A site fetches a seeded image after all that
    runs there, and gives it up when something that runs lacks room. Nothing is started. With --wait it returns once
    every site that can be heard holds the images.
    """
    client = session.client
    if listed:
        show_list(client.images.list_seeds(page_size=1_000), _SEEDS, output, lambda each: f"image/{each.digest}")
        return
    if not images:
        raise click.UsageError("Name an image, or say --list.")
    found = [find_image(client, text) for text in images]
    done = [
        _end(client, image, dry_run=dry_run)
        if end
        else client.images.seed(
            image.digest, label_selector=selector, sites=names, lifetime_s=lifetime, dry_run=dry_run
        )
        for image in found
    ]
    for each in done:
        _say_done(each, end=end, dry_run=dry_run)
    if wait_s and not end and not dry_run:
        for each in done:
            wait_until(lambda each=each: _describe_missing(client, each), wait_s, f"the seeding of {each.name}")
        done = [client.images.show_seed(each.digest) for each in done]
    show_list(done, _SEEDS, output, lambda each: f"image/{each.digest}")
    if not end and not wait_s:
        tell(f"Next: skerry image show {done[0].name}")


@click.command()
@click.argument("image", shell_complete=complete_images)
@with_output
@pass_session
def show(session: Session, image: str, output: str) -> None:
    """Show an image, and at which sites it is used or seeded and how much of it is there."""
    client = session.client
    found = find_image(client, image)
    sites = list(client.images.list_sites(found.digest, page_size=1_000))
    seeds = [each for each in client.images.list_seeds(page_size=1_000) if each.digest == found.digest]
    shown = {"image": found, "seed": seeds[0] if seeds else None, "sites": sites}
    show_value(shown, output, f"image/{found.digest}", lambda: _draw(found, seeds, sites))


def find_image(client: Client, text: str) -> ImageView:
    """Return the image of a name, the newest of several, or that of a digest or its beginning."""
    known = list(client.images.list(page_size=1_000))
    if is_digest(text):
        found = [each for each in known if each.digest == text]
    else:
        found = [each for each in known if each.name in (text, f"docker.io/library/{text}")]
        found = found or [each for each in known if len(text) >= len("123456") and short(each.digest).startswith(text)]
    if not found:
        raise NotFound("E-NOT-FOUND", f"The core has no image {text!r}.", hint="skerry image list")
    return max(found, key=lambda each: (each.registered_us, each.digest))


def _end(client: Client, image: ImageView, *, dry_run: bool) -> SeedView:
    try:
        return client.images.show_seed(image.digest) if dry_run else client.images.end_seed(image.digest)
    except NotFound as error:
        detail = f"{image.name} is not seeded."
        raise NotFound(error.code, detail, hint="skerry image seed --list") from error


def _describe_missing(client: Client, seed: SeedView) -> str:
    """Say what sites that can be heard still lack of a seeded image, with the bytes; empty when all hold it."""
    sites = [each for each in client.images.list_sites(seed.digest, page_size=1_000) if each.seeded]
    missing = [each for each in sites if not each.held and each.state == "online"]
    if not missing:
        return ""
    have = sum(each.have_bytes for each in sites)
    some = ", ".join(
        f"{each.site} {each.reason or f'{format_bytes(each.have_bytes)} of {format_bytes(each.size_bytes)}'}"
        for each in missing[:_SITES_NAMED]
    )
    more = f" and {len(missing) - _SITES_NAMED} more" if len(missing) > _SITES_NAMED else ""
    whole = format_bytes(seed.size_bytes * len(sites))
    held = sum(each.held for each in sites)
    return f"{held} of {len(sites)} sites hold {seed.name}, {format_bytes(have)} of {whole}: {some}{more}"


def _say_done(seed: SeedView, *, end: bool, dry_run: bool) -> None:
    where = f"{seed.sites} sites"
    if end:
        word = "would end" if dry_run else "has ended"
        tell(f"the seeding of {seed.name} {word}; {where} keep what they have until they lack room")
        return
    word = "would be" if dry_run else "is"
    rest = format_bytes(seed.size_bytes * seed.sites - seed.have_bytes)
    tell(f"{seed.name} {word} seeded at {where} until {format_time(seed.ends_us)}: {rest} to move")


def _say_where(seed: SeedView) -> str:
    words = [*seed.names, *([seed.label_selector] if seed.label_selector else [])]
    return ", ".join(words) or "all sites"


def _draw(image: ImageView, seeds: list[SeedView], sites: list[ImageAtSite]) -> None:
    write_pairs(
        (
            *((column.title, column.read(image)) for column in COLUMNS if column.title != "digest"),
            ("digest", image.digest),
            ("seeded", f"{_say_where(seeds[0])} until {format_time(seeds[0].ends_us)}" if seeds else "no"),
        )
    )
    write_section("Sites", sites, _SITES)
    if not sites:
        tell(f"\nno site has a use for it. Next: skerry image seed {image.name}")
