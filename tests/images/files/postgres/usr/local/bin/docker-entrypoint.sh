#!/bin/bash
# Start PostgreSQL, making its cluster first if the volume has none. Environment: POSTGRES_PASSWORD, POSTGRES_USER,
# POSTGRES_DB, POSTGRES_INITDB_ARGS (each also as NAME_FILE), POSTGRES_HOST_AUTH_METHOD, PGDATA.
set -eu

say() { echo "[entrypoint] $*"; }
die() { echo "[entrypoint] ERROR: $*" >&2; exit 1; }

setting() {
	local file=$1_FILE
	if [ -n "${!1:-}" ]; then printf '%s' "${!1}"; elif [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${2:-}"; fi
}

make_cluster() {
	local user password database method
	user=$(setting POSTGRES_USER postgres)
	password=$(setting POSTGRES_PASSWORD)
	database=$(setting POSTGRES_DB "$user")
	method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
	[ -n "$password" ] || [ "$method" = trust ] || die "set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust"

	# All is done in a folder of its own and moved up at the end, PG_VERSION last: where that file is missing, nobody has
	# written yet, and what an interrupted start left can be thrown away.
	find "$PGDATA" -mindepth 1 -delete
	local volume=$PGDATA
	export PGDATA=$volume/.being-made
	say "making the cluster"
	# shellcheck disable=SC2046  the arguments are meant to be split
	initdb --username="$user" --pwfile=<(printf '%s\n' "${password:-unused}") --encoding=UTF8 --locale=C.UTF-8 \
		$(setting POSTGRES_INITDB_ARGS) >/dev/null
	printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
	cat /usr/local/share/stand-in.conf >>"$PGDATA/postgresql.conf"
	pg_ctl --wait --silent --options="-c listen_addresses=''" start
	if [ "$database" != postgres ]; then
		psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet -U "$user" -d postgres -v name="$database" <<<'CREATE DATABASE :"name";'
	fi
	for script in /docker-entrypoint-initdb.d/*; do
		case $script in
			*.sh) say "running $script"; . "$script" ;;
			*.sql) say "loading $script"; psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" -d "$database" -f "$script" ;;
			*.sql.gz) say "loading $script"; gunzip -c "$script" | psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$user" -d "$database" ;;
		esac
	done
	pg_ctl --wait --silent --mode=fast stop
	find "$PGDATA" -mindepth 1 -maxdepth 1 \! -name PG_VERSION -exec mv -t "$volume" {} +
	sync -f "$volume"
	mv "$PGDATA/PG_VERSION" "$volume"
	rmdir "$PGDATA"
	sync -f "$volume"
	export PGDATA=$volume
	say "the cluster is made"
}

case ${1:-} in -*) set -- postgres "$@" ;; esac
if [ "${1:-}" = postgres ]; then
	if [ "$(id -u)" = 0 ]; then
		mkdir -p "$PGDATA" /run/postgresql
		find "$PGDATA" /run/postgresql \! -user postgres -exec chown postgres:postgres {} +
		exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
	fi
	chmod 700 "$PGDATA"
	if [ ! -s "$PGDATA/PG_VERSION" ]; then make_cluster; fi
fi
exec "$@"
