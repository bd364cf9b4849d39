"""A Debian guest with a real systemd, emulated without KVM: what a packaged Skerry does on a machine that boots.

Rule: nothing of the guest reaches any network, everything has a limit, and each machine is ended by its own process id.
Neighbours: `disk.py` makes the root disk, `parcel.py` what is installed offline, `agent.py` speaks to the guest,
`guest.py` is the machine. `units.py` is the story of the shipped units, `packages.py` of the Debian packages;
`./dev long` runs them as `guest` and `packages`.
"""
