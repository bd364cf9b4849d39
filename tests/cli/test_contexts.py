import json

import pytest
from tests.cli.town import Result

from skerry.cli.main import run
from skerry.cli.session import Session


@pytest.fixture
def cli(tmp_path):
    from click.testing import CliRunner

    environment = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}

    def call(*arguments, stdin=None, **more):
        with CliRunner().isolation(input=stdin) as (out, err, _):
            code = run(list(arguments), Session(environment | more))
            return Result(code, out.getvalue().decode(), err.getvalue().decode())

    return call


def test_a_context_is_set_listed_used_shown_and_forgotten(cli):
    assert cli("context", "set", "here", "--url", "http://127.0.0.1:1/", stdin=b"skt_secret\n").code == 0
    assert cli("context", "set", "there", "--url", "https://core.example", "--tenant", "acme", stdin=b"x").code == 0
    found = json.loads(cli("context", "list", "-o", "json").out)["items"]
    assert [(each["name"], each["current"], each["has_token"]) for each in found] == [
        ("here", True, True),
        ("there", False, True),
    ]
    assert cli("context", "use", "there").code == 0
    shown = cli("context", "show")
    assert "acme" in shown.out
    assert "secret" not in cli("context", "show", "here", "-o", "json").out
    assert cli("context", "remove", "here").code == 1
    assert cli("context", "remove", "here", "--yes").code == 0
    assert cli("context", "show", "here").code == 5


def test_the_address_of_a_context_is_checked(cli):
    result = cli("context", "set", "far", "--url", "http://10.0.0.1", stdin=b"x")
    assert result.code == 1
    assert "E-PLAINTEXT" in result.err
    assert cli("context", "set", "far", "--url", "http://10.0.0.1", "--insecure", stdin=b"x").code == 0


def test_which_context_counts(cli):
    cli("context", "set", "one", "--url", "http://127.0.0.1:1", stdin=b"x")
    cli("context", "set", "two", "--url", "http://127.0.0.1:2", stdin=b"x")
    assert ":1:" in cli("site", "list").err
    assert ":2:" in cli("--context", "two", "site", "list").err
    assert ":2:" in cli("site", "list", SKERRY_CONTEXT="two").err
    assert ":3:" in cli("site", "list", SKERRY_CONTEXT="two", SKERRY_URL="http://127.0.0.1:3").err
    assert cli("--context", "none", "site", "list").code == 5


def test_without_any_context_there_is_a_way_on(cli):
    result = cli("site", "list")
    assert result.code == 1
    assert "skerry up" in result.err


def test_nothing_is_signed_without_a_signer(cli):
    cli("context", "set", "here", "--url", "http://127.0.0.1:1", stdin=b"x")
    result = cli("site", "add", "oslo")
    assert result.code == 1
    assert "E-SIGNER" in result.err
