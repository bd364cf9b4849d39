"""Kept answers: a key is taken once, for a day and up to a number, in every tenant by itself."""

from sqlalchemy import Connection
from tests.store.stores import fresh_db

from skerry.model.ids import digest_of
from skerry.store import answers
from skerry.store.answers import AnswerRow

ONE, TWO = digest_of(b"one"), digest_of(b"two")


async def test_what_was_done_is_found_with_its_answer_by_its_tenant_alone() -> None:
    db = fresh_db()
    await db.run(lambda c: answers.record_done(c, "default", "a", ONE, 100, 9))
    found = await db.read(lambda c: answers.find_answer(c, "default", "a", 0))
    assert found == AnswerRow(request=ONE, answer=b"", recorded_us=100)
    await db.run(lambda c: answers.record_answer(c, "default", "a", b"sealed"))
    found = await db.read(lambda c: answers.find_answer(c, "default", "a", 100))
    assert found == AnswerRow(request=ONE, answer=b"sealed", recorded_us=100)
    assert await db.read(lambda c: answers.find_answer(c, "other", "a", 0)) is None
    assert await db.read(lambda c: answers.find_answer(c, "default", "b", 0)) is None


async def test_an_old_answer_is_not_found_and_its_key_can_be_taken_again() -> None:
    db = fresh_db()
    await db.run(lambda c: answers.record_done(c, "default", "a", ONE, 100, 9))
    assert await db.read(lambda c: answers.find_answer(c, "default", "a", 101)) is None
    await db.run(lambda c: answers.record_done(c, "default", "a", TWO, 200, 9))
    found = await db.read(lambda c: answers.find_answer(c, "default", "a", 101))
    assert found is not None
    assert found.request == TWO
    await db.run(lambda c: answers.trim_answers(c, 201))
    assert await db.read(lambda c: answers.find_answer(c, "default", "a", 0)) is None


async def test_the_oldest_of_a_tenant_go_and_nobody_elses() -> None:
    db = fresh_db()

    def job(connection: Connection) -> list[bool]:
        answers.record_done(connection, "other", "first", ONE, 1, 2)
        for number, name in enumerate(("a", "b", "c", "d")):
            answers.record_done(connection, "default", name, ONE, 10 + number, 2)
        places = (("default", "a"), ("default", "b"), ("default", "c"), ("default", "d"), ("other", "first"))
        return [answers.find_answer(connection, *place, 0) is not None for place in places]

    assert await db.run(job) == [False, False, True, True, True]
