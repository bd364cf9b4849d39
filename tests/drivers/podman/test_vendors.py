"""What vendors describe on a node, as their generators write it."""

import json
from pathlib import Path

import pytest

from skerry.drivers.podman.vendors import count_vendor_devices, read_vendor_devices, read_yaml

#: As NVIDIA's generator orders and indents it.
YAML = """
---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  hooks:
  - hookName: createContainer
    path: /usr/bin/hook
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      name: not-this
  name: "0"
- name: 'GPU-b1'
  containerEdits:
    env:
    - NAME=x
- containerEdits: {}
  name: all
kind: nvidia.com/gpu
"""


def test_the_names_of_devices_are_read_from_yaml_as_generators_write_it():
    assert read_yaml(YAML) == ("nvidia.com/gpu", ["0", "GPU-b1", "all"])
    indented = (
        YAML.replace("\n- ", "\n  - ")
        .replace("\n  name", "\n    name")
        .replace("\n    deviceNodes", "\n      deviceNodes")
    )
    assert read_yaml(indented)[0] == "nvidia.com/gpu"
    assert read_yaml("kind: a.example/gpu\ndevices: []\n") == ("a.example/gpu", [])
    assert read_yaml("") == ("", [])


def test_both_folders_and_forms_are_read_and_what_makes_no_sense_is_as_good_as_not_there(tmp_path: Path):
    one, other = tmp_path / "etc", tmp_path / "run"
    one.mkdir()
    other.mkdir()
    (one / "nvidia.yaml").write_text(YAML)
    (other / "vpu.json").write_text(
        json.dumps({"kind": "intel.com/vpu", "devices": [{"name": "0"}, {"name": "a b"}, 7]})
    )
    for number, odd in enumerate(
        (b"[]", b"{", b"\xff", b'{"kind": 1, "devices": 2}', b'{"kind": "x", "devices": [{"name": "0"}]}')
    ):
        (other / f"odd{number}.json").write_bytes(odd)
    (other / "notes.txt").write_text(YAML)
    found = read_vendor_devices((one, other, tmp_path / "none"))
    assert found == {"nvidia.com/gpu=0", "nvidia.com/gpu=GPU-b1", "nvidia.com/gpu=all", "intel.com/vpu=0"}


@pytest.mark.parametrize(
    ("devices", "facts"),
    [
        (["nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all"], {"nvidia.com/gpu": "2"}),
        (["nvidia.com/gpu=all"], {"nvidia.com/gpu": "1"}),
        ([], {}),
    ],
)
def test_a_node_is_known_for_how_many_there_are(devices, facts):
    assert count_vendor_devices(devices) == facts
