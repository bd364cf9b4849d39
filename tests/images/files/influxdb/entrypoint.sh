#!/bin/sh
# Start InfluxDB on /var/lib/influxdb. Environment: INFLUXDB_DB, a database to have; settings as INFLUXDB_SECTION_NAME.
set -eu
if [ "$(id -u)" = 0 ]; then
	find /var/lib/influxdb \! -user influxdb -exec chown influxdb:influxdb {} +
	exec setpriv --reuid=influxdb --regid=influxdb --init-groups "$0" "$@"
fi
if [ "${1:-}" = influxd ] && [ -n "${INFLUXDB_DB:-}" ]; then
	# Making a database that is there already changes nothing.
	(
		until influx -execute "SHOW DATABASES" >/dev/null 2>&1; do sleep 0.5; done
		influx -execute "CREATE DATABASE \"$INFLUXDB_DB\""
	) &
fi
exec "$@"
