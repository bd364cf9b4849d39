import pytest
from tests.manifest.texts import accept, reject

PROFILES = """
    services:
      web: {image: x}
      debug: {image: y, profiles: [debug], privileged: true}
      both: {image: x, profiles: [debug, test]}
    """


def test_services_without_profile_are_always_on():
    manifest = accept(PROFILES)
    assert set(manifest.services) == {"web"}
    notes = {note.pointer: note.detail for note in manifest.report}
    assert notes["/services/debug"] == "left out: none of its profiles is switched on"


def test_a_profile_switches_services_on():
    assert set(accept(PROFILES, profiles=frozenset({"test"})).services) == {"web", "both"}
    assert reject(PROFILES, profiles=frozenset({"debug"})) == ["4 E-FIELD-REFUSED /services/debug/privileged"]
    assert reject(PROFILES, profiles=frozenset({"*"})) == ["4 E-FIELD-REFUSED /services/debug/privileged"]


def test_an_app_runs_something():
    assert reject("services: {web: {image: x, profiles: [a]}}") == ["1 E-REFERENCE /services"]
    assert reject("services: {}") == ["1 E-REFERENCE /services"]
    assert reject("volumes: {a: }") == ["1 E-TYPE "]


@pytest.mark.parametrize(
    ("text", "project", "name"),
    [
        ("name: shop\nservices: {web: {image: x}}", None, "shop"),
        ("name: shop\nservices: {web: {image: x}}", "other", "other"),
        ("name: my_shop\nservices: {web: {image: x}}", None, "my-shop"),
        ("services: {web: {image: x}}", "Web_Shop", "web-shop"),
    ],
)
def test_the_name_of_the_app(text, project, name):
    assert accept(text, project=project).app == name


def test_an_app_has_a_name():
    assert reject("services: {web: {image: x}}", project=None) == ["1 E-TYPE "]
    assert reject("services: {web: {image: x}}", project="__") == ["1 E-TYPE "]
    assert reject("name: ''\nservices: {web: {image: x}}", project=None) == ["1 E-TYPE "]


def test_a_hundred_services_are_enough():
    services = ", ".join(f"s{index}: {{image: x}}" for index in range(101))
    assert reject(f"services: {{{services}}}") == ["1 E-LIMIT /services"]
    accept(f"services: {{{services.rpartition(', ')[0]}}}")


def test_container_names_mean_one_service_each():
    text = "services: {a: {image: x, container_name: main}, b: {image: x, container_name: main}}"
    assert reject(text) == ["1 E-CONFLICT /services/b/container_name"]
    text = "services: {a: {image: x, container_name: bb}, bb: {image: x}}"
    assert reject(text) == ["1 E-CONFLICT /services/a/container_name"]


def test_names_that_would_be_one_are_refused():
    assert reject("services: {a_b: {image: x}, a-b: {image: x}}") == ["1 E-CONFLICT /services/a-b"]
