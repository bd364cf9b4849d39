#!/bin/bash
# Start MariaDB, making its database first if the volume has none. Environment: MARIADB_* or MYSQL_* with ROOT_PASSWORD,
# ALLOW_EMPTY_ROOT_PASSWORD, RANDOM_ROOT_PASSWORD, ROOT_HOST, DATABASE, USER, PASSWORD; each also as NAME_FILE.
set -eu

data=/var/lib/mysql
unfinished=$data/.being-made

say() { echo "[entrypoint] $*"; }
die() { echo "[entrypoint] ERROR: $*" >&2; exit 1; }

# The value of MARIADB_$1 or MYSQL_$1, or of the file that the same name with _FILE tells.
setting() {
	local prefix name file
	for prefix in MARIADB MYSQL; do
		name=${prefix}_$1 file=${prefix}_$1_FILE
		if [ -n "${!name:-}" ]; then printf '%s' "${!name}"; return; fi
		if [ -n "${!file:-}" ]; then cat "${!file}"; return; fi
	done
}

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/''/g")"; }
quoted_name() { printf '`%s`' "$(printf '%s' "$1" | sed -e 's/`/``/g')"; }

as_mysql=()
if [ "$(id -u)" = 0 ]; then as_mysql=(setpriv --reuid=mysql --regid=mysql --init-groups); fi

# What the environment asks for, as SQL.
wishes() {
	local user root_host
	root_host=$(setting ROOT_HOST)
	printf 'SET @@SESSION.SQL_LOG_BIN=0;\n'
	# Those that mariadb-install-db made for this container's own host name.
	printf "DELETE FROM mysql.global_priv WHERE Host NOT IN ('localhost', '');\n"
	printf "DELETE FROM mysql.proxies_priv WHERE Host NOT IN ('localhost', '');\n"
	printf 'FLUSH PRIVILEGES;\n'
	printf 'ALTER USER root@localhost IDENTIFIED BY %s;\n' "$(quoted "$root_password")"
	if [ "${root_host:=%}" != localhost ]; then
		printf 'CREATE USER root@%s IDENTIFIED BY %s;\n' "$(quoted "$root_host")" "$(quoted "$root_password")"
		printf 'GRANT ALL ON *.* TO root@%s WITH GRANT OPTION;\n' "$(quoted "$root_host")"
	fi
	[ -z "$database" ] || printf 'CREATE DATABASE IF NOT EXISTS %s;\n' "$(quoted_name "$database")"
	user=$(setting USER)
	if [ -n "$user" ]; then
		printf "CREATE USER %s@'%%' IDENTIFIED BY %s;\n" "$(quoted "$user")" "$(quoted "$(setting PASSWORD)")"
		[ -z "$database" ] || printf "GRANT ALL ON %s.* TO %s@'%%';\n" "$(quoted_name "${database//_/\\_}")" "$(quoted "$user")"
	fi
}

make_database() {
	root_password=$(setting ROOT_PASSWORD)
	database=$(setting DATABASE)
	if [ -z "$root_password" ] && [ -n "$(setting RANDOM_ROOT_PASSWORD)" ]; then
		root_password=$(head -c 24 /dev/urandom | base64)
		say "generated root password: $root_password"
	fi
	[ -n "$root_password$(setting ALLOW_EMPTY_ROOT_PASSWORD)" ] ||
		die "set one of MARIADB_ROOT_PASSWORD, MARIADB_ALLOW_EMPTY_ROOT_PASSWORD, MARIADB_RANDOM_ROOT_PASSWORD"

	# Nobody could write here before the mark was gone, so what an interrupted start left can be thrown away.
	find $data -mindepth 1 -delete
	"${as_mysql[@]}" touch $unfinished
	say "making the database"
	"${as_mysql[@]}" mariadb-install-db --datadir=$data --auth-root-authentication-method=normal --skip-test-db >/dev/null
	"${as_mysql[@]}" mariadbd --datadir=$data --skip-networking --socket=/run/mysqld/first.sock &
	local server=$! client=(mysql --protocol=socket --socket=/run/mysqld/first.sock --user=root)
	for _ in $(seq 600); do
		mysqladmin --socket=/run/mysqld/first.sock --silent ping >/dev/null 2>&1 && break
		kill -0 $server 2>/dev/null || die "the server ended while its database was being made"
		sleep 0.1
	done
	wishes | "${client[@]}"
	client+=("--password=$root_password")
	for script in /docker-entrypoint-initdb.d/*; do
		case $script in
			*.sh) say "running $script"; . "$script" ;;
			*.sql) say "loading $script"; "${client[@]}" ${database:+"$database"} <"$script" ;;
			*.sql.gz) say "loading $script"; gunzip -c "$script" | "${client[@]}" ${database:+"$database"} ;;
		esac
	done
	kill $server
	wait $server
	rm $unfinished
	sync -f $data
	say "the database is made"
}

case ${1:-} in -*) set -- mariadbd "$@" ;; esac
if [ "${1:-}" = mysqld ]; then shift; set -- mariadbd "$@"; fi
if [ "${1:-}" = mariadbd ]; then
	mkdir -p /run/mysqld
	if [ "$(id -u)" = 0 ]; then
		find $data /run/mysqld \! -user mysql -exec chown mysql:mysql {} +
	fi
	if [ ! -d $data/mysql ] || [ -e $unfinished ]; then make_database; fi
	set -- "${as_mysql[@]}" "$@"
fi
exec "$@"
