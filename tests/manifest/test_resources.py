import pytest
from tests.manifest.texts import refuse, service

from skerry.model.app import Resources, Ulimit
from skerry.model.uplinks import Bandwidth


@pytest.mark.parametrize(
    ("fields", "limits", "reservations"),
    [
        ("", Resources(), Resources()),
        (
            "cpus: 0.5\nmem_limit: 512m\npids_limit: 100",
            Resources(cpu_m=500, memory_bytes=2**29, pids=100),
            Resources(),
        ),
        ("cpus: '2'\nmem_limit: 1073741824\npids_limit: -1", Resources(cpu_m=2000, memory_bytes=2**30), Resources()),
        (
            "deploy: {resources: {limits: {cpus: '1.5', memory: 1G, pids: 5}, reservations: {cpus: .25, memory: 64M}}}",
            Resources(cpu_m=1500, memory_bytes=2**30, pids=5),
            Resources(cpu_m=250, memory_bytes=2**26),
        ),
        ("mem_reservation: 1g", Resources(), Resources(memory_bytes=2**30)),
        ("mem_limit: 1g\ndeploy: {resources: {limits: {memory: 1024m}}}", Resources(memory_bytes=2**30), Resources()),
    ],
)
def test_limits_and_reservations(fields, limits, reservations):
    web = service(fields)
    assert (web.limits, web.reservations) == (limits, reservations)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("cpus: many", "E-TYPE cpus"),
        ("cpus: -1", "E-TYPE cpus"),
        ("mem_limit: 5 apples", "E-TYPE mem_limit"),
        ("pids_limit: 2.5", "E-TYPE pids_limit"),
        ("pids_limit: -2", "E-RANGE pids_limit"),
        ("cpus: 1\ndeploy: {resources: {limits: {cpus: 2}}}", "E-CONFLICT deploy/resources/limits/cpus"),
        ("mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}}}", "E-CONFLICT deploy/resources/limits/memory"),
        ("shm_size: x", "E-TYPE shm_size"),
        ("ulimits: {files: 5}", "E-TYPE ulimits/files"),
        ("ulimits: {nofile: x}", "E-TYPE ulimits/nofile"),
        ("ulimits: {nofile: {soft: -1, hard: 5}}", "E-RANGE ulimits/nofile"),
        ("ulimits: {nofile: -2}", "E-RANGE ulimits/nofile"),
        ("ulimits: {nofile: {soft: 9, hard: 5}}", "E-RANGE ulimits/nofile"),
        ("sysctls: {vm.swappiness: 5}", "E-FIELD-REFUSED sysctls/vm.swappiness"),
        ("sysctls: [kernel.hostname=x]", "E-FIELD-REFUSED sysctls/0"),
    ],
)
def test_what_is_refused(fields, found):
    assert refuse(fields) == [found]


def test_limits_of_the_process_tree():
    fields = "ulimits: {nproc: 100, nofile: {soft: 20000, hard: '40000'}}\nshm_size: 64m"
    web = service(fields)
    assert web.ulimits == (Ulimit(name="nofile", soft=20000, hard=40000), Ulimit(name="nproc", soft=100, hard=100))
    assert web.shm_bytes == 2**26


@pytest.mark.parametrize("fields", ["sysctls: {net.core.somaxconn: 1024}", "sysctls: ['net.core.somaxconn=1024']"])
def test_kernel_parameters_of_the_instance_alone(fields):
    assert service(fields).sysctls == {"net.core.somaxconn": "1024"}


def test_what_an_instance_has_of_the_uplinks():
    assert service("x-skerry: {bandwidth: {up: 256kbit/s, down: 2Mbit/s}}").bandwidth == Bandwidth(
        up_bps=256_000, down_bps=2_000_000
    )
    assert service("x-skerry: {bandwidth: {down: 1Gbit/s}}").bandwidth == Bandwidth(down_bps=10**9)
    assert not service("x-skerry: {bandwidth: {}}").bandwidth
    assert not service("cpus: 1").bandwidth


@pytest.mark.parametrize(
    ("rates", "problem"),
    [
        ("{up: 5MB/s}", "E-TYPE x-skerry/bandwidth/up"),
        ("{up: 0kbit/s}", "E-RANGE x-skerry/bandwidth/up"),
        ("{down: 999999999Gbit/s}", "E-RANGE x-skerry/bandwidth/down"),
        ("{sideways: 1Mbit/s}", "E-UNKNOWN-WORD x-skerry/bandwidth/sideways"),
        ("5Mbit/s", "E-TYPE x-skerry/bandwidth"),
    ],
)
def test_a_rate_that_no_line_has(rates, problem):
    assert refuse(f"x-skerry: {{bandwidth: {rates}}}") == [problem]
