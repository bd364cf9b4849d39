"""Which stand-in images there are, and which one a Compose file's name means.

What each is made of is in `servers.py`, `programs.py` and `functions.py`: packages, what to leave out of them, and how
the image is to be started. Files of ours lie under `files/<folder>/` exactly where they end up; `debian.py` turns
`packages` into a layer, `build.py` stacks the layers.
"""

from __future__ import annotations

from tests.images import functions, programs, servers
from tests.images.recipe import DROP_ALWAYS, Recipe, User

__all__ = ["DROP_ALWAYS", "RECIPES", "Recipe", "User", "full_reference", "recipe_of"]

RECIPES = (
    servers.MARIADB,
    programs.WORDPRESS,
    servers.MOSQUITTO,
    programs.NODE_RED,
    servers.POSTGRES,
    servers.REDIS,
    servers.NGINX,
    programs.MEDIAWIKI,
    programs.GOLANG_BACKEND,
    servers.PROMETHEUS,
    servers.GRAFANA,
    servers.NODE_EXPORTER,
    servers.BLACKBOX_EXPORTER,
    programs.VOTE,
    programs.RESULT,
    programs.WORKER,
    servers.INFLUXDB,
    programs.N8N,
    servers.QDRANT,
    programs.WEB_1,
    programs.WEB_2,
    functions.FIREWALL,
    functions.DPI,
    functions.CACHE,
)


def recipe_of(name: str) -> Recipe:
    """The recipe that stands in for the image a Compose file calls `name`. KeyError if there is none."""
    wanted = full_reference(name)
    for recipe in RECIPES:
        if wanted in (full_reference(known) for known in recipe.names):
            return recipe
    raise KeyError(name)


def full_reference(name: str) -> str:
    """The reference with what Docker leaves out: host, the `library` folder, the tag `latest`."""
    first, slash, _ = name.partition("/")
    if not slash:
        name = "docker.io/library/" + name
    elif "." not in first and ":" not in first and first != "localhost":
        name = "docker.io/" + name
    return name if ":" in name.rpartition("/")[2] else name + ":latest"
