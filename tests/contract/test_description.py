"""A core does what its description of the API says, to every role; more questions: ``tests.contract.fuzzing``."""

from tests.contract import fuzzing


def test_every_role_gets_only_answers_that_are_described():
    with fuzzing.Town() as town:
        counts, complaints = fuzzing.fuzz(town, fuzzing.ROLES, examples=1)
    assert complaints == []
    # Nobody was let in by mistake, and everybody was somewhere.
    assert not {"anonymous 201", "viewer 201"} & set(counts)
    assert all(counts[f"{role} 200"] for role in fuzzing.ROLES)
    assert all(counts[f"{role} 401"] == 0 for role in fuzzing.ROLES if role != "anonymous")
