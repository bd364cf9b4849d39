"""Certificates that the site gets for itself (``tls: acme``): which is shown, and when the next is due. Pure.

Rules of this file:

1. A certificate that is held is shown until it ends, whatever becomes of the next one: the site works cut off.
2. The next one is asked for when a third of its life is left, somewhat earlier at some sites than at others, and one
   host name at a time.
3. A try that failed is tried again later and later, and always within the authority's limits.
4. The key and every certificate are made and kept at the site; neither the core nor another site has a part in it.

The limits are those of Let's Encrypt (letsencrypt.org/docs/rate-limits, read 2026): 5 failed validations of a host name
an hour, 300 orders of an account in three hours, 5 certificates for the same name in a week.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from skerry.model.ids import Digest
from skerry.model.observed import CertificateHeld, CertificatesSeen, Tried
from skerry.plan.actions import MakeAccount, ObtainCertificate
from skerry.plan.site_plan import PlanDraft

_MINUTE_US = 60_000_000
_DAY_US = 24 * 60 * _MINUTE_US
#: After the first failed try; it doubles. Four tries an hour are below the limit of five.
RETRY_US_MIN = 15 * _MINUTE_US
#: A month before the end has sixty tries of this.
RETRY_US_MAX = 12 * 60 * _MINUTE_US
#: An authority that was not reached is asked this often at least: the network may be back.
UNREACHED_US_MAX = 60 * _MINUTE_US
#: Between two orders of one site: 180 in three hours.
APART_US = _MINUTE_US
#: Share of a certificate's life that is left when the next is asked for, and share over which sites are spread.
_LEFT, _SPREAD = 3, 30

LANE = "certificates"


class Standing(msgspec.Struct, frozen=True):
    """What one host name has."""

    #: What is shown; empty while there is none.
    version: Digest = Digest("")
    #: Time of day at which the next one is asked for.
    due_us: int = 0
    #: Worth a person's eye; empty where all is well.
    why: str = ""


def judge_certificate(host: str, seen: CertificatesSeen | None, site: str) -> Standing:
    """Say what is shown for a host, when the next one is due, and what is wrong."""
    if seen is None:
        return Standing(why=f"nothing at this node gets a certificate for {host}")
    held, tried = seen.held.get(host), seen.tried.get(host)
    due_us = 0 if held is None else _find_renewal(host, held, site)
    if tried is not None:
        due_us = max(due_us, _find_next(host, tried, seen.wall_us, site))
    return Standing(Digest("") if held is None else held.version, due_us, _explain(host, seen, held, tried, site))


def plan_certificates(
    draft: PlanDraft, hosts: Iterable[str], seen: CertificatesSeen | None, site: str, *, is_open: bool
) -> None:
    """Ask for the certificate that is due first; ``is_open``: the entrance answers an authority for these hosts."""
    wished = sorted(set(hosts))
    if not wished or seen is None or seen.reason:
        return
    trouble = draft.history.troubles.get(LANE)
    if trouble is not None and trouble.not_before_us > draft.now.boot_us:
        draft.wake(trouble.not_before_us)
        return
    if not seen.thumbprint:
        draft.add(MakeAccount())
        return
    due_us, host = min((judge_certificate(name, seen, site).due_us, name) for name in wished)
    # A clock that was set back is not waited for.
    apart_us = seen.tried_us + APART_US if 0 <= seen.wall_us - seen.tried_us < APART_US else 0
    due_us = max(due_us, apart_us)
    if due_us > seen.wall_us:
        draft.wake(draft.now.boot_us + due_us - seen.wall_us)
    elif is_open:
        draft.add(ObtainCertificate(host=host))


def _explain(host: str, seen: CertificatesSeen, held: CertificateHeld | None, tried: Tried | None, site: str) -> str:
    if held is None:
        last = f"; the last try: {tried.reason}" if tried is not None else ""
        return f"{host} has no certificate yet" + (f": {seen.reason}" if seen.reason else last)
    failure = seen.reason or (tried.reason if tried is not None else "")
    if seen.wall_us >= held.until_us:
        return f"the certificate of {host} has ended" + (f": {failure}" if failure else "")
    is_due = seen.wall_us >= _find_renewal(host, held, site)
    if not is_due or not failure:
        return ""
    days = (held.until_us - seen.wall_us) // _DAY_US
    return f"the certificate of {host} holds for {days} days more and could not be renewed: {failure}"


def _find_renewal(host: str, held: CertificateHeld, site: str) -> int:
    life_us = held.until_us - held.from_us
    return held.until_us - life_us // _LEFT - _jitter(life_us // _SPREAD, site, host, held.version)


def _find_next(host: str, tried: Tried, wall_us: int, site: str) -> int:
    most_us = UNREACHED_US_MAX if tried.unreached else RETRY_US_MAX
    wait_us = min(RETRY_US_MIN << min(max(tried.count, 1) - 1, 16), most_us)
    wait_us += _jitter(wait_us // 4, site, host, str(tried.count))
    if wall_us < tried.at_us - wait_us:
        return 0  # tried by a clock that was wrong
    return tried.at_us + wait_us


def _jitter(span_us: int, *parts: str) -> int:
    """Return the same number below a span for the same parts: sites that began together do not go on together."""
    mark = hashlib.sha256("/".join(parts).encode()).digest()
    return int.from_bytes(mark[:8], "big") % max(span_us, 1)
