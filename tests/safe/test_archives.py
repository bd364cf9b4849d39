import gzip
import io
import random
import tarfile
import zlib

import pytest

from skerry.safe.archives import Inflated, Limits, read_archive
from skerry.safe.errors import UnsafeArchive


def pack(*members, form=tarfile.PAX_FORMAT, content=b"content", pax=None):
    """Pack members given as a name, or a name and changes to its header."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form, pax_headers=pax) as archive:
        for member in members:
            name, changes = member if isinstance(member, tuple) else (member, {})
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in changes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return target.getvalue()


def read(packed, **limits):
    return [
        (member, content.read(1_000_000))
        for member, content in read_archive(io.BytesIO(packed), Limits(**limits) if limits else None)
    ]


def read_names(packed):
    return [member.name for member, _ in read(packed)]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_members_and_contents_come_in_order(form):
    link = {"type": tarfile.SYMTYPE, "linkname": "../index.json", "size": 0}
    hard = {"type": tarfile.LNKTYPE, "linkname": "index.json", "size": 0}
    packed = pack(
        ("./blobs/", {"type": tarfile.DIRTYPE, "size": 0}), "./index.json", ("blobs/a", link), ("b", hard), form=form
    )
    assert [(m.name, m.kind, m.size, m.target, content) for m, content in read(packed)] == [
        ("blobs", "directory", 0, "", b""),
        ("index.json", "file", 7, "", b"content"),
        ("blobs/a", "symlink", 0, "index.json", b""),
        ("b", "hardlink", 0, "index.json", b""),
    ]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_read(form):
    name = "/".join(["directory" * 5] * 20)
    target = "x" * 300
    packed = pack(name, (name + "l", {"type": tarfile.SYMTYPE, "linkname": target, "size": 0}), form=form)
    (first, content), (second, _) = read(packed)
    assert (first.name, content) == (name, b"content")
    assert second.target == name.rpartition("/")[0] + "/" + target


def test_a_content_that_is_not_read_is_skipped():
    packed = pack("a", "b", content=b"x" * 100_000)
    assert [member.name for member, _ in read_archive(io.BytesIO(packed))] == ["a", "b"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "a/..", "a\\b", "/"])
def test_names_that_lead_out_are_refused(name):
    with pytest.raises(UnsafeArchive, match="leads out"):
        read(pack(name))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../up", "a/../../../up", "../.."])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_that_lead_out_are_refused(kind, target):
    with pytest.raises(UnsafeArchive, match="leads out"):
        read(pack(("dir/link", {"type": kind, "linkname": target, "size": 0})))


def test_a_link_that_stays_inside_is_told_from_the_top():
    packed = pack(("a/b/link", {"type": tarfile.SYMTYPE, "linkname": "../.././c/./d", "size": 0}))
    assert read(packed)[0][0].target == "c/d"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"Q"])
def test_other_kinds_are_refused(kind):
    with pytest.raises(UnsafeArchive, match="kind"):
        read(pack(("a", {"type": kind, "size": 0})))


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_set_id_is_refused(mode):
    with pytest.raises(UnsafeArchive, match="set-id"):
        read(pack(("a", {"mode": mode})))


def test_pax_sparse_files_are_refused():
    with pytest.raises(UnsafeArchive, match="Sparse"):
        read(pack(("a", {"pax_headers": {"GNU.sparse.major": "1"}})))


def test_a_global_header_renames_nothing():
    assert read_names(pack("a", pax={"comment": "packed on a Tuesday"})) == ["a"]
    with pytest.raises(UnsafeArchive, match="global"):
        read(pack("a", pax={"path": "b"}))


def test_limits_hold_before_anything_is_read():
    packed = pack("a", "b", "c", content=b"x" * 1000)
    assert len(read(packed, members_max=3, bytes_max=3000)) == 3
    for limits in ({"members_max": 2}, {"bytes_max": 2999}, {"name_bytes_max": 0}):
        with pytest.raises(UnsafeArchive):
            read(packed, **limits)
    with pytest.raises(UnsafeArchive, match="steps"):
        read(pack("/".join("abcde")), depth_max=4)
    with pytest.raises(UnsafeArchive, match="extended header"):
        read(pack("x" * 20_000))
    huge = bytearray(pack("a"))
    info = tarfile.TarInfo("a")
    info.size = 1 << 60
    huge[:512] = info.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(UnsafeArchive, match="more than"):
        read(bytes(huge))
    info.type = tarfile.XHDTYPE
    huge[:512] = info.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(UnsafeArchive, match="extended header"):
        read(bytes(huge))


@pytest.mark.parametrize("record", [b"99 path=a\n", b"8 path=a\n", b"x path=a\n", b"10 path a\n", b"0 \n", b"-1 a=b\n"])
def test_damaged_extended_headers_are_refused(record):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    with pytest.raises(UnsafeArchive):
        read(info.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0") + pack("a"))


def test_a_negative_size_is_refused():
    info = tarfile.TarInfo("a")
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = b"\xff" * 11 + b"\x01"
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    with pytest.raises(UnsafeArchive):
        read(bytes(block))


def test_every_cut_of_an_archive_is_noticed():
    packed = pack("a", ("b", {"pax_headers": {"path": "long" * 50}}))
    end = len(packed.rstrip(b"\0"))
    for size in range(0, end, 97):
        with pytest.raises(UnsafeArchive):
            read(packed[:size])


def test_garbage_is_refused_in_words():
    dice = random.Random(1)
    good = pack("a", "b", ("c", {"type": tarfile.SYMTYPE, "linkname": "a", "size": 0}), "n" * 150)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(dice.randint(1, 8)):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        try:
            members = read(bytes(bad))
        except UnsafeArchive:
            continue
        assert all(".." not in member.name.split("/") for member, _ in members)
    with pytest.raises(UnsafeArchive):
        read(dice.randbytes(4096))


def inflate(packed, chunk=1000, **limits):
    source = Inflated(io.BytesIO(packed), **({"bytes_max": 1 << 30} | limits))
    parts = []
    while content := source.read(chunk):
        assert len(content) <= chunk
        parts.append(content)
    return b"".join(parts)


def test_gzip_is_inflated_in_pieces():
    content = random.Random(1).randbytes(200_000) + bytes(500_000)
    assert inflate(gzip.compress(content)) == content
    assert inflate(gzip.compress(b"one") + gzip.compress(b"two"), chunk=2) == b"onetwo"
    assert Inflated(io.BytesIO(gzip.compress(b"one")), bytes_max=10).read(0) == b""


def test_an_archive_is_read_through_gzip():
    members = read_archive(Inflated(io.BytesIO(gzip.compress(pack("a", "b"))), bytes_max=1 << 20))
    assert [member.name for member, _ in members] == ["a", "b"]


def test_bombs_stop_early():
    bomb = gzip.compress(bytes(64 << 20))
    with pytest.raises(UnsafeArchive, match="-fold"):
        inflate(bomb, chunk=1 << 16)
    with pytest.raises(UnsafeArchive, match="more than 1000000 bytes"):
        inflate(bomb, chunk=1 << 16, bytes_max=1_000_000)


def test_damaged_gzip_is_refused_in_words():
    packed = gzip.compress(random.Random(1).randbytes(5000))
    for bad in (packed[:-1], packed[:100], packed[:3], b"not gzip", packed + b"tail", zlib.compress(b"other")):
        with pytest.raises(UnsafeArchive):
            inflate(bad)
    flipped = bytearray(packed)
    flipped[2000] ^= 1
    with pytest.raises(UnsafeArchive):
        inflate(bytes(flipped))
