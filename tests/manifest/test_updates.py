"""``deploy.update_config`` and ``rollback_config``: what is left of them at one site."""

import pytest
from msgspec import UNSET
from tests.manifest.texts import accept, lines_of, read, refuse, service, wrap

from skerry.model.limits import REPLICAS_MAX
from skerry.model.rollout import Gate, InSite, Rollout, Share

SECOND = 1_000_000


def order(words, **options):
    return service(f"deploy: {{update_config: {words}}}", **options).in_site


def note(fields, field, top=""):
    found = accept(wrap(fields, top))
    (detail,) = [each.detail for each in found.report if each.pointer.endswith(f"/{field}")]
    return detail


def test_without_the_words_nothing_is_signed():
    assert service("deploy: {replicas: 2}").in_site is UNSET
    assert service("deploy: {replicas: 2}").in_site_back is UNSET


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("{}", InSite()),
        ("{parallelism: 2, order: start-first}", InSite(order="start-first", parallel=2)),
        ("{parallelism: 0}", InSite(parallel=REPLICAS_MAX)),
        ("{delay: 10s}", InSite(settle_us=10 * SECOND)),
        ("{delay: 10s, monitor: 1m}", InSite(settle_us=60 * SECOND)),
        ("{failure_action: pause}", InSite()),
        ("{failure_action: continue}", InSite(failed_permille=1000)),
        ("{max_failure_ratio: 0.25}", InSite(failed_permille=250)),
        ("{max_failure_ratio: '1'}", InSite(failed_permille=1000)),
        ("{max_failure_ratio: .0999999}", InSite(failed_permille=99)),
    ],
)
def test_what_it_says_of_one_site(words, found):
    assert order(words) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("{parallelism: -1}", "E-RANGE deploy/update_config/parallelism"),
        ("{delay: soon}", "E-TYPE deploy/update_config/delay"),
        ("{order: both}", "E-TYPE deploy/update_config/order"),
        ("{failure_action: panic}", "E-TYPE deploy/update_config/failure_action"),
        ("{max_failure_ratio: 1.5}", "E-TYPE deploy/update_config/max_failure_ratio"),
        ("{max_failure_ratio: half}", "E-TYPE deploy/update_config/max_failure_ratio"),
    ],
)
def test_what_is_none_of_its_words(words, found):
    assert refuse(f"deploy: {{update_config: {words}}}") == [found]


def test_going_back_cannot_go_back_further():
    assert refuse("deploy: {rollback_config: {failure_action: rollback}}") == [
        "E-TYPE deploy/rollback_config/failure_action"
    ]
    found = service("deploy: {rollback_config: {parallelism: 3, failure_action: continue}}")
    assert found.in_site_back == InSite(parallel=3, failed_permille=1000)
    assert found.in_site is UNSET


@pytest.mark.parametrize(
    ("fields", "said"),
    [("volumes: [/data]", "a volume"), ("ports: ['80:80']", "a port of the node")],
)
def test_where_two_copies_cannot_be_one_is_stopped_first_and_the_report_says_so(fields, said):
    text = f"{fields}\ndeploy: {{update_config: {{order: start-first}}}}"
    assert service(text).in_site == InSite()
    assert f"stop-first: it has {said}" in note(text, "order")


def test_our_own_word_for_a_site_holds_instead():
    text = "deploy: {update_config: {parallelism: 3}}"
    top = "x-skerry: {rollout: {in-site: {parallel: 1}}}"
    found = accept(wrap(text, top))
    assert found.services["web"].in_site is UNSET
    assert "in-site" in note(text, "update_config", top)


def test_a_service_that_wishes_to_go_back_gives_the_app_a_rollout_to_all_sites_at_once():
    text = "deploy: {replicas: 4, update_config: {failure_action: rollback, monitor: 30s}}"
    found = accept(wrap(text)).rollout
    assert found == Rollout(
        canary=Share(),
        bake_us=0,
        waves=(Share(permille=1000),),
        max_failed=Share(permille=1000),
        gate=Gate(healthy_us=30 * SECOND, timeout_us=(600 + 30 + 4 * 30) * SECOND),
    )
    assert "each site goes back" in note(text, "failure_action")


def test_where_the_manifest_has_a_rollout_that_one_decides():
    text = "deploy: {update_config: {failure_action: rollback}}"
    assert accept(wrap(text, "x-skerry: {rollout: {on-failure: pause}}")).rollout == Rollout(on_failure="pause")


def test_copies_that_could_never_all_change_in_time_are_told():
    text = "deploy: {replicas: 10, update_config: {delay: 1m}}"
    (line,) = lines_of(read(wrap(text, "x-skerry: {rollout: {}}")))
    assert "E-CONFLICT" in line
    assert "need 600 s" in line
    accept(wrap(text, "x-skerry: {rollout: {health: {timeout: 15m}}}"))
