"""The schema for editors: it takes what Skerry takes, and finds at the same place what has no form."""

import json

import pytest
from jsonschema import Draft7Validator
from tests.manifest import corpus
from tests.manifest.test_load_corpus import ACCEPTED, ACCEPTED_WHEN_PUSHED
from tests.manifest.test_words import UNBUILT
from tests.manifest.texts import DATA, wrap

from skerry.manifest.editor import write_schema
from skerry.manifest.nodes import to_plain
from skerry.manifest.tree import read_documents
from skerry.manifest.words import TOP

SCHEMA = json.loads(write_schema())
VALIDATOR = Draft7Validator(SCHEMA)


def find(content):
    """Return the places that an editor would mark, outermost of each choice."""
    documents, problems = read_documents(content if isinstance(content, bytes) else content.encode(), "x")
    assert not problems
    (document,) = documents
    return ["/".join(map(str, error.absolute_path)) for error in VALIDATOR.iter_errors(to_plain(document))]


def test_it_is_a_schema():
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("stem", sorted(ACCEPTED | ACCEPTED_WHEN_PUSHED), ids=lambda stem: stem[:40])
def test_what_is_accepted_has_no_mark(stem):
    assert find(corpus.read_bytes(stem)) == []


@pytest.mark.parametrize("name", ["pos", "branch-edge", "dock-cameras"])
def test_the_examples_have_no_mark_built_or_not(name):
    assert find((DATA / "manifest" / f"{name}.yaml").read_bytes()) == []


@pytest.mark.parametrize("word", sorted(UNBUILT))
def test_every_word_of_the_top_is_known_in_both_forms(word):
    assert find(wrap("", f"x-skerry: {{{word}: {UNBUILT[word]}}}")) == []
    assert find(f"{{app: x, compose: ./y.yaml, {word}: {UNBUILT[word]}}}") == []


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (wrap("", "x-skerry: {labls: {}}"), "x-skerry"),
        (wrap("", "x-skerry: {rollout: {cannary: 5}}"), "x-skerry/rollout"),
        (wrap("", "x-skerry: {autonomy: {max-offline: 30 days}}"), "x-skerry/autonomy/max-offline"),
        (wrap("", "x-skerry: {autonomy: {offline: never}}"), "x-skerry/autonomy/offline"),
        (wrap("", "x-skerry: {placement: {replicas: {total: 0}}}"), "x-skerry/placement/replicas/total"),
        (wrap("x-skerry: {health: {tcp: web}}"), "services/web/x-skerry/health/tcp"),
        (wrap("imagee: x"), "services/web"),
        (wrap("", "secrets: {a: {external: true, x-skerry: {on_rotate: none}}}"), "secrets/a/x-skerry"),
        ("{app: x, compose: ./y.yaml, tier: z}", ""),
        ("{apiVersion: skerry.dev/v1, kind: Area, metadata: {name: a}, spec: {areas: [b]}}", "spec"),
        ("{apiVersion: skerry.dev/v1, kind: Site, metadata: {name: a}, spec: {}}", "kind"),
        (
            "{apiVersion: skerry.dev/v1, kind: UserGroup, metadata: {name: a}, spec: {points: [{lat: north}]}}",
            "spec/points",
        ),
        ("{app: x, compose: ./y.yaml, services: {web: {image: z}}}", "services/web"),
    ],
)
def test_what_has_no_form_is_marked(text, marked):
    assert find(text) == [marked]


def test_documents_of_kinds_have_no_mark():
    head = "apiVersion: skerry.dev/v1, metadata: {name: a}"
    assert find(f"{{{head}, kind: Area, spec: {{countries: [NO], not: {{countries: SE}}}}}}") == []
    assert find(f"{{{head}, kind: UserGroup, spec: {{points: [{{lat: 60, lon: 11, weight: 3}}]}}}}") == []


def test_a_variable_may_stand_for_what_is_not_text():
    assert find(wrap("", 'x-skerry: {autonomy: {offline: $MODE, max-offline: "${AGE:-30d}"}}')) == []


def test_an_editor_shows_what_explain_says():
    autonomy = SCHEMA["definitions"]["x-skerry-app"]["properties"]["autonomy"]
    assert autonomy["allOf"] == [{"$ref": "#/definitions/x-skerry-app-autonomy"}]
    assert autonomy["description"] == "what holds while a site is cut off"
    shown = SCHEMA["definitions"]["x-skerry-app"]["properties"]
    assert [word.name for word in TOP] == list(shown)
    assert "Not built yet" in shown["dataflow"]["description"]
