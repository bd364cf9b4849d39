#!/bin/sh
# Start Node-RED on /data. Environment: FLOWS, NODE_OPTIONS, NODE_RED_ENABLE_SAFE_MODE, and what its settings file reads.
set -eu
if [ ! -e /data/settings.js ]; then
	cp /usr/src/node-red/node_modules/node-red/settings.js /data/settings.js
fi
if [ "${NODE_RED_ENABLE_SAFE_MODE:-}" = true ]; then set -- --safe "$@"; fi
exec node /usr/src/node-red/node_modules/node-red/red.js --userDir /data "$@" "${FLOWS:-flows.json}"
