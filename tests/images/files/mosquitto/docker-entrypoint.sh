#!/bin/sh
# Start Mosquitto; its volumes become its user's when this runs as root.
set -eu
if [ "$(id -u)" = 0 ] && [ -d /mosquitto ]; then
	chown -R mosquitto:mosquitto /mosquitto/data /mosquitto/log
fi
exec "$@"
