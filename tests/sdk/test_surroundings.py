import pytest

from skerry.model.errors import NotFound, Refused
from skerry.sdk import AsyncClient, Client, contexts
from skerry.sdk.contexts import Context
from skerry.sdk.surroundings import find_context, find_person

HERE = Context(url="http://127.0.0.1:7410", token="skt_here", tenant="shops", signer="/run/signer.sock")
THERE = Context(url="http://127.0.0.1:7411", token="skt_there")


@pytest.fixture
def environment(tmp_path):
    """The variables of somebody with two contexts, the first of them in use."""
    contexts.write_context(tmp_path / "config" / "skerry", "here", HERE)
    contexts.write_context(tmp_path / "config" / "skerry", "there", THERE)
    contexts.use_context(tmp_path / "config" / "skerry", "here")
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}


def test_a_name_then_an_address_then_a_variable_then_the_current_one(environment):
    given = environment | {"SKERRY_CONTEXT": "there"}
    address = given | {"SKERRY_URL": "http://127.0.0.1:1", "SKERRY_TOKEN": "skt_x", "SKERRY_TENANT": "t"}
    assert find_context("here", address) == HERE
    assert find_context("", address) == Context(url="http://127.0.0.1:1", token="skt_x", tenant="t")
    assert find_context("", given) == THERE
    assert find_context("", environment) == HERE


def test_without_a_context_it_says_how_to_get_one(tmp_path):
    with pytest.raises(Refused, match="No context"):
        find_context("", {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)})
    with pytest.raises(NotFound):
        find_context("nowhere", {"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)})


def test_both_clients_speak_for_the_person_of_their_context(environment, tmp_path):
    with Client.from_context(environment=environment) as client:
        assert (client.url, client.person) == (HERE.url, find_person(HERE, environment))
    assert client.person.tenant == "shops"
    assert client.person.state == tmp_path / "state" / "skerry" / "client"
    assert AsyncClient.from_context("there", environment=environment).url == THERE.url
    assert Client.from_context(THERE, environment=environment).url == THERE.url
