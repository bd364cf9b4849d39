"""Files become an app or a list of problems; nothing else ever comes out, whatever the bytes are."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.manifest.texts import DATA, accept, read, reject, wrap

from skerry.manifest.load import load_manifest, load_stream
from skerry.manifest.values import FileRead, Manifest, Options, Rejected, Stream, Unreadable
from skerry.model.geography import Region
from skerry.model.ids import digest_of

OVERLAY = b"app: shop\nplacement: {sites: tier=store}\nservices: {web: {placement: {node: arch=arm64}}}\n"
COMPOSE = b"name: other\nservices: {web: {image: x}}\nx-skerry: {placement: {sites: a}, description: kept}\n"


def load(*files, **beside):
    def read_file(path):
        name = path.removeprefix("./").removesuffix(".yaml")
        return FileRead(beside[name]) if name in beside else Unreadable("does not exist", is_missing=True)

    return load_manifest(files, {}, read_file=read_file)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["1 E-TYPE "]),
        ("# nothing", ["1 E-TYPE "]),
        ("---", ["1 E-TYPE "]),
        ("[1]", ["1 E-TYPE "]),
        ("text", ["1 E-TYPE "]),
        ("a: [", ["1 E-YAML "]),
        ("services: [1]", ["1 E-TYPE /services"]),
        ("services: {web: {image: x}}\n---\nservices: {web: {image: x}}", ["1 E-TYPE ", "3 E-TYPE "]),
        ("apiVersion: skerry.dev/v1\nkind: Site", ["2 E-NOT-YET /kind"]),
        ("apiVersion: skerry.dev/v1\nkind: Area\nmetadata: {name: a}\nspec: {countries: NO}", ["1 E-TYPE "]),
        ("app: x\nhelm: {chart: y}", ["2 E-NOT-YET /helm"]),
        ("app: x", ["1 E-TYPE "]),
    ],
)
def test_what_is_no_app(text, found):
    assert reject(text) == found


def test_no_file_is_no_app():
    assert isinstance(load(), Rejected)


def test_problems_come_in_the_order_of_the_text():
    text = "volumes: {v: {driver: x}}\nservices:\n  b: {privileged: true, image: 5}\n  a: {image: x, tty: z}\nx: 1"
    assert reject(text) == [
        "1 E-FIELD-REFUSED /volumes/v/driver",
        "3 E-FIELD-REFUSED /services/b/privileged",
        "3 E-TYPE /services/b/image",
        "4 E-TYPE /services/a/tty",
        "5 E-UNKNOWN-WORD /x",
    ]


def test_a_doubled_key_hides_no_other_problem():
    assert reject("services:\n  web: {image: x}\n  web: {image: y}\nwibble: 1") == [
        "3 E-YAML ",
        "4 E-UNKNOWN-WORD /wibble",
    ]


def test_the_source_is_the_digest_of_the_text():
    assert accept("services: {web: {image: x}}").source == digest_of(b"services: {web: {image: x}}")


def test_an_overlay_of_a_file_beside_it():
    manifest = load(("overlay.yaml", OVERLAY), ("compose.yaml", COMPOSE))
    assert isinstance(manifest, Manifest)
    placement = manifest.services["web"].placement
    assert (manifest.app, manifest.description) == ("shop", "kept")
    assert (placement.sites.match, placement.node) == (("tier=store",), ("arch=arm64",))
    assert manifest.source == digest_of(OVERLAY + b"\0" + COMPOSE)
    note = next(note for note in manifest.report if note.pointer == "/x-skerry/placement")
    assert note.detail == "the overlay says it instead"


@pytest.mark.parametrize("compose", [b"./compose.yaml", b"[compose.yaml]"])
def test_an_overlay_of_a_file_that_it_names(compose):
    manifest = load(("overlay.yaml", OVERLAY + b"compose: " + compose), compose=COMPOSE)
    assert isinstance(manifest, Manifest)
    assert manifest.source == digest_of(OVERLAY + b"compose: " + compose + b"\0" + COMPOSE)


def test_an_overlay_with_the_text_inside():
    manifest = load(("o.yaml", OVERLAY + b"compose: {services: {web: {image: x, environment: {A: '$SKERRY_SITE'}}}}"))
    assert isinstance(manifest, Manifest)
    assert manifest.services["web"].environment == {"A": "${SKERRY_SITE}"}


@pytest.mark.parametrize(
    ("overlay", "found"),
    [
        (b"compose: ./none.yaml", "o.yaml:4 E-REFERENCE /compose"),
        (b"compose: 5", "o.yaml:4 E-REFERENCE /compose"),
        (b"compose: {services: {db: {image: x}}}", "o.yaml:3 E-REFERENCE /services/web"),
        (b"compose: {services: {web: {image: x, tty: z}}}", "o.yaml:4 E-TYPE /compose/services/web/tty"),
        (b"compose: [compose.yaml, none.yaml]", "o.yaml:4 E-REFERENCE /compose/1"),
        (b"compose: [compose.yaml, bad.yaml]", "bad.yaml:1 E-TYPE /services/web/tty"),
        (b"compose: bad.yaml", "bad.yaml:1 E-TYPE /services/web/tty"),
        (b"compose: compose.yaml\nlogs: sealed", "o.yaml:5 E-NOT-YET /logs"),
        (b"compose: compose.yaml\nplacment: 5", "o.yaml:5 E-UNKNOWN-WORD /placment"),
    ],
)
def test_faults_of_an_overlay(overlay, found):
    rejected = load(("o.yaml", OVERLAY + overlay), compose=COMPOSE, bad=b"services: {web: {image: x, tty: z}}")
    assert isinstance(rejected, Rejected)
    assert f"{found}" in [f"{one.file}:{one.line} {one.code} {one.pointer}" for one in rejected.problems]


def test_an_overlay_lies_over_several_compose_files():
    manifest = load(
        ("o.yaml", OVERLAY + b"compose: [compose.yaml, more.yaml]"),
        compose=COMPOSE,
        more=b"services: {web: {tty: true}}",
    )
    assert manifest.services["web"].tty


def test_all_files_together_have_a_limit():
    rejected = load(*((f"{index}.yaml", b"#" * 2**20) for index in range(5)))
    assert [one.code for one in rejected.problems] == ["E-LIMIT"]


def test_an_app_that_no_site_would_take_is_told_before_it_is_signed():
    rejected = read(wrap("labels: {a: $A, b: $A, c: $A, d: $A, e: $A}"), {"A": "x" * 250_000})
    assert [one.code for one in rejected.problems] == ["E-LIMIT"]


def test_the_demo_apps_are_accepted_as_they_are():
    for name in ("docker-awesome-compose__wordpress-mysql-compose", "mqtt-flows-database.compose"):
        accept((DATA / "compose" / f"{name}.yaml").read_bytes())


KNOWN = """
    services web image nginx x-skerry placement sites ports 80:80 volumes data environment command $A ${SKERRY_SITE}
    deploy resources limits healthcheck test configs secrets networks depends_on db name app compose * 5 /x ./x external
    file <<
    """
WORDS = st.sampled_from([*KNOWN.split(), "", "a b"])
FIELDS = st.sampled_from(["image", "ports", "volumes", "environment", "command", "deploy", "networks", "x-skerry"])
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers(-1, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)
QUICK = settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def flow(value):
    """Write a value as YAML in flow style."""
    match value:
        case dict():
            return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str():
            return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
        case None:
            return "null"
        case _:
            return str(value).lower()


@QUICK
@given(VALUES)
def test_no_tree_of_known_words_breaks_the_room(value):
    check_total(flow(value).encode())


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(["image", "ports", "volumes", "environment", "command", "deploy", "networks"]), VALUES
    )
)
def test_no_service_breaks_the_room(fields):
    check_total(flow({"services": {"web": {"image": "x", **fields}}, "volumes": {"data": None}}).encode())


@QUICK
@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,? \n\t<", max_size=200))
def test_no_text_breaks_the_room(text):
    check_total(text.encode("utf-8", "surrogatepass"))


@QUICK
@given(st.binary(max_size=200))
def test_no_bytes_break_the_room(content):
    check_total(content)


def check_total(content):
    result = load_manifest([("x", content)], {"A": "a"}, options=Options(project="app"))
    assert isinstance(result, Manifest) or result.problems


# --- streams ---------------------------------------------------------------------------------------------------------

AREA = "apiVersion: skerry.dev/v1\nkind: Area\nmetadata: {name: nordics}\nspec: {countries: [NO, SE]}\n"
ONE = "app: one\ncompose: {services: {web: {image: x}}}\nplacement: {geofence: {areas: nordics}}\n"
TWO = "app: two\ncompose: {services: {web: {image: y}}}\n"


def stream(*texts, **options):
    files = [(f"{index}.yaml", text.encode()) for index, text in enumerate(texts)]
    return load_stream(files, {}, options=Options(**options))


def told(*texts, **options):
    found = stream(*texts, **options)
    assert isinstance(found, Rejected)
    return [f"{one.file}:{one.line} {one.code} {one.detail}" for one in found.problems]


def test_apps_and_kinds_share_a_stream_in_any_order():
    found = stream(f"{ONE}---\n{AREA}---\n{TWO}")
    assert isinstance(found, Stream)
    assert [app.app for app in found.apps] == ["one", "two"]
    assert [(each.kind, each.name, each.content) for each in found.definitions] == [
        ("area", "nordics", Region(countries=("NO", "SE")))
    ]
    assert found.apps[0].brought == found.definitions
    assert [(use.kind, use.name, use.line) for use in found.apps[0].uses] == [("area", "nordics", 3)]
    apart = stream(ONE, AREA)
    assert isinstance(apart, Stream)
    assert apart.definitions[0].file == "1.yaml"


def test_a_compose_text_beside_definitions_in_a_file_of_their_own():
    found = stream(AREA, "services: {web: {image: x}}", folder="shop")
    assert isinstance(found, Stream)
    assert [app.app for app in found.apps] == ["shop"]
    assert len(found.definitions) == 1


def test_all_errors_of_a_stream_at_once_with_their_places():
    bad = "apiVersion: skerry.dev/v1\nkind: Area\nmetadata: {name: x}\nspec: {countries: Norway}\n"
    assert told(f"{bad}---\n{ONE}wibble: 1\n---\n{TWO}wobble: 1\n") == [
        '0.yaml:4 E-TYPE "Norway" is not a country: write two letters, such as NO',
        "0.yaml:9 E-UNKNOWN-WORD unknown word",
        "0.yaml:13 E-UNKNOWN-WORD unknown word",
    ]


@pytest.mark.parametrize(
    ("texts", "problems"),
    [
        ((f"{AREA}---\n{AREA}",), ["0.yaml:6 E-CONFLICT nordics is defined twice, first in line 1"]),
        ((AREA, AREA), ["1.yaml:1 E-CONFLICT nordics is defined twice, first in 0.yaml, line 1"]),
        (
            (f"{ONE}---\n{ONE}",),
            ["0.yaml:1 E-CONFLICT the app one stands here twice"] * 1
            + ["0.yaml:5 E-CONFLICT the app one stands here twice"],
        ),
        (
            (f"{ONE}---\n{TWO}", "services: {web: {image: x}}"),
            ["1.yaml:1 E-CONFLICT which of the 2 apps it belongs to is not said"],
        ),
        (
            (f"{AREA}---\nservices: {{web: {{image: x}}}}\n",),
            ["0.yaml:6 E-TYPE a Compose text stands alone in its file"],
        ),
        (
            ("---\n".join([AREA.replace("nordics", f"a{index}") for index in range(60)]),) * 2,
            ["0.yaml:1 E-LIMIT all files together have at most 100 documents, these have 120"],
        ),
    ],
)
def test_streams_that_do_not_say_what_is_meant(texts, problems):
    assert told(*texts) == problems


def test_one_name_is_not_given_to_several_apps():
    assert told(f"{ONE}---\n{TWO}", project="all") == [
        "0.yaml:5 E-CONFLICT there are 2 apps, and one name is given for all"
    ]


def test_an_empty_document_in_a_stream_says_nothing():
    found = stream(f"---\n---\n{AREA}---\n")
    assert isinstance(found, Stream)
    assert len(found.definitions) == 1


def test_one_app_is_read_with_what_it_brings():
    manifest = load(("x.yaml", f"{ONE}---\n{AREA}".encode()))
    assert isinstance(manifest, Manifest)
    assert [each.name for each in manifest.brought] == ["nordics"]
    several = load(("x.yaml", f"{ONE}---\n{TWO}".encode()))
    assert isinstance(several, Rejected)
    assert [one.detail for one in several.problems] == ["one app is meant here, and there are 2"]
