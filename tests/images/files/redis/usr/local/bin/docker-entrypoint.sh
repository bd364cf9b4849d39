#!/bin/sh
# Start Redis on /data. As in the real image others may connect without a password.
set -eu
case ${1:-} in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "${1:-}" = redis-server ]; then
	set -- "$@" --protected-mode no
	if [ "$(id -u)" = 0 ]; then
		find /data \! -user redis -exec chown redis:redis {} +
		exec setpriv --reuid=redis --regid=redis --init-groups "$@"
	fi
fi
exec "$@"
