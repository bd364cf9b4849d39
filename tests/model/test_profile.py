import ipaddress

import pytest

from skerry.model.profile import grants_capability, grants_mount_option, grants_range, owns_sysctl


def test_only_the_default_profile_has_capabilities():
    assert grants_capability("default", "CHOWN")
    assert not grants_capability("default", "SYS_ADMIN")
    assert not grants_capability("strict", "CHOWN")


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("net.ipv4.ip_forward", True),
        ("kernel.shmmax", True),
        ("fs.mqueue.msg_max", True),
        ("vm.swappiness", False),
        ("kernel.panic", False),
    ],
)
def test_parameters_of_the_kernel(name, own):
    assert owns_sysctl(name) is own


@pytest.mark.parametrize(
    ("kind", "option", "granted"),
    [
        ("tmpfs", "exec", True),
        ("tmpfs", "mode=1750", True),
        ("tmpfs", "uid=33", False),
        ("tmpfs", "dev", False),
        ("tmpfs", "suid", False),
        ("tmpfs", "mode=1750,dev", False),
        ("volume", "nocopy", True),
        ("volume", "exec", False),
        ("volume", "U", False),
    ],
)
def test_options_of_a_mount(kind, option, granted):
    assert grants_mount_option(kind, option) is granted


@pytest.mark.parametrize(
    ("text", "granted"),
    [
        ("10.0.0.0/8", True),
        ("172.16.0.0/12", True),
        ("172.0.0.0/8", False),
        ("8.8.8.0/24", False),
        ("fd00::/64", True),
        ("2001:db8::/32", False),
    ],
)
def test_ranges(text, granted):
    assert grants_range(ipaddress.ip_network(text)) is granted
