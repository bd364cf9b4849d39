"""The table has every field of the pinned schema, says the truth about each, and drops nothing."""

import pytest
from tests.manifest.texts import accept, read, refuse, wrap

from skerry.manifest.fields import FIELDS
from skerry.manifest.schema import compose_schema
from skerry.manifest.values import Rejected


def list_paths(schema, path, whole):
    """Yield the path of every field of the schema, but for those below a row that is whole."""
    schema = resolve(schema)
    for branch in schema.get("oneOf", []):
        yield from list_paths(branch, path, whole)
    if path in whole:
        return
    for name, inner in schema.get("properties", {}).items():
        child = f"{path}.{name}" if path else name
        yield child
        yield from list_paths(inner, child, whole)
    for pattern, inner in schema.get("patternProperties", {}).items():
        if pattern != "^x-":
            yield f"{path}.*"
            yield from list_paths(inner, f"{path}.*", whole)
    if "items" in schema:
        yield from list_paths(schema["items"], f"{path}[]", whole)


def resolve(schema):
    reference = schema.get("$ref")
    return compose_schema()["definitions"][reference.removeprefix("#/definitions/")] if reference else schema


def test_every_field_of_compose_has_a_row_and_every_row_a_field():
    whole = {path for path, row in FIELDS.items() if row.whole}
    assert set(list_paths(compose_schema(), "", whole)) == set(FIELDS)


def test_a_field_that_the_table_lacks_is_found():
    whole = {path for path, row in FIELDS.items() if row.whole}
    schema = {"properties": {**compose_schema()["properties"], "newer": {"type": "string"}}}
    assert set(list_paths(schema, "", whole)) - set(FIELDS) == {"newer"}


def test_every_refusal_has_its_reason_and_every_translation_its_result():
    for path, row in FIELDS.items():
        assert row.reason or row.letter not in "RT" or not row.built, path


#: A value for each field of a service that is refused whatever it says, or not built.
VALUES = {
    "cgroup": "host",
    "cgroup_parent": "x",
    "cpu_count": "1",
    "cpu_percent": "1",
    "cpu_rt_period": "1",
    "cpu_rt_runtime": "1",
    "credential_spec": "{file: x}",
    "external_links": "[x]",
    "isolation": "x",
    "mem_swappiness": "1",
    "models": "[x]",
    "oom_kill_disable": "true",
    "provider": "{type: x}",
    "runtime": "x",
    "use_api_socket": "true",
    "deploy.resources.reservations.generic_resources": "[{discrete_resource_spec: {kind: x, value: 1}}]",
    "networks.*.link_local_ips": "[x]",
    "volumes[].image": "{subpath: x}",
}


def code_of(row):
    return "E-FIELD-REFUSED" if row.letter == "R" else "E-NOT-YET"


def test_every_refused_field_of_a_service_is_tried_here():
    refused = {
        path.removeprefix("services.*.")
        for path, row in FIELDS.items()
        if path.startswith("services.*.") and (row.letter == "R" or not row.built)
    }
    assert refused == set(VALUES)
    assert all(row.judged or not row.built for row in FIELDS.values() if row.letter == "G")


#: Where a field does not stand alone: the text around it.
AROUND = {
    "depends_on": "depends_on: {{db: {{condition: service_started, {}}}}}",
    "networks": "networks: {{default: {{{}}}}}",
    "volumes[]": "volumes: [{{type: volume, source: v, target: /v, {}}}]",
    "deploy.resources.reservations": "deploy: {{resources: {{reservations: {{{}}}}}}}",
    "deploy": "deploy: {{{}}}",
}


@pytest.mark.parametrize("path", VALUES)
def test_a_refused_field_is_refused_at_its_key(path):
    home, _, name = path.rpartition(".")
    field = f"{name}: {VALUES[path]}"
    text = wrap(AROUND[home.removesuffix(".*")].format(field) if home else field, "volumes: {v: }")
    rejected = read(text.replace("services:\n", "services:\n  db: {image: x}\n"))
    assert isinstance(rejected, Rejected)
    (problem,) = rejected.problems
    assert problem.pointer.endswith(f"/{name}")
    assert problem.code == code_of(FIELDS[f"services.*.{path}"])


@pytest.mark.parametrize(
    ("top", "found"),
    [
        ("models: {a: {model: x}}", "E-FIELD-REFUSED /models"),
        ("networks: {a: {external: true}}", "E-NOT-YET /networks/a/external"),
        ("networks: {a: {enable_ipv4: false}}", "E-NOT-YET /networks/a/enable_ipv4"),
        ("networks: {a: {driver_opts: {a: b}}}", "E-FIELD-REFUSED /networks/a/driver_opts/a"),
        ("networks: {a: {driver: ipvlan}}", "E-TYPE /networks/a/driver"),
        ("networks: {a: {driver: host}}", "E-FIELD-REFUSED /networks/a/driver"),
        ("networks: {a: {driver: weave}}", "E-FIELD-REFUSED /networks/a/driver"),
        ("networks: {a: {ipam: {driver: dhcp}}}", "E-FIELD-REFUSED /networks/a/ipam/driver"),
        ("networks: {a: {ipam: {options: {a: b}}}}", "E-FIELD-REFUSED /networks/a/ipam/options/a"),
        ("volumes: {a: {external: true}}", "E-NOT-YET /volumes/a/external"),
        ("volumes: {a: {driver: nfs}}", "E-FIELD-REFUSED /volumes/a/driver"),
        ("volumes: {a: {driver_opts: {type: nfs}}}", "E-NOT-YET /volumes/a/driver_opts"),
        ("volumes: {a: {driver_opts: {type: cifs}}}", "E-FIELD-REFUSED /volumes/a/driver_opts"),
        ("secrets: {a: {external: true, driver: x}}", "E-FIELD-REFUSED /secrets/a/driver"),
        ("secrets: {a: {external: true, template_driver: x}}", "E-FIELD-REFUSED /secrets/a/template_driver"),
        ("configs: {a: {external: true}}", "E-FIELD-REFUSED /configs/a/external"),
        ("configs: {a: {content: x, template_driver: x}}", "E-FIELD-REFUSED /configs/a/template_driver"),
    ],
)
def test_the_top_level(top, found):
    assert refuse("", top=top) == [found]


def test_values_that_ask_for_nothing_are_taken():
    fields = "privileged: false\noom_kill_disable: 'false'\nuse_api_socket: false\n"
    top = "networks: {a: {external: false, enable_ipv6: false, enable_ipv4: true, attachable: true, driver: bridge}}"
    accept(wrap(fields, top))


def test_the_report_names_every_field_once():
    manifest = accept(wrap("container_name: web-1\nattach: false\nx-mine: 5\ndevelop:", "version: '3'\n"))
    verdicts = {note.pointer.rpartition("/")[2]: note.verdict for note in manifest.report}
    assert verdicts == {
        "version": "translated",
        "image": "honoured",
        "container_name": "translated",
        "attach": "translated",
        "develop": "translated",
    }


def test_the_report_of_a_refused_file_says_what_was_refused():
    rejected = read(wrap("privileged: true\ndeploy: {mode: replicated-job}"))
    verdicts = {note.pointer.rpartition("/")[2]: note.verdict for note in rejected.report}
    assert verdicts == {"image": "honoured", "privileged": "refused", "deploy": "honoured", "mode": "not-yet"}


@pytest.mark.parametrize(
    ("fields", "top"),
    [
        ("deploy: {x-skerry: {}}", ""),
        ("healthcheck: {test: x, x-skerry: {}}", ""),
        ("", "configs: {a: {content: x, x-skerry: {}}}"),
    ],
)
def test_our_own_words_where_nobody_reads_them_are_refused(fields, top):
    (found,) = refuse(fields, top=top)
    assert found.startswith("E-UNKNOWN-WORD")
    assert found.endswith("x-skerry")
