"""How long an end heard nothing: the longest gap that reaches into a time, and the one that lasts."""

from skerry.clock import SECOND_US
from skerry.model.ids import SiteName
from skerry.sim.silence import Silence

SITE = SiteName("site-1")


def test_the_longest_silence_since():
    silence = Silence()
    for at_s in (0, 10, 110, 115, 175, 180):
        silence.note(SITE, True, at_s * SECOND_US)
    now_us = 200 * SECOND_US
    assert silence.lasts_us(SITE, True, now_us) == 20 * SECOND_US
    assert silence.longest_us(SITE, True, 100 * SECOND_US, now_us) == 100 * SECOND_US
    assert silence.longest_us(SITE, True, 120 * SECOND_US, now_us) == 60 * SECOND_US
    assert silence.longest_us(SITE, True, 190 * SECOND_US, now_us) == 20 * SECOND_US
    assert silence.lasts_us(SITE, False, now_us) == now_us
