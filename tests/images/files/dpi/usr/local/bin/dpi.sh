#!/bin/sh
# Deep packet inspection as a step of a service chain: Debian's nDPI watches what the kernel passes on.
trap 'kill "$reader" 2>/dev/null; exit 0' TERM
while :; do
  ndpiReader -i eth0 -s 4 2>&1 | sed -n '/Detected protocols/,/^$/p' &
  reader=$!
  wait "$reader"
done
