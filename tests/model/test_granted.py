"""A site runs no instance that asks for more than its own record grants that tenant there."""

import msgspec
import pytest
from tests.plan import scenery
from tests.plan.scenery import assign, revision, service

from skerry.model.app import Further
from skerry.model.grants import Bind, BindGrant, Device, NodeUse, Profile
from skerry.model.ids import TenantName
from skerry.plan.derive import Derived, Underivable, derive_instance

USE = NodeUse(devices=(Device(source="/dev/net/tun", target="/dev/net/tun"),), host=("pid",))
GRANTED = Profile(
    tenants=(scenery.TENANT,), capabilities=("NET_ADMIN",), devices=("/dev/net/*",), host=("pid",), cpuset=True
)


def app(use=USE, **words):
    wish = service(cap_add=("NET_ADMIN",), further=Further(node=use), **words)
    return msgspec.structs.replace(revision(web=wish), profile="vpn")


def record(**profiles):
    return msgspec.structs.replace(scenery.record(), profiles=profiles)


def derive(wanted, where):
    return derive_instance(wanted, assign(wanted, "web"), where, {})


def test_what_is_granted_is_derived():
    derived = derive(app(), record(vpn=GRANTED))
    assert isinstance(derived, Derived)
    assert derived.spec.further.node == USE
    assert derived.spec.cap_add == ("NET_ADMIN",)


@pytest.mark.parametrize(
    ("profiles", "reason"),
    [
        ({}, "has no profile vpn for tenant"),
        ({"other": GRANTED}, "has no profile vpn"),
        ({"vpn": msgspec.structs.replace(GRANTED, tenants=(TenantName("somebody"),))}, "has no profile vpn"),
        ({"vpn": msgspec.structs.replace(GRANTED, capabilities=())}, "cap_add: NET_ADMIN"),
        ({"vpn": msgspec.structs.replace(GRANTED, devices=("/dev/fuse",))}, "devices: /dev/net/tun"),
        ({"vpn": msgspec.structs.replace(GRANTED, host=())}, "pid: host"),
    ],
)
def test_what_is_not_granted_is_refused_with_the_missing_grant(profiles, reason):
    refused = derive(app(), record(**profiles))
    assert isinstance(refused, Underivable)
    assert refused.code == "E-PROFILE"
    assert reason in refused.reason


def test_a_record_of_before_there_were_profiles_grants_nothing():
    refused = derive(app(), scenery.record())
    assert isinstance(refused, Underivable)
    assert refused.code == "E-PROFILE"


def test_a_bind_below_what_any_instance_of_the_site_may_write_is_refused():
    use = NodeUse(binds=(Bind(source="/srv/cams/fixed", target="/f", read_only=True),))
    maps = Profile(tenants=(scenery.TENANT,), capabilities=("NET_ADMIN",), binds=(BindGrant(path="/srv/cams/fixed"),))
    writers = Profile(tenants=(TenantName("other"),), binds=(BindGrant(path="/srv/cams", writable=True),))
    assert isinstance(derive(app(use), record(vpn=maps)), Derived)
    refused = derive(app(use), record(vpn=maps, cams=writers))
    assert isinstance(refused, Underivable)
    assert "which instances" in refused.reason


def test_whose_files_a_bind_shows_is_the_sites_word():
    use = NodeUse(binds=(Bind(source="/srv/cams", target="/c"),))
    grant = Profile(
        tenants=(scenery.TENANT,), capabilities=("NET_ADMIN",), binds=(BindGrant(path="/srv/cams", writable=True),)
    )
    derived = derive(app(use), record(vpn=grant))
    assert isinstance(derived, Derived)
    (bind,) = derived.spec.further.node.binds
    assert bind.mapped is True


def test_the_built_in_profiles_are_derived_as_before_whatever_a_record_grants():
    plain = revision(web=service())
    assert derive(plain, record(vpn=GRANTED)).digest == derive(plain, scenery.record()).digest


def test_a_grant_that_ended_starts_nothing_new_and_stops_nothing():
    wanted = app()
    world = scenery.World(scenery.hold(wanted, assign(wanted, "web"), record=record(vpn=GRANTED)))
    world.settle()
    assert world.running() == ["web"]
    ended = msgspec.structs.replace(record(), number=2)
    world.held = msgspec.structs.replace(world.held, record=ended)
    world.settle()
    assert world.running() == ["web"]
    world.reboot()
    world.advance(1000)
    world.look()
    world.step()
    assert world.running() == []
    world.held = msgspec.structs.replace(world.held, record=msgspec.structs.replace(record(vpn=GRANTED), number=3))
    world.settle()
    assert world.running() == ["web"]
