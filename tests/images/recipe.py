"""The words of a recipe, and what every recipe shares: what is left out, where files of ours lie, the search path.

Used by the recipes in `servers.py` and `programs.py`; `recipes.py` has the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Files of ours, by image; what a recipe compiles lies there, too.
FILES = Path(__file__).resolve().parent / "files"

#: Left out of every tree that Debian's packages make: what no server reads, and what differs from build to build.
#: Copyright files stay. `*` also crosses slashes.
DROP_ALWAYS = (
    "dev/*",
    "proc/*",
    "sys/*",
    "run/*",
    "tmp/*",
    "boot/*",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/machine-id",
    "etc/apt/*",
    "etc/dpkg/*",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/.pwd.lock",
    "etc/rc?.d/*",
    "etc/init.d/*",
    "etc/systemd/*",
    "etc/ssl/private/*",
    "etc/ssl/certs/*snakeoil*",
    "usr/lib/systemd/*",
    "usr/lib/*/gconv/*",
    "usr/lib/file/magic.mgc",
    "usr/share/gcc/*",
    "usr/share/bash-completion/*",
    "usr/share/bug/*",
    "usr/share/doc-base/*",
    "usr/share/i18n/*",
    "usr/share/info/*",
    "usr/share/lintian/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    # Perl is wanted by maintainer scripts only; perl-base, which is essential, stays.
    "usr/share/perl/*",
    "usr/share/perl5/*",
    "usr/lib/*/perl/*",
    "usr/lib/*/perl5/*",
    "usr/lib/*/libperl.so*",
    "usr/share/zoneinfo/right/*",
    "var/cache/*",
    "var/lib/apt/*",
    "var/lib/dpkg/info/*",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/systemd/*",
    "var/log/*",
)

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Compiled anew when it is needed, which differs from build to build.
PYTHON_DROP = ("*/__pycache__/*", "usr/share/python-babel-localedata/*", "usr/lib/python3*/test/*")

#: Some 5 MB each, all but the few that `keep` brings back.
MARIADB_TOOLS = (
    "usr/bin/mariadb-*",
    "usr/bin/mysql*",
    "usr/bin/innochecksum",
    "usr/bin/innotop",
    "usr/bin/mytop",
    "usr/bin/replace",
    "usr/bin/resolve_stack_dump",
    "usr/bin/perror",
    "usr/bin/aria_*",
    "usr/bin/myisam*",
)


@dataclass(frozen=True)
class User:
    """An account to have before the packages come, with the numbers that the real image gives it."""

    name: str
    number: int  # uid and gid
    home: str


@dataclass(frozen=True)
class Recipe:
    """One image. `names` are the references it stands in for; the first is the one its label tells."""

    names: tuple[str, ...]
    folder: str  # under files/
    packages: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    prepare: tuple[str, ...] = ()  # shell run before the packages come, the tree being "$1"
    arrange: tuple[str, ...] = ()  # shell run after they came
    drop: tuple[str, ...] = ()  # patterns left out, besides DROP_ALWAYS
    keep: tuple[str, ...] = ()  # patterns that no drop takes
    busybox: tuple[str, ...] = ()  # applets to have under bin/, in an image without packages
    npm: str = ""  # where in the image the modules of files/<folder>.npm/package-lock.json go
    owned: tuple[tuple[str, str, int], ...] = ()  # (folder, user, mode) that the image must have
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""
    about: str = ""
