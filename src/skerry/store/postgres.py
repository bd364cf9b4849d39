"""A PostgreSQL database as a core's store: what ``safe.db.Db`` runs its groups on instead of a SQLite file.

Rules: (1) one connection, and a lock that keeps a second core away; (2) a group is one serializable transaction, each
job in a savepoint; what another writer spoils is run again ``TRIES_MAX`` times; (3) while the server is away everybody
is told so at once, it is tried once in ``RETRY_US``, and after ``AWAY_US_MAX`` the process ends for its supervisor to
start again; (4) a group is acknowledged after its commit, with a server that keeps commits.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection

from skerry.clock import SECOND_US, Clock
from skerry.model.errors import Broken, Refused
from skerry.safe.errors import SchemaTooNew, StoreAway, StoreFailed, StoreFull, StoreLocked
from skerry.safe.sqlite import Origin, Outcome
from skerry.store import postgres_raw
from skerry.store.connections import CoreConnection
from skerry.store.migrations import STEPS
from skerry.store.migrations.step import Step
from skerry.store.postgres_raw import Verdict

T = TypeVar("T")

#: Runs of one group that others spoil; one core writes alone, so more than two means that somebody else lives there.
TRIES_MAX = 5
#: Between two attempts to reach a server that is away: soon enough for a person who waits.
RETRY_US = SECOND_US
#: How long it may be away; a failover takes a minute, and a fresh process may find what this one does not.
AWAY_US_MAX = 600 * SECOND_US

_MAKE_NUMBER = "CREATE TABLE IF NOT EXISTS skerry_schema (number BIGINT NOT NULL)"


class PostgresStore:
    """One database, held by one core. Implements ``safe.db.Backing``."""

    def __init__(self, url: str, clock: Clock, steps: tuple[Step, ...] = STEPS) -> None:
        """Connect, check, take the lock and bring the schema up to date.

        Raises ``StoreAway``, ``StoreLocked``, ``SchemaTooNew`` or ``Refused`` for a server that would not keep commits.
        """
        self._url = url
        self._clock = clock
        self._steps = steps
        self._raw: Any = None
        self._connection: CoreConnection | None = None
        self._failed = False
        self._retry_us = 0
        self._away_since_us: int | None = None
        raw, found = self._take()
        try:
            self._origin = Origin.current if found else Origin.new
            if found > len(steps):
                raise SchemaTooNew(self.name, found, len(steps))
            for number in range(found, len(steps)):
                _run_step(raw, steps[number].for_postgres(), number + 1)
        except BaseException:
            raw.close()
            raise
        self._keep(raw, len(steps))

    @property
    def name(self) -> str:
        """The server and database, without password."""
        return postgres_raw.describe(self._url)

    @property
    def origin(self) -> Origin:
        """Whether there was a schema."""
        return self._origin

    @property
    def connection(self) -> CoreConnection:
        """The connection of now."""
        assert self._connection is not None, "a job runs inside write_group or read, which connect first"
        return self._connection

    @property
    def schema_number(self) -> int:
        """How many steps of the schema the database has seen, as it was when it was connected last."""
        return self._number

    def write_group(self, jobs: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Run ``jobs`` in one transaction; on return all that succeeded is durable.

        Raises ``StoreAway`` or ``StoreFull`` (nothing of the group happened, unless the words say that nobody knows) or
        ``StoreFailed``.
        """
        for _ in range(TRIES_MAX):
            outcomes = self._write_once(jobs)
            if outcomes is not None:
                return outcomes
        raise StoreAway(f"PostgreSQL ({self.name}): others changed the same rows {TRIES_MAX} times in a row.")

    def _write_once(self, jobs: Sequence[Callable[[], Any]]) -> list[Outcome] | None:
        """Run the group; None when it was spoilt by somebody else and undone."""
        raw = self._begin("BEGIN ISOLATION LEVEL SERIALIZABLE")
        doing = "was undone"
        try:
            outcomes = [self._in_savepoint(raw, job) for job in jobs]
            doing = "may or may not have been done: the server went away while it was committed"
            raw.execute("COMMIT")
        except (StoreAway, StoreFull, StoreFailed) as trouble:
            self._failed = self._failed or isinstance(trouble, StoreFailed)
            self._undo(raw)
            raise
        except _SpoiltError:
            self._undo(raw)
            return None
        except Exception as error:
            verdict = postgres_raw.judge(error, raw, self.name)
            if isinstance(verdict, StoreAway):
                verdict = StoreAway(f"{verdict.detail} What was asked {doing}.")
            self._failed = self._failed or isinstance(verdict, StoreFailed)
            self._undo(raw)
            if verdict is Verdict.again:
                return None
            if isinstance(verdict, Verdict):
                raise self._fail(f"Writing to PostgreSQL ({self.name}) failed: {error}") from error
            raise verdict from error
        except BaseException:
            self._undo(raw)
            raise
        return outcomes

    def _in_savepoint(self, raw: Any, job: Callable[[], Any]) -> Outcome:
        raw.execute("SAVEPOINT job")
        try:
            outcome = Outcome(job())
        except Exception as error:
            verdict = postgres_raw.judge(error, raw, self.name)
            if verdict is Verdict.again:
                raise _SpoiltError from error
            if not isinstance(verdict, Verdict):
                raise verdict from error
            raw.execute("ROLLBACK TO SAVEPOINT job")
            outcome = Outcome(None, error)
        raw.execute("RELEASE SAVEPOINT job")
        return outcome

    def read(self, job: Callable[[], Any]) -> Any:
        """Run ``job``, which only reads, on one moment of the database; its own errors are raised as they are."""
        raw = self._begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return job()
        except Exception as error:
            if postgres_raw.is_read_only_error(error):
                raise Broken("E-READ-WRITES", "A function that was run as a read tried to write.") from error
            verdict = postgres_raw.judge(error, raw, self.name)
            if isinstance(verdict, Verdict):
                raise
            self._failed = self._failed or isinstance(verdict, StoreFailed)
            raise verdict from error
        finally:
            self._undo(raw)

    def checkpoint_when_due(self) -> None:
        """Nothing: the server sees to its own log."""

    def snapshot_steps(self) -> Generator[None]:
        """Nothing: the server's keeper backs it up, or ``skerry core backup`` does."""
        yield from ()

    def migrate_back(self, wanted: int) -> None:
        """Go back to an older schema, each step in a transaction of its own; raises ``Refused`` where not promised."""
        raw = self._ensure()
        found = _read_number(raw)
        steps = [step.back_for_postgres() for step in self._steps[wanted:found]]
        if wanted > found or not all(steps):
            raise Refused(
                "E-SCHEMA-BACK",
                f"{self.name} has schema {found}; there is no promised way back to {wanted}.",
                hint="Restore the backup made before the upgrade.",
            )
        for number in range(found, wanted, -1):
            _run_step(raw, steps[number - 1 - wanted], number - 1)
            self._number = number - 1

    def close(self) -> None:
        """Let go of the lock and the connection."""
        if self._raw is not None:
            self._raw.close()
            self._raw = self._connection = None

    def abandon(self) -> None:
        """Let go; the server undoes what was not committed."""
        self.close()

    # --- the connection ----------------------------------------------------------------------------------------------

    def _begin(self, sql: str) -> Any:
        """Begin a transaction, on a fresh connection when the server has dropped the one that stood idle."""
        raw = self._ensure()
        try:
            raw.execute(sql)
        except Exception as error:
            if not raw.closed:
                raise self._fail(f"PostgreSQL ({self.name}) does not begin: {error}") from error
            self._drop()
            raw = self._ensure()
            try:
                raw.execute(sql)
            except Exception as again:
                self._drop()
                raise StoreAway(f"PostgreSQL ({self.name}) went away again: {again}") from again
        return raw

    def _ensure(self) -> Any:
        """Return a connection that was good when it was last used, made anew when its time has come."""
        if self._failed:
            raise StoreFailed(f"PostgreSQL ({self.name}) has failed before.")
        if self._raw is not None and not self._raw.closed:
            return self._raw
        self._drop()
        now_us = self._clock.boot_us()
        if self._away_since_us is None:
            self._away_since_us = now_us
        elif now_us < self._retry_us:
            raise StoreAway(f"PostgreSQL ({self.name}) does not answer.")
        self._retry_us = now_us + RETRY_US
        try:
            raw, found = self._take()
        except (StoreAway, StoreLocked) as error:
            # The lock may still be held by our own lost connection, which the server has not noticed yet.
            if self._clock.boot_us() - self._away_since_us > AWAY_US_MAX:
                raise self._fail(f"PostgreSQL ({self.name}) stayed away too long: {error.detail}") from error
            raise StoreAway(error.detail) from error
        except Refused as error:
            raise self._fail(error.detail) from error
        if found != len(self._steps):
            raw.close()
            raise self._fail(f"{self.name} came back with schema {found}, and this core knows {len(self._steps)}.")
        self._keep(raw, found)
        return raw

    def _take(self) -> tuple[Any, int]:
        """Connect, check the server, take the lock; return the connection and the number of the schema."""
        raw = postgres_raw.connect(self._url, role="core")
        try:
            postgres_raw.check_settings(raw, self._url)
            if not postgres_raw.take_lock(raw):
                raise StoreLocked(f"PostgreSQL ({self.name})")
            return raw, _read_number(raw)
        except BaseException as error:
            raw.close()
            if postgres_raw.find_cause(error) is not None:
                raise StoreAway(f"PostgreSQL ({self.name}) went away: {error}") from error
            raise

    def _keep(self, raw: Any, number: int) -> None:
        self._number = number
        self._raw, self._connection = raw, postgres_raw.wrap(raw)
        self._away_since_us = None

    def _drop(self) -> None:
        self.close()

    def _fail(self, what: str) -> StoreFailed:
        self._failed = True
        self._drop()
        return StoreFailed(what)

    def _undo(self, raw: Any) -> None:
        """End the transaction without a trace."""
        try:
            raw.execute("ROLLBACK")
        except Exception:
            # Gone with its transaction; whoever comes next connects anew.
            self._drop()


def read_moment(url: str, job: Callable[[Connection], T]) -> T:
    """Run ``job`` on one moment of a database, beside the core that may be using it.

    Raises ``StoreAway``, or ``Refused`` when its schema is not the one that is known here.
    """
    raw = postgres_raw.connect(url, role="keeper")
    try:
        raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = _read_number(raw)
        if found != len(STEPS):
            raise Refused(
                "E-SCHEMA",
                f"{postgres_raw.describe(url)} has schema {found}, this version of Skerry knows {len(STEPS)}.",
                hint="Let this version's core start over it once, or use the version that fits.",
            )
        return job(postgres_raw.wrap(raw))
    except Exception as error:
        if postgres_raw.find_cause(error) is not None:
            raise StoreAway(f"Reading {postgres_raw.describe(url)} failed: {error}") from error
        raise
    finally:
        raw.close()


def check_server(url: str) -> tuple[str, int]:
    """Say what is wrong with a server's settings, or nothing, and the number of the schema; raises ``StoreAway``."""
    raw = postgres_raw.connect(url, role="keeper")
    try:
        return postgres_raw.complain_about_settings(postgres_raw.read_settings(raw)), _read_number(raw)
    finally:
        raw.close()


class _SpoiltError(Exception):
    """Another writer was first: the group is to be run again."""


def _read_number(raw: Any) -> int:
    if raw.execute("SELECT to_regclass('skerry_schema')").fetchone()[0] is None:
        return 0
    row = raw.execute("SELECT max(number) FROM skerry_schema").fetchone()
    return int(row[0] or 0)


def _run_step(raw: Any, sql: str, number: int) -> None:
    """Do one step of the schema and note its number, both or neither."""
    try:
        with raw.transaction():
            raw.execute(_MAKE_NUMBER)
            raw.execute(sql)
            raw.execute("DELETE FROM skerry_schema")
            raw.execute("INSERT INTO skerry_schema VALUES (%s)", (number,))
    except Exception as error:
        if raw.closed:
            raise StoreAway(f"PostgreSQL went away during the step to schema {number}, which was undone.") from error
        raise Broken("E-MIGRATION", f"The step to schema {number} failed: {error}") from error
