import pytest
from tests.manifest.texts import accept, read, refuse, reject, service, wrap


@pytest.mark.parametrize(
    "name",
    [
        "nginx",
        "nginx:1.27",
        "library/nginx",
        "ghcr.io/a/b-c/d__e:v1.0_x",
        "localhost:5000/x:latest",
        "nginx@sha256:" + "a" * 64,
        "nginx:1@sha256:" + "a" * 64,
        "Registry.example/x",
    ],
)
def test_names_of_images(name):
    (use,) = accept(f"services: {{web: {{image: '{name}'}}}}").images
    assert (use.name, use.service, use.pointer, use.line, use.column) == (name, "web", "/services/web/image", 1, 25)


@pytest.mark.parametrize("name", ["", "NGINX", "a b", "http://x/y", "x:", "x@sha256:1", "/x", "x" * 600])
def test_what_cannot_be_an_image(name):
    assert reject(f"services: {{web: {{image: '{name}'}}}}") == ["1 E-TYPE /services/web/image"]


def test_a_service_needs_an_image():
    assert reject("services: {web: {init: true}}") == ["1 E-TYPE /services/web"]
    assert reject("services: {web: {build: .}}") == ["1 E-FIELD-REFUSED /services/web/build"]
    assert service("build: {context: .}").image.name == "nginx"


def test_plain_fields():
    web = service(
        """
        working_dir: /app
        user: "1000:1000"
        group_add: [video, 44]
        init: true
        tty: "true"
        stdin_open: yes
        read_only: true
        """
    )
    assert (web.working_dir, web.user, web.group_add) == ("/app", "1000:1000", ("video", "44"))
    assert (web.init, web.tty, web.stdin_open, web.read_only) == (True, True, True, True)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("user: 'a b'", "E-TYPE user"),
        ("tty: maybe", "E-TYPE tty"),
        ("pull_policy: build", "E-FIELD-REFUSED pull_policy"),
        ("logging: {driver: syslog}", "E-FIELD-REFUSED logging/driver"),
        ("logging: {driver: loki}", "E-FIELD-REFUSED logging/driver"),
        ("logging: {driver: json-file, options: {loki-url: x}}", "E-FIELD-REFUSED logging/options/loki-url"),
        ("deploy: {mode: replicated-job}", "E-NOT-YET deploy/mode"),
        ("deploy: {mode: global, replicas: 2}", "E-CONFLICT deploy/mode"),
        ("deploy: {mode: anywhere}", "E-TYPE deploy/mode"),
        ("deploy: {endpoint_mode: nat}", "E-TYPE deploy/endpoint_mode"),
        ("container_name: web-1\nscale: 2", "E-CONFLICT container_name"),
        ("links: [nowhere]", "E-REFERENCE links/0"),
        ("links: ['db:db2']\nnetwork_mode: none", "E-REFERENCE links/0"),
    ],
)
def test_what_is_refused(fields, found):
    assert found in refuse(fields)


@pytest.mark.parametrize(
    "fields",
    [
        "pull_policy: never",
        "pull_policy: every_12h",
        "pull_refresh_after: 1h",
        "logging: {driver: json-file, options: {max-size: 10m, max-file: '3'}}",
        "logging: {}",
        "deploy: {mode: replicated, endpoint_mode: dnsrr}",
        "deploy: {mode: global}",
        "logging: {driver: json-file, options: {tag: x}}",
        "attach: false",
    ],
)
def test_what_is_translated(fields):
    manifest = accept(wrap(fields))
    assert any(note.verdict == "translated" for note in manifest.report)


def test_a_name_of_compose_stays_a_name_in_the_networks():
    manifest = accept("services: {My_DB: {image: x, container_name: main_db}, web: {image: x, depends_on: [My_DB]}}")
    assert manifest.services["my-db"].networks == {"default": ("My_DB", "main_db")}
    assert manifest.services["web"].depends_on == {"my-db": "started"}


def test_links_are_names_and_an_order():
    text = """
        services:
          web: {image: x, links: ["db:database", db], networks: [a, b]}
          db: {image: x, networks: [b, c]}
        networks: {a: , b: , c: }
        """
    manifest = accept(text)
    assert manifest.services["db"].networks == {"b": ("database",), "c": ()}
    assert manifest.services["web"].depends_on == {"db": "started"}


def test_links_between_strangers_are_refused():
    text = """
        services:
          web: {image: x, links: ["db:database"], networks: [a]}
          db: {image: x, networks: [b]}
        networks: {a: , b: }
        """
    assert reject(text) == ["3 E-CONFLICT /services/web/links"]
    text = "services: {web: {image: x, links: ['db:api']}, db: {image: x}, api: {image: x}}"
    assert reject(text) == ["1 E-CONFLICT /services/web/links/0"]


def test_every_fault_of_a_service_is_told_at_once():
    fields = """
        imag: x
        privileged: true
        security_opt: ['seccomp:x.json']
        command: "a 'b"
        ports: ["80:x"]
        cpus: many
        x-skerry: {tier: x, tir: y}
        """
    assert [one.code for one in read(wrap(fields)).problems] == [
        "E-UNKNOWN-WORD",
        "E-FIELD-REFUSED",
        "E-NOT-YET",
        "E-TYPE",
        "E-TYPE",
        "E-TYPE",
        "E-REFERENCE",
        "E-UNKNOWN-WORD",
    ]
