"""What the signed form of hooks, disks, vendors' devices and shared namespaces cannot say."""

import msgspec
import pytest
from tests.plan.scenery import image, revision, service

from skerry.model.app import DiskLimit, Further, Hook, Placement, Replicas, Service
from skerry.model.extras import find_extras_flaw, find_sharing_flaw
from skerry.model.ids import NetworkName, ServiceName
from skerry.model.profile import DEFAULT
from skerry.trust.wellformed import find_flaw

VPN = ServiceName("vpn")


def flaw_of(further: Further, profile: str = DEFAULT, **words: object) -> str:
    app = revision(1, vpn=service(), web=service(**{"networks": {}, "further": further, **words}))
    return find_flaw(msgspec.structs.replace(app, profile=profile))


@pytest.mark.parametrize(
    "further",
    [
        Further(post_start=(Hook(command=()),)),
        Further(pre_stop=(Hook(command=("",)),)),
        Further(pre_stop=(Hook(command=("x",), environment={"A=B": "c"}),)),
        Further(post_start=(Hook(command=("x",)),) * 17),
        Further(disks=(DiskLimit(device="sda", read_bytes=1),)),
        Further(disks=(DiskLimit(device="/dev/sda", read_bytes=-1),)),
        Further(disks=(DiskLimit(device="/dev/sda", weight=5),)),
        Further(disks=(DiskLimit(device="/dev/sda", weight=50),) * 2),
        Further(vendor_devices=("gpu",)),
        Further(vendor_devices=("acme.example/gpu=../x",)),
    ],
)
def test_what_makes_no_sense_is_refused_by_everyone(further: Further):
    assert find_extras_flaw(further)
    assert flaw_of(further)


@pytest.mark.parametrize(
    "further",
    [
        Further(post_start=(Hook(command=("x",), privileged=True),)),
        Further(vendor_devices=("intel.com/vpu=0",)),
    ],
)
def test_what_needs_a_grant_is_no_built_in_profiles(further: Further):
    assert "does not grant" in flaw_of(further)
    assert flaw_of(further, profile="own") == ""


def test_gpus_and_commands_need_no_grant():
    assert flaw_of(Further(vendor_devices=("nvidia.com/gpu=all",), pre_stop=(Hook(command=("x",)),))) == ""


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"network": "gone"}, {}),
        ({"network": "web"}, {}),
        ({"network": "vpn", "pid": "other"}, {}),
        ({"network": "vpn"}, {"networks": {NetworkName("default"): ()}}),
        ({"pid": "vpn"}, {"placement": Placement(replicas=Replicas(per_site=1))}),
        ({"pid": "vpn"}, {"placement": Placement(replicas=Replicas(total=2))}),
    ],
)
def test_whose_namespaces_nobody_can_share_is_refused(shares: dict, words: dict):
    assert flaw_of(Further(shares=shares), **words)


def test_no_chain_of_services_shares_and_none_shares_what_is_the_nodes():
    last = service(networks={}, further=Further(shares={"pid": ServiceName("web")}))
    middle = service(networks={}, further=Further(shares={"pid": VPN}))
    assert "itself is in the namespaces" in find_sharing_flaw(revision(1, vpn=service(), web=middle, last=last))
    assert find_sharing_flaw(revision(1, vpn=service(), web=middle)) == ""


def test_who_says_none_of_it_signs_the_same_bytes_as_before():
    plain = Service(image=image("1"), further=Further(io_weight=10))
    assert msgspec.json.decode(msgspec.json.encode(plain))["further"] == {"io-weight": 10}
