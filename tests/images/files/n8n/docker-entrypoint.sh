#!/bin/sh
# As in the real image: without a command, n8n starts.
exec n8n "$@"
