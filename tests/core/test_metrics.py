"""What a reader sees of use: its own instances, visible sites, nothing stale; and sites are asked while it looks."""

import msgspec
import pytest
from tests.core.cores import Rig

from skerry.core import metrics
from skerry.core.use import HOUR_STEP_S, SCRAPED_US, STEP_S, WATCHED_US
from skerry.model.asks import HistoryQuery, InstanceQuery, MetricsQuery, SiteUseQuery, TargetQuery
from skerry.model.errors import NotFound
from skerry.model.facts import ChainFact
from skerry.model.ids import AppName, InstanceId, NodeName, ServiceName, SiteName, TenantName, VolumeId
from skerry.model.relay import RelayOffer, RelayPairSeen, RelaySeen
from skerry.model.samples import ChainUse, DoorUse, HostUse, InstanceUse, OutboxUse, Sample, StepUse, VolumeUse

SECOND = 1_000_000
MINE, THEIRS = InstanceId("default/shop/web/0"), InstanceId("other/shop/web/0")


class Asked:
    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def nudge(self, site: SiteName) -> None:
        pass

    def ask_samples(self, site: SiteName, every_us: int, span_us: int) -> None:
        self.asked.append((site, every_us))


def sample(cpu_us: int = 0) -> Sample:
    return Sample(
        HostUse(cpu_us, 250, 4_000, 9_000),
        tuple(InstanceUse(name, cpu_us, 777, 1, 2, 3, 4) for name in (MINE, THEIRS)),
        (VolumeUse(VolumeId("default/shop/data"), 4_096), VolumeUse(VolumeId("other/shop/data"), 55)),
    )


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    rig.core.sites = rig.asked = Asked()
    for name, tenants in (("oslo", ("default", "other")), ("rome", ("other",))):
        site = await rig.add_site(name, tenants=tenants, labels={"tier/x": "store"})
        await site.connect()
    for tenant in ("default", "other"):
        await rig.apply("shop", 1, tenant=tenant)
    await rig.plan()
    yield rig
    await rig.close()


def lines(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(name)]


async def test_a_tenant_reads_its_own_instances_and_volumes_at_the_sites_it_may_see(rig):
    rig.desk.take_sample(SiteName("oslo"), sample(), 40_000)
    rig.desk.take_sample(SiteName("rome"), sample(), 0)
    text = await rig.service.read_metrics(rig.admin, query=MetricsQuery())
    assert "other" not in text
    assert "rome" not in text
    labels = f'{{site="oslo",tenant="default",app="shop",service="web",instance="{MINE}"}}'
    assert f"skerry_instance_memory_bytes{labels} 777" in text
    assert 'skerry_volume_disk_bytes{site="oslo",tenant="default",app="shop",volume="data"} 4096' in text
    assert 'skerry_link_round_trip_seconds{site="oslo"} 0.04' in text
    assert not lines(text, "skerry_build"), "the core itself is the operators' affair"
    assert not lines(text, "skerry_link_bytes")


async def test_an_operator_reads_core_and_sites_and_no_tenants_instances(rig):
    rig.desk.take_sample(SiteName("rome"), sample(), 0)
    await rig.desk.count_bytes(SiteName("rome"), {"facts": 5}, {"facts": 7})
    from skerry.core.loops import flush_bytes

    await flush_bytes(rig.core)
    text = await rig.service.read_metrics(rig.operator, query=MetricsQuery())
    assert 'skerry_sites{state="online"} 2' in text
    assert 'skerry_link_bytes_total{site="rome",purpose="facts",direction="up"} 7' in text
    assert not lines(text, "skerry_instance")
    assert not lines(text, "skerry_volume")
    assert text.endswith("# EOF\n")
    only = await rig.service.read_metrics(rig.operator, query=MetricsQuery(only="core"))
    assert lines(only, "skerry_build_info")
    assert not lines(only, "skerry_host")


async def test_one_site_is_read_alone_and_an_invisible_one_is_not_there(rig):
    rig.desk.take_sample(SiteName("oslo"), sample(), 0)
    text = await rig.service.read_metrics(rig.operator, query=MetricsQuery(site="oslo"))
    assert lines(text, "skerry_host_load1") == ['skerry_host_load1{site="oslo"} 0.25']
    assert "rome" not in text
    assert not lines(text, "skerry_build_info")
    with pytest.raises(NotFound):
        await rig.service.read_metrics(rig.admin, query=MetricsQuery(site="rome"))


async def test_a_sample_that_may_no_longer_be_true_is_not_exposed(rig):
    rig.desk.take_sample(SiteName("oslo"), sample(), 0)
    await rig.clock.advance(1_801 * SECOND)
    rig.desk.hear(SiteName("oslo"))
    text = await rig.service.read_metrics(rig.operator, query=MetricsQuery())
    assert not lines(text, "skerry_host_load1")


async def test_more_sites_than_a_limit_are_counted_and_left_to_http_sd(rig, monkeypatch):
    monkeypatch.setattr(metrics, "METRICS_SITES_MAX", 1)
    text = await rig.service.read_metrics(rig.operator, query=MetricsQuery())
    assert lines(text, "skerry_sites_left_out") == ["skerry_sites_left_out 2"]
    assert not lines(text, "skerry_site_up")


async def test_targets_are_the_core_for_operators_and_each_visible_site_with_its_labels(rig):
    query = TargetQuery(target="core.example:443")
    groups = await rig.service.list_scrape_targets(rig.operator, query=query)
    assert [group.labels["instance"] for group in groups] == ["core", "site/oslo", "site/rome"]
    assert {group.targets for group in groups} == {("core.example:443",)}
    assert groups[1].labels["__param_site"] == "oslo"
    assert groups[1].labels["__meta_skerry_label_tier_x"] == "store"
    mine = await rig.service.list_scrape_targets(rig.admin, query=query)
    assert [group.labels["instance"] for group in mine] == ["site/oslo"]


async def test_a_reader_makes_the_sites_it_sees_tell_more_often_and_no_others(rig):
    await rig.service.read_metrics(rig.admin, query=MetricsQuery())
    assert rig.asked.asked == [("oslo", SCRAPED_US)]
    await rig.service.list_site_use(rig.admin, query=SiteUseQuery())
    await rig.service.list_site_use(rig.admin, query=SiteUseQuery())
    assert rig.asked.asked[1:] == [("oslo", WATCHED_US)]


async def test_use_of_sites_and_instances_page_by_page(rig):
    rig.desk.take_sample(SiteName("oslo"), sample(0), 40_000)
    await rig.clock.advance(60 * SECOND)
    rig.desk.take_sample(SiteName("oslo"), sample(30 * SECOND), 40_000)
    first = await rig.service.list_site_use(rig.operator, query=SiteUseQuery(page_size=1))
    assert [each.site for each in first.items] == ["oslo"]
    assert (first.items[0].cpu_used_m, first.items[0].sampled_s_ago, first.items[0].link_rtt_us) == (500, 0, 40_000)
    rest = await rig.service.list_site_use(rig.operator, query=SiteUseQuery(page_token=first.next_page_token))
    assert [(each.site, each.sampled_s_ago) for each in rest.items] == [("rome", None)]
    assert not rest.next_page_token
    used = await rig.service.list_instance_use(rig.admin, query=InstanceQuery())
    assert [(each.instance, each.cpu_used_m, each.memory_bytes) for each in used.items] == [(MINE, 500, 777)]


async def test_a_history_belongs_to_whoever_may_see_its_subject(rig):
    rig.desk.take_sample(SiteName("oslo"), sample(), 0)
    site = await rig.service.read_use_history(rig.admin, query=HistoryQuery(site="oslo"))
    assert [point.memory_bytes for point in site.points] == [4_000]
    own = await rig.service.read_use_history(rig.admin, query=HistoryQuery(site="oslo", instance=MINE))
    assert [point.memory_bytes for point in own.points] == [777]
    for query in (HistoryQuery(site="oslo", instance=THEIRS), HistoryQuery(site="rome")):
        with pytest.raises(NotFound):
            await rig.service.read_use_history(rig.admin, query=query)


async def test_a_chart_reads_an_hour_or_a_day_and_makes_its_site_tell_more_often(rig):
    rig.desk.take_sample(SiteName("oslo"), sample(), 0)
    await rig.clock.advance(120 * SECOND)
    rig.desk.take_sample(SiteName("oslo"), sample(60 * SECOND), 0)
    hour = await rig.service.read_use_history(rig.admin, query=HistoryQuery(site="oslo", span="hour"))
    day = await rig.service.read_use_history(rig.admin, query=HistoryQuery(site="oslo"))
    assert (hour.step_s, [point.cpu_used_m for point in hour.points]) == (HOUR_STEP_S, [None, 500])
    assert (day.step_s, len(day.points)) == (STEP_S, 1)
    assert rig.asked.asked == [("oslo", WATCHED_US)]


async def test_what_a_machine_and_its_outbox_say_beyond_the_basics(rig):
    now_ms = rig.clock.wall_us() // 1_000
    host = HostUse(1, 250, 4_000, 9_000, files=1_000, files_used=50, temperature_m=48_500)
    rig.desk.take_sample(SiteName("oslo"), Sample(host, outbox=OutboxUse(3, 450), clock_ms=now_ms + 2_500), 0)
    rig.desk.take_sample(SiteName("rome"), Sample(HostUse(1, 250, 4_000, 9_000)), 0)
    text = await rig.service.read_metrics(rig.operator, query=MetricsQuery())
    for line in (
        "skerry_host_disk_files 1000",
        "skerry_host_disk_files_used 50",
        "skerry_host_temperature_celsius 48.5",
        "skerry_host_clock_offset_seconds 2.5",
        "skerry_outbox_events 3",
        "skerry_outbox_bytes 450",
        "skerry_link_sessions_total 1",
        "skerry_outbox_dropped_events_total 0",
        "skerry_site_refuses 0",
    ):
        name, value = line.split()
        assert f'{name}{{site="oslo"}} {value}' in text, line
    assert not [line for line in lines(text, "skerry_host_temperature") if "rome" in line]
    assert not [line for line in lines(text, "skerry_outbox_events") if "rome" in line]


async def test_a_tenant_sees_how_its_chains_are_and_nobody_else_does(rig):
    bern = await rig.add_site("bern", tenants=("default", "other"))
    await bern.connect()
    await bern.report(
        ChainFact(
            tenant=TenantName("default"),
            app=AppName("shop"),
            chain="out",
            node=NodeName("n1"),
            state="around",
            steps={ServiceName("wall"): "default/shop/wall/0"},
            latency_us={ServiceName("wall"): 200},
            path_us=500,
            late=True,
        )
    )
    use = ChainUse(TenantName("default"), AppName("shop"), "out", (StepUse(ServiceName("wall"), 7, 5),))
    strange = ChainUse(TenantName("other"), AppName("shop"), "out", (StepUse(ServiceName("wall"), 9, 9),))
    rig.desk.take_sample(SiteName("bern"), Sample(HostUse(1, 250, 4_000, 9_000), chains=(use, strange)), 0)
    found = lines(await rig.service.read_metrics(rig.admin, query=MetricsQuery()), "skerry_chain")
    at = 'site="bern",node="n1",tenant="default",app="shop",chain="out"'
    assert found == [
        f"skerry_chain_passes{{{at}}} 1",
        f"skerry_chain_late{{{at}}} 1",
        f"skerry_chain_latency_seconds{{{at}}} 0.0005",
        f'skerry_chain_latency_seconds{{{at},step="wall"}} 0.0002',
        'skerry_chain_packets_total{site="bern",tenant="default",app="shop",chain="out",step="wall",way="out"} 7',
        'skerry_chain_packets_total{site="bern",tenant="default",app="shop",chain="out",step="wall",way="back"} 5',
    ]
    assert not lines(await rig.service.read_metrics(rig.operator, query=MetricsQuery()), "skerry_chain")


async def test_a_tenant_sees_what_people_asked_of_its_services_and_nobody_else_does(rig):
    await rig.add_site("bern", tenants=("default", "other"))
    use = DoorUse("default", "shop", "web", 80, "http", 9, 2, 70, 700, (0, 6, 1, 1, 0, 0), 3_000)
    strange = msgspec.structs.replace(use, tenant="other")
    plain = DoorUse("default", "shop", "mail", 25, "tcp", 4, 1, 5, 6)
    rig.desk.take_sample(SiteName("bern"), Sample(HostUse(1, 250, 4_000, 9_000), doors=(use, strange, plain)), 0)
    found = lines(await rig.service.read_metrics(rig.admin, query=MetricsQuery()), "skerry_entrance")
    web = 'site="bern",tenant="default",app="shop",service="web",port="80",kind="http"'
    mail = 'site="bern",tenant="default",app="shop",service="mail",port="25",kind="tcp"'
    counts = {"1xx": 0, "2xx": 6, "3xx": 1, "4xx": 1, "5xx": 0, "other": 0}
    assert found == [
        *(f'skerry_entrance_answers_total{{{web},code="{code}"}} {count}' for code, count in counts.items()),
        *(f"skerry_entrance_connections_total{{{each}}} {count}" for each, count in ((web, 9), (mail, 4))),
        *(f"skerry_entrance_open{{{each}}} {count}" for each, count in ((web, 2), (mail, 1))),
        *(f"skerry_entrance_received_bytes_total{{{each}}} {count}" for each, count in ((web, 70), (mail, 5))),
        *(f"skerry_entrance_sent_bytes_total{{{each}}} {count}" for each, count in ((web, 700), (mail, 6))),
        f"skerry_entrance_answer_seconds{{{web}}} 0.003",
        f"skerry_entrance_answer_seconds{{{mail}}} 0.0",
    ]
    assert not lines(await rig.service.read_metrics(rig.operator, query=MetricsQuery()), "skerry_entrance")


async def test_operators_see_whether_the_relay_runs_and_what_it_carries(rig):
    assert lines(await rig.service.read_metrics(rig.operator, query=MetricsQuery()), "skerry_relay") == []
    rig.core.relay = RelayOffer("203.0.113.1", 52_000, 52_009)
    text = await rig.service.read_metrics(rig.operator, query=MetricsQuery(only="core"))
    assert lines(text, "skerry_relay") == ["skerry_relay_up 0"]
    pair = RelayPairSeen((SiteName("oslo"), SiteName("rome")), passed_bytes=4_000, refused=3, crowded=2)
    rig.core.see_relay = lambda: RelaySeen(pairs=(pair,))
    text = await rig.service.read_metrics(rig.operator, query=MetricsQuery(only="core"))
    assert lines(text, "skerry_relay") == [
        "skerry_relay_up 1",
        'skerry_relay_bytes_total{site="oslo",other="rome"} 4000',
        'skerry_relay_dropped_total{site="oslo",other="rome",why="refused"} 3',
        'skerry_relay_dropped_total{site="oslo",other="rome",why="crowded"} 2',
    ]
    assert lines(await rig.service.read_metrics(rig.admin, query=MetricsQuery()), "skerry_relay") == []
