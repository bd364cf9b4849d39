import msgspec
from tests.plan.fleets import per_site, revision, service, site, total

from skerry.model.app import Sites
from skerry.model.ids import ServiceName
from skerry.model.withdrawal import find_end, is_kept_from_core

WEB = ServiceName("web")
RECORD = site("oslo", labels={"tier": "store"}).record


def test_only_the_tenants_word_is_kept_from_the_core():
    made = revision("shop", web=service())
    assert not is_kept_from_core(made)
    assert not is_kept_from_core(msgspec.structs.replace(made, withdraw="core"))
    assert is_kept_from_core(msgspec.structs.replace(made, withdraw="tenant"))


def test_a_revision_says_what_it_no_longer_wants():
    made = revision("shop", 7, web=service(replicas=total(2), sites=Sites(match=("tier=store",))))
    assert find_end(made, WEB, 1, RECORD) == ""
    assert find_end(made, WEB, 2, RECORD) == "revision 7 has 2 copies of web"
    assert find_end(made, ServiceName("db"), 0, RECORD) == "revision 7 has no service db"
    office = site("bergen", labels={"tier": "office"}).record
    assert "sites.match wants" in find_end(made, WEB, 0, office)
    foreign = site("bergen", tenants=("other",)).record
    assert "does not admit tenant default" in find_end(made, WEB, 0, foreign)


def test_copies_of_each_site_are_counted_there():
    made = revision("shop", web=service(replicas=per_site(3)))
    assert find_end(made, WEB, 2, RECORD) == ""
    assert find_end(made, WEB, 3, RECORD) != ""
