import msgspec
import pytest
from tests.manifest.texts import refuse, service

from skerry.model.grants import Profile
from skerry.model.ids import TenantName

RESERVED = "deploy: {{resources: {{reservations: {{devices: [{{{}}}]}}}}}}"


@pytest.mark.parametrize(
    ("fields", "devices", "node"),
    [
        ("gpus: all", ("nvidia.com/gpu=all",), ("nvidia.com/gpu>0",)),
        ("gpus: [{count: 2}]", ("nvidia.com/gpu=0", "nvidia.com/gpu=1"), ("nvidia.com/gpu>1",)),
        ("gpus: [{driver: amd, count: all}]", ("amd.com/gpu=all",), ("amd.com/gpu>0",)),
        ("gpus: [{driver: cdi, device_ids: [acme.example/gpu=x]}]", ("acme.example/gpu=x",), ("acme.example/gpu>0",)),
        ("devices: [nvidia.com/gpu=3]", ("nvidia.com/gpu=3",), ("nvidia.com/gpu>3",)),
        (
            RESERVED.format("driver: nvidia, device_ids: ['0', '2'], capabilities: [gpu, compute]"),
            ("nvidia.com/gpu=0", "nvidia.com/gpu=2"),
            ("nvidia.com/gpu>2",),
        ),
        (RESERVED.format("capabilities: [gpu], count: 1"), ("nvidia.com/gpu=0",), ("nvidia.com/gpu>0",)),
        (
            "gpus: all\nx-skerry: {placement: {node: [a, b]}}",
            ("nvidia.com/gpu=all",),
            ("a, nvidia.com/gpu>0", "b, nvidia.com/gpu>0"),
        ),
    ],
)
def test_gpus_are_devices_of_a_vendor_and_a_condition_on_the_node(fields, devices, node):
    web = service(fields)
    assert web.further.vendor_devices == devices
    assert web.placement.node == node


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("gpus: [{count: 1, device_ids: ['0']}]", "E-CONFLICT gpus/0/count"),
        ("gpus: [{count: 0}]", "E-RANGE gpus/0/count"),
        ("gpus: [{driver: acme}]", "E-FIELD-REFUSED gpus/0/driver"),
        ("gpus: [{device_ids: ['a b']}]", "E-TYPE gpus/0/device_ids"),
        ("gpus: [{driver: nvidia, options: {a: b}}]", "E-FIELD-REFUSED gpus/0/options"),
        (
            RESERVED.format("capabilities: [tpm]"),
            "E-FIELD-REFUSED deploy/resources/reservations/devices/0/capabilities",
        ),
        ("gpus: [{driver: cdi, device_ids: [intel.com/vpu=0]}]", "E-FIELD-REFUSED gpus/0/device_ids/0"),
    ],
)
def test_what_is_refused(fields, found):
    assert refuse(fields) == [found]


def test_other_devices_of_vendors_are_granted_by_a_profile():
    granting = Profile(tenants=(TenantName("default"),), devices=("intel.com/vpu=*",))
    top, fields = "x-skerry: {profile: own}", "devices: [intel.com/vpu=0]"
    assert service(fields, top=top, grants={"own": (granting,)}).further.vendor_devices == ("intel.com/vpu=0",)
    plain = Profile(tenants=(TenantName("default"),), devices=("/dev/*",))
    assert refuse(fields, top=top, grants={"own": (plain,)}) == ["E-FIELD-REFUSED devices/0"]


def test_a_runtime_is_the_nodes_own():
    assert service("runtime: runc").further is msgspec.UNSET
    assert refuse("runtime: runsc") == ["E-FIELD-REFUSED runtime"]
