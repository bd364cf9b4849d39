import msgspec
import pytest
from tests.manifest.texts import refuse, service

from skerry.model.app import DiskLimit, Further


@pytest.mark.parametrize(
    ("fields", "further"),
    [
        ("annotations: {a: 1}", Further(annotations={"a": "1"})),
        ("dns_opt: ['ndots:2', rotate]", Further(dns_options=("ndots:2", "rotate"))),
        ("dns_search: a.example", Further(dns_search=("a.example",))),
        ("dns_search: .", Further(dns_search=(".",))),
        ("dns_search: ['']", Further(dns_search=(".",))),
        ("mem_limit: 1g\nmemswap_limit: 2g", Further(memory_swap_bytes=2 << 30)),
        ("memswap_limit: -1", Further(memory_swap_bytes=-1)),
        ("cpu_shares: 512", Further(cpu_shares=512)),
        ("cpu_period: 50ms\ncpu_quota: 25000", Further(cpu_period_us=50_000, cpu_quota_us=25_000)),
        ("cpu_quota: -1\ncpu_shares: 2", Further(cpu_shares=2)),
        ("blkio_config: {weight: 300}", Further(io_weight=300)),
        ("oom_score_adj: 500", Further(oom_score=500)),
        ("ipc: none", Further(ipc="none")),
        ("ipc: shareable", Further(ipc="shareable")),
        ("logging: {driver: none}", Further(log="none")),
        ("logging: {options: {max-size: 1m, max-file: 3}}", Further(log_bytes=1 << 20)),
    ],
)
def test_what_few_services_ask_for(fields, further):
    assert service(fields).further == further


@pytest.mark.parametrize(
    "fields", ["", "oom_score_adj: 0", "ipc: private", "annotations: {}", "logging: {driver: local}"]
)
def test_who_asks_for_nothing_signs_nothing(fields):
    web = service(fields)
    assert web.further is msgspec.UNSET
    assert b"further" not in msgspec.json.encode(web)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("dns_opt: ['a b']", "E-TYPE dns_opt/0"),
        ("dns_search: [a/b]", "E-TYPE dns_search/0"),
        ("memswap_limit: 1g", "E-CONFLICT memswap_limit"),
        ("mem_limit: 2g\nmemswap_limit: 1g", "E-RANGE memswap_limit"),
        ("cpus: 1\ncpu_quota: 5000", "E-CONFLICT cpu_quota"),
        ("cpu_period: 2s", "E-RANGE cpu_period"),
        ("cpu_period: 1", "E-RANGE cpu_period"),
        ("oom_score_adj: -5", "E-FIELD-REFUSED oom_score_adj"),
        ("oom_score_adj: 5000", "E-RANGE oom_score_adj"),
        ("blkio_config: {weight: 5}", "E-RANGE blkio_config/weight"),
        ("logging: {options: {max-size: big}}", "E-TYPE logging/options/max-size"),
    ],
)
def test_what_is_refused(fields, found):
    assert refuse(fields) == [found]


@pytest.mark.parametrize(
    ("fields", "size", "node"),
    [
        ("storage_opt: {size: 10G}", 10 << 30, ("root-quota=true",)),
        ("storage_opt: {size: '0'}", 0, ()),
        (
            "storage_opt: {size: 1g}\nplatform: linux/arm64\nx-skerry: {placement: {node: [gpu, 'memory>4']}}",
            1 << 30,
            ("gpu, arch=arm64, root-quota=true", "memory>4, arch=arm64, root-quota=true"),
        ),
    ],
)
def test_a_limit_of_the_root_asks_for_a_node_that_can_keep_it(fields, size, node):
    web = service(fields)
    assert (web.further.root_bytes if web.further else 0) == size
    assert web.placement.node == node


def test_other_options_of_a_storage_are_refused():
    assert refuse("storage_opt: {dm.basesize: 10G}") == ["E-FIELD-REFUSED storage_opt/dm.basesize"]
    assert refuse("storage_opt: {size: much}") == ["E-TYPE storage_opt/size"]


def test_single_disks_are_limited_by_what_is_said_of_them_in_several_places():
    web = service(
        """
        blkio_config:
          device_read_bps: [{path: /dev/sda, rate: 12mb}, {path: /dev/sdb, rate: 1024}]
          device_write_iops: [{path: /dev/sda, rate: 30}]
          weight_device: [{path: /dev/sda, weight: 200}]
        """
    )
    assert web.further.disks == (
        DiskLimit(device="/dev/sda", read_bytes=12 << 20, write_count=30, weight=200),
        DiskLimit(device="/dev/sdb", read_bytes=1024),
    )


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ("device_read_bps: [{path: sda, rate: 1m}]", "E-TYPE blkio_config/device_read_bps/0/path"),
        ("device_read_bps: [{path: /dev/a, rate: fast}]", "E-TYPE blkio_config/device_read_bps/0/rate"),
        ("weight_device: [{path: /dev/a, weight: 5}]", "E-RANGE blkio_config/weight_device/0/weight"),
        (
            "device_read_iops: [{path: /dev/a, rate: 1}, {path: /dev/a, rate: 2}]",
            "E-CONFLICT blkio_config/device_read_iops/1",
        ),
    ],
)
def test_limits_of_disks_that_are_none(limits, found):
    assert refuse(f"blkio_config: {{{limits}}}") == [found]
