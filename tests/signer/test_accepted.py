from tests.trust import people

from skerry.model.ids import AppName
from skerry.safe.paths import RealDirectory
from skerry.signer.accepted import ACCEPTED_MAX, Accepted

SHOP, TILL = AppName("shop"), AppName("till")


def envelope(number):
    return people.sign("revision", people.make_revision(number), people.key("deploy"))


def test_what_was_accepted_is_there_after_a_restart_and_for_its_app_alone(tmp_path):
    accepted = Accepted(RealDirectory.open_root(tmp_path))
    for number in (9, 10):
        accepted.keep(people.ALPHA, SHOP, number, envelope(number))
    again = Accepted(RealDirectory.open_root(tmp_path))
    assert again.newest(people.ALPHA, SHOP) == 10
    assert again.read(people.ALPHA, SHOP, 9) == envelope(9)
    assert again.read(people.ALPHA, SHOP, 8) is None
    assert (again.newest(people.ALPHA, TILL), again.read(people.ALPHA, TILL, 9)) == (0, None)


def test_the_oldest_is_forgotten(tmp_path):
    accepted = Accepted(RealDirectory.open_root(tmp_path))
    for number in range(1, ACCEPTED_MAX + 3):
        accepted.keep(people.ALPHA, SHOP, number, envelope(number))
    kept = [number for number in range(1, ACCEPTED_MAX + 3) if accepted.read(people.ALPHA, SHOP, number)]
    assert kept == list(range(3, ACCEPTED_MAX + 3))
    accepted.keep(people.ALPHA, SHOP, ACCEPTED_MAX + 2, envelope(1))
    assert accepted.read(people.ALPHA, SHOP, ACCEPTED_MAX + 2) == envelope(1)
