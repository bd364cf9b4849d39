"""Samples of use over both ends: asked for, bounded by class and budget, quicker only for a while, and never owed."""

import itertools

import msgspec
import pytest
from tests.sync.world import SECOND, SiteDisk

from skerry import wire
from skerry.model.ids import InstanceId
from skerry.model.limits import INTEGER_MAX, SAMPLES_QUICK_US_MAX
from skerry.model.samples import HostUse, InstanceUse, Sample
from skerry.sync import child_ports as cp
from skerry.sync import parent_ports as pp
from skerry.sync import ports
from skerry.sync.child_end import ChildEnd
from skerry.sync.classes import LINK_PLANS
from skerry.sync.facts import digest_facts
from skerry.sync.parent_end import ParentEnd
from skerry.sync.samples import FIRST_US, SamplesSender

WIRED = LINK_PLANS["wired"]
SAMPLE = Sample(HostUse(1, 2, 3, 4), (InstanceUse(InstanceId("default/shop/web/0"), 5, 6),))
HOUR = 3600 * SECOND


def run(sender: SamplesSender, start: int, end: int, size: int) -> list[int]:
    """Look whenever it is due, and return when."""
    now, looked = start, []
    while (due := sender.due(now)) is not None and max(due, now) < end:
        now = max(due, now)
        sender.start_reading()
        assert sender.due(now) is None, "one look at a time"
        looked.append(now)
        now += SECOND // 10
        sender.note_read(now, size)
    return looked


def test_nothing_is_sent_unasked():
    sender = SamplesSender()
    assert sender.due(0) is None
    sender.begin(WIRED)
    assert sender.due(HOUR) is None


def test_at_rest_there_are_four_an_hour_and_the_first_waits_for_better_things():
    sender = SamplesSender()
    sender.begin(WIRED)
    sender.ask(wire.SamplesAsk(WIRED.samples_us), 0)
    looked = run(sender, 0, HOUR, 100)
    assert looked[0] == FIRST_US
    assert len(looked) == 4


@pytest.mark.parametrize("link_class", sorted(LINK_PLANS))
@pytest.mark.parametrize("size", [60, 400, 3_000, 12_000])
def test_at_rest_a_day_of_samples_stays_within_the_budget_of_the_class_whatever_the_parent_wishes(link_class, size):
    plan = LINK_PLANS[link_class]
    sender = SamplesSender()
    sender.begin(plan)
    sender.ask(wire.SamplesAsk(1), 0)
    looked = run(sender, 0, 24 * HOUR, size)
    assert all(later - sooner >= plan.samples_us_min for sooner, later in itertools.pairwise(looked))
    # The first one is free: its size was not known before.
    assert (len(looked) - 1) * (size + 130) <= 24 * plan.samples_bytes_per_hour


def test_quicker_only_for_a_span_that_ends_by_itself_and_has_a_limit():
    sender = SamplesSender()
    sender.begin(WIRED)
    sender.ask(wire.SamplesAsk(WIRED.samples_us), 0)
    sender.ask(wire.SamplesAsk(1, 10 * HOUR), 0)
    looked = run(sender, 0, HOUR, 100)
    quick = [at for at in looked if at < SAMPLES_QUICK_US_MAX]
    assert len(quick) == SAMPLES_QUICK_US_MAX // WIRED.samples_us_min
    assert len(looked) - len(quick) <= 4


def test_a_flapping_link_tells_once_per_session_and_no_quicker_than_its_class():
    sender = SamplesSender()
    looked: list[int] = []
    for start in range(0, 600 * SECOND, 31 * SECOND):
        sender.begin(LINK_PLANS["mobile"])
        sender.ask(wire.SamplesAsk(WIRED.samples_us), start)
        looked += run(sender, start, start + 31 * SECOND, 100)
    assert len(looked) <= 10


# --- both ends -------------------------------------------------------------------------------------------------------


def _parent(features: tuple[str, ...]) -> tuple[ParentEnd, list[pp.ParentCommand]]:
    claim = msgspec.structs.replace(SiteDisk().begin_session(0), features=features)
    end = ParentEnd(0)
    end.handle(pp.Admitted(claim, 0, b""), 0)
    return end, end.handle(pp.PatchDrawn(None), 0)


def _sent(commands: list[pp.ParentCommand] | list[cp.ChildCommand]) -> list[wire.Message]:
    return [command.message for command in commands if isinstance(command, ports.Send)]


def test_a_child_that_does_not_know_the_word_is_never_asked():
    end, commands = _parent(())
    assert [type(message) for message in _sent(commands)] == [wire.Welcome]
    assert not _sent(end.handle(pp.SamplesWanted(30 * SECOND, 300 * SECOND), SECOND))


def test_a_child_that_knows_it_is_asked_behind_its_welcome_and_again_when_somebody_watches():
    end, commands = _parent((wire.SAMPLES_FEATURE,))
    assert _sent(commands)[1:] == [wire.SamplesAsk(WIRED.samples_us, 0)]
    watched = _sent(end.handle(pp.SamplesWanted(30 * SECOND, 300 * SECOND), SECOND))
    assert watched == [wire.SamplesAsk(30 * SECOND, 300 * SECOND)]


def test_nobody_is_asked_before_the_welcome():
    claim = msgspec.structs.replace(SiteDisk().begin_session(0), features=(wire.SAMPLES_FEATURE,))
    end = ParentEnd(0)
    end.handle(pp.Admitted(claim, 0, b""), 0)
    assert not _sent(end.handle(pp.SamplesWanted(30 * SECOND, 300 * SECOND), SECOND))


def test_what_a_child_sends_is_taken_and_answered_by_nobody():
    end, _ = _parent((wire.SAMPLES_FEATURE,))
    commands = end.handle(ports.Received(wire.Samples(SAMPLE, 42)), SECOND)
    assert pp.TakeSample(SAMPLE, 42) in commands
    assert not _sent(commands)


def _child() -> ChildEnd:
    end = ChildEnd()
    claim = SiteDisk().begin_session(0)
    end.handle(cp.Linked(claim, wire.encode_claim(claim), b"proof"), 0)
    end.handle(ports.Received(wire.Welcome(1, 0, digest_facts({}), 30 * SECOND)), 0)
    end.handle(cp.FactsRead({}), 0)
    end.handle(cp.OutboxRead(0, ()), 0)
    return end


def test_a_child_looks_when_asked_and_sends_with_the_round_trip_of_its_last_heartbeat():
    end = _child()
    assert cp.ReadSample() not in end.handle(ports.Woke(), 29 * SECOND)
    beats = _sent(end.handle(ports.Woke(), 30 * SECOND))
    assert wire.Beat(True) in beats
    end.handle(ports.Received(wire.Beat()), 30 * SECOND + 40_000)
    asked = end.handle(ports.Received(wire.SamplesAsk(60 * SECOND, 300 * SECOND)), 31 * SECOND)
    assert cp.ReadSample() in asked
    assert _sent(end.handle(cp.SampleRead(SAMPLE), 32 * SECOND)) == [wire.Samples(SAMPLE, 40_000)]


def test_a_look_that_outlives_its_session_is_nothing():
    end = _child()
    end.handle(ports.Received(wire.SamplesAsk(60 * SECOND, 300 * SECOND)), SECOND)
    end.handle(ports.Ended(), 2 * SECOND)
    assert not _sent(end.handle(cp.SampleRead(SAMPLE), 3 * SECOND))


def test_a_sample_is_no_progress_towards_an_answer_that_is_owed():
    end, _ = _parent((wire.SAMPLES_FEATURE,))
    end.handle(pp.CallWanted("c", "logs", b"", 100 * HOUR), 0)  # type: ignore[arg-type]
    codes: list[str] = []
    for now in range(0, 2000 * SECOND, 10 * SECOND):
        end.handle(ports.Received(wire.Samples(SAMPLE)), now)
        codes += [each.code for each in end.handle(ports.Woke(), now) if isinstance(each, ports.Close)]
    assert codes == ["E-STALLED"]


@pytest.mark.parametrize("amount", [-1, INTEGER_MAX + 1, 2**64 - 1])
def test_numbers_that_are_none_are_refused_at_the_edge(amount):
    frame = wire.encode(wire.Samples(Sample(HostUse(amount, 0, 0, 0))))
    with pytest.raises(wire.WireError):
        wire.decode(frame)
