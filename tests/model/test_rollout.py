import pytest

from skerry.model.rollout import Rollout, Share


@pytest.mark.parametrize("total", [0, 1, 2, 3, 7, 100])
def test_shares_are_rounded_up_for_stages_and_down_for_failures(total: int) -> None:
    share = Share(permille=20)
    assert share.of(total) == min(total, -(-total // 50))
    assert share.at_most(total) == total // 50
    assert Share(sites=5).of(total) == Share(sites=5).at_most(total) == min(5, total)
    assert Share().of(total) == Share().at_most(total) == 0


def test_a_single_size_is_that_of_every_wave() -> None:
    words = Rollout(waves=(Share(sites=50),), repeats=True)
    assert words.count_waves(120) == 3
    assert [words.size_of(stage, 120) for stage in (0, 1, 2, 3)] == [1, 50, 100, 120]
    assert words.count_waves(0) == 1


def test_sizes_in_all_are_taken_as_they_stand() -> None:
    words = Rollout()
    assert words.count_waves(7) == 3
    assert [words.size_of(stage, 200) for stage in (0, 1, 2, 3)] == [1, 20, 100, 200]
