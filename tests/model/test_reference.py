import pytest

from skerry.model.errors import Invalid
from skerry.model.reference import full_name, parse_reference


def test_names_are_spelt_out_as_engines_do():
    assert full_name("nginx") == "docker.io/library/nginx:latest"
    assert full_name("localhost:5000/a/b:2") == "localhost:5000/a/b:2"
    assert full_name(f"a/b:1@sha256:{'0' * 64}") == f"docker.io/a/b@sha256:{'0' * 64}"


def test_what_is_no_name_is_kept_or_refused():
    assert full_name("No Name") == "No Name"
    with pytest.raises(Invalid):
        parse_reference("No Name")
