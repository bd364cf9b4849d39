"""The archive that a guest unpacks: folders and files under their names, and nobody's but root's."""

import os
import tarfile

from tests.guest.parcel import pack_parcel


def test_folders_and_bytes_are_packed_under_their_names_and_belong_to_root(tmp_path):
    folder = tmp_path / "tree"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "program").write_text("text")
    (folder / "inner" / "program").chmod(0o755)
    # What was compiled is judged by the time of its source.
    os.utime(folder / "inner" / "program", (1_000_000_000, 1_000_000_000))
    place = pack_parcel(tmp_path / "parcel.tar", {"tree": folder, "image.tar": b"bytes"})
    with tarfile.open(place) as archive:
        entries = {entry.name: entry for entry in archive}
        assert archive.extractfile("image.tar").read() == b"bytes"
    assert set(entries) == {"image.tar", "tree", "tree/inner", "tree/inner/program"}
    assert {(entry.uid, entry.gid, entry.uname) for entry in entries.values()} <= {(0, 0, "root"), (0, 0, "")}
    program = entries["tree/inner/program"]
    assert (program.mode, program.mtime) == (0o755, 1_000_000_000)
