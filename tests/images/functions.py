"""Network functions for service chains, each from Debian's own package: a firewall, an inspector and a cache.

The rule of this file: data only, in the words of `recipe.py`.
"""

from __future__ import annotations

from tests.images.recipe import PATH, Recipe

FIREWALL = Recipe(
    names=("firewall:1",),
    folder="firewall",
    about="nftables 1.0 from Debian 12 as a firewall",
    packages=("nftables",),
    env=(PATH,),
    entrypoint=("firewall.sh",),
)

DPI = Recipe(
    names=("dpi:1",),
    folder="dpi",
    about="ndpiReader 4.2 from Debian 12, which names the protocols that pass",
    packages=("libndpi-bin",),
    env=(PATH,),
    entrypoint=("dpi.sh",),
)

CACHE = Recipe(
    names=("cache:1",),
    folder="cache",
    about="nginx 1.22 from Debian 12 as a cache that nobody has to name",
    packages=("nginx-light", "nftables"),
    drop=("etc/nginx/sites-*", "etc/nginx/snippets/*", "var/www/*"),
    owned=(("var/cache/nginx", "root", 0o755),),
    env=(PATH,),
    entrypoint=("cache.sh",),
    stop_signal="SIGQUIT",
)
