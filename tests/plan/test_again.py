"""Results that are given again: for equal arguments alone, and no more of them than are wanted."""

from skerry.plan.again import Again


def test_a_result_is_made_again_only_where_an_argument_differs():
    made: list[int] = []

    def make(*numbers: int) -> int:
        return again.get("sum", numbers, lambda: made.append(1) or sum(numbers))

    again: Again[int] = Again(2)
    assert [make(1, 2), make(1, 2), make(2, 2), make(1, 2)] == [3, 3, 4, 3]
    assert len(made) == 3


def test_what_was_asked_for_least_lately_is_forgotten():
    made: list[str] = []

    def make(name: str) -> str:
        return again.get(name, (), lambda: made.append(name) or name)

    again: Again[str] = Again(2)
    for name in ("one", "two", "one", "three", "one", "two"):
        assert make(name) == name
    assert made == ["one", "two", "three", "two"]


def test_what_failed_is_tried_again():
    again: Again[int] = Again(2)
    answers = iter((ValueError("no"), 5))

    def make() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    try:
        again.get("it", (), make)
    except ValueError:
        assert again.get("it", (), make) == 5
    else:
        raise AssertionError("the error was kept from the caller")
