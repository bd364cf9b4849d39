"""Images at sites ahead of need: which sites a tenant's seed means, and until when.

Pure. A seed becomes an image to hold in a site's document, as what runs has. A site fetches it after everything that
runs there, keeps for it no room that something else needs (plan/images.py), and runs nothing of it: that takes a
signed revision. When a seed ends the site merely stops holding the image; nothing is deleted for it.
"""

from collections.abc import Iterable

from skerry.model.app import ImageRef
from skerry.model.site_match import site_unmet
from skerry.plan.snapshot import SeedWish, SiteView


def is_meant(seed: SeedWish, view: SiteView, now_us: int) -> bool:
    """Say whether a site is to have the image now."""
    return now_us < seed.ends_us and seed.tenant in view.record.tenants and not site_unmet(seed.sites, view.record)


def list_seeded(view: SiteView, seeds: Iterable[SeedWish], now_us: int) -> list[ImageRef]:
    """Return the images that a site is to have ahead of need."""
    return [seed.image for seed in seeds if is_meant(seed, view, now_us)]


def find_end(seeds: Iterable[SeedWish], now_us: int) -> int:
    """Return when the next seed ends; 0 for never."""
    return min((seed.ends_us for seed in seeds if seed.ends_us > now_us), default=0)
