"""What each stand-in image is made of: packages, what to leave out of them, and how the image is to be started.

The rule of this file: data only. Files of ours that go into an image lie under `files/<folder>/` exactly where they
end up; `debian.py` turns `packages` into a layer, `build.py` stacks the layers. To add an image, add a recipe here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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

#: Compiled anew when it is needed, which differs from build to build.
_PYTHON_DROP = ("*/__pycache__/*", "usr/share/python-babel-localedata/*", "usr/lib/python3*/test/*")

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
    names=(
        "docker.io/library/mariadb:10.6.4-focal",
        "docker.io/library/mariadb:latest",
        "docker.io/library/mariadb:10.5",
        "docker.io/library/mariadb:10-focal",
    ),
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
    names=(
        "docker.io/library/postgres:15",
        "docker.io/library/postgres:latest",
        "docker.io/library/postgres:15-alpine",
        "docker.io/library/postgres:16-alpine",
    ),
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


REDIS = Recipe(
    names=("docker.io/library/redis:alpine", "docker.io/library/redis:7-alpine", "docker.io/library/redis:latest"),
    folder="redis",
    about="Redis 7.0 from Debian 12",
    packages=("redis-server",),
    users=(User("redis", 999, "/data"),),
    drop=("etc/redis/*", "usr/bin/redis-benchmark", "var/lib/redis/*"),
    owned=(("data", "redis", 0o755),),
    env=(_PATH,),
    entrypoint=("docker-entrypoint.sh",),
    command=("redis-server",),
    volumes=("/data",),
    ports=("6379/tcp",),
    working_dir="/data",
)

NGINX = Recipe(
    names=("docker.io/library/nginx:latest",),
    folder="nginx",
    about="nginx 1.22 from Debian 12",
    packages=("nginx",),
    drop=("etc/nginx/sites-*", "etc/nginx/snippets/*", "var/www/*"),
    env=(_PATH,),
    command=("nginx", "-g", "daemon off;"),
    ports=("80/tcp",),
    stop_signal="SIGQUIT",
)

MEDIAWIKI = Recipe(
    names=("docker.io/library/nextcloud:apache",),
    folder="mediawiki",
    about="MediaWiki 1.39 on Apache with PHP 8.2 from Debian 12, which has no Nextcloud",
    packages=("mediawiki", "libapache2-mod-php", "php-cli", "php-mysql", "php-redis"),
    arrange=(
        # Debian spreads MediaWiki over two folders by links; it is to be in one piece, so that a volume can hold it.
        'chroot "$1" find /var/lib/mediawiki /usr/share/mediawiki -xtype l -delete',
        'chroot "$1" cp -rL /var/lib/mediawiki /usr/src/mediawiki',
        'rm -rf "$1/usr/src/mediawiki/debian-scripts"',
    ),
    drop=(
        "usr/share/mediawiki/*",
        "var/lib/mediawiki/*",
        "etc/mediawiki/*",
        "etc/apache2/conf-enabled/mediawiki.conf",
        "usr/src/mediawiki/*/i18n/*.json",
        "usr/src/mediawiki/languages/messages/*",
        "usr/src/mediawiki/languages/data/ZhConversion.php",
        "usr/src/mediawiki/languages/i18n/*",
        "usr/src/mediawiki/tests/*",
        "usr/src/mediawiki/docs/*",
        "usr/src/mediawiki/extensions/*",
        "usr/src/mediawiki/skins/MonoBook/*",
        "usr/src/mediawiki/skins/Timeless/*",
        "usr/share/fonts/*",
        "var/www/html/*",
    ),
    keep=(
        "usr/src/mediawiki/*/i18n/en.json",
        "usr/src/mediawiki/languages/i18n/en.json",
        "usr/src/mediawiki/*/i18n/*/en.json",
        "usr/src/mediawiki/languages/messages/MessagesEn.php",
    ),
    owned=(("var/www/html", "www-data", 0o755), ("var/log/apache2", "root", 0o755)),
    env=(_PATH, "LANG=C.UTF-8"),
    entrypoint=("docker-entrypoint.sh",),
    command=("apache2-foreground",),
    volumes=("/var/www/html",),
    ports=("80/tcp",),
    working_dir="/var/www/html",
    stop_signal="SIGWINCH",
)

_GO_SOURCE = (FILES / "golang-backend" / "code" / "main.go").read_text()

GOLANG_BACKEND = Recipe(
    names=("skerry-test/golang-backend:1",),
    folder="golang-backend",
    about="a list of posts in a database, written for these tests in Go and compiled with Debian 12's Go 1.19",
    packages=("golang-go", "golang-github-go-sql-driver-mysql-dev", "ca-certificates"),
    arrange=(
        f"cat > \"$1/tmp/main.go\" <<'END'\n{_GO_SOURCE}END",
        'chroot "$1" env GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=/tmp/go CGO_ENABLED=0 HOME=/tmp'
        " go build -p 2 -trimpath -ldflags '-s -w -buildid=' -o /usr/local/bin/backend /tmp/main.go",
    ),
    drop=("usr/lib/go-*", "usr/lib/go/*", "usr/share/go-*", "usr/share/gocode/*", "usr/bin/go", "usr/bin/gofmt"),
    env=(_PATH,),
    command=("/usr/local/bin/backend",),
    ports=("8000/tcp",),
)

#: One layer for both images of Prometheus.
_PROMETHEUS: dict[str, Any] = {
    "packages": ("prometheus",),
    # Real ones run as `nobody`, who has to own the place of the data.
    "arrange": ('install -d -o 65534 -g 65534 "$1/prometheus"',),
    "drop": (
        "usr/bin/promtool",
        "usr/share/javascript/moment-timezone/data/*",
        "var/lib/prometheus/*",
        "etc/prometheus/*",
        "etc/default/prometheus",
    ),
}

PROMETHEUS = Recipe(
    names=("docker.io/prom/prometheus:latest",),
    folder="prometheus",
    about="Prometheus 2.42 from Debian 12",
    **_PROMETHEUS,
    env=(_PATH,),
    entrypoint=("/usr/bin/prometheus",),
    command=("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"),
    volumes=("/prometheus",),
    ports=("9090/tcp",),
    working_dir="/prometheus",
    user="nobody",
)

GRAFANA = Recipe(
    names=("docker.io/grafana/grafana:latest",),
    folder="grafana",
    about="a second Prometheus that federates from the data source it is given: Debian 12 has no Grafana",
    **_PROMETHEUS,
    env=(_PATH,),
    entrypoint=("/run.sh",),
    volumes=("/prometheus",),
    ports=("3000/tcp",),
    working_dir="/prometheus",
    user="nobody",
)

NODE_EXPORTER = Recipe(
    names=("docker.io/prom/node-exporter:latest",),
    folder="node-exporter",
    about="Prometheus' exporter of a machine's figures, 1.5 from Debian 12",
    packages=("prometheus-node-exporter",),
    env=(_PATH,),
    entrypoint=("/usr/bin/prometheus-node-exporter",),
    ports=("9100/tcp",),
    user="nobody",
)

BLACKBOX_EXPORTER = Recipe(
    names=("docker.io/prom/blackbox-exporter:latest",),
    folder="blackbox-exporter",
    about="Prometheus' exporter of what others answer, 0.23 from Debian 12",
    packages=("prometheus-blackbox-exporter",),
    env=(_PATH,),
    entrypoint=("/usr/bin/prometheus-blackbox-exporter",),
    command=("--config.file=/etc/prometheus/blackbox.yml",),
    ports=("9115/tcp",),
    user="nobody",
)

VOTE = Recipe(
    names=("docker.io/dockersamples/examplevotingapp_vote:latest",),
    folder="vote",
    about="a page to vote on, written for these tests on Flask and gunicorn from Debian 12",
    packages=("gunicorn", "python3-flask", "python3-redis"),
    drop=_PYTHON_DROP,
    env=(_PATH,),
    command=("gunicorn", "--bind", "0.0.0.0:80", "--workers", "2", "--access-logfile", "-", "app:app"),
    ports=("80/tcp",),
    working_dir="/usr/local/app",
)

RESULT = Recipe(
    names=("docker.io/dockersamples/examplevotingapp_result:latest",),
    folder="result",
    about="a page of results, written for these tests with express, pg and socket.io from npm on Debian 12's Node.js",
    packages=("nodejs", "ca-certificates", "curl"),
    npm="usr/local/app",
    drop=("usr/include/*", "usr/share/nodejs/@types/*"),
    env=(_PATH, "PORT=80"),
    command=("node", "server.js"),
    ports=("80/tcp",),
    working_dir="/usr/local/app",
)

WORKER = Recipe(
    names=("docker.io/dockersamples/examplevotingapp_worker:latest",),
    folder="worker",
    about="takes votes from Redis to PostgreSQL, written for these tests in Python in place of .NET",
    packages=("python3-minimal", "python3-redis", "python3-psycopg2"),
    drop=_PYTHON_DROP,
    env=(_PATH, "PYTHONUNBUFFERED=1"),
    command=("python3", "/usr/local/app/worker.py"),
)

INFLUXDB = Recipe(
    names=("docker.io/library/influxdb:1.8",),
    folder="influxdb",
    about="InfluxDB 1.6 from Debian 12",
    packages=("influxdb", "influxdb-client"),
    users=(User("influxdb", 1500, "/var/lib/influxdb"),),
    drop=("etc/influxdb/*", "var/lib/influxdb/*", "usr/bin/influx_*"),
    owned=(("var/lib/influxdb", "influxdb", 0o755),),
    env=(_PATH,),
    entrypoint=("/entrypoint.sh",),
    command=("influxd",),
    volumes=("/var/lib/influxdb",),
    ports=("8086/tcp",),
)

N8N = Recipe(
    names=("docker.io/n8nio/n8n:latest",),
    folder="n8n",
    about="Node-RED 4.1 from npm on Node.js 18, its flows imported into PostgreSQL: n8n from npm takes 560 MB",
    packages=("nodejs", "ca-certificates", "curl", "postgresql-client-15"),
    users=(User("node", 1000, "/home/node"),),
    npm="usr/src/node-red",
    drop=("usr/include/*", "usr/share/nodejs/@types/*", "usr/share/postgresql-common/*", "etc/postgresql-common/*"),
    owned=(("home/node", "node", 0o755), ("home/node/.n8n", "node", 0o755)),
    env=(_PATH + ":/usr/lib/postgresql/15/bin", "HOME=/home/node"),
    entrypoint=("/docker-entrypoint.sh",),
    volumes=("/home/node/.n8n",),
    ports=("5678/tcp",),
    working_dir="/home/node",
    user="node",
)

QDRANT = replace(
    POSTGRES,
    names=("docker.io/qdrant/qdrant:latest",),
    about="PostgreSQL 15 at Qdrant's port, which finds near vectors with `cube`: no package has Qdrant",
    env=(
        *(one for one in POSTGRES.env if not one.startswith("PGDATA=")),
        "PGDATA=/qdrant/storage",
        "PGPORT=6333",
        "POSTGRES_HOST_AUTH_METHOD=trust",
    ),
    volumes=("/qdrant/storage",),
    ports=("6333/tcp",),
)

RECIPES = (
    MARIADB,
    WORDPRESS,
    MOSQUITTO,
    NODE_RED,
    POSTGRES,
    REDIS,
    NGINX,
    MEDIAWIKI,
    GOLANG_BACKEND,
    PROMETHEUS,
    GRAFANA,
    NODE_EXPORTER,
    BLACKBOX_EXPORTER,
    VOTE,
    RESULT,
    WORKER,
    INFLUXDB,
    N8N,
    QDRANT,
    _web("1"),
    _web("2"),
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
