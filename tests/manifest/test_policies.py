"""Words that are read whether or not they are built: their values, what contradicts what, and that none is lost."""

import re

import pytest
from tests.manifest.texts import DATA, accept, lines_of, reject
from tests.manifest.texts import read as read_manifest

from skerry.manifest.findings import Findings
from skerry.manifest.nodes import Place
from skerry.manifest.policies import read_policy, read_secret_policy, read_withdraw
from skerry.manifest.reading import Reading
from skerry.manifest.tree import read_documents
from skerry.manifest.values import read_nothing
from skerry.manifest.words import SERVICE, TOP
from skerry.model.policy import Autonomy, Policy, Priority, SecretPolicy

MINUTE = 60_000_000


def words(text):
    """Return the words of a mapping, and what reads them."""
    (node,), problems = read_documents(text.encode(), "x")
    assert not problems
    return dict(Place(node).entries())


def read(app, own="{}"):
    reading = Reading(Findings(), {}, read_nothing)
    policy = read_policy(reading, words(app), words(own))
    return policy, [f"{one.code} {one.pointer}" for one in reading.findings.problems]


@pytest.mark.parametrize(
    ("app", "policy"),
    [
        ("{}", Policy()),
        (
            "{autonomy: {offline: stop-after, max-offline: 1h30m}}",
            Policy(autonomy=Autonomy(offline="stop-after", max_offline_us=90 * MINUTE)),
        ),
        (
            "{autonomy: {restart-offline: false, local-control: full}}",
            Policy(autonomy=Autonomy(restart_offline=False, local_control="full")),
        ),
        (
            "{autonomy: {replace-after: 5m, on-return: keep-replacement}}",
            Policy(autonomy=Autonomy(replace_after_us=5 * MINUTE, on_return="keep-replacement")),
        ),
        ("{autonomy: {replace-after: never}}", Policy()),
        ("{priority: 700}", Policy(priority=Priority(value=700))),
        (
            "{priority: {value: 900, preempts: never, preemptible: false}}",
            Policy(priority=Priority(value=900, preempts="never", preemptible=False)),
        ),
        ("{max-down: 2}", Policy(max_down=2)),
        ("{max-down: 12.5%}", Policy(max_down_permille=125)),
    ],
)
def test_the_wishes_of_an_app(app, policy):
    assert read(app) == (policy, [])


def test_a_service_beats_its_app_word_by_word():
    app = "{autonomy: {offline: keep-running, max-offline: 30d, local-control: full}, priority: 700, max-down: 1}"
    policy, problems = read(app, "{autonomy: {local-control: none}, priority: 800}")
    assert problems == []
    assert policy.autonomy == Autonomy(max_offline_us=30 * 24 * 60 * MINUTE, local_control="none")
    assert (policy.priority.value, policy.max_down) == (800, 1)


@pytest.mark.parametrize(
    ("app", "found"),
    [
        ("{autonomy: {offline: stop-after}}", "E-CONFLICT /autonomy"),
        ("{max-down: 150%}", "E-RANGE /max-down"),
        ("{max-down: 0}", "E-RANGE /max-down"),
        ("{max-down: 0.0%}", "E-RANGE /max-down"),
        *(
            (
                f"{{withdraw: tenant, autonomy: {{replace-after: 1h, on-return: {word}}}}}",
                "E-CONFLICT /autonomy/on-return",
            )
            for word in ("keep-replacement", "newest", "longest-running")
        ),
    ],
)
def test_what_contradicts_itself(app, found):
    assert read(app)[1] == [found]


def test_a_copy_that_stands_in_may_end_where_only_the_tenant_ends_the_first():
    policy, problems = read("{withdraw: tenant, autonomy: {replace-after: 1h, on-return: keep-original}}")
    assert problems == []
    assert policy.autonomy == Autonomy(replace_after_us=60 * MINUTE)


def test_a_fenced_instance_is_refused_for_now_and_for_what_it_contradicts():
    assert read("{autonomy: {offline: fenced, max-offline: 1h}}")[1] == [
        "E-CONFLICT /autonomy",
        "E-NOT-YET /autonomy/offline",
    ]


def test_the_example_of_the_page_is_sound():
    page = (DATA.parent.parent / "docs" / "how-to" / "keep-it-running.md").read_text()
    (example,) = re.findall(r"^```yaml [^\n]*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    manifest = accept(example)
    assert manifest.withdraw == "tenant"
    policies = {name: service.policy or Policy() for name, service in manifest.services.items()}
    assert policies == {"till": Policy(max_down_permille=250), "ledger": Policy(max_down=1)}


def test_who_may_withdraw():
    reading = Reading(Findings(), {}, read_nothing)
    assert read_withdraw(reading, {}) == "core"
    assert read_withdraw(reading, words("{withdraw: tenant}")) == "tenant"


@pytest.mark.parametrize(
    ("text", "policy", "codes"),
    [
        ("{}", SecretPolicy(), []),
        (
            "{max-offline: 90m, on-rotate: 'signal:HUP', sites: tier=store}",
            SecretPolicy(max_offline_us=90 * MINUTE, on_rotate="signal:HUP", sites=("tier=store",)),
            [],
        ),
        ("{env: KEY}", SecretPolicy(env="KEY"), []),
        ("{max-offline: none, on-rotate: none}", SecretPolicy(on_rotate="none"), []),
        ("{on-rotate: 'signal:hup'}", SecretPolicy(on_rotate="signal:hup"), ["E-TYPE"]),
        ("{env: 'a b'}", SecretPolicy(env="a b"), ["E-TYPE"]),
        ("{env: A, on-rotate: none}", SecretPolicy(env="A", on_rotate="none"), ["E-CONFLICT"]),
    ],
)
def test_the_wishes_about_a_secret(text, policy, codes):
    (node,), _ = read_documents(text.encode(), "x")
    reading = Reading(Findings(), {}, read_nothing)
    assert read_secret_policy(reading, Place(node)) == policy
    assert [one.code for one in reading.findings.problems] == codes


def test_each_of_these_words_is_in_the_vocabulary():
    assert {"autonomy", "priority", "max-down", "withdraw"} <= {word.name for word in TOP}
    assert {"autonomy", "priority", "max-down"} <= {word.name for word in SERVICE}


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("{offline: fenced}", "E-NOT-YET"),
        ("{offline: stop-after}", "E-CONFLICT"),
        ("{local-control: half}", "E-TYPE"),
        ("{on-return: oldest}", "E-TYPE"),
        ("{replace-after: soon}", "E-TYPE"),
        ("{max-offline: 30 days}", "E-TYPE"),
    ],
)
def test_of_autonomy_what_is_not_built_or_makes_no_sense_is_refused(word, code):
    found = read_manifest(f"name: app\nservices: {{web: {{image: img}}}}\nx-skerry: {{autonomy: {word}}}")
    assert any(code in line for line in lines_of(found)), found


def test_the_words_of_a_secret_are_signed_with_its_use():
    text = """
        services: {web: {image: x, secrets: [key], environment: {TOKEN: none}}}
        secrets: {key: {external: true, x-skerry: {sites: vault=yes, env: KEY}}}
        """
    assert accept(text).secrets["key"].policy == SecretPolicy(sites=("vault=yes",), env="KEY")
    assert reject(text.replace("env: KEY", "env: TOKEN")) == ["2 E-CONFLICT /services/web/secrets"]


@pytest.mark.parametrize(
    ("fields", "own", "wished", "code"),
    [
        ("", "", 5, ""),
        ("volumes: ['data:/data']", "", 0, ""),
        ("volumes: ['data:/data']", "autonomy: {replace-after: 7m}", 7, ""),
        ("volumes: ['/cache']", "", 0, ""),
        ("tmpfs: [/cache]", "", 5, ""),
        ("volumes_from: [db]", "", 0, ""),
        ("", "placement: {replicas: {per-site: 1}}", 0, ""),
        ("", "placement: {replicas: {per-site: 1}}, autonomy: {replace-after: 7m}", 0, "E-CONFLICT"),
    ],
)
def test_who_is_replaced_by_the_apps_word_and_who_only_by_its_own(fields, own, wished, code):
    own = f"x-skerry: {{{own}}}" if own else ""
    lines = "".join(f"\n    {line}" for line in (fields, own) if line)
    text = f"name: app\nservices:\n  db: {{image: img, volumes: ['data:/data']}}\n  web:\n    image: img{lines}\n"
    found = read_manifest(f"{text}volumes: {{data: {{}}}}\nx-skerry: {{autonomy: {{replace-after: 5m}}}}\n")
    if code:
        assert any(code in line for line in lines_of(found)), found
        return
    policy = found.services["web"].policy or Policy()
    assert policy.autonomy.replace_after_us == wished * MINUTE
