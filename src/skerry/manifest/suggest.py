"""The nearest known word, for "Did you mean": edit distance at most 2 and at most a third of the length."""

from collections.abc import Iterable


def suggest_word(word: str, known: Iterable[str]) -> str:
    """Return the known word nearest to ``word``, alphabetically first among equals; empty when none is near."""
    limit = min(2, len(word) // 3)
    near = ((_distance(word, one, limit), one) for one in known if abs(len(one) - len(word)) <= limit)
    return min(((distance, one) for distance, one in near if distance <= limit), default=(0, ""))[1]


def describe_unknown(word: str, known: Iterable[str], elsewhere: Iterable[str] = ()) -> str:
    """Say that a word is unknown, which one was meant, and where else it exists."""
    near = suggest_word(word, known)
    places = sorted(elsewhere)
    if near:
        return f'unknown word. Did you mean "{near}"?'
    if places:
        return f"unknown word here. It belongs to {' or '.join(places[:3])}"
    return "unknown word"


def _distance(one: str, other: str, limit: int) -> int:
    """Count the letters to change, add, leave out or swap with a neighbour; beyond ``limit`` any larger number."""
    if not limit or len(one) > 64:
        return 0 if one == other else limit + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        previous, before, row = before, row, [at]
        for to, target in enumerate(other, 1):
            cost = min(before[to] + 1, row[to - 1] + 1, before[to - 1] + (letter != target))
            if at > 1 and to > 1 and letter == other[to - 2] and one[at - 2] == target:
                cost = min(cost, previous[to - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1]
