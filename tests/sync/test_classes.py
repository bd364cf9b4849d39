from skerry.sync.classes import HEARTBEAT_US_MAX, HEARTBEAT_US_MIN, HEARTBEATS_US, LINK_PLANS, clamp_heartbeat


def test_a_parent_cannot_make_a_child_chatter_or_fall_silent():
    assert clamp_heartbeat(0) == HEARTBEAT_US_MIN
    assert clamp_heartbeat(1 << 60) == HEARTBEAT_US_MAX
    assert clamp_heartbeat(30_000_000) == 30_000_000


def test_every_class_has_a_plan_that_survives_clamping():
    assert set(HEARTBEATS_US) == {"wired", "mobile", "satellite"}
    for name, plan in LINK_PLANS.items():
        assert clamp_heartbeat(plan.heartbeat_us) == HEARTBEATS_US[name]
        assert plan.backoff_us_min < plan.backoff_us_max
