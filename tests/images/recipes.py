"""What each stand-in image is made of: packages, what to leave out of them, and how the image is to be started.

The rule of this file: data only. Files of ours that go into an image lie under `files/<folder>/` exactly where they
end up; `debian.py` turns `packages` into a layer, `build.py` stacks the layers. To add an image, add a recipe here.
"""

from __future__ import annotations

from dataclasses import dataclass

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


_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Some 5 MB each, all but the few that `keep` brings back.
_MARIADB_TOOLS = (
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

MARIADB = Recipe(
    names=("docker.io/library/mariadb:10.6.4-focal", "docker.io/library/mariadb:latest"),
    folder="mariadb",
    about="MariaDB 10.11 from Debian 12, set small",
    packages=("mariadb-server-core", "mariadb-client", "tzdata"),
    users=(User("mysql", 999, "/var/lib/mysql"),),
    drop=(
        *_MARIADB_TOOLS,
        "usr/share/mysql/*/errmsg.sys",
        "usr/share/mysql/mysql-test/*",
        "usr/share/mysql/sql-bench/*",
    ),
    keep=(
        "usr/bin/mariadb-admin",
        "usr/bin/mariadb-dump",
        "usr/bin/mariadb-install-db",
        "usr/bin/mysql",
        "usr/bin/mysqladmin",
        "usr/bin/mysqldump",
        "usr/share/mysql/english/errmsg.sys",
    ),
    owned=(
        ("var/lib/mysql", "mysql", 0o755),
        ("run/mysqld", "mysql", 0o755),
        ("docker-entrypoint-initdb.d", "root", 0o755),
    ),
    env=(_PATH, "LANG=C.UTF-8"),
    entrypoint=("docker-entrypoint.sh",),
    command=("mariadbd",),
    volumes=("/var/lib/mysql",),
    ports=("3306/tcp",),
)

WORDPRESS = Recipe(
    names=("docker.io/library/wordpress:latest",),
    folder="wordpress",
    about="WordPress 6.1 on Apache with PHP 8.2 from Debian 12",
    packages=("wordpress", "wordpress-theme-twentytwentythree", "libapache2-mod-php", "php-mysql", "php-gd", "curl"),
    arrange=(
        # Debian spreads WordPress over several packages by links; the real image has it in one piece.
        'chroot "$1" cp -rL /usr/share/wordpress /usr/src/wordpress',
        'chroot "$1" cp -rL /var/lib/wordpress/wp-content/themes/. /usr/src/wordpress/wp-content/themes/',
        'rm -f "$1/usr/src/wordpress/.htaccess" "$1/usr/src/wordpress/wp-config.php"',
        'chroot "$1" a2enmod --quiet rewrite expires',
    ),
    drop=(
        "usr/share/wordpress/*",
        "usr/share/javascript/*",
        "usr/share/php/getid3/*",
        "var/lib/wordpress/*",
        "etc/wordpress/*",
        *_MARIADB_TOOLS,
        "usr/bin/mariadb",
        "usr/bin/my_print_defaults",
        "usr/share/mysql/*",
        "usr/bin/php*",
        # WordPress serves the minified ones unless SCRIPT_DEBUG is set.
        "usr/src/wordpress/wp-includes/js/dist/*.js",
        "usr/share/fonts/*",
        "var/www/html/*",
    ),
    keep=("usr/src/wordpress/wp-includes/js/dist/*.min.js",),
    owned=(("var/www/html", "www-data", 0o755), ("var/log/apache2", "root", 0o755)),
    env=(_PATH, "LANG=C.UTF-8"),
    entrypoint=("docker-entrypoint.sh",),
    command=("apache2-foreground",),
    volumes=("/var/www/html",),
    ports=("80/tcp",),
    working_dir="/var/www/html",
    stop_signal="SIGWINCH",
)

MOSQUITTO = Recipe(
    names=("docker.io/library/eclipse-mosquitto:2", "docker.io/library/eclipse-mosquitto:latest"),
    folder="mosquitto",
    about="Mosquitto 2.0 from Debian 12",
    packages=("mosquitto", "mosquitto-clients"),
    users=(User("mosquitto", 1883, "/mosquitto"),),
    drop=("etc/mosquitto/*", "var/lib/mosquitto/*"),
    owned=(
        ("mosquitto/config", "mosquitto", 0o755),
        ("mosquitto/data", "mosquitto", 0o755),
        ("mosquitto/log", "mosquitto", 0o755),
    ),
    env=(_PATH,),
    entrypoint=("/docker-entrypoint.sh",),
    command=("/usr/sbin/mosquitto", "-c", "/mosquitto/config/mosquitto.conf"),
    volumes=("/mosquitto/data", "/mosquitto/log"),
    ports=("1883/tcp",),
)

NODE_RED = Recipe(
    names=("docker.io/nodered/node-red:latest",),
    folder="node-red",
    about="Node-RED 4.1 from npm on Node.js 18 from Debian 12",
    packages=("nodejs", "ca-certificates", "curl"),
    users=(User("node-red", 1000, "/usr/src/node-red"),),
    npm="usr/src/node-red",
    drop=("usr/include/*", "usr/share/nodejs/@types/*"),
    owned=(("data", "node-red", 0o755),),
    env=(
        _PATH,
        "NODE_RED_VERSION=v4.1.8",
        "NODE_PATH=/usr/src/node-red/node_modules:/data/node_modules",
        "FLOWS=flows.json",
    ),
    entrypoint=("./entrypoint.sh",),
    volumes=("/data",),
    ports=("1880/tcp",),
    working_dir="/usr/src/node-red",
    user="node-red",
)

POSTGRES = Recipe(
    names=("docker.io/library/postgres:15", "docker.io/library/postgres:latest"),
    folder="postgres",
    about="PostgreSQL 15 from Debian 12, set small, without just-in-time compilation",
    packages=("postgresql-15",),
    users=(User("postgres", 999, "/var/lib/postgresql"),),
    # Debian makes a database cluster while it installs; the entrypoint makes the one that counts.
    prepare=(
        'mkdir -p "$1/etc/postgresql-common"',
        'echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"',
    ),
    drop=(
        "usr/lib/*/libLLVM*",
        "usr/lib/*/libz3.so*",
        "usr/lib/llvm-*",
        "usr/lib/postgresql/*/lib/llvmjit*",
        "usr/lib/postgresql/*/lib/bitcode/*",
        "usr/share/postgresql/*/man/*",
        "usr/share/postgresql-common/*",
        "etc/postgresql/*",
        "etc/postgresql-common/*",
    ),
    owned=(
        ("var/lib/postgresql/data", "postgres", 0o700),
        ("run/postgresql", "postgres", 0o2775),
        ("docker-entrypoint-initdb.d", "root", 0o755),
    ),
    env=(
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin",
        "LANG=C.UTF-8",
        "PG_MAJOR=15",
        "PGDATA=/var/lib/postgresql/data",
    ),
    entrypoint=("docker-entrypoint.sh",),
    command=("postgres",),
    volumes=("/var/lib/postgresql/data",),
    ports=("5432/tcp",),
    stop_signal="SIGINT",
)


_APPLETS = (
    "sh",
    "httpd",
    "wget",
    "cat",
    "ls",
    "sleep",
    "env",
    "kill",
    "ps",
    "echo",
    "test",
    "rm",
    "touch",
    "id",
    "grep",
)


def _web(version: str) -> Recipe:
    return Recipe(
        names=(f"skerry-test/web:{version}",),
        folder="web",
        busybox=_APPLETS,
        about="a few lines of shell on busybox, for tests and benchmarks",
        env=("PATH=/bin", f"WEB_VERSION={version}"),
        entrypoint=("/bin/serve",),
        volumes=("/data",),
        ports=("8080/tcp",),
        owned=(("tmp", "root", 0o1777), ("data", "root", 0o755), ("etc", "root", 0o755), ("run", "root", 0o755)),
    )


RECIPES = (MARIADB, WORDPRESS, MOSQUITTO, NODE_RED, POSTGRES, _web("1"), _web("2"))


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
