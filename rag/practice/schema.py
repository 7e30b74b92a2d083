"""The tables of practice, as migrations: number n brings a database to `user_version` n.

A migration that has been released is never edited; a change is a new one.
"""

from __future__ import annotations

_FIRST = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, mode TEXT NOT NULL, title TEXT NOT NULL, feedback TEXT NOT NULL,
    seed INTEGER NOT NULL, created REAL NOT NULL, ended REAL, bank_hash TEXT NOT NULL,
    clock TEXT, plan TEXT NOT NULL, notices TEXT NOT NULL
);
CREATE TABLE turns (
    session_id TEXT NOT NULL REFERENCES sessions(id), n INTEGER NOT NULL,
    attempt INTEGER NOT NULL, state TEXT NOT NULL, step TEXT NOT NULL, asked_at REAL NOT NULL,
    client_turn_id TEXT, answer TEXT NOT NULL DEFAULT '', elapsed_ms INTEGER, answered_at REAL,
    closed_at REAL, hints TEXT NOT NULL DEFAULT '[]', outcome TEXT,
    PRIMARY KEY (session_id, n), UNIQUE (session_id, client_turn_id)
);
-- At most one turn of a session waits for its answer or its grade, whoever writes.
CREATE UNIQUE INDEX one_turn_under_way ON turns(session_id) WHERE state IN ('open', 'answered');
CREATE TABLE verdicts (
    session_id TEXT NOT NULL, n INTEGER NOT NULL, attempt INTEGER NOT NULL,
    point_id TEXT NOT NULL, state TEXT NOT NULL, probability REAL NOT NULL, quote TEXT NOT NULL,
    "start" INTEGER NOT NULL, "end" INTEGER NOT NULL, bank_hash TEXT NOT NULL,
    grader_version TEXT NOT NULL, model TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (session_id, n, point_id),
    FOREIGN KEY (session_id, n) REFERENCES turns(session_id, n)
);
CREATE INDEX verdicts_by_point ON verdicts(point_id);
CREATE TABLE overrides (
    id INTEGER PRIMARY KEY, session_id TEXT NOT NULL, n INTEGER NOT NULL,
    point_id TEXT NOT NULL, covered INTEGER NOT NULL, created REAL NOT NULL,
    FOREIGN KEY (session_id, n, point_id) REFERENCES verdicts(session_id, n, point_id)
);
-- A verdict as it counts: what the user decided last wins over the grader.
CREATE VIEW decided AS
    SELECT v.*, o.covered AS overridden,
           CASE o.covered WHEN 1 THEN 'covered' WHEN 0 THEN 'missed' ELSE v.state END AS final
    FROM verdicts v LEFT JOIN overrides o ON o.id = (
        SELECT max(id) FROM overrides p
        WHERE p.session_id = v.session_id AND p.n = v.n AND p.point_id = v.point_id);
CREATE TABLE attempts (
    session_id TEXT NOT NULL REFERENCES sessions(id), attempt INTEGER NOT NULL,
    probe_id TEXT NOT NULL, first_score REAL NOT NULL, final_score REAL NOT NULL,
    hints INTEGER NOT NULL, finished REAL NOT NULL, PRIMARY KEY (session_id, attempt)
);
CREATE INDEX attempts_by_probe ON attempts(probe_id, finished);
CREATE TABLE cards (
    key TEXT PRIMARY KEY, probe_id TEXT NOT NULL, point_id TEXT NOT NULL, probe TEXT NOT NULL,
    fsrs TEXT NOT NULL, due REAL NOT NULL, created REAL NOT NULL
);
CREATE TABLE review_log (
    id INTEGER PRIMARY KEY, card_key TEXT NOT NULL REFERENCES cards(key),
    session_id TEXT NOT NULL, attempt INTEGER NOT NULL, raw_score REAL NOT NULL,
    hints INTEGER NOT NULL, rating INTEGER NOT NULL, before TEXT NOT NULL, reviewed REAL NOT NULL,
    UNIQUE (card_key, session_id, attempt)
);
CREATE TABLE events (
    session_id TEXT NOT NULL REFERENCES sessions(id), seq INTEGER NOT NULL, name TEXT NOT NULL,
    data TEXT NOT NULL, created REAL NOT NULL, PRIMARY KEY (session_id, seq)
);
"""

MIGRATIONS = (_FIRST,)
