"""The text that is scraped: families together, names as the kinds want, outside words kept inside their quotes."""

from skerry.core.exposition import Exposition


def test_series_of_one_family_stand_together_under_one_head():
    text = Exposition()
    text.add("gauge", "skerry_sites", "Sites by state.", 3, {"state": "online"})
    text.add("counter", "skerry_samples", "Samples.", 7)
    text.add("gauge", "skerry_sites", "Sites by state.", 1, {"state": "silent"})
    assert text.write() == (
        "# TYPE skerry_sites gauge\n# HELP skerry_sites Sites by state.\n"
        'skerry_sites{state="online"} 3\nskerry_sites{state="silent"} 1\n'
        "# TYPE skerry_samples counter\n# HELP skerry_samples Samples.\nskerry_samples_total 7\n# EOF\n"
    )


def test_a_label_from_outside_cannot_begin_a_series_of_its_own():
    text = Exposition()
    text.add("gauge", "g", "A line.", 0.5, {"a": 'x"} 1\nevil{b="\\', "empty": ""})
    lines = text.write().splitlines()
    assert lines[2] == 'g{a="x\\"} 1\\nevil{b=\\"\\\\"} 0.5'
    assert len(lines) == 4


def test_information_is_a_series_of_its_own_kind():
    text = Exposition()
    text.add("info", "skerry_build", "The release.", 1, {"version": "1"})
    assert 'skerry_build_info{version="1"} 1' in text.write()
