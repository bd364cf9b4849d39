"""When an end asks, and when it believes the other one gone: (what happened) -> sign at a time."""

import pytest

from skerry.sync.pulse import ANSWER_US, ASK_US, SECOND_US, STALL_US, Pulse, Sign

H = 30 * SECOND_US


def make(leads: bool, interval_us: int = H) -> Pulse:
    pulse = Pulse(leads=leads)
    pulse.begin(0, interval_us)
    return pulse


@pytest.mark.parametrize(
    ("leads", "waiting", "at_us", "sign"),
    [
        (True, False, H - 1, Sign.NOTHING),
        (True, False, H, Sign.ASK),
        (True, True, ASK_US, Sign.ASK),
        (False, False, H, Sign.NOTHING),
        (False, False, H * 3 // 2, Sign.ASK),
        (False, True, ASK_US, Sign.ASK),
        (True, False, 2 * H, Sign.SILENT),
        (False, False, 2 * H, Sign.SILENT),
    ],
)
def test_silence(leads: bool, waiting: bool, at_us: int, sign: Sign):
    assert make(leads).judge(at_us, waiting=waiting) is sign


def test_what_was_said_and_heard_puts_everything_off():
    pulse = make(True)
    pulse.note_sent(H - 1, word=True)
    pulse.note_heard(H - 1, word=False)
    assert pulse.judge(H, waiting=False) is Sign.NOTHING
    assert pulse.next_due(waiting=False) == 2 * H - 1


def test_saying_much_and_hearing_nothing_is_asked_about_after_an_interval():
    pulse = make(True)
    for second in range(0, 30, 5):
        pulse.note_sent(second * SECOND_US, word=True)
    assert pulse.judge(H, waiting=False) is Sign.ASK


def test_one_question_is_open_at_a_time_and_an_answer_closes_it():
    pulse = make(True)
    assert pulse.judge(H, waiting=False) is Sign.ASK
    pulse.note_sent(H, word=False)
    assert pulse.judge(H + SECOND_US, waiting=False) is Sign.NOTHING
    pulse.note_heard(H + SECOND_US, word=False)
    assert pulse.judge(2 * H, waiting=False) is Sign.ASK


def test_on_a_slow_class_an_open_question_ends_sooner_than_two_intervals():
    pulse = make(True, 900 * SECOND_US)
    assert pulse.judge(ASK_US, waiting=True) is Sign.ASK
    assert pulse.judge(ASK_US + ANSWER_US - 1, waiting=True) is Sign.NOTHING
    assert pulse.judge(ASK_US + ANSWER_US, waiting=True) is Sign.SILENT


def test_heartbeats_alone_are_no_progress_while_an_answer_is_owed():
    pulse = make(True)
    pulse.note_sent(0, word=True)
    at = 0
    while at < STALL_US - H:
        at += H
        pulse.note_sent(at, word=False)
        pulse.note_heard(at, word=False)
        assert pulse.judge(at, waiting=True) is Sign.NOTHING
    pulse.note_heard(STALL_US, word=False)
    assert pulse.judge(STALL_US, waiting=True) is Sign.STALLED


def test_nothing_stalls_while_nothing_is_owed():
    pulse = make(True)
    for at in range(H, 3 * STALL_US, H):
        pulse.note_heard(at, word=False)
        assert pulse.judge(at, waiting=False) is not Sign.STALLED


def test_an_end_that_slept_judges_nobody_for_it():
    pulse = make(False)
    due = pulse.next_due(waiting=False)
    hour = 3600 * SECOND_US
    assert pulse.judge(due + hour, waiting=False) is Sign.ASK
    assert pulse.judge(hour + 2 * H - 1, waiting=False) is Sign.NOTHING
    assert pulse.judge(hour + 2 * H, waiting=False) is Sign.SILENT
