#!/bin/sh
# A cache as a step of a service chain: plain HTTP that is to pass is led to Debian's nginx, everything else passes.
set -e
nft -f - <<'RULES'
table ip cache {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    tcp dport 80 redirect to :8080
  }
}
RULES
exec nginx -g 'daemon off;'
