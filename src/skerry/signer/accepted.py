"""What a core has accepted of what this signer signed: the newest objects of each app, kept beside the keys.

A core that was restored from a backup no longer knows them, and its sites still do. Their owner hands them in again
before anything new is signed; signing another object under an accepted number would be a fork that sites refuse for
good.
"""

import msgspec

from skerry.model.ids import AppName, TenantName
from skerry.model.limits import PAYLOAD_BYTES_MAX
from skerry.model.signed import Envelope
from skerry.safe.files import read_durable, remove_durable, settle, write_durable
from skerry.safe.paths import Directory

#: Numbers of one app that are kept: what a day of changes between two backups makes, and half a megabyte of files.
ACCEPTED_MAX = 16
#: An envelope of the largest payload as JSON.
_FILE_BYTES_MAX = PAYLOAD_BYTES_MAX * 4 // 3 + 64 * 1024


class Accepted:
    """One folder for each tenant, in it one for each app, in it one file for each number."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def keep(self, tenant: TenantName, app: AppName, number: int, envelope: Envelope) -> None:
        """Remember an object that the core has accepted, durably, and forget the oldest beyond ``ACCEPTED_MAX``."""
        folder = self._enter(tenant, app)
        try:
            settle(folder)
            write_durable(folder, str(number), msgspec.json.encode(envelope))
            for old in _list_numbers(folder)[:-ACCEPTED_MAX]:
                remove_durable(folder, str(old))
        finally:
            folder.close()

    def newest(self, tenant: TenantName, app: AppName) -> int:
        """Return the highest number that was accepted of an app, 0 for none."""
        folder = self._enter(tenant, app)
        try:
            return max(_list_numbers(folder), default=0)
        finally:
            folder.close()

    def read(self, tenant: TenantName, app: AppName, number: int) -> Envelope | None:
        """Return what was accepted under a number; None when nothing was or it is no longer kept."""
        folder = self._enter(tenant, app)
        try:
            found = read_durable(folder, str(number), limit=_FILE_BYTES_MAX)
        finally:
            folder.close()
        return None if found is None else msgspec.json.decode(found.content, type=Envelope)

    def _enter(self, tenant: TenantName, app: AppName) -> Directory:
        of_tenant = self._directory.enter(tenant, create=True)
        try:
            return of_tenant.enter(app, create=True)
        finally:
            of_tenant.close()


def _list_numbers(folder: Directory) -> list[int]:
    return sorted(int(name) for name in folder.names() if name.isascii() and name.isdigit())
