#!/bin/sh
# A firewall as a step of a service chain: Debian's nftables.
set -e
nft -f /etc/firewall.nft
trap 'exit 0' TERM
sleep infinity &
wait
