"""The database: migrations, transactions, several clients, processes that are killed."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rag.migrations import migrate
from rag.practice import schema
from rag.practice.errors import NoSuchSession, StoreError
from rag.practice.rows import SessionRow
from rag.practice.steps import Outcome, Step, StepCheck, dumps, load_outcome, load_step
from rag.practice.store import PracticeStore
from tests.practice.fakes import CLOCK, ESTIMATE, PROBE, FakeClock, make_practice

PRACTICE = {"what": "the practice database is", "error": StoreError}


def make_session(id_: str = "s1", created: float = 1.0) -> SessionRow:
    step = Step("probe", PROBE.prompt, 1, 0, probe=PROBE, estimate=ESTIMATE)
    return SessionRow(
        id_, "drill", "A title", "now", 7, created, None, "hash", CLOCK, (step,), ("a notice",)
    )


@pytest.fixture
def store(tmp_path):
    with PracticeStore(tmp_path / "deep" / "practice.sqlite3") as store:
        yield store


def test_what_is_stored_comes_back_equal(store):
    session = make_session()
    with store.transaction() as db:
        db.add_session(session)
        assert db.add_turn("s1", session.plan[0], 2.0) == 1
    with store.transaction(write=False) as db:
        assert db.session("s1") == session
        (turn,) = db.turns("s1")
    assert turn.step == session.plan[0]
    assert (turn.state, turn.asked_at, turn.answer) == ("open", 2.0, "")


def test_steps_and_outcomes_survive_json():
    step = Step("estimate", "How much?", 2, 1, estimate=ESTIMATE, asked=(0, 2), aim="p")
    assert load_step(dumps(step)) == step
    outcome = Outcome(0.5, "", "go on", True, (), (StepCheck("a", "right", "1", "1", "1"),), "v")
    assert load_outcome(dumps(outcome)) == outcome


def test_the_database_is_in_wal_mode_and_synced(store):
    with store.transaction(write=False) as db:
        assert db.db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert db.db.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)


def test_a_transaction_that_fails_leaves_nothing(store):
    with pytest.raises(RuntimeError), store.transaction() as db:
        db.add_session(make_session())
        raise RuntimeError
    with store.transaction(write=False) as db, pytest.raises(NoSuchSession, match="start one"):
        db.session("s1")


def test_a_second_turn_under_way_is_refused(store):
    session = make_session()
    with store.transaction() as db:
        db.add_session(session)
        db.add_turn("s1", session.plan[0], 1.0)
    with pytest.raises(StoreError, match="nothing was changed"), store.transaction() as db:
        db.add_turn("s1", session.plan[0], 2.0)


def test_an_answer_fits_an_open_turn_only(store):
    session = make_session()
    with store.transaction() as db:
        db.add_session(session)
        db.add_turn("s1", session.plan[0], 1.0)
        assert db.store_answer("s1", 1, "c1", "first", None, 2.0)
        assert not db.store_answer("s1", 1, "c2", "second", None, 3.0)
        assert db.close_turn("s1", 1, was="answered", now_is="graded", now=4.0)
        assert not db.close_turn("s1", 1, was="answered", now_is="graded", now=5.0)
        assert db.turns("s1")[0].answer == "first"


def test_events_are_numbered_within_their_session(store):
    with store.transaction() as db:
        for id_ in ("s1", "s2"):
            db.add_session(make_session(id_))
        db.add_event("s1", "a", {"x": 1}, 1.0)
        db.add_event("s2", "b", {}, 1.0)
        db.add_event("s1", "c", {}, 2.0)
        assert [(e.seq, e.name) for e in db.events("s1", 0)] == [(1, "a"), (2, "c")]
        assert [e.name for e in db.events("s1", 1)] == ["c"]


def test_the_newest_session_comes_first(store):
    with store.transaction() as db:
        db.add_session(make_session("old", 1.0))
        db.add_session(make_session("new", 2.0))
        assert db.session_ids() == ["new", "old"]


def test_migrations_run_once_and_keep_the_data(tmp_path):
    path = tmp_path / "p.sqlite3"
    with PracticeStore(path) as store, store.transaction() as db:
        db.add_session(make_session())
    connection = sqlite3.connect(path, isolation_level=None)
    more = (*schema.MIGRATIONS, "CREATE TABLE extra (a);\nINSERT INTO extra VALUES (1);\n")
    migrate(connection, more, **PRACTICE)
    migrate(connection, more, **PRACTICE)
    assert connection.execute("SELECT count(*) FROM extra").fetchone()[0] == 1
    assert connection.execute("SELECT count(*) FROM sessions").fetchone()[0] == 1
    connection.close()
    with pytest.raises(StoreError, match="update the program"):
        PracticeStore(path)


def test_a_migration_that_fails_changes_nothing(tmp_path):
    connection = sqlite3.connect(tmp_path / "p.sqlite3", isolation_level=None)
    with pytest.raises(sqlite3.Error):
        migrate(connection, ("CREATE TABLE a (x);\nnonsense;\n",), **PRACTICE)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    connection.close()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "p.sqlite3").write_text("not a database, but long enough to be looked at" * 9)
    with pytest.raises(StoreError, match=r"p\.sqlite3"):
        PracticeStore(tmp_path / "p.sqlite3")


def test_many_threads_and_two_connections_lose_no_event(tmp_path):
    path = tmp_path / "p.sqlite3"
    with PracticeStore(path) as one, PracticeStore(path) as two:
        with one.transaction() as db:
            db.add_session(make_session())

        def write(store: PracticeStore) -> None:
            for _ in range(10):
                with store.transaction() as db:
                    db.add_event("s1", "x", {}, 1.0)

        threads = [threading.Thread(target=write, args=(s,)) for s in (one, two, one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with one.transaction(write=False) as db:
            assert [event.seq for event in db.events("s1", 0)] == list(range(1, 41))


CHILD = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from rag.practice.store import PracticeStore
from tests.practice.fakes import FakeGrader, make_practice

where, folder = sys.argv[1], Path(sys.argv[2])
die = lambda: os.kill(os.getpid(), signal.SIGKILL)

class Store(PracticeStore):
    writes = 0
    @contextmanager
    def transaction(self, *, write=True):
        Store.writes += write
        with super().transaction(write=write) as db:
            yield db
            if write and where == f"before {Store.writes}":
                die()
        if write and where == f"after {Store.writes}":
            die()

class Grader(FakeGrader):
    def grade(self, *args, **kwargs):
        if where == "grading":
            die()
        return super().grade(*args, **kwargs)

practice = make_practice(folder, grader=Grader(), store=Store(folder / "practice.sqlite3"))
session = practice.start("drill", probe_id="feed", seed=1)
print("session", session.id, flush=True)
practice.answer(session.id, "c1", "Quantised, I would say", turn=1)
print("answered c1", flush=True)
practice.answer(session.id, "c2", "Backfill", turn=2)
print("answered c2", flush=True)
practice.end(session.id)
"""
# Writes: 1 start, 2 answer, 3 grade, 4 answer, 5 grade, 6 end.
DEATHS = ["grading", *(f"{when} {n}" for n in range(2, 6) for when in ("before", "after"))]


@pytest.mark.parametrize("where", DEATHS)
def test_a_killed_process_loses_nothing_that_was_answered(tmp_path, where):
    root = Path(__file__).resolve().parents[2]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, where, str(tmp_path)],
        cwd=root, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    said = child.stdout.split("\n")
    session_id = said[0].removeprefix("session ")

    practice = make_practice(tmp_path, FakeClock())
    view = practice.view(session_id)
    stored = {"c1": "Quantised, I would say", "c2": "Backfill"}
    kept = {turn.answer for turn in view.turns if turn.answer}
    acknowledged = {stored[line.split()[1]] for line in said if line.startswith("answered")}
    assert acknowledged <= kept
    if where in ("grading", "after 2"):  # stored, not graded, not acknowledged: still there
        assert kept == {stored["c1"]}
    assert all(turn.state == "graded" for turn in view.turns if turn.answer)

    for n, client_id in enumerate(("c1", "c2"), start=1):  # the client tries again
        practice.answer(session_id, client_id, stored[client_id], turn=n)
    report = practice.report(practice.end(session_id).id)
    assert [turn.answer for turn in report.transcript] == [*stored.values(), ""][:3]
    seqs = [event.seq for event in practice.events(session_id)]
    assert seqs == list(range(1, len(seqs) + 1))
    json.dumps(report.to_dict())
