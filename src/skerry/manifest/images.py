"""Which registered image a manifest's name means: the newest of that name, spelt out or as written.

The client and the core's own plan of a text choose by this function, so that both make the same bytes.
"""

from collections.abc import Iterable

from skerry.manifest.values import ImageUse
from skerry.model.app import ImageRef
from skerry.model.reference import full_name


def choose_images(uses: Iterable[ImageUse], known: Iterable[tuple[int, ImageRef]]) -> dict[str, ImageRef]:
    """Return the image for each name used; what is missing is left out. ``known`` has when each was registered."""
    newest: dict[str, ImageRef] = {}
    latest: dict[str, int] = {}
    for registered_us, image in known:
        if registered_us >= latest.get(image.name, -1):
            latest[image.name] = registered_us
            newest[image.name] = image
    found = {use.name: newest.get(full_name(use.name)) or newest.get(use.name) for use in uses}
    return {name: image for name, image in found.items() if image is not None}
