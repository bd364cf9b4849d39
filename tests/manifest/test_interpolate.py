"""Variables of the client are put in at apply; those of an instance stay, and nothing is expanded twice."""

import pytest
from tests.manifest.texts import accept, read, refuse, reject, service, wrap

from skerry.manifest.interpolate import resolve_text
from skerry.model.variables import VariableError, expand

VARIABLES = {"A": "a", "EMPTY": "", "DOLLAR": "x$y${z}", "BRACE": "x}y"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$A-${A}", "a-a"),
        ("$$A", "$A"),
        ("${NO:-b}", "b"),
        ("${EMPTY:-b}|${EMPTY-b}", "b|"),
        ("${A:+b}|${NO:+b}", "b|"),
        ("${NO:-${A}${NO:-c}}", "ac"),
        ("${DOLLAR}", "x$y${z}"),
    ],
)
def test_apply_time(text, result):
    assert resolve_text(text, VARIABLES, keep=False) == result


@pytest.mark.parametrize(
    ("text", "kept", "at_site"),
    [
        ("$A", "a", "a"),
        ("$$A", "$$A", "$A"),
        ("${DOLLAR}", "x$$y$${z}", "x$y${z}"),
        ("$SKERRY_SITE", "${SKERRY_SITE}", "oslo"),
        ("${SKERRY_SITE}-$A", "${SKERRY_SITE}-a", "oslo-a"),
        ("${SKERRY_LABEL_X:-$A}", "${SKERRY_LABEL_X:-a}", "a"),
        ("${SKERRY_LABEL_X:-$DOLLAR}", None, None),
        ("${SKERRY_LABEL_X:-$$b}", "${SKERRY_LABEL_X:-$$b}", "$b"),
        ("${SKERRY_LABEL_X:-${SKERRY_SITE}}", "${SKERRY_LABEL_X:-${SKERRY_SITE}}", "oslo"),
        ("${NO:-${SKERRY_SITE}}", "${SKERRY_SITE}", "oslo"),
        ("${SKERRY_SITE:+$A}", "${SKERRY_SITE:+a}", "a"),
        ("${BRACE}", "x}y", "x}y"),
        ("${SKERRY_LABEL_X:-$BRACE}", None, None),
    ],
)
def test_instance_time(text, kept, at_site):
    if kept is None:
        with pytest.raises(VariableError, match="closing brace"):
            resolve_text(text, VARIABLES, keep=True)
        return
    assert resolve_text(text, VARIABLES, keep=True) == kept
    assert expand(kept, {"SKERRY_SITE": "oslo"}.get) == at_site


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("environment: {A: '${SKERRY_SITE}'}", lambda web: web.environment["A"]),
        ("environment: ['A=${SKERRY_SITE}']", lambda web: web.environment["A"]),
        ("environment: [SKERRY_SITE]", lambda web: web.environment["SKERRY_SITE"]),
        ("command: ['${SKERRY_SITE}']", lambda web: web.command[0]),
        ("command: x ${SKERRY_SITE}", lambda web: web.command[1]),
        ("entrypoint: ['${SKERRY_SITE}']", lambda web: web.entrypoint[0]),
        ("hostname: ${SKERRY_SITE}", lambda web: web.hostname),
        ("labels: {A: '${SKERRY_SITE}'}", lambda web: web.labels["A"]),
        ("healthcheck: {test: [CMD, '${SKERRY_SITE}']}", lambda web: web.healthcheck.test[1]),
        ("healthcheck: {test: '${SKERRY_SITE}'}", lambda web: web.healthcheck.test[1]),
    ],
)
def test_fields_where_instances_may_differ(field, value):
    assert value(service(field)) == "${SKERRY_SITE}"


def test_hosts_may_differ_too():
    assert service("extra_hosts: ['hq:${SKERRY_LABEL_HQ:-10.0.0.1}']").extra_hosts == (
        "hq:${SKERRY_LABEL_HQ:-10.0.0.1}",
    )


@pytest.mark.parametrize(
    ("field", "pointer"),
    [
        ("working_dir: /${SKERRY_SITE}", "working_dir"),
        ("user: $SKERRY_SITE", "user"),
        ("volumes: ['$SKERRY_SITE:/x']", "volumes/0"),
        ("ports: ['${SKERRY_INDEX}:80']", "ports/0"),
        ("healthcheck: {test: x, interval: '${SKERRY_SITE}'}", "healthcheck/interval"),
        ("cap_add: ['${SKERRY_SITE}']", "cap_add/0"),
        ("x-skerry: {placement: {node: '$SKERRY_SITE'}}", "x-skerry/placement/node"),
        ("domainname: ${NO:-$SKERRY_SITE}", "domainname"),
    ],
)
def test_what_runs_is_the_same_everywhere(field, pointer):
    assert refuse(field) == [f"E-INTERPOLATION {pointer}"]


def test_an_image_cannot_differ_between_sites():
    assert reject("services: {web: {image: 'nginx:${SKERRY_SITE}'}}") == ["1 E-INTERPOLATION /services/web/image"]


def test_a_set_variable_hides_a_default_that_would_differ():
    assert service("domainname: ${A:-$SKERRY_SITE}", {"A": "a"}).domainname == "a"


@pytest.mark.parametrize(
    "text",
    ["$NO", "${NO}", "${NO:?say it}", "${EMPTY:?say it}", "$", "a$-b", "${", "${A", "${}", "${A!b}", "${A:-" * 20],
)
def test_what_cannot_be_resolved_is_told_once(text):
    assert refuse(f"environment: {{A: '{text}'}}", {"EMPTY": ""}) == ["E-INTERPOLATION environment/A"]
    assert refuse(f"ports: ['{text}:80']", {"EMPTY": ""}) == ["E-INTERPOLATION ports/0"]


def test_the_message_of_a_required_variable_is_shown():
    (problem,) = read(wrap("user: ${NO:?who are you}")).problems
    assert problem.detail == "variable NO: who are you"


def test_extension_fields_are_left_alone_until_they_are_used():
    text = """
        x-shared: &shared {A: "${SKERRY_SITE}", B: "$A"}
        x-unused: {C: "$NO", D: "$"}
        services: {web: {image: nginx, environment: {<<: *shared, x-own: "$A"}}}
        """
    manifest = accept(text, VARIABLES)
    assert manifest.services["web"].environment == {"A": "${SKERRY_SITE}", "B": "a", "x-own": "a"}


def test_a_value_cannot_add_yaml():
    web = service("command: ['$EVIL']", {"EVIL": "x]\nprivileged: true"})
    assert web.command == ("x]\nprivileged: true",)


def test_a_value_that_no_text_can_hold_is_refused():
    assert refuse("command: ['$A']", {"A": "a\0b"}) == ["E-INTERPOLATION command/0"]
    assert refuse("environment: [A]", {"A": "\udc80"}) == ["E-INTERPOLATION environment/0"]


def test_a_thousand_variables_are_enough():
    many = ", ".join(f"'{'$A' * 100}'" for _ in range(11))
    assert refuse(f"command: [{many}]", {"A": "a"}) == ["E-LIMIT command/10"]


def test_long_values_are_not_multiplied():
    assert refuse(f"command: ['{'$A' * 900}']", {"A": "x" * 100_000}) == ["E-LIMIT command/0"]
    assert refuse("command: ['$A']", {"A": "x" * 300_000}) == ["E-LIMIT command/0"]
