"""The text that is scraped: families together, names as the kinds want, outside words kept inside their quotes."""

import pytest

from skerry.core.exposition import Exposition
from skerry.core.series import BUILD, SAMPLES, SITE_CONDITION, SITES


def test_series_of_one_family_stand_together_under_one_head():
    text = Exposition()
    text.add(SITES, 3, "online")
    text.add(SAMPLES, 7)
    text.add(SITES, 1, "silent")
    assert text.write() == (
        "# TYPE skerry_sites gauge\n# HELP skerry_sites Sites by state.\n"
        'skerry_sites{state="online"} 3\nskerry_sites{state="silent"} 1\n'
        "# TYPE skerry_samples counter\n# HELP skerry_samples Samples of use taken since the start.\n"
        "skerry_samples_total 7\n# EOF\n"
    )


def test_a_label_from_outside_cannot_begin_a_series_of_its_own():
    text = Exposition()
    text.add(SITE_CONDITION, 0.5, "", 'x"} 1\nevil{b="\\')
    lines = text.write().splitlines()
    assert lines[2] == 'skerry_site_condition{condition="x\\"} 1\\nevil{b=\\"\\\\"} 0.5'
    assert len(lines) == 4


def test_information_is_a_series_of_its_own_kind():
    text = Exposition()
    text.add(BUILD, 1, "1")
    assert 'skerry_build_info{version="1"} 1' in text.write()


def test_a_series_has_the_labels_of_its_family_and_no_others():
    with pytest.raises(ValueError, match="shorter"):
        Exposition().add(SITES, 1)
