"""Ends of a trace as people write them, and what is said of those that mean nothing."""

import pytest

from skerry.model.ids import AppName, ServiceName, SiteName
from skerry.plan.trace.ends import BadEnd, There, read_end

THERE = There(
    devices={"shop": ("lan1",)},  # type: ignore[dict-item]
    services={AppName("shop"): [ServiceName("web"), ServiceName("web-2"), ServiceName("db")]},
    sites=[SiteName("oslo"), SiteName("voss")],
    hosts={"shop.example": (AppName("shop"), ServiceName("web"))},
)


@pytest.mark.parametrize(
    ("text", "kind", "service", "ordinal", "site"),
    [
        ("shop/web", "instance", "web", -1, ""),
        ("shop/web-1", "instance", "web", 1, ""),
        ("shop/web-2", "instance", "web-2", -1, ""),
        ("shop/web-2-7@oslo", "instance", "web-2", 7, "oslo"),
        ("shop/db@voss", "instance", "db", -1, "voss"),
        ("shop/interface:lan1@oslo", "device", "", -1, "oslo"),
        ("oslo", "site", "", -1, "oslo"),
        ("internet", "outside", "", -1, ""),
        ("2001:DB8::1", "outside", "", -1, ""),
        ("Shop.Example.", "entrance", "web", -1, ""),
    ],
)
def test_an_end_is_read(text: str, kind: str, service: str, ordinal: int, site: str):
    end = read_end(text, THERE)
    assert (end.kind, end.service, end.ordinal, end.site) == (kind, service, ordinal, site)
    assert end.text == text


def test_an_address_has_one_form():
    assert read_end("2001:DB8::1", THERE).address == "2001:db8::1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("shop", "shop/db, shop/web"),
        ("shop/", "has no service"),
        ("shop/mail", "it has db, web, web-2"),
        ("shop/web-9999", "has no service"),
        ("mail/web", "no app 'mail'"),
        ("shop/web@mars", "no site 'mars'"),
        ("shop/interface:lan2", "no chain of app shop begins or ends at 'lan2'; they do at lan1"),
        ("mars", "no site, no address"),
        ("other.example", "no host name of an entrance"),
        ("300.1.1.1", "no address"),
        ("shop/web@", "no site ''"),
    ],
)
def test_what_means_nothing_says_what_would(text: str, why: str):
    with pytest.raises(BadEnd, match=why):
        read_end(text, THERE)
