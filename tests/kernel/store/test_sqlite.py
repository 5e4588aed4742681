from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from colonnade.kernel.store import Corrupt, Event, Order, Query, Store, WrongFormat
from colonnade.kernel.store.sqlite import SqliteStore, backup, format
from colonnade.kernel.store.sqlite.queries import select
from colonnade.testing.store import JOBS, StoreContract, get, names, put, run_together


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "colonnade.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(SqliteStore(path)) as store:
        yield store


class TestSqliteStore(StoreContract):
    pass


def test_what_was_acknowledged_is_there_after_reopening(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        put(store, "a", {"n": 1})
    with closing(SqliteStore(path)) as store:
        row = get(store, "a")
    assert row is not None
    assert row.document == {"n": 1}


def test_a_closed_store_says_so(path: Path) -> None:
    store = SqliteStore(path)
    store.close()
    with pytest.raises(RuntimeError, match="has been closed"):
        get(store, "a")
    with pytest.raises(RuntimeError, match="has been closed"):
        put(store, "a")


WRITER = """
import sys
from pathlib import Path
from colonnade.kernel.store import Event
from colonnade.kernel.store.sqlite import SqliteStore
from colonnade.testing.store import JOBS
store, name, count = SqliteStore(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for number in range(count):
    with store.write() as transaction:
        row = transaction.get(JOBS.key("counter"))
        transaction.put(JOBS.key("counter"), {"n": (row.document["n"] if row else 0) + 1}, at=1.0)
        transaction.put(JOBS.key(f"{name}-{number}"), {"n": number, "filler": "x" * 500}, at=1.0)
        transaction.append(Event("audit", name, 1.0, {"n": number}))
    print(number, flush=True)
"""


def write_in_process(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_acknowledged_puts_survive_kill_9(path: Path) -> None:
    with write_in_process(path, "victim", 100_000) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(100)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]

    with closing(SqliteStore(path)) as store:
        put(store, "the file is still writable")
        with store.read() as reader:
            found = {row.document["n"] for row in reader.scan(JOBS, Query(name_prefix="victim-"))}
            counter = reader.get(JOBS.key("counter"))
            events = len(reader.events("audit", limit=1_000_000))
    assert set(acknowledged) <= found
    assert counter is not None
    assert counter.document["n"] == len(found) == events, "each transaction is there as a whole or not at all"


def test_processes_write_at_once_and_lose_nothing(path: Path) -> None:
    processes = [write_in_process(path, name, 150) for name in ("left", "right")]
    for process in processes:
        process.communicate()
        assert process.returncode == 0

    with closing(SqliteStore(path)) as store, store.read() as reader:
        counter = reader.get(JOBS.key("counter"))
        assert counter is not None
        assert counter.document["n"] == 300
        assert [event.sequence for event in reader.events("audit", limit=1000)] == list(range(1, 301))


def test_a_busy_process_does_not_starve_another(path: Path) -> None:
    with closing(SqliteStore(path)) as store, write_in_process(path, "busy", 100_000) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for number in range(20):
            put(store, f"mine-{number}")
        process.kill()
        last = max([0, *(int(line) for line in process.stdout if line.endswith("\n"))])
    # One turn each would be 20; the bound leaves room for what it wrote before we began and after we ended.
    assert last < 2000


def test_a_forked_child_uses_connections_of_its_own(store: Store) -> None:
    put(store, "parent")
    get(store, "parent")
    child = os.fork()
    if child == 0:
        try:
            put(store, "child")
            os._exit(0 if names(store) == ["child", "parent"] else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    put(store, "parent again")
    assert names(store) == ["child", "parent", "parent again"]


HOLDER = """
import os, sys
from pathlib import Path
from colonnade.kernel.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
with store.write():
    if os.fork() == 0:  # A child that lives on, holding nothing.
        sys.stdin.read()
        os._exit(0)
    print("holding", flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_lock_dies_with_its_holder_even_when_a_forked_child_lives_on(path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        assert process.wait(30) == -9
        with closing(SqliteStore(path)) as store:
            put(store, "a")
            assert names(store) == ["a"]


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ("UPDATE documents SET document = replace(document, 'good', 'evil')", "TrainingJob/a"),
        ("UPDATE documents SET version = 7", "TrainingJob/a"),
        ("UPDATE documents SET status = 'Completed'", "TrainingJob/a"),
        ("UPDATE documents SET modified = 99.0", "TrainingJob/a"),
        ("UPDATE documents SET document = CAST(x'ff' AS TEXT)", "TrainingJob/a"),
        ("UPDATE documents SET status = CAST(x'ff' AS TEXT)", "TrainingJob"),
        ("UPDATE documents SET name = 'b'", "TrainingJob/b"),
    ],
)
def test_a_changed_row_is_named_and_not_returned(path: Path, change: str, subject: str) -> None:
    with closing(SqliteStore(path)) as store:
        put(store, "a", {"what": "good"})
        with closing(sqlite3.connect(path)) as other, other:
            other.execute(change)
        with pytest.raises(Corrupt, match=subject) as caught, store.read() as reader:
            reader.scan(JOBS)
    assert "Restore a backup of the data folder" in str(caught.value)


def test_a_changed_event_is_named_and_not_returned(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        with store.write() as transaction:
            transaction.append(Event("audit", "x", 1.0, {"what": "good"}))
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE events SET body = '{}'")
        with pytest.raises(Corrupt, match="event 1 of stream audit"), store.read() as reader:
            reader.events("audit")


def test_a_changed_content_is_named_and_not_returned(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        with store.write() as transaction:
            id = transaction.add_content(b"good")
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE contents SET content = CAST('evil' AS BLOB)")
        with pytest.raises(Corrupt, match=f"content {id}"), store.read() as reader:
            reader.content(id)


def test_a_file_of_format_1_is_brought_forward(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        put(store, "a")
    with closing(sqlite3.connect(path)) as other:
        other.executescript("DROP TABLE contents; PRAGMA user_version = 1")

    with closing(SqliteStore(path)) as store:
        with store.write() as transaction:
            id = transaction.add_content(b"x")
        with store.read() as reader:
            assert reader.content(id) == b"x"
        assert names(store) == ["a"]


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"hello " * 1000)
    with pytest.raises(Corrupt, match="Restore a backup"):
        SqliteStore(path)
    assert path.read_bytes() == b"hello " * 1000


def test_another_programs_database_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE cookies (name)")
    with pytest.raises(WrongFormat, match="not one of Colonnade's"):
        SqliteStore(path)


def test_a_newer_file_is_refused_with_the_remedy(path: Path) -> None:
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {format.FORMAT + 1}")
    with pytest.raises(WrongFormat, match="newer release wrote it"):
        SqliteStore(path)


def test_an_older_file_is_copied_aside_and_brought_forward(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteStore(path)) as store:
        put(store, "a")
    monkeypatch.setattr(format, "FORMAT", format.FORMAT + 1)
    monkeypatch.setattr(
        format,
        "MIGRATIONS",
        {format.FORMAT - 1: lambda connection: connection.execute("CREATE TABLE more (x)")},
    )
    with closing(SqliteStore(path)) as store:
        assert names(store) == ["a"]

    with (
        closing(sqlite3.connect(path)) as now,
        closing(sqlite3.connect(f"{path}.format-{format.FORMAT - 1}")) as before,
    ):
        assert now.execute("PRAGMA user_version").fetchone()[0] == format.FORMAT
        assert now.execute("SELECT count(*) FROM more").fetchone() == (0,)
        assert before.execute("SELECT name FROM documents").fetchall() == [("a",)]
    assert Path(f"{path}.format-{format.FORMAT - 1}").stat().st_mode & 0o077 == 0, (
        "it holds what the store holds"
    )


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteStore(path)) as store:
        put(store, "a")

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE documents")
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(format, "FORMAT", format.FORMAT + 1)
        patched.setattr(format, "MIGRATIONS", {format.FORMAT - 1: fails})
        with pytest.raises(ZeroDivisionError):
            SqliteStore(path)
    with closing(SqliteStore(path)) as store:
        assert names(store) == ["a"]


def test_the_file_is_for_its_owner_only(path: Path, store: Store) -> None:
    put(store, "a")
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_many_threads_share_few_commits(path: Path) -> None:
    """Slowing each commit down makes sharing visible: alone, 200 of them would take two seconds."""
    with closing(SqliteStore(path)) as store:
        commits: list[int] = []
        put(store, "first")
        connection = store._turns.connections()[0]
        connection.set_trace_callback(lambda sql: commits.append(1) if sql == "COMMIT" else None)
        run_together(*(lambda n=n: [put(store, f"{n}-{turn}") for turn in range(25)] for n in range(8)))
        assert len(names(store)) == 201
    assert len(commits) < 200


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(name_prefix="a", limit=10), "PRIMARY KEY"),
        (Query(order=Order.CREATED, descending=True, limit=10), "documents_by_created"),
        (Query(order=Order.MODIFIED, after=(1.0, "a"), limit=10), "documents_by_modified"),
        (Query(order=Order.STATUS, limit=10), "documents_by_status"),
        (Query(status="InService"), "documents_by_status"),
        (Query(owner="tuning"), "documents_by_owner"),
        (Query(active=True), "documents_active"),
    ],
)
def test_scans_use_an_index_and_sort_nothing(path: Path, store: Store, query: Query, index: str) -> None:
    sql, values = select("*", 1, query)
    with closing(sqlite3.connect(path)) as other:
        plan = " ".join(row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {sql}", values))
    assert index in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(name_contains="a", limit=10), "documents_by_status"),
        (Query(order=Order.CREATED, name_contains="a", status="Failed", limit=10), "documents_by_created"),
        (Query(order=Order.CREATED, modified_after=1.0, after=(1.0, "a"), limit=10), "documents_by_created"),
        (Query(order=Order.MODIFIED, created_before=1.0, limit=10), "documents_by_modified"),
        (Query(order=Order.STATUS, created_before=1.0, limit=10), "documents_by_status"),
        (Query(status="Failed", name_contains="a", after=("a", "a"), limit=10), "documents_by_status"),
        (Query(order=Order.CREATED, name_prefix="d-1/", limit=10), "documents_by_created"),
    ],
)
def test_filters_are_looked_up_in_an_index_before_any_document_is_read(
    path: Path, store: Store, query: Query, index: str
) -> None:
    sql, values = select("name, document", 1, query)
    with closing(sqlite3.connect(path)) as other:
        plan = [row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    (sifting,) = [step for step in plan if index in step]
    assert "USING COVERING INDEX" in sifting
    assert [step for step in plan if "USING PRIMARY KEY" in step] == [
        "SEARCH documents USING PRIMARY KEY (scope=? AND name=?)"
    ]


def test_a_file_of_the_first_format_becomes_what_a_new_one_is(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        put(store, "a", at=1.0, status="Failed")
    with closing(sqlite3.connect(path)) as other, other:
        new = _schema(other)
        other.executescript("""
            DROP TABLE contents;
            DROP INDEX documents_by_created; DROP INDEX documents_by_modified; DROP INDEX documents_by_status;
            CREATE INDEX documents_by_created ON documents (scope, created, name);
            CREATE INDEX documents_by_modified ON documents (scope, modified, name);
            CREATE INDEX documents_by_status ON documents (scope, status, name);
            PRAGMA user_version = 1;
        """)

    with closing(SqliteStore(path)) as store:
        assert names(store, order=Order.CREATED, status="Failed", limit=1) == ["a"]
    with closing(sqlite3.connect(path)) as other:
        assert _schema(other) == new


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {(name, " ".join(sql.split())) for name, sql in found}


def test_a_full_disk_fails_the_block_that_found_it_full_and_tells_no_lies_to_the_others(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        put(store, "before")
        connection = store._turns.connections()[0]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        outcome: dict[str, str] = {}

        def write(name: str, document: dict[str, str], release: threading.Event) -> None:
            try:
                with store.write() as transaction:
                    transaction.put(JOBS.key(name), document, at=1.0)
                    release.wait(60)
            except (sqlite3.OperationalError, RuntimeError):
                outcome[name] = "refused"
            else:
                outcome[name] = "acknowledged"

        go, at_once = threading.Event(), threading.Event()
        at_once.set()
        small = threading.Thread(target=write, args=("small", {}, go))
        large = threading.Thread(target=write, args=("large", {"filler": "x" * 1_000_000}, at_once))
        small.start()
        wait_until(lambda: store._turns._commit is not None)
        large.start()
        wait_until(lambda: store._turns._waiting == 1)  # So that both share one commit.
        go.set()
        small.join()
        large.join()

        assert outcome["large"] == "refused"
        assert get(store, "large") is None
        assert (get(store, "small") is not None) == (outcome["small"] == "acknowledged")
        connection.execute("PRAGMA max_page_count = 1000000")
        put(store, "after")
        assert {"before", "after"} <= set(names(store))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.001)


def test_a_copy_made_while_others_write_is_of_one_instant_and_one_file(path: Path) -> None:
    target, at_the_instant = path.with_name("copy.db"), []
    with closing(SqliteStore(path)) as store, write_in_process(path, "busy", 100_000) as process:
        assert process.stdout is not None
        process.stdout.readline()

        def look() -> None:
            with store.read() as reader:
                row = reader.get(JOBS.key("counter"))
            at_the_instant.append(row.document["n"] if row else 0)

        backup.copy(path, target, look)
        process.kill()
    assert [found.name for found in path.parent.glob("copy.db*")] == ["copy.db"]
    with closing(SqliteStore(target)) as copy, copy.read() as reader:
        counter = reader.get(JOBS.key("counter"))
        assert counter is not None
        assert counter.document["n"] == at_the_instant[0], "nobody wrote while the caller looked"
        assert len(reader.events("audit", limit=1_000_000)) == at_the_instant[0]
