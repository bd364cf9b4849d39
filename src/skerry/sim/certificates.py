"""A fake authority, and the certificates that a site gets from it: what the real ones are to planner and agent.

What the site remembers outlives its agent; the authority says yes to the hosts whose name leads to the site.
"""

import hashlib

import msgspec

from skerry.model.ids import Digest, digest_of
from skerry.model.observed import CertificateHeld, CertificatesSeen, Tried
from skerry.plan.actions import DONE, Action, MakeAccount, ObtainCertificate, Outcome, failed

#: What Let's Encrypt gives: 90 days.
LIFE_US = 90 * 24 * 3_600_000_000


class FakeAuthority:
    """Who gives certificates."""

    def __init__(self) -> None:
        self.is_there = True
        self.life_us = LIFE_US
        #: Hosts whose name leads elsewhere, with what is said of them.
        self.refused: dict[str, str] = {}
        #: Orders that were asked for: host name and wall time.
        self.orders: list[tuple[str, int]] = []


class FakeCertificates:
    """One site's certificates."""

    def __init__(self, authority: FakeAuthority, site: str = "") -> None:
        self.authority = authority
        self.reason = ""
        self._site = site
        self._seen = CertificatesSeen()
        self._chains: dict[Digest, bytes] = {}

    def observe(self, wall_us: int) -> CertificatesSeen:
        """See what is held."""
        return msgspec.structs.replace(self._seen, reason=self.reason, wall_us=wall_us)

    def open_certificate(self, version: Digest) -> bytes | None:
        """Return a certificate that is held."""
        return self._chains.get(version)

    def perform(self, action: Action, wall_us: int) -> Outcome:
        """Make the account's key, or ask the authority."""
        if self.reason:
            return failed("E-CERTIFICATE", self.reason)
        if isinstance(action, MakeAccount):
            mark = hashlib.sha256(self._site.encode()).hexdigest()[:43]
            self._seen = msgspec.structs.replace(self._seen, thumbprint=mark)
            return DONE
        assert isinstance(action, ObtainCertificate)
        host, seen = action.host, self._seen
        before = seen.tried[host].count if host in seen.tried else 0
        refused = self.authority.refused.get(host, "") if self.authority.is_there else "the authority is not reached"
        if self.authority.is_there:
            self.authority.orders.append((host, wall_us))
        if refused:
            tried = Tried(count=before + 1, at_us=wall_us, reason=refused, unreached=not self.authority.is_there)
            self._seen = msgspec.structs.replace(seen, tried={**seen.tried, host: tried}, tried_us=wall_us)
            return failed("E-CERTIFICATE", f"no certificate for {host}: {refused}")
        chain = f"{host} from {wall_us}".encode()
        held = CertificateHeld(version=digest_of(chain), from_us=wall_us, until_us=wall_us + self.authority.life_us)
        if host in seen.held:
            del self._chains[seen.held[host].version]
        self._chains[held.version] = chain
        self._seen = msgspec.structs.replace(
            seen,
            held={**seen.held, host: held},
            tried={name: each for name, each in seen.tried.items() if name != host},
            tried_us=wall_us,
        )
        return DONE
