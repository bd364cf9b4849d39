import pytest
from msgspec import UNSET
from tests.manifest.texts import accept, refuse, reject, service

from skerry.model.app import HealthCheck, Probe, Restart


@pytest.mark.parametrize(
    ("fields", "health"),
    [
        ("", None),
        ("healthcheck: {}", None),
        ("healthcheck: {test: curl x}", HealthCheck(test=("CMD-SHELL", "curl x"))),
        ("healthcheck: {test: [CMD, curl, x]}", HealthCheck(test=("CMD", "curl", "x"))),
        ("healthcheck: {test: [CMD-SHELL, 'curl $$X']}", HealthCheck(test=("CMD-SHELL", "curl $$X"))),
        ("healthcheck: {test: [NONE]}", HealthCheck(test=("NONE",))),
        ("healthcheck: {disable: true}", HealthCheck(test=("NONE",))),
        ("healthcheck: {disable: true, test: x}", HealthCheck(test=("NONE",))),
        (
            "healthcheck: {test: x, interval: 1m30s, timeout: 500ms, retries: 5, start_period: 1h, start_interval: 2s}",
            HealthCheck(
                test=("CMD-SHELL", "x"),
                interval_us=90_000_000,
                timeout_us=500_000,
                retries=5,
                start_period_us=3_600_000_000,
                start_interval_us=2_000_000,
            ),
        ),
        ("healthcheck: {test: x, interval: '0', retries: '0'}", HealthCheck(test=("CMD-SHELL", "x"))),
    ],
)
def test_health(fields, health):
    assert service(fields).healthcheck == health


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("healthcheck: {test: [curl, x]}", "E-TYPE healthcheck/test"),
        ("healthcheck: {test: []}", "E-TYPE healthcheck/test"),
        ("healthcheck: {test: [CMD]}", "E-TYPE healthcheck/test"),
        ("healthcheck: {test: x, interval: '5'}", "E-TYPE healthcheck/interval"),
        ("healthcheck: {test: x, retries: -1}", "E-RANGE healthcheck/retries"),
        ("healthcheck: {test: x, retries: many}", "E-TYPE healthcheck/retries"),
        ("healthcheck: {disable: maybe}", "E-TYPE healthcheck/disable"),
        ("stop_grace_period: soon", "E-TYPE stop_grace_period"),
        ("stop_signal: 'kill it'", "E-TYPE stop_signal"),
        ("restart: sometimes", "E-TYPE restart"),
        ("restart: always:3", "E-TYPE restart"),
        ("restart: on-failure:x", "E-TYPE restart"),
        ("restart: 'on-failure:'", "E-TYPE restart"),
        ("deploy: {restart_policy: {condition: often}}", "E-TYPE deploy/restart_policy/condition"),
        ("restart: always\ndeploy: {restart_policy: {condition: none}}", "E-CONFLICT deploy/restart_policy"),
    ],
)
def test_what_is_refused(fields, found):
    assert refuse(fields) == [found]


PROBED = {
    "{tcp: 80}": HealthCheck(test=(), probe=Probe(port=80)),
    "{http: {port: 80}}": HealthCheck(test=(), probe=Probe(port=80, path="/")),
    "{http: {port: 80, path: '/health?deep=1'}, interval: 5s, timeout: 2s, retries: 1, start-period: 1m}": HealthCheck(
        test=(),
        probe=Probe(port=80, path="/health?deep=1"),
        interval_us=5_000_000,
        timeout_us=2_000_000,
        retries=1,
        start_period_us=60_000_000,
    ),
}


@pytest.mark.parametrize("words", PROBED)
def test_an_instance_is_asked_from_outside(words):
    assert service(f"x-skerry: {{health: {words}}}").healthcheck == PROBED[words]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("x-skerry: {health: {}}", "E-TYPE x-skerry/health"),
        ("x-skerry: {health: {tcp: 80, http: {port: 80}}}", "E-CONFLICT x-skerry/health"),
        ("x-skerry: {health: {tcp: 80}}\nhealthcheck: {test: x}", "E-CONFLICT x-skerry/health"),
        ("x-skerry: {health: {tcp: 80}}\nnetwork_mode: none", "E-CONFLICT x-skerry/health"),
        ("x-skerry: {health: {tcp: 0}}", "E-TYPE x-skerry/health/tcp"),
        ("x-skerry: {health: {http: {path: /}}}", "E-TYPE x-skerry/health/http"),
        ("x-skerry: {health: {http: {port: 80, path: health}}}", "E-TYPE x-skerry/health/http/path"),
        ("x-skerry: {health: {http: {port: 80, path: '/a b'}}}", "E-TYPE x-skerry/health/http/path"),
        ("x-skerry: {health: {guest-agent: true, tcp: 80}}", "E-NOT-YET x-skerry/health/guest-agent"),
        ("x-skerry: {runtime: vm}", "E-NOT-YET x-skerry/runtime"),
    ],
)
def test_how_nobody_can_be_asked(fields, found):
    assert refuse(fields) == [found]


def test_a_container_is_what_a_service_is():
    assert service("x-skerry: {runtime: container}") == service("")


@pytest.mark.parametrize(
    ("fields", "restart"),
    [
        ("", Restart()),
        ("restart: no", Restart()),
        ("restart: 'no'", Restart()),
        ("restart: always", Restart(policy="always")),
        ("restart: unless-stopped", Restart(policy="unless-stopped")),
        ("restart: on-failure", Restart(policy="on-failure")),
        ("restart: on-failure:3", Restart(policy="on-failure", max_attempts=3)),
        ("deploy: {restart_policy: {}}", Restart(policy="always")),
        ("deploy: {restart_policy: {condition: none}}", Restart()),
        (
            "deploy: {restart_policy: {condition: any, max_attempts: 2, delay: 5s}}",
            Restart(policy="always", max_attempts=2),
        ),
        (
            "restart: on-failure:2\ndeploy: {restart_policy: {condition: on-failure, max_attempts: 2}}",
            Restart(policy="on-failure", max_attempts=2),
        ),
    ],
)
def test_restart(fields, restart):
    assert service(fields).restart == restart


def test_how_an_instance_is_stopped():
    web = service("stop_grace_period: 1m30s\nstop_signal: sigint")
    assert (web.stop_grace_us, web.stop_signal) == (90_000_000, "SIGINT")
    assert service("").stop_grace_us == 10_000_000
    assert service("stop_signal: '9'").stop_signal == "9"


def chain(depends, extra=""):
    return f"""
        services:
          web:
            image: x
            depends_on: {depends}
          db:
            image: x
            healthcheck: {{test: x}}
            {extra}
        """


@pytest.mark.parametrize(
    ("depends", "found"),
    [
        ("[db]", {"db": "started"}),
        ("{db: {condition: service_started}}", {"db": "started"}),
        ("{db: {condition: service_healthy}}", {"db": "healthy"}),
        ("{db: {condition: service_completed_successfully}}", {"db": "completed"}),
        ("{db: {condition: service_started, required: true, restart: false}}", {"db": "started"}),
        ("{db: {condition: service_started}, no: {condition: service_healthy, required: false}}", {"db": "started"}),
    ],
)
def test_dependencies(depends, found):
    assert accept(chain(depends)).services["web"].depends_on == found


@pytest.mark.parametrize(
    ("depends", "found"),
    [
        ("[db]", UNSET),
        ("{db: {condition: service_started, restart: false}}", UNSET),
        ("{db: {condition: service_healthy, restart: true}}", ("db",)),
    ],
)
def test_what_starts_again_with_its_dependency(depends, found):
    assert accept(chain(depends)).services["web"].restart_with == found


@pytest.mark.parametrize(
    ("depends", "extra", "found"),
    [
        ("[no]", "", "5 E-REFERENCE /services/web/depends_on/0"),
        ("[web]", "", "5 E-REFERENCE /services/web/depends_on/0"),
        ("[db]", "profiles: [debug]", "5 E-REFERENCE /services/web/depends_on/0"),
        ("{db: {condition: service_healthy}}", "depends_on: [web]", "9 E-REFERENCE /services/db/depends_on"),
    ],
)
def test_dependencies_that_cannot_be(depends, extra, found):
    assert reject(chain(depends, extra)) == [found]


def test_waiting_for_health_needs_a_healthcheck():
    for health in ("healthcheck: {disable: true}", "healthcheck: {test: [NONE]}"):
        text = f"""
            services:
              web: {{image: x, depends_on: {{db: {{condition: service_healthy}}}}}}
              db:
                image: x
                {health}
            """
        assert reject(text) == ["3 E-REFERENCE /services/web/depends_on/db"]


def test_waiting_for_health_that_is_asked_from_outside():
    text = """
        services:
          web: {image: x, depends_on: {db: {condition: service_healthy}}}
          db: {image: x, x-skerry: {health: {tcp: 5432}}}
        """
    assert accept(text).services["web"].depends_on == {"db": "healthy"}


def test_a_circle_is_told_once_with_its_way():
    text = """
        services:
          a: {image: x, depends_on: [b]}
          b: {image: x, depends_on: [c]}
          c: {image: x, depends_on: [b]}
          d: {image: x}
        """
    assert reject(text) == ["4 E-REFERENCE /services/b/depends_on"]
