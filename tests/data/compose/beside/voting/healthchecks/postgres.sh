#!/bin/sh
[ "$(psql -h 127.0.0.1 -U postgres -d postgres --quiet --no-align --tuples-only -c 'SELECT 1')" = 1 ]
