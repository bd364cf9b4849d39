"""The order of the end-to-end files: the longest first, so that two workers end at about the same time.

Seconds need not be right, only their order. A file that is not here comes after all of these.
"""

import pytest

#: As `./dev test e2e -- --durations=0` has them, with labs and what waits in them.
LONG_FIRST = (
    "test_spine.py",
    "test_drivers.py",
    "test_processes.py",
    "test_kill_loop.py",
    "test_network_over_sites.py",
    "test_uplinks.py",
    "test_drivers_wired.py",
    "test_tutorials.py",
    "test_build.py",
    "test_agent_faults.py",
    "test_names_over_sites.py",
    "test_people_at_an_app.py",
    "test_up_sites.py",
    "test_profiles.py",
    "test_chains_of_containers.py",
    "test_prometheus.py",
    "test_chains.py",
    "test_link_emulator.py",
    "test_entrance.py",
    "test_names.py",
    "test_lab.py",
    "test_isolation.py",
    "test_up.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of the end-to-end section into that order; what else there is stays where it was, before them."""
    rank = {name: place for place, name in enumerate(LONG_FIRST)}

    def place(item: pytest.Item) -> int:
        return rank.get(item.path.name, len(rank)) if item.get_closest_marker("e2e") else -1

    items.sort(key=place)
