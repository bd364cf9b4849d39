"""Steps that bring a file of any older schema number to the present one, in order; steps are only ever appended.

Each runs in a transaction of its own that also raises the number, so an interrupted one has simply not happened
(faults.md U4). A file with a higher number than there are steps is refused by ``safe/sqlite.py``.
"""

from skerry.safe.sqlite import Migration, Options
from skerry.store.migrations import m0001_spine

MIGRATIONS: tuple[Migration, ...] = (m0001_spine.migrate,)

#: How ``core.db`` is kept: everything in it may have been acknowledged to somebody.
CORE_OPTIONS = Options(migrations=MIGRATIONS, synchronous="FULL")
