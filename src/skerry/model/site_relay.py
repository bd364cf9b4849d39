"""A site that passes on datagrams for others: what its operator allows, signed into the site's record.

A site relays only because its own record says so, and only for pairs of sites whose records the same registrar signed
(``trust/verify.py``). It has none of their keys. Neighbours: ``plan/relaying.py`` chooses among such sites,
``model/relay.py`` is what the relay itself is told.
"""

import ipaddress

import msgspec

from skerry.model.uplinks import RATE_BPS_MAX, RATE_BPS_MIN

#: Ports below need a right that a relay does not have.
_FIRST_PORT = 1_024
#: What a pair may use where nothing is said: a fifth of a slow wired line.
PAIR_BPS = 10_000_000


class SiteRelay(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True
):
    """Which UDP ports a site lends to pairs of other sites, two for each pair, and how much they may use."""

    first: int
    last: int
    #: Where others reach those ports; empty where that is the address that the node itself has.
    address: str = ""
    #: Bits a second, both ways together: of one pair, and of all pairs; 0 for no limit.
    pair_bps: int = PAIR_BPS
    bps: int = 0


def find_relay_flaw(relay: SiteRelay) -> str:
    """Say what is wrong with the word about a relay, beginning with the word of it that is; empty for nothing."""
    if not _FIRST_PORT <= relay.first < relay.last <= 65_535:
        return f"ports: {relay.first}-{relay.last} is no range of two or more UDP ports from {_FIRST_PORT} to 65535"
    for name, bps in (("pair-rate", relay.pair_bps), ("rate", relay.bps)):
        if bps and not RATE_BPS_MIN <= bps <= RATE_BPS_MAX:
            return f"{name}: {bps} bits a second are not within {RATE_BPS_MIN} and {RATE_BPS_MAX}"
    try:
        found = ipaddress.ip_address(relay.address) if relay.address else None
    except ValueError:
        return f"address: {relay.address[:80]!r} is no literal address"
    if found is not None and (found.is_unspecified or found.is_multicast or found.is_loopback or found.is_link_local):
        return f"address: nobody else finds this site at {found}"
    return ""
