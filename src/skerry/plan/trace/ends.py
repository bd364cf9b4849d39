"""The ends of a trace as people write them, pure: ``APP/SERVICE[-ORDINAL][@SITE]``, ``APP/interface:DEVICE[@SITE]``, a
site, ``internet``, an address, or a host name of an entrance. What there is comes in as values; a text that means
nothing says what would.
"""

import ipaddress
from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from skerry.model.ids import AppName, ServiceName, SiteName

INTERNET = "internet"
#: What is shown of what there is.
_SHOWN_MAX = 8


class End(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a trace."""

    kind: Literal["instance", "site", "outside", "entrance", "device"]
    text: str
    app: AppName = AppName("")
    service: ServiceName = ServiceName("")
    #: -1 for any copy.
    ordinal: int = -1
    #: Empty for wherever it is.
    site: SiteName = SiteName("")
    #: Of what lies outside; empty for anywhere.
    address: str = ""
    #: Of an entrance: its host name.
    host: str = ""
    #: Of a device of a node: its name.
    device: str = ""


class BadEnd(ValueError):
    """A text that is no end, and what it could be."""


class There(msgspec.Struct, frozen=True):
    """What the asker may name."""

    services: Mapping[AppName, Collection[ServiceName]]
    sites: Collection[SiteName]
    #: Host names of entrances, and whose each is.
    hosts: Mapping[str, tuple[AppName, ServiceName]]
    #: Devices of nodes that chains of an app begin or end at.
    devices: Mapping[AppName, Collection[str]] = {}


def read_end(text: str, there: There) -> End:
    """Read one end; raises ``BadEnd``."""
    if "/" in text:
        return _read_instance(text, there)
    if text == INTERNET:
        return End(kind="outside", text=text)
    try:
        return End(kind="outside", text=text, address=str(ipaddress.ip_address(text)))
    except ValueError:
        pass
    if text in there.sites:
        return End(kind="site", text=text, site=SiteName(text))
    host = text.lower().removesuffix(".")
    if host in there.hosts:
        app, service = there.hosts[host]
        return End(kind="entrance", text=text, app=app, service=service, host=host)
    if text in there.services:
        services = [f"{text}/{each}" for each in there.services[AppName(text)]]
        raise BadEnd(f"{text} is an app: name a service of it, {_some(services)}")
    raise BadEnd(f"{text[:80]!r} is no APP/SERVICE, no site, no address and no host name of an entrance")


def _read_instance(text: str, there: There) -> End:
    what, at, site = text.partition("@")
    app, _, name = what.partition("/")
    services = there.services.get(AppName(app))
    if services is None:
        raise BadEnd(f"there is no app {app[:80]!r}")
    if at and site not in there.sites:
        raise BadEnd(f"there is no site {site[:80]!r}")
    if name.startswith("interface:"):
        device = name.removeprefix("interface:")
        known = there.devices.get(AppName(app), ())
        if device not in known:
            raise BadEnd(
                f"no chain of app {app} begins or ends at {device[:80]!r}; they do at {_some(known) or 'none'}"
            )
        return End(kind="device", text=text, app=AppName(app), site=SiteName(site), device=device)
    service, ordinal = name, -1
    if name not in services:
        begin, _, number = name.rpartition("-")
        if number.isascii() and number.isdigit() and len(number) <= 3:
            service, ordinal = begin, int(number)
    if service not in services:
        raise BadEnd(f"app {app} has no service {name[:80]!r}; it has {_some(services)}")
    return End(
        kind="instance",
        text=text,
        app=AppName(app),
        service=ServiceName(service),
        ordinal=ordinal,
        site=SiteName(site),
    )


def _some(names: Collection[str]) -> str:
    shown = sorted(names)
    rest = len(shown) - _SHOWN_MAX
    return ", ".join(shown[:_SHOWN_MAX]) + (f" and {rest} more" if rest > 0 else "")
