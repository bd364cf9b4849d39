import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.model.policy import Policy
from skerry.plan.budget import allow_down, is_said


@pytest.mark.parametrize(
    ("policy", "copies", "allowed"),
    [
        (msgspec.UNSET, 9, 1),
        (Policy(), 9, 1),
        (Policy(max_down=3), 2, 3),
        (Policy(max_down_permille=250), 8, 2),
        (Policy(max_down_permille=250), 7, 1),
        (Policy(max_down_permille=1), 3, 1),
        (Policy(max_down_permille=1000), 4, 4),
    ],
)
def test_how_many_may_be_down(policy, copies, allowed):
    assert allow_down(policy, copies) == allowed


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_percentage_is_never_more_than_it_says_but_always_one(permille, copies):
    allowed = allow_down(Policy(max_down_permille=permille), copies)
    assert 1 <= allowed <= copies
    assert allowed == 1 or allowed * 1000 <= permille * copies


def test_whether_anything_was_said():
    assert not is_said(msgspec.UNSET)
    assert not is_said(Policy())
    assert is_said(Policy(max_down=1))
    assert is_said(Policy(max_down_permille=10))
