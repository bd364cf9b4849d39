import msgspec
import pytest

from skerry.model.answers import AuditEntry
from skerry.trust.chain import CHAIN_START, AuditRecord, ChainBreak, ChainHead, chain_hash, follow_chain


def make(count, said="app/a"):
    entries, previous = [], CHAIN_START
    for seq in range(1, count + 1):
        record = AuditRecord(
            seq=seq, time_us=seq, actor="token/x", operation="apply_app", object=said, outcome="done", cause="c"
        )
        payload = msgspec.json.encode(record)
        here = chain_hash(previous, payload)
        shown = {name: getattr(record, name) for name in record.__struct_fields__}
        entries.append(AuditEntry(previous=previous, hash=here, payload=payload, **shown))
        previous = here
    return entries


def change(entries, index, **words):
    return [*entries[:index], msgspec.structs.replace(entries[index], **words), *entries[index + 1 :]]


def test_a_whole_chain_has_a_head_and_an_empty_one_its_start():
    chain = make(3)
    assert follow_chain(chain) == ChainHead(3, chain[-1].hash)
    assert follow_chain([]) == ChainHead(0, CHAIN_START)


@pytest.mark.parametrize(
    ("broken", "seq", "word"),
    [
        (lambda chain: chain[1:], 2, "record 1 should"),
        (lambda chain: [chain[0], chain[2]], 3, "record 2 should"),
        (lambda chain: [chain[1], chain[0], chain[2]], 2, "record 1 should"),
        (lambda chain: change(chain, 1, payload=chain[0].payload), 2, "not that of its content"),
        (lambda chain: change(chain, 1, hash=b"x" * 32), 2, "not that of its content"),
        (lambda chain: change(chain, 2, previous=CHAIN_START), 3, "does not stand on"),
        (lambda chain: change(chain, 1, actor="somebody else"), 2, "what is shown"),
        (lambda chain: change(chain, 1, outcome="refused"), 2, "what is shown"),
    ],
)
def test_the_first_break_is_named(broken, seq, word):
    found = follow_chain(broken(make(3)))
    assert isinstance(found, ChainBreak)
    assert found.seq == seq
    assert word in found.reason


def test_content_that_is_no_record_is_a_break():
    payload = b"no json"
    entry = msgspec.structs.replace(make(1)[0], payload=payload, hash=chain_hash(CHAIN_START, payload))
    assert follow_chain([entry]) == ChainBreak(1, "its content cannot be read")


def test_a_noted_head_finds_a_chain_made_anew_and_one_cut_short():
    chain, anew = make(3), make(3, said="app/b")
    noted = ChainHead(2, chain[1].hash)
    assert follow_chain(chain, noted) == ChainHead(3, chain[2].hash)
    assert follow_chain(anew) == ChainHead(3, anew[2].hash), "alone it is whole"
    assert follow_chain(anew, noted) == ChainBreak(2, "its hash is not the one that was noted: the chain was made anew")
    assert follow_chain(chain[:1], noted) == ChainBreak(2, "it is missing: the chain once went to record 2")
