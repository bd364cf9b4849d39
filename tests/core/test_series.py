"""What is declared of series: names and labels as Prometheus wants them, each name once."""

import re

from skerry.core.series import FAMILIES


def test_names_are_base_units_and_stand_once():
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names) > 30
    assert all(re.fullmatch(r"(skerry|process)(_[a-z0-9]+)+", name) for name in names)
    assert not [name for name in names if re.search(r"_(total|info|ms|us|kb|mb|percent)$", name)]


def test_what_is_said_is_a_sentence_and_who_reads_follows_from_the_labels():
    for family in FAMILIES:
        assert family.line.endswith("."), family.name
        assert ("tenant" in family.labels) == (family.reader == "tenant"), family.name
