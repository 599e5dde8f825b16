import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from dataselect_env.server.settings import Synchronous
from dataselect_env.server.store.commits import Change, Committer
from dataselect_env.server.store.schema import LOG_BYTES
from dataselect_env.server.store.sqlite import SQLiteStore
from dataselect_env.testing.checked_store import header

PATIENCE = 10.0  # seconds that the database waits for another connection: only a broken test waits so long


def insert(number: int) -> Change:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))

    return change


def refused(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO numbers VALUES (-1)")
    raise LookupError("on second thoughts")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "numbers.db"


@pytest.fixture
def connections(path: Path) -> Iterator[list[sqlite3.Connection]]:
    """An impatient and a patient one."""
    with ExitStack() as stack:
        both = [
            stack.enter_context(
                closing(sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False))
            )
            for timeout in (0, PATIENCE)
        ]
        both[0].execute("PRAGMA journal_mode = WAL")
        both[0].execute("PRAGMA wal_autocheckpoint = 0")
        both[0].execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
        yield both


@pytest.fixture
def committer(connections: list[sqlite3.Connection]) -> Iterator[Committer]:
    impatient, patient = connections
    committer = Committer(impatient, patient, threading.RLock())
    yield committer
    committer.close()


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as other:
        return [number for (number,) in other.execute("SELECT number FROM numbers ORDER BY number")]


async def outcomes(committer: Committer, changes: list[Change]) -> list[BaseException | None]:
    return await asyncio.gather(*map(committer.make, changes), return_exceptions=True)


def test_a_change_is_committed_when_its_waiter_goes_on(committer: Committer, path: Path) -> None:
    async def play() -> None:
        for number in range(5):
            await committer.make(insert(number))
            assert numbers(path) == list(range(number + 1))

    asyncio.run(play())


def test_what_is_ready_in_one_turn_shares_a_transaction(
    committer: Committer, connections: list[sqlite3.Connection], path: Path
) -> None:
    statements: list[str] = []
    connections[0].set_trace_callback(statements.append)
    asyncio.run(outcomes(committer, [insert(number) for number in range(100)]))
    assert numbers(path) == list(range(100))
    assert statements.count("COMMIT") == 1


def test_what_comes_to_wait_for_another_process_shares_a_transaction(
    committer: Committer, connections: list[sqlite3.Connection], path: Path
) -> None:
    statements: list[str] = []
    connections[1].set_trace_callback(statements.append)

    async def play() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = []
            for number in range(100):
                waiting.append(committer.make(insert(number)))
                await asyncio.sleep(0)
            other.execute("COMMIT")
        await asyncio.gather(*waiting)

    asyncio.run(play())
    assert numbers(path) == list(range(100))
    assert statements.count("COMMIT") <= 2  # the thread was waiting with the first, and finds the others


def test_a_change_that_fails_is_undone_alone(committer: Committer, path: Path) -> None:
    told = asyncio.run(outcomes(committer, [insert(1), refused, insert(2), insert(1), insert(3)]))
    assert [type(error) for error in told] == [type(None), LookupError, type(None), sqlite3.IntegrityError, type(None)]
    assert numbers(path) == [1, 2, 3]


def test_a_change_that_breaks_the_transaction_off_takes_no_other_with_it(committer: Committer, path: Path) -> None:
    def break_off(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # as SQLite does by itself when the disk is full
        raise sqlite3.OperationalError("database or disk is full")

    told = asyncio.run(outcomes(committer, [insert(1), break_off, insert(2)]))
    assert [type(error) for error in told] == [type(None), sqlite3.OperationalError, type(None)]
    assert numbers(path) == [1, 2]


def test_where_nothing_can_be_committed_every_caller_is_told(
    committer: Committer, connections: list[sqlite3.Connection], path: Path
) -> None:
    connections[0].execute("PRAGMA query_only = ON")
    told = asyncio.run(outcomes(committer, [insert(1), insert(2)]))
    assert [type(error) for error in told] == [sqlite3.OperationalError] * 2
    connections[0].execute("PRAGMA query_only = OFF")
    assert asyncio.run(outcomes(committer, [insert(3)])) == [None]
    assert numbers(path) == [3]


def test_a_change_that_fails_behind_another_process_is_undone_alone(committer: Committer, path: Path) -> None:
    async def play() -> list[BaseException | None]:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(outcomes(committer, [insert(1), refused, insert(2)]))
            for _ in range(10):
                await asyncio.sleep(0)
            other.execute("COMMIT")
        return await waiting

    assert [type(error) for error in asyncio.run(play())] == [type(None), LookupError, type(None)]
    assert numbers(path) == [1, 2]


def test_the_event_loop_goes_on_while_another_process_writes(committer: Committer, path: Path) -> None:
    async def play() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = committer.make(insert(1))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not waiting.done()
            other.execute("COMMIT")  # by this very loop: were it held up, nobody would ever get here
        await waiting

    asyncio.run(play())
    assert numbers(path) == [1]


def test_a_waiter_that_is_cancelled_holds_up_nobody(committer: Committer, path: Path) -> None:
    async def play() -> None:
        impatient = committer.make(insert(1))
        impatient.cancel()
        await committer.make(insert(2))
        assert impatient.cancelled()

    asyncio.run(play())
    assert numbers(path) == [1, 2]


def test_closing_commits_what_waits_and_refuses_what_comes(
    committer: Committer, connections: list[sqlite3.Connection], path: Path
) -> None:
    async def play() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = committer.make(insert(1))
            for _ in range(10):
                await asyncio.sleep(0)
            other.execute("COMMIT")
            committer.close()
        assert numbers(path) == [1]
        await waiting
        connections[0].close()
        for beside in (False, True):
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                await committer.make(insert(2), beside=beside)

    asyncio.run(play())


def test_the_log_is_brought_into_the_database_now_and_then(
    connections: list[sqlite3.Connection], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataselect_env.server.store.commits.CHECKPOINT_EVERY", 50)
    impatient, patient = connections

    async def play(committer: Committer, start: int) -> None:
        for number in range(start, start + 100):
            await committer.make(insert(number))

    for start in range(0, 1_000, 100):
        committer = Committer(impatient, patient, threading.RLock())
        asyncio.run(play(committer, start))
        committer.close()  # waits for the thread
    frames = path.with_name("numbers.db-wal").stat().st_size // 4_096
    assert frames < 500  # and not 1,000, or all would still be in the log
    assert numbers(path) == list(range(1_000))


def test_a_checkpoint_beside_a_long_reader_costs_no_writer_its_patience(tmp_path: Path) -> None:
    """Two checkpoints in a row, each of which waited as long as a writer, would make the writer fail."""
    path = tmp_path / "episodes.db"
    stores = [SQLiteStore(path) for _ in range(3)]
    checkpoints = [store._committer.checkpoint for store in stores[:2]]

    async def play() -> None:
        for number in range(5):
            running = [checkpoint() for checkpoint in checkpoints]
            await stores[2].create(header(f"{number}"))
            for future in running:
                assert future is not None
                await asyncio.wrap_future(future)

    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM episodes").fetchone()
        asyncio.run(stores[0].create(header("one")))  # the reader does not see it, so the log must stay
        asyncio.run(play())
    for store in stores:
        asyncio.run(store.close())


def test_the_log_shrinks_again_after_a_long_reader(tmp_path: Path) -> None:
    path = tmp_path / "episodes.db"
    store = SQLiteStore(path)

    async def create(start: int, count: int) -> None:
        for number in range(start, start + count):
            await store.create(header(f"{number}"))

    def log_bytes() -> int:
        return path.with_name("episodes.db-wal").stat().st_size

    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM episodes").fetchone()
        asyncio.run(create(0, 600))
        assert log_bytes() > LOG_BYTES
    checkpoint = store._committer.checkpoint()
    assert checkpoint is not None
    checkpoint.result()
    asyncio.run(create(600, 1))
    assert log_bytes() <= LOG_BYTES
    asyncio.run(store.close())


@pytest.mark.parametrize("synchronous", ["normal", "full"])
def test_a_commit_that_waits_for_the_disk_is_made_beside_the_event_loop(
    tmp_path: Path, synchronous: Synchronous
) -> None:
    store = SQLiteStore(tmp_path / "episodes.db", synchronous)
    threads, levels = set(), set()

    def change(connection: sqlite3.Connection) -> None:
        threads.add(threading.current_thread() is threading.main_thread())
        levels.update(connection.execute("PRAGMA synchronous").fetchone())

    assert asyncio.run(outcomes(store._committer, [change])) == [None]
    assert (threads, levels) == (({True}, {1}) if synchronous == "normal" else ({False}, {2}))
    asyncio.run(store.close())
