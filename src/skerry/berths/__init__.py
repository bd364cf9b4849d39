"""Further sites of this machine, each in a berth: a network, a view of the files and a podman of its own.

``namespaces`` is what outlives every process, ``berth`` what makes it a machine that boots, ``plan`` says which there
are to be, with which addresses, ``ferry`` carries a berth's link to the core. ``cli/berths.py`` starts what runs in
them for ``skerry up``; the lab of the end-to-end tests is built of the same places. Rule: nothing of the machine itself
is changed but for the devices that lead into a berth.
"""
