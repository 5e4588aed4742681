"""The promises of `kernel.store.Store`, as tests. Every implementation's own tests subclass `StoreContract`.

A subclass in a test module provides the fixture `store`: an empty one, closed afterwards. The last test is the
strongest: random histories on the store and on `Model`, some forty lines in which the semantics are obvious.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colonnade.kernel.store import Conflict, Event, Key, Order, Query, Reader, Scope, Store, Stored, each

MODELS = Scope("aws", "123456789012", "eu-west-1", "sagemaker", "Model")
JOBS = Scope("aws", "123456789012", "eu-west-1", "sagemaker", "TrainingJob")
ELSEWHERE = Scope("aws", "123456789012", "us-east-1", "sagemaker", "TrainingJob")


def put(
    store: Store, name: str, document: dict[str, Any] | None = None, scope: Scope = JOBS, **meta: Any
) -> Stored:
    with store.write() as transaction:
        return transaction.put(scope.key(name), document or {}, **{"at": 1.0, **meta})


def names(store: Store, scope: Scope = JOBS, **query: Any) -> list[str]:
    with store.read() as reader:
        return [row.key.name for row in reader.scan(scope, Query(**query))]


def get(store: Store, name: str, scope: Scope = JOBS) -> Stored | None:
    with store.read() as reader:
        return reader.get(scope.key(name))


class StoreContract:
    def test_a_document_comes_back_as_it_was_put(self, store: Store) -> None:
        document = {
            "Text": "naïve 🦊 \x00",
            "Int": 2**70,
            "Float": 0.1,
            "Flag": True,
            "None": None,
            "List": [1, {"a": []}],
        }
        put(store, "a", document, at=5.0, status="InProgress", owner="someone", active=True)

        assert get(store, "a") == Stored(JOBS.key("a"), 1, document, 5.0, 5.0, "InProgress", "someone", True)

    def test_what_was_never_put_is_none_and_scans_are_empty(self, store: Store) -> None:
        assert get(store, "a") is None
        assert names(store) == []
        with store.read() as reader:
            assert reader.count(JOBS) == 0
            assert reader.events("audit") == []
            assert reader.scan_types("sagemaker", "TrainingJob") == []

    def test_replacing_keeps_the_creation_time_and_counts_the_version(self, store: Store) -> None:
        put(store, "a", {"n": 1}, at=1.0, status="InProgress", owner="o", active=True)
        again = put(store, "a", {"n": 2}, at=2.0)

        assert get(store, "a") == again == Stored(JOBS.key("a"), 2, {"n": 2}, 1.0, 2.0, "", "", False)

    def test_versions_begin_anew_after_deletion(self, store: Store) -> None:
        put(store, "a", at=1.0)
        with store.write() as transaction:
            assert transaction.delete(JOBS.key("a")) is True
            assert transaction.delete(JOBS.key("a")) is False

        assert get(store, "a") is None
        assert put(store, "a", at=9.0, expect=0) == Stored(JOBS.key("a"), 1, {}, 9.0, 9.0, "", "", False)

    @pytest.mark.parametrize(("expect", "found"), [(0, 1), (2, 1)])
    def test_a_put_against_expectation_is_a_conflict(self, store: Store, expect: int, found: int) -> None:
        put(store, "a", {"n": 1})

        with pytest.raises(Conflict) as caught:
            put(store, "a", {"n": 2}, expect=expect)

        assert (caught.value.key, caught.value.expected, caught.value.found) == (JOBS.key("a"), expect, found)
        row = get(store, "a")
        assert row is not None
        assert row.document == {"n": 1}

    def test_expecting_a_version_of_what_is_absent_is_a_conflict(self, store: Store) -> None:
        with pytest.raises(Conflict):
            put(store, "a", expect=1)
        with pytest.raises(Conflict), store.write() as transaction:
            transaction.delete(JOBS.key("a"), expect=1)

    def test_deletion_honours_expectation(self, store: Store) -> None:
        put(store, "a")
        with pytest.raises(Conflict), store.write() as transaction:
            transaction.delete(JOBS.key("a"), expect=7)
        with store.write() as transaction:
            assert transaction.delete(JOBS.key("a"), expect=1) is True

    def test_what_get_returns_is_the_callers_own(self, store: Store) -> None:
        given_document: dict[str, Any] = {"List": [1]}
        put(store, "a", given_document)
        given_document["List"].append(2)
        row = get(store, "a")
        assert row is not None
        row.document["List"].append(3)

        second = get(store, "a")
        assert second is not None
        assert second.document == {"List": [1]}

    @pytest.mark.parametrize("value", [b"bytes", float("nan"), float("inf"), {1: "a"}, {"a"}, object()])
    def test_what_json_would_change_is_refused_and_nothing_written(self, store: Store, value: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="document"):
            put(store, "a", {"deep": [value]})
        assert get(store, "a") is None

    def test_an_exception_undoes_the_whole_block(self, store: Store) -> None:
        put(store, "kept", {"n": 1})
        with pytest.raises(ZeroDivisionError), store.write() as transaction:  # noqa: PT012 - the block is the subject
            transaction.put(JOBS.key("kept"), {"n": 2}, at=2.0)
            transaction.put(MODELS.key("new scope"), {}, at=2.0)
            transaction.append(Event("audit", "x", 1.0, {}))
            transaction.delete(JOBS.key("kept"))
            raise ZeroDivisionError

        with store.read() as reader:
            kept = reader.get(JOBS.key("kept"))
            assert kept is not None
            assert kept.document == {"n": 1}
            assert reader.get(MODELS.key("new scope")) is None
            assert reader.events("audit") == []
        put(store, "after", scope=MODELS)
        assert names(store, MODELS) == ["after"]

    def test_a_transaction_sees_its_own_writes(self, store: Store) -> None:
        put(store, "b")
        put(store, "d")
        with store.write() as transaction:
            transaction.put(JOBS.key("a"), {}, at=1.0)
            transaction.put(JOBS.key("c"), {}, at=1.0, active=True)
            transaction.delete(JOBS.key("d"))
            transaction.append(Event("history", "a", 1.0, {"n": 1}))

            assert [row.key.name for row in transaction.scan(JOBS)] == ["a", "b", "c"]
            assert transaction.count(JOBS) == 3
            assert transaction.get(JOBS.key("d")) is None
            assert [
                row.key.name for row in transaction.scan_types("sagemaker", "TrainingJob", active=True)
            ] == ["c"]
            assert [event.sequence for event in transaction.events("history")] == [1]

    def test_a_reader_keeps_its_snapshot(self, store: Store) -> None:
        put(store, "changed", {"n": 1})
        put(store, "deleted")
        with store.read() as before:
            put(store, "changed", {"n": 2})
            put(store, "changed", {"n": 3})
            put(store, "new")
            with store.write() as transaction:
                transaction.delete(JOBS.key("deleted"))
                transaction.append(Event("audit", "x", 1.0, {}))

            assert [(row.key.name, row.document) for row in before.scan(JOBS)] == [
                ("changed", {"n": 1}),
                ("deleted", {}),
            ]
            assert before.get(JOBS.key("new")) is None
            assert before.events("audit") == []
            with store.read() as after:
                assert [row.key.name for row in after.scan(JOBS)] == ["changed", "new"]
        assert names(store) == ["changed", "new"]

    def test_readers_do_not_wait_for_a_writer_nor_see_its_unfinished_work(self, store: Store) -> None:
        seen: list[list[str]] = []
        with store.write() as transaction:
            transaction.put(JOBS.key("a"), {}, at=1.0)
            reader = threading.Thread(target=lambda: seen.append(names(store)))
            reader.start()
            reader.join(60)
        assert seen == [[]]
        assert names(store) == ["a"]

    def test_writers_take_turns_and_lose_nothing(self, store: Store) -> None:
        put(store, "counter", {"n": 0})

        def count() -> None:
            for _ in range(25):
                with store.write() as transaction:
                    row = transaction.get(JOBS.key("counter"))
                    assert row is not None
                    transaction.put(row.key, {"n": row.document["n"] + 1}, expect=row.version, at=1.0)

        run_together(count, threads=8)
        row = get(store, "counter")
        assert row is not None
        assert (row.document, row.version) == ({"n": 200}, 201)

    def test_a_block_that_fails_spares_those_it_shares_a_commit_with(self, store: Store) -> None:
        def work(number: int) -> None:
            for turn in range(10):
                try:
                    with store.write() as transaction:
                        transaction.put(JOBS.key(f"{number}-{turn}"), {}, at=1.0)
                        if turn % 2:
                            raise ZeroDivisionError
                except ZeroDivisionError:
                    pass
                assert (get(store, f"{number}-{turn}") is None) == bool(turn % 2)

        run_together(*(lambda number=number: work(number) for number in range(6)))
        assert len(names(store)) == 30

    def test_a_transaction_inside_a_transaction_is_refused_instead_of_waiting_for_itself(
        self, store: Store
    ) -> None:
        with store.write() as transaction:
            with pytest.raises(RuntimeError, match="inside a transaction"), store.write():
                raise AssertionError("entered")
            transaction.put(JOBS.key("a"), {}, at=1.0)
        assert names(store) == ["a"]

    def test_names_are_ordered_by_their_utf8_bytes(self, store: Store) -> None:
        wanted = ["", "A", "Z", "a", "a/", "a/b", "a0", "b", "é", "\ue000", "\uffff", "𐀀", "🦊", "\U0010ffff"]
        for name in reversed(wanted):
            put(store, name)

        assert names(store) == wanted == sorted(wanted, key=lambda name: name.encode())
        assert names(store, descending=True) == wanted[::-1]
        assert names(store, name_from="\uffff") == ["\uffff", "𐀀", "🦊", "\U0010ffff"]

    @pytest.mark.parametrize(
        ("prefix", "wanted"),
        [
            ("a", ["a", "a/1", "a\ud7ff", "a\ue000", "a🦊", "a\U0010ffff", "a\U0010ffffz"]),
            ("a/", ["a/1"]),
            ("a\ud7ff", ["a\ud7ff"]),
            ("a\U0010ffff", ["a\U0010ffff", "a\U0010ffffz"]),
            ("\U0010ffff", ["\U0010ffff"]),
            ("c", []),
        ],
    )
    def test_prefixes_are_plain_text(self, store: Store, prefix: str, wanted: list[str]) -> None:
        for name in [
            "A",
            "a",
            "a/1",
            "a\ud7ff",
            "a\ue000",
            "a🦊",
            "a\U0010ffff",
            "a\U0010ffffz",
            "b",
            "\U0010ffff",
            "%",
            "_",
        ]:
            put(store, name)
        assert names(store, name_prefix=prefix) == wanted
        assert names(store, name_prefix=prefix, descending=True) == wanted[::-1]

    def test_every_filter_filters(self, store: Store) -> None:
        put(store, "Alpha", at=1.0, status="InService", owner="tuning", active=True)
        put(store, "beta", at=2.0, status="Failed", owner="tuning")
        put(store, "ALPHABET", at=3.0, status="InService")
        put(store, "beta", at=4.0, status="Failed", owner="tuning")

        assert names(store, name_contains="alpha") == ["ALPHABET", "Alpha"]
        assert names(store, name_contains="ALPHA", limit=9) == ["ALPHABET", "Alpha"]
        assert names(store, name_contains="%") == names(store, name_contains="_a", limit=9) == []
        assert (
            names(store, name_contains="a" * 2000, limit=9) == names(store, name_contains="\\", limit=9) == []
        )
        assert names(store, created_after=1.0) == ["ALPHABET", "beta"]
        assert names(store, created_before=2.0) == ["Alpha"]
        assert names(store, modified_after=3.0) == ["beta"]
        assert names(store, modified_before=3.0) == ["Alpha"]
        assert names(store, status="InService") == ["ALPHABET", "Alpha"]
        assert names(store, owner="tuning") == ["Alpha", "beta"]
        assert names(store, owner="") == ["ALPHABET"]
        assert names(store, active=True) == ["Alpha"]
        assert names(store, active=False) == ["ALPHABET", "beta"]
        assert names(store, owner="tuning", status="Failed", active=False, name_prefix="b") == ["beta"]
        assert names(store, limit=2) == ["ALPHABET", "Alpha"]
        assert names(store, limit=0) == []

    @pytest.mark.parametrize("order", list(Order))
    @pytest.mark.parametrize("descending", [False, True])
    def test_pages_follow_each_other_without_gap_or_repetition(
        self, store: Store, order: Order, descending: bool
    ) -> None:
        for number in range(11):
            put(store, f"job-{number:02}", at=float(number // 3), status="even" if number % 2 == 0 else "odd")
        whole = names(store, order=order, descending=descending)
        assert sorted(whole) == [f"job-{number:02}" for number in range(11)]

        paged: list[str] = []
        query = Query(order=order, descending=descending, limit=3)
        while True:
            with store.read() as reader:
                page = reader.scan(JOBS, query)
            paged += [row.key.name for row in page]
            if len(page) < 3:
                break
            query = replace(query, after=(order_value(page[-1], order), page[-1].key.name))
        assert paged == whole

    def test_each_walks_a_scope_page_by_page(self, store: Store) -> None:
        for number in range(7):
            put(store, f"{number}")
        with store.read() as reader:
            assert [row.key.name for row in each(reader, JOBS, page=3)] == list("0123456")

    def test_scopes_do_not_mix(self, store: Store) -> None:
        put(store, "a", scope=MODELS)
        put(store, "b", scope=JOBS, active=True)
        put(store, "c", scope=ELSEWHERE)

        assert (names(store, MODELS), names(store, JOBS), names(store, ELSEWHERE)) == (["a"], ["b"], ["c"])
        with store.read() as reader:
            assert reader.count(JOBS) == 1
            assert [row.key.name for row in reader.scan_types("sagemaker", "TrainingJob")] == ["b", "c"]
            assert [row.key.name for row in reader.scan_types("sagemaker", "TrainingJob", active=True)] == [
                "b"
            ]

    def test_rows_are_counted_by_status_over_all_accounts(self, store: Store) -> None:
        for name, scope, status in (
            ("a", JOBS, "Failed"),
            ("b", JOBS, ""),
            ("a", ELSEWHERE, "Failed"),
            ("c", MODELS, "x"),
        ):
            put(store, name, scope=scope, status=status)
        with store.write() as transaction:
            transaction.put(JOBS.key("d"), {}, at=1.0, status="Failed")
            transaction.delete(JOBS.key("b"))
            assert transaction.count_by_status("sagemaker", "TrainingJob") == {"Failed": 3}
        put(store, "e", status="Completed")
        with store.read() as reader:
            assert list(reader.count_by_status("sagemaker", "TrainingJob").items()) == [
                ("Completed", 1),
                ("Failed", 3),
            ]
            assert reader.count_by_status("sagemaker", "None") == {}

    def test_events_are_numbered_in_order_within_their_stream(self, store: Store) -> None:
        with store.write() as transaction:
            for number in range(5):
                transaction.append(Event("audit", f"s{number % 2}", float(number), {"n": number}))
            transaction.append(Event("outbox", "s0", 9.0, {}))

        with store.read() as reader:
            assert reader.events("audit", limit=2) == [
                Event("audit", "s0", 0.0, {"n": 0}, 1),
                Event("audit", "s1", 1.0, {"n": 1}, 2),
            ]
            assert [event.sequence for event in reader.events("audit", after=2)] == [3, 4, 5]
            assert [event.sequence for event in reader.events("audit", subject="s0", after=1)] == [3, 5]
            assert [event.at for event in reader.events("outbox")] == [9.0]

    def test_contents_come_and_go_with_their_transaction(self, store: Store) -> None:
        with store.write() as transaction:
            kept, gone = transaction.add_content(b"kept\x00"), transaction.add_content(b"")
            assert (transaction.content(kept), transaction.content(gone)) == (b"kept\x00", b"")
        with store.read() as before:
            assert (before.content(kept), before.content(gone)) == (b"kept\x00", b"")
            with store.write() as transaction:
                transaction.remove_content(gone)
                assert transaction.content(gone) is None
            assert before.content(gone) == b"", "a reader keeps its snapshot"
        with store.read() as after:
            assert (after.content(kept), after.content(gone)) == (b"kept\x00", None)

    def test_a_contents_number_is_never_given_again(self, store: Store) -> None:
        given: list[int] = []
        for _ in range(3):
            with store.write() as transaction:
                given.append(transaction.add_content(b"x"))
            with store.write() as transaction:
                transaction.remove_content(given[-1])
                transaction.remove_content(given[-1])
        assert len(set(given)) == 3

    def test_an_exception_undoes_what_was_done_to_contents(self, store: Store) -> None:
        with store.write() as transaction:
            kept = transaction.add_content(b"kept")
        with pytest.raises(ZeroDivisionError), store.write() as transaction:  # noqa: PT012 - the block is the subject
            transaction.remove_content(kept)
            never = transaction.add_content(b"never")
            raise ZeroDivisionError

        with store.read() as reader:
            assert (reader.content(kept), reader.content(never)) == (b"kept", None)

    def test_random_histories_agree_with_the_model(self, store: Store) -> None:
        agrees_with_model(store)


def run_together(*functions: Any, threads: int = 1) -> None:
    """Run each function on `threads` threads; the first failure is raised here."""
    failures: list[BaseException] = []

    def guarded(function: Any) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - carried over to the test's own thread
            failures.append(error)

    running = [
        threading.Thread(target=guarded, args=(function,)) for function in functions for _ in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]


def order_value(row: Stored, order: Order) -> Any:
    return {
        Order.NAME: row.key.name,
        Order.CREATED: row.created,
        Order.MODIFIED: row.modified,
        Order.STATUS: row.status,
    }[order]


class Model:
    """What a store means, as plainly as can be."""

    def __init__(self) -> None:
        self.rows: dict[Key, Stored] = {}

    def put(
        self, key: Key, document: dict[str, Any], at: float, status: str, owner: str, active: bool
    ) -> None:
        old = self.rows.get(key)
        version, created = (old.version + 1, old.created) if old else (1, at)
        self.rows[key] = Stored(key, version, document, created, at, status, owner, active)

    def scan(self, scope: Scope, query: Query) -> list[Stored]:
        def place(row: Stored) -> tuple[Any, bytes]:
            value = order_value(row, query.order)
            return (value.encode() if isinstance(value, str) else value, row.key.name.encode())

        found = sorted(
            (row for row in self.rows.values() if row.key.scope == scope and self.matches(row, query)),
            key=place,
        )
        if query.descending:
            found.reverse()
        if query.after is not None:
            value, name = query.after
            mark = (value.encode() if isinstance(value, str) else value, name.encode())
            found = [row for row in found if (place(row) < mark if query.descending else place(row) > mark)]
        return found[: query.limit] if query.limit is not None else found

    def matches(self, row: Stored, query: Query) -> bool:
        tests = [
            row.key.name.startswith(query.name_prefix),
            row.key.name.encode() >= query.name_from.encode(),
            query.name_contains.encode().lower() in row.key.name.encode().lower(),
            query.created_after is None or row.created > query.created_after,
            query.created_before is None or row.created < query.created_before,
            query.modified_after is None or row.modified > query.modified_after,
            query.modified_before is None or row.modified < query.modified_before,
            query.status in (None, row.status),
            query.owner in (None, row.owner),
            query.active in (None, row.active),
        ]
        return all(tests)


_NAMES = st.text(st.sampled_from("aAb/é\ue000\uffff🦊\U0010ffff"), max_size=4)
_TIMES = st.sampled_from([0.0, 1.0, 1.5, 2.0, 1_700_000_000.123456])
_WORDS = st.sampled_from(["", "InService", "Failed", "é"])
_SCOPES = st.sampled_from([JOBS, MODELS])
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_PUTS = st.tuples(
    _SCOPES,
    _NAMES,
    st.dictionaries(st.text(max_size=3), _VALUES, max_size=3),
    _TIMES,
    _WORDS,
    _WORDS,
    st.booleans(),
)
_DELETIONS = st.tuples(_SCOPES, _NAMES)
_BLOCKS = st.lists(st.tuples(st.lists(_PUTS | _DELETIONS, max_size=6), st.booleans()), max_size=6)


@st.composite
def _queries(draw: st.DrawFn) -> Query:
    order = draw(st.sampled_from(Order))
    value = {Order.NAME: _NAMES, Order.STATUS: _WORDS}.get(order, _TIMES)
    after: tuple[Any, str] | None = draw(st.none() | st.tuples(value, _NAMES))
    if order is Order.NAME and after is not None:
        after = (after[1], after[1])
    return Query(
        order=order,
        descending=draw(st.booleans()),
        after=after,
        limit=draw(st.none() | st.integers(0, 4)),
        name_prefix=draw(st.just("") | _NAMES),
        name_contains=draw(st.just("") | _NAMES),
        name_from=draw(st.just("") | _NAMES),
        **{
            bound: draw(st.none() | _TIMES)
            for bound in ("created_after", "created_before", "modified_after", "modified_before")
        },
        status=draw(st.none() | _WORDS),
        owner=draw(st.none() | _WORDS),
        active=draw(st.none() | st.booleans()),
    )


def agrees_with_model(store: Store) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(blocks=_BLOCKS, queries=st.lists(st.tuples(_SCOPES, _queries()), min_size=1, max_size=8))
    def run(blocks: Any, queries: list[tuple[Scope, Query]]) -> None:
        empty(store)
        model = Model()
        for steps, fails in blocks:
            apply(store, model, steps, fails)
        for scope, query in queries:
            with store.read() as reader:
                assert list(reader.scan(scope, query)) == model.scan(scope, query)
                for key in model.rows:
                    assert reader.get(key) == model.rows[key]
                assert reader.count(scope) == sum(key.scope == scope for key in model.rows)

    run()


def apply(store: Store, model: Model, steps: list[Any], fails: bool) -> None:
    before = dict(model.rows)
    try:
        with store.write() as transaction:
            for scope, name, *rest in steps:
                if rest:
                    document, at, status, owner, active = rest
                    transaction.put(
                        scope.key(name), document, at=at, status=status, owner=owner, active=active
                    )
                    model.put(scope.key(name), document, at, status, owner, active)
                else:
                    assert transaction.delete(scope.key(name)) == (
                        model.rows.pop(scope.key(name), None) is not None
                    )
            assert list(transaction.scan(JOBS)) == model.scan(JOBS, Query())
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        model.rows = before


def empty(store: Store) -> None:
    with store.write() as transaction:
        for scope in (JOBS, MODELS):
            for row in _all(transaction, scope):
                transaction.delete(row.key)


def _all(reader: Reader, scope: Scope) -> Iterator[Stored]:
    yield from list(reader.scan(scope))
