"""``x-skerry.autonomy`` in the signed form; what is read is checked by ``test_policies.py``."""

import pytest
from tests.manifest.texts import accept, lines_of
from tests.manifest.texts import read as read_text

from skerry.model.ids import ServiceName
from skerry.model.policy import Autonomy


def read(app: str, own: str = "{}") -> Autonomy:
    text = f"name: app\nservices: {{web: {{image: img, x-skerry: {own}}}}}\nx-skerry: {app}"
    policy = accept(text).services[ServiceName("web")].policy
    return policy.autonomy if policy else Autonomy()


def test_the_usual_is_left_out() -> None:
    assert read("{autonomy: {offline: keep-running}}") == Autonomy()


def test_words_of_the_app_hold_for_its_services_and_give_way_to_theirs() -> None:
    found = read("{autonomy: {offline: stop-after, max-offline: 30d}}", "{autonomy: {max-offline: 1h}}")
    assert found == Autonomy(offline="stop-after", max_offline_us=3_600_000_000)
    assert read("{autonomy: {restart-offline: false}}") == Autonomy(restart_offline=False)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("{offline: fenced}", "E-NOT-YET"),
        ("{offline: stop-after}", "E-CONFLICT"),
        ("{local-control: full}", "E-NOT-YET"),
        ("{replace-after: 1h}", "E-NOT-YET"),
        ("{on-return: newest}", "E-NOT-YET"),
        ("{max-offline: 30 days}", "E-TYPE"),
    ],
)
def test_what_is_not_built_or_makes_no_sense_is_refused(word: str, code: str) -> None:
    found = read_text(f"name: app\nservices: {{web: {{image: img}}}}\nx-skerry: {{autonomy: {word}}}")
    assert any(code in line for line in lines_of(found)), found
