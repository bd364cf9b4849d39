"""The vocabulary of manifest.md §6: what is built is read, what is not is refused by name, what is unknown too."""

import pytest
from tests.manifest.texts import DATA, accept, lines_of, read, refuse, service, tell, wrap

from skerry.manifest.word_types import Anything, Choice, Either, Form, Group, Many, Named
from skerry.manifest.words import HOMES, TOP, find_homes
from skerry.model.app import Placement, Replicas, Sites, Spread

#: A value of its type for every word of the top; the tests below try each of them.
UNBUILT = {
    "logs": "sealed",
    "autonomy": "{offline: stop-after, max-offline: 30d, lease: {ttl: 60s, witnesses: [core]}, replace-after: never}",
    "rollout": "{canary: {sites: 'lab', bake: 1d}, waves: [5%, 100%], in-site: {order: start-first},"
    " window: ['sat-sun 01:00-04:00 site-local']}",
    "priority": "{value: 900, preemptible: false}",
    "variants": "[{sites: 'a=b', environment: {A: 1}, services: {db: {tier: x}}}]",
    "dataflow": "[{name: x, from: web, to: a/b, budget: 2Gi/30d, reduce: {window: 60s, emit: [count]}}]",
    "privacy": "{raw-leaves-site: never, fields: [{match: x, action: hash}]}",
    "slo": "{latency: {p95: 100ms}, availability: '99.5%'}",
}


@pytest.mark.parametrize("word", [word.name for word in TOP if not word.built])
def test_a_word_that_is_not_built_is_refused_once_at_its_key(word):
    assert refuse("", top=f"x-skerry: {{{word}: {UNBUILT[word]}}}") == [f"E-NOT-YET /x-skerry/{word}"]


@pytest.mark.parametrize("name", ["branch-edge", "dock-cameras"])
def test_the_examples_of_the_manifest_page_lack_only_what_is_not_built(name):
    rejected = read((DATA / "manifest" / f"{name}.yaml").read_bytes(), project=None)
    assert {one.code for one in rejected.problems} == {"E-NOT-YET"}, lines_of(rejected)


def test_the_point_of_sale_is_accepted_with_all_its_words():
    assert accept((DATA / "manifest" / "pos.yaml").read_bytes(), project=None).rollout.windows


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("{labls: {}}", '12 E-UNKNOWN-WORD: unknown word. Did you mean "labels"?'),
        ("{tier: edge}", "12 E-UNKNOWN-WORD: unknown word here. It belongs to a service"),
        ("{canary: 5}", '12 E-UNKNOWN-WORD: unknown word here. It belongs to "rollout"'),
        ("{placement: {sites: {mtch: a}}}", '32 E-UNKNOWN-WORD: unknown word. Did you mean "match"?'),
        ("{placement: {sites: 'a ='}}", '31 E-TYPE: "a =" is not a selector. Write tier=store, opening!=soon'),
        ("{placement: {replicas: {per-site: 0}}}", "45 E-TYPE: 0 is not a whole number from 1 to 1000. Write 1"),
        (
            "{placement: {spread: [{by: rack}]}}",
            '38 E-TYPE: "rack" is none of site, node, region, country or label:KEY',
        ),
        ("{placement: {replicas: {}}}", '24 E-TYPE: "per-site" or "total" must be given here'),
        ("{placement: {replicas: {per-site: 1, total: 1}}}", "24 E-CONFLICT: per-site and total exclude each other"),
        ("{labels: {'a b': c}}", "28 E-TYPE: a b=c is not a label: letters, digits, and . _ - / inside"),
        ("{labels: 5}", "20 E-TYPE: 5 is not a mapping"),
        ("{description: 5}", '25 E-TYPE: 5 is not text. Write "…"'),
        ("[1]", "11 E-TYPE: a list is not a mapping"),
    ],
)
def test_messages(words, told):
    assert tell(wrap("", f"x-skerry: {words}")) == [told]


def test_inside_a_word_that_is_not_built_unknown_and_ill_formed_ones_are_still_told():
    words = "{rollout: {cannary: 5, max-failed: few}, slo: {freshness: much}, autonomy: {offline: never}}"
    assert tell(wrap("", f"x-skerry: {words}")) == [
        '22 E-UNKNOWN-WORD: unknown word. Did you mean "canary"?',
        '46 E-TYPE: "few" is not a count or percent. Write 5 or 10%',
        '52 E-NOT-YET: "slo" is not built yet',
        '69 E-TYPE: "much" is not a duration. Write 90s, 1h30m or 30d',
        '96 E-TYPE: "never" is none of keep-running, stop-after, fenced',
    ]


def placement(words, own="", **options):
    fields = f"x-skerry: {{placement: {own}}}" if own else ""
    return service(fields, top=f"x-skerry: {{placement: {words}}}", **options).placement


@pytest.mark.parametrize(
    ("words", "own", "result"),
    [
        ("{}", "", Placement()),
        ("{sites: tier=store}", "", Placement(sites=Sites(match=("tier=store",)), replicas=Replicas(per_site=1))),
        ("{sites: [a, b]}", "", Placement(sites=Sites(match=("a", "b")), replicas=Replicas(per_site=1))),
        (
            "{sites: {match: a, names: oslo, exclude: [bergen]}}",
            "",
            Placement(sites=Sites(match=("a",), names=("oslo",), exclude=("bergen",)), replicas=Replicas(per_site=1)),
        ),
        ("{sites: a, replicas: {total: 3}}", "", Placement(sites=Sites(match=("a",)), replicas=Replicas(total=3))),
        ("{replicas: {per-site: 2}}", "", Placement(replicas=Replicas(per_site=2))),
        ("{node: arch=arm64}", "", Placement(node=("arch=arm64",))),
        ("{spread: {by: site, require: true}}", "", Placement(spread=(Spread(by="site", require=True),))),
        ("{spread: [{by: label:rack, max-skew: 2}]}", "", Placement(spread=(Spread(by="label:rack", max_skew=2),))),
        ("{spread: []}", "", Placement(spread=())),
        (
            "{sites: a, node: x}",
            "{node: y}",
            Placement(sites=Sites(match=("a",)), replicas=Replicas(per_site=1), node=("y",)),
        ),
        ("{replicas: {per-site: 2}}", "{replicas: {total: 1}}", Placement()),
        (
            "{sites: a}",
            "{sites: {names: [oslo]}}",
            Placement(sites=Sites(names=("oslo",)), replicas=Replicas(per_site=1)),
        ),
    ],
)
def test_placement_is_merged_word_by_word(words, own, result):
    assert placement(words, own) == result


def test_the_command_line_chooses_sites_for_the_whole_app():
    assert placement("{sites: a}", sites=("tier=store",)).sites == Sites(match=("tier=store",))
    assert service("", sites=("x",)).placement == Placement(sites=Sites(match=("x",)), replicas=Replicas(per_site=1))
    assert placement("{sites: a}", "{sites: b}", sites=("x",)).sites == Sites(match=("b",))


@pytest.mark.parametrize(
    "field", ["scale: 3", "deploy: {replicas: 3}", "deploy: {replicas: '3'}", "scale: 3\ndeploy: {replicas: 3}"]
)
def test_compose_counts_copies_too(field):
    assert service(field).placement.replicas == Replicas(total=3)
    assert service(field, sites=("x",)).placement.replicas == Replicas(per_site=3)
    assert service(field, top="x-skerry: {placement: {replicas: {total: 5}}}").placement.replicas == Replicas(total=3)


def test_counts_that_differ_are_a_conflict():
    assert refuse("scale: 3\ndeploy: {replicas: 2}") == ["E-CONFLICT deploy/replicas"]
    assert refuse("scale: 3\nx-skerry: {placement: {replicas: {per-site: 2}}}") == [
        "E-CONFLICT x-skerry/placement/replicas"
    ]
    assert refuse("scale: 0") == ["E-NOT-YET scale"]


@pytest.mark.parametrize(
    ("platform", "node"),
    [("linux/amd64", ("arch=amd64",)), ("arm64", ("arch=arm64",)), ("linux/arm/v7", ("arch=arm",)), ("linux", ())],
)
def test_a_platform_is_a_constraint_on_the_node(platform, node):
    assert service(f"platform: {platform}").placement.node == node


def test_a_platform_holds_for_every_alternative():
    fields = "platform: linux/arm64\nx-skerry: {placement: {node: [a, b]}}"
    assert service(fields).placement.node == ("a, arch=arm64", "b, arch=arm64")


def test_a_platform_that_no_node_has():
    assert refuse("platform: windows/amd64") == ["E-FIELD-REFUSED platform"]
    assert refuse("platform: linux/x_86") == ["E-TYPE platform"]


def test_words_of_the_app():
    top = "x-skerry: {description: for people, labels: {line: retail, n: 5}, profile: default}"
    manifest = accept(wrap("", top))
    assert (manifest.description, manifest.labels, manifest.profile) == (
        "for people",
        {"line": "retail", "n": "5"},
        "default",
    )


def test_a_word_knows_its_homes():
    assert find_homes("canary") == ('"rollout"',)
    assert set(find_homes("placement")) == {"the top", "a service"}
    assert find_homes("wibble") == ()


def list_words(words):
    for word in words:
        yield word
        yield from list_inner(word.type)


def list_inner(wanted):
    match wanted:
        case Group():
            yield from list_words(wanted.words)
        case Many() | Named():
            yield from list_inner(wanted.item)
        case Either():
            for one in wanted.types:
                yield from list_inner(one)
        case Form() | Choice() | Anything():
            pass


def test_what_is_built_says_what_it_means_and_stands_in_nothing_that_is_not():
    for words in HOMES.values():
        for word in words:
            inner = list(list_inner(word.type))
            assert word.built or not any(one.built for one in inner) or word.name == "tiers", word.name
            for one in (word, *inner):
                assert one.about or not one.built, one.name
                assert 1 <= one.stage <= 3
                assert one.name == one.name.lower().replace("_", "-")
