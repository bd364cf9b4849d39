"""Stand-ins for servers that many projects use: databases, brokers, proxies, and Prometheus with its exporters.

The rule of this file: data only, in the words of `recipe.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.images.recipe import MARIADB_TOOLS, PATH, Recipe, User

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
        *MARIADB_TOOLS,
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
    env=(PATH, "LANG=C.UTF-8"),
    entrypoint=("docker-entrypoint.sh",),
    command=("mariadbd",),
    volumes=("/var/lib/mysql",),
    ports=("3306/tcp",),
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
    env=(PATH,),
    entrypoint=("/docker-entrypoint.sh",),
    command=("/usr/sbin/mosquitto", "-c", "/mosquitto/config/mosquitto.conf"),
    volumes=("/mosquitto/data", "/mosquitto/log"),
    ports=("1883/tcp",),
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

REDIS = Recipe(
    names=("docker.io/library/redis:alpine", "docker.io/library/redis:7-alpine", "docker.io/library/redis:latest"),
    folder="redis",
    about="Redis 7.0 from Debian 12",
    packages=("redis-server",),
    users=(User("redis", 999, "/data"),),
    drop=("etc/redis/*", "usr/bin/redis-benchmark", "var/lib/redis/*"),
    owned=(("data", "redis", 0o755),),
    env=(PATH,),
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
    env=(PATH,),
    command=("nginx", "-g", "daemon off;"),
    ports=("80/tcp",),
    stop_signal="SIGQUIT",
)

INFLUXDB = Recipe(
    names=("docker.io/library/influxdb:1.8",),
    folder="influxdb",
    about="InfluxDB 1.6 from Debian 12",
    packages=("influxdb", "influxdb-client"),
    users=(User("influxdb", 1500, "/var/lib/influxdb"),),
    drop=("etc/influxdb/*", "var/lib/influxdb/*", "usr/bin/influx_*"),
    owned=(("var/lib/influxdb", "influxdb", 0o755),),
    env=(PATH,),
    entrypoint=("/entrypoint.sh",),
    command=("influxd",),
    volumes=("/var/lib/influxdb",),
    ports=("8086/tcp",),
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
    env=(PATH,),
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
    env=(PATH,),
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
    env=(PATH,),
    entrypoint=("/usr/bin/prometheus-node-exporter",),
    ports=("9100/tcp",),
    user="nobody",
)

BLACKBOX_EXPORTER = Recipe(
    names=("docker.io/prom/blackbox-exporter:latest",),
    folder="blackbox-exporter",
    about="Prometheus' exporter of what others answer, 0.23 from Debian 12",
    packages=("prometheus-blackbox-exporter",),
    env=(PATH,),
    entrypoint=("/usr/bin/prometheus-blackbox-exporter",),
    command=("--config.file=/etc/prometheus/blackbox.yml",),
    ports=("9115/tcp",),
    user="nobody",
)
