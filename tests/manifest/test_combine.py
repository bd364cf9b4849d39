"""Several files become one app: laid over each other, included, extended; each fault told where it stands."""

import textwrap

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.manifest.texts import lines_of

from skerry.manifest.load import load_manifest
from skerry.manifest.values import FileRead, Manifest, Options, Rejected, Unreadable
from skerry.model.ids import digest_of


def load(*texts, variables=None, **files):
    """Load texts in their order; ``files`` lie beside them, ``__`` in a name standing for a slash."""
    beside = {name.replace("__", "/") + ("" if name.endswith("env") else ".yaml"): text for name, text in files.items()}
    beside = {name.replace("/env", "/.env"): textwrap.dedent(text).encode() for name, text in beside.items()}

    def read_file(path):
        found = beside.get(path.removeprefix("./"))
        return Unreadable("does not exist", is_missing=True) if found is None else FileRead(found)

    given_files = [(f"{index}.yaml", textwrap.dedent(text).encode()) for index, text in enumerate(texts)]
    return load_manifest(given_files, variables or {}, options=Options(project="app"), read_file=read_file)


def accept(*texts, **files):
    manifest = load(*texts, **files)
    assert isinstance(manifest, Manifest), lines_of(manifest)
    return manifest


def reject(*texts, **files):
    rejected = load(*texts, **files)
    assert isinstance(rejected, Rejected)
    return [f"{one.file}:{one.line} {one.code} {one.pointer}" for one in rejected.problems]


BASE = "services: {web: {image: nginx, ports: ['80:80'], environment: {A: '1'}}}"


def test_a_second_file_lies_over_the_first():
    manifest = accept(BASE, "services: {web: {environment: ['B=2'], ports: !override ['81:80']}, db: {image: x}}")
    web = manifest.services["web"]
    assert web.environment == {"A": "1", "B": "2"}
    assert [port.published for port in web.ports] == [81]
    assert set(manifest.services) == {"web", "db"}


def test_a_fault_is_told_in_the_file_that_has_it():
    assert reject(BASE, "services:\n  web:\n    tty: z\n") == ["1.yaml:3 E-TYPE /services/web/tty"]
    assert reject(BASE, "services:\n  db:\n    privileged: true\n") == [
        "1.yaml:2 E-TYPE /services/db",
        "1.yaml:3 E-FIELD-REFUSED /services/db/privileged",
    ]


def test_variables_are_put_in_once_and_before_anything_is_merged():
    manifest = accept(
        "services: {web: {image: nginx, command: ['$$A', '$B']}}",
        "services: {web: {environment: {C: '$B'}}}",
        variables={"B": "$A"},
    )
    web = manifest.services["web"]
    assert web.command == ("$$A", "$$A")
    assert web.environment == {"C": "$$A"}


def test_the_source_counts_every_file():
    manifest = accept("include: [sub/a.yaml]\n" + BASE, sub__a="services: {db: {image: x}}")
    assert manifest.source == digest_of(b"include: [sub/a.yaml]\n" + BASE.encode() + b"\0services: {db: {image: x}}")


def test_what_is_included_has_its_own_folder_and_its_own_variables():
    included = """
        services: {db: {image: "x:$TAG", env_file: [vars.env], volumes: ['data:/d']}}
        volumes: {data: }
        """
    manifest = accept(
        BASE + "\ninclude: [{path: sub/a.yaml}]",
        sub__a=included,
        sub__env="TAG=5\nOTHER=no",
        sub__vars="",
        **{"sub__vars.env": "K=v"},
        variables={"OTHER": "x"},
    )
    db = manifest.services["db"]
    assert (db.image.name, db.environment) == ("x:5", {"K": "v"})
    assert set(manifest.volumes) == {"data"}
    (note,) = [one for one in manifest.report if one.pointer == "/include"]
    assert note.verdict == "translated"


def test_an_include_of_several_paths_merges_them_first():
    manifest = accept(
        "include:\n- path: [a.yaml, b.yaml]",
        a="services: {web: {image: x, tty: true}}",
        b="services: {web: {image: y}}",
    )
    assert (manifest.services["web"].image.name, manifest.services["web"].tty) == ("y", True)


def test_faults_of_an_include():
    assert reject(BASE + "\ninclude: [a.yaml]") == ["0.yaml:2 E-REFERENCE /include/0"]
    assert reject(BASE + "\ninclude: a.yaml") == ["0.yaml:2 E-TYPE /include"]
    assert reject(BASE + "\ninclude: [{env_file: x}]") == ["0.yaml:2 E-TYPE /include/0"]
    assert reject(BASE + "\ninclude: ['https://x/a.yaml']") == ["0.yaml:2 E-FIELD-REFUSED /include/0"]
    assert reject(BASE + "\ninclude: [a.yaml]", a="services: {web: {image: other}}") == [
        "0.yaml:2 E-CONFLICT /include/0"
    ]
    assert reject(BASE + "\ninclude: [a.yaml]", a="x-skerry: {labels: {a: b}}") == ["a.yaml:1 E-CONFLICT /x-skerry"]
    assert reject(BASE + "\ninclude: [a.yaml]", a="include: [b.yaml]", b="include: [a.yaml]") == [
        "b.yaml:1 E-REFERENCE /include/0"
    ]
    assert reject(BASE + "\ninclude: [a.yaml]", a="- x") == ["a.yaml:1 E-TYPE "]
    assert reject(BASE + "\ninclude: [{path: a.yaml, env_file: none.env}]", a=BASE) == [
        "0.yaml:2 E-REFERENCE /include/0/env_file"
    ]


def test_the_same_thing_may_be_included_twice():
    accept("include: [a.yaml, b.yaml]", a=BASE, b="include: [c.yaml]\nservices: {db: {image: x}}", c=BASE)


def test_a_service_extends_one_of_the_same_file_and_one_of_another():
    manifest = accept(
        """
        services:
          one: {image: x, environment: {A: '1', B: '1'}, command: [a]}
          two: {extends: one, environment: {B: '2'}}
          three: {extends: {service: two}, command: [b]}
          four: {extends: {service: base, file: sub/common.yaml}, tty: true}
        """,
        sub__common="services: {base: {extends: root, env_file: x.env}, root: {image: y, read_only: true}}",
        **{"sub__x.env": "K=v"},
    )
    three, four = manifest.services["three"], manifest.services["four"]
    assert (three.image.name, three.environment, three.command) == ("x", {"A": "1", "B": "2"}, ("b",))
    assert (four.image.name, four.environment, four.tty, four.read_only) == ("y", {"K": "v"}, True, True)


def test_a_service_of_a_later_file_extends_one_of_an_earlier_file():
    manifest = accept(BASE, "services: {more: {extends: web, ports: !reset []}}")
    assert manifest.services["more"].image.name == "nginx"
    assert manifest.services["more"].ports == ()


def test_faults_of_extends():
    assert reject("services: {a: {extends: b}}") == [
        "0.yaml:1 E-TYPE /services/a",
        "0.yaml:1 E-REFERENCE /services/a/extends",
    ]
    assert reject("services: {a: {image: x, extends: b}, b: {image: x, extends: a}}") == [
        "0.yaml:1 E-REFERENCE /services/a/extends"
    ]
    assert reject("services: {a: {image: x, extends: {service: b, file: n.yaml}}}") == [
        "0.yaml:1 E-REFERENCE /services/a/extends"
    ]
    assert reject("services: {a: {image: x, extends: {service: b, file: n.yaml}}}", n="services: {c: {image: x}}") == [
        "0.yaml:1 E-REFERENCE /services/a/extends"
    ]
    assert reject("services: {a: {image: x, extends: 5}}") == ["0.yaml:1 E-TYPE /services/a/extends"]
    assert reject(
        "services: {a: {image: x, extends: {service: b, file: n.yaml}}}",
        n=("services: {b: {extends: {service: b, file: m.yaml}}}"),
        m="services: {b: {extends: {service: b, file: n.yaml}}}",
    ) == ["n.yaml:1 E-REFERENCE /services/b/extends"]


def test_chains_are_limited():
    services = ", ".join(f"s{index}: {{extends: s{index + 1}}}" for index in range(50))
    assert "0.yaml:1 E-REFERENCE /services/s16/extends" in reject(f"services: {{{services}, s50: {{image: x}}}}")
    files = {f"f{index}": f"include: [f{index + 1}.yaml]" for index in range(50)}
    (found,) = reject(BASE + "\ninclude: [f0.yaml]", **files, f50=BASE)
    assert found.startswith("f15.yaml:1 E-LIMIT")


def test_the_number_of_files_is_limited():
    names = ", ".join(f"f{index}.yaml" for index in range(80))
    found = reject(
        BASE + f"\ninclude: [{names}]", **{f"f{index}": f"services: {{s{index}: {{image: x}}}}" for index in range(80)}
    )
    assert any("E-LIMIT /include/64" in line for line in found)


WORDS = st.sampled_from(
    [
        "services",
        "web",
        "db",
        "image",
        "x",
        "extends",
        "include",
        "path",
        "file",
        "service",
        "a.yaml",
        "b.yaml",
        "env_file",
        "ports",
        "volumes",
        "environment",
        "A=1",
        "./x:/x",
        "depends_on",
        "networks",
        "configs",
        "x-skerry",
        "placement",
        "command",
        "labels",
        "build",
    ]
)
VALUES = st.recursive(
    WORDS | st.none() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)
TAGS = st.sampled_from(["", "", "", "!reset ", "!override "])


@st.composite
def texts(draw):
    def flow(value):
        tag = draw(TAGS)
        match value:
            case dict():
                return tag + "{" + ", ".join(f'"{key}": {flow(item)}' for key, item in value.items()) + "}"
            case list():
                return tag + "[" + ", ".join(map(flow, value)) + "]"
            case None:
                return "null"
            case _:
                return f'{tag}"{value}"'

    services = draw(
        st.dictionaries(st.sampled_from(["web", "db"]), st.dictionaries(WORDS, VALUES, max_size=4), max_size=2)
    )
    top = draw(st.dictionaries(WORDS, VALUES, max_size=2))
    return flow({**top, "services": services})


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts(), texts(), texts(), texts())
def test_no_set_of_files_breaks_the_room(one, other, a, b):
    result = load(one, other, a=a, b=b)
    assert isinstance(result, Manifest) or result.problems
