from skerry.core import changes as room
from skerry.core.changes import Changes
from skerry.model.ids import AppName, SiteName, TenantName

OSLO, BERGEN = SiteName("oslo"), SiteName("bergen")
SHOP = (TenantName("default"), AppName("shop"))


def test_what_came_since_newest_first_and_each_once():
    changes = Changes()
    changes.touch(OSLO, BERGEN)
    seen = changes.number
    assert changes.since(0) == [BERGEN, OSLO]
    assert changes.since(seen) == []
    changes.touch(SHOP)
    changes.touch(OSLO)
    changes.touch(SHOP)
    assert changes.since(seen) == [SHOP, OSLO]
    assert changes.since(0) == [SHOP, OSLO, BERGEN]


def test_touching_rings_and_touching_nothing_does_not():
    changes = Changes()
    changes.touch()
    assert changes.bell.rings == 0
    changes.touch(OSLO, BERGEN)
    assert changes.bell.rings == 1


def test_names_that_sites_make_up_push_out_the_oldest():
    changes = Changes()
    changes.touch(OSLO)
    changes.touch(*((TenantName("default"), AppName(f"app-{number}")) for number in range(room.CHANGES_MAX)))
    found = changes.since(0)
    assert len(found) == room.CHANGES_MAX
    assert OSLO not in found
