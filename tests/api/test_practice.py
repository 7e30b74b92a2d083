"""Practice over HTTP: nothing given away, nothing lost, errors that say what to do."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import httpx
import pytest
from starlette.testclient import TestClient

import api.routes.practice
from api.app import create_app
from api.practice_schemas import BankBody
from rag.errors import LLMError
from rag.practice.store import PracticeStore
from tests.api.conftest import LiveServer
from tests.practice.fakes import BANK, DIVES, LADDER, MEMORY, FakeClock, FakeGrader, make_practice
from tests.practice.fakes import secrets_of as everything_secret

ROOT = "/v1/practice"
GRADED = FakeGrader()


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch):
    monkeypatch.setattr(api.routes.practice, "_POLL_S", 0.01)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def app(make_settings, pipeline, tmp_path, clock):
    """Make an application over the fakes; all of them share one data folder."""

    def make(grader=GRADED, bank=BANK, **overrides):
        def open_practice(_, store):
            return make_practice(tmp_path, clock, bank=bank, grader=grader, store=store)

        return create_app(make_settings(**overrides), lambda: pipeline, None, open_practice)

    return make


@pytest.fixture
def client(app, until):
    with opened(app(), until) as client:
        yield client


@contextmanager
def opened(app, until):
    """A client of an application that is ready."""
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


def start(client, mode="drill", **body):
    answer = client.post(f"{ROOT}/sessions", json={"mode": mode, "seed": 1} | body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def say(client, session, text, turn, id_=None):
    body = {"client_turn_id": id_ or f"t{turn}", "turn": turn, "text": text}
    return client.post(f"{ROOT}/sessions/{session}/turns", json=body)


def read(client, session):
    return client.get(f"{ROOT}/sessions/{session}").json()


def events(client, session, after=None):
    """The events of a session that is over."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    answer = client.get(f"{ROOT}/sessions/{session}/events", headers=headers)
    return answer.status_code, parse(answer.text)


def parse(text):
    blocks = [block.split("\n") for block in text.strip().split("\n\n") if "event:" in block]
    fields = [dict(line.split(": ", 1) for line in block) for block in blocks]
    return [(int(f["id"]), f["event"], json.loads(f["data"])) for f in fields]


# A whole drill


def test_a_drill_from_the_first_question_to_the_report(client):
    created = client.post(f"{ROOT}/sessions", json={"mode": "drill", "probe_id": "feed"})
    session = created.json()
    assert created.headers["location"] == f"{ROOT}/sessions/{session['id']}"
    assert (session["state"], session["open_turn"]) == ("asking", 1)
    turn = say(client, session["id"], "Backfill, I think", 1).json()
    assert (turn["state"], turn["score"], turn["own_words"]) == ("graded", 0.5, ["Backfill"])
    say(client, session["id"], "Quantised vectors", 2)
    say(client, session["id"], "no more", 3)
    view = read(client, session["id"])
    assert view["state"] == "over"
    assert view["attempts"][0]["final_score"] == 1.0
    assert view["attempts"][0]["missed"][0]["source"]["doc"] == "feeds.md"
    report = client.get(f"{ROOT}/sessions/{session['id']}/report").json()
    assert report["session_id"] == session["id"]
    (line,) = client.get(f"{ROOT}/sessions").json()
    assert (line["id"], line["state"], line["answered"]) == (session["id"], "over", 3)


def test_the_fourth_hint_reveals(client):
    session = start(client, probe_id="feed")["id"]
    for rung in (1, 2, 3):
        turn = client.post(f"{ROOT}/sessions/{session}/turns/1/hint").json()
        assert (turn["state"], len(turn["hints"])) == ("open", rung)
    assert client.post(f"{ROOT}/sessions/{session}/turns/1/hint").json()["state"] == "revealed"
    assert read(client, session)["state"] == "over"


def test_skip_reveal_and_an_unknown_move(client):
    session = start(client, probe_id="feed")["id"]
    assert client.post(f"{ROOT}/sessions/{session}/turns/1/leave").status_code == 422
    assert client.post(f"{ROOT}/sessions/{session}/turns/1/skip").json()["state"] == "skipped"
    session = start(client, probe_id="feed")["id"]
    assert client.post(f"{ROOT}/sessions/{session}/turns/1/reveal").json()["state"] == "revealed"


def test_the_user_decides_on_a_verdict(client):
    session = start(client, probe_id="feed")["id"]
    say(client, session, "Backfill", 1)
    path = f"{ROOT}/sessions/{session}/turns/1/override"
    body = {"point_id": MEMORY.id, "covered": True}
    assert client.post(path, json=body).json()["reason"] == "AttemptOpen"
    client.post(f"{ROOT}/sessions/{session}/end")
    view = client.post(path, json=body).json()
    assert view["attempts"][0]["first_score"] == 1.0
    assert client.post(path, json=body | {"point_id": "none"}).status_code == 404


def test_a_review_waits_between_two_questions(client, clock):
    for probe in ("feed", "dive-1"):
        session = start(client, probe_id=probe)["id"]
        client.post(f"{ROOT}/sessions/{session}/turns/1/reveal")
        clock.tick(60)
    assert client.get(f"{ROOT}/reviews/due").json() == []
    refused = client.post(f"{ROOT}/sessions", json={"mode": "review"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "NothingDue")
    clock.tick(3 * 86_400)
    assert len(client.get(f"{ROOT}/reviews/due").json()) == 2
    session = start(client, "review")["id"]
    say(client, session, "Quantised Backfill", 1)
    view = read(client, session)
    assert view["state"] == "between" and len(view["attempts"]) == 1
    path = f"{ROOT}/sessions/{session}/ask"
    answer = client.post(path, json={"question": "explain the first point I missed"}).json()
    assert answer["question"] == 'explain "Hedging trims stragglers."'
    assert client.post(f"{ROOT}/sessions/{session}/next").json()["open_turn"] == 2
    assert client.post(path, json={"question": "and?"}).json()["reason"] == "AttemptOpen"


# Nothing is given away


class Watched:
    """A client that looks for secrets in every body that comes back."""

    def __init__(self, client, secrets):
        self.client, self.secrets, self.seen = client, secrets, []

    def post(self, path, **arguments):
        return self._watch(self.client.post(path, **arguments))

    def get(self, path, **arguments):
        return self._watch(self.client.get(path, **arguments))

    def _watch(self, answer):
        body = answer.text if answer.headers["content-type"] != "application/json" else ""
        data = answer.json() if not body else {}
        if not (isinstance(data, dict) and data.get("state") == "over"):
            text = body or json.dumps(data, ensure_ascii=False)
            assert not [secret for secret in self.secrets if secret in text]
            self.seen.append(text)
        return answer


def walk(client, session, texts, *, ask=True):
    """Go through a session; poke at everything that must be refused before the end."""
    path = f"{ROOT}/sessions/{session}"
    for number in range(1, 40):
        view = client.get(path).json()
        if view["state"] == "over":
            return
        client.get(f"{ROOT}/bank")
        client.get(f"{ROOT}/sessions")
        client.get(f"{ROOT}/reviews/due")
        for form in ("json", "md", "html"):
            refused = client.get(f"{path}/report?format={form}")
            assert (refused.status_code, refused.json()["reason"]) == (409, "AttemptOpen")
        if ask:
            refused = client.post(f"{path}/ask", json={"question": "what did I miss?"})
            assert refused.status_code == 409
        n = view["open_turn"]
        for _ in range(3):
            client.post(f"{path}/turns/{n}/hint")
        kind = view["turns"][-1]["kind"]
        text = "B A D C" if kind == "order" else texts[number % len(texts)]
        assert say(client, session, text, n, f"w{number}").status_code == 200
    pytest.fail("the session does not end")


TEXTS = ("Backfill, and 500 users", "nothing of it", "Sharding and Shedding", "10 QPS")


@pytest.mark.parametrize(
    ("mode", "body"),
    [
        ("drill", {"probe_id": "feed"}),
        ("drill", {"probe_id": "feed", "feedback": "end"}),
        ("mock", {"minutes": 10}),
        ("calibrate", {"exercise": "place"}),
    ],
)
def test_nothing_of_a_rubric_is_sent_before_the_attempt_is_over(client, mode, body):
    watched = Watched(client, everything_secret(BANK))
    session = start(watched, mode, **body)["id"]
    walk(watched, session, TEXTS)
    assert len(watched.seen) > 10
    assert read(client, session)["attempts"]  # and afterwards it is


def test_an_ordering_exercise_tells_texts_but_neither_levels_nor_notes(client):
    shown = {anchor.text for anchor in LADDER.anchors}
    secrets = [secret for secret in everything_secret(BANK) if secret not in shown]
    watched = Watched(client, [*secrets, '"L4"', '"L5"', '"L6"', '"L7"'])
    session = start(watched, "calibrate", exercise="both")["id"]
    walk(watched, session, TEXTS)
    assert read(client, session)["attempts"][0]["order"]


def test_in_a_review_the_next_questions_stay_secret(client, clock):
    for probe in DIVES:
        session = start(client, probe_id=probe.id)["id"]
        client.post(f"{ROOT}/sessions/{session}/turns/1/reveal")
    clock.tick(3 * 86_400)
    session = start(client, "review")["id"]
    first = read(client, session)["turns"][0]["prompt"]
    other = next(probe for probe in DIVES if probe.prompt != first)
    say(client, session, "no idea", 1)
    for answer in (
        client.get(f"{ROOT}/sessions/{session}"),
        client.post(f"{ROOT}/sessions/{session}/next"),
    ):
        assert other.points[0].text not in answer.text


def test_the_bank_has_prompts_and_no_rubric(client):
    answer = client.get(f"{ROOT}/bank")
    BankBody.model_validate_json(answer.text)
    assert [probe["prompt"] for probe in answer.json()["probes"]] == [p.prompt for p in BANK.probes]
    assert not [secret for secret in everything_secret(BANK) if secret in answer.text]


@pytest.mark.parametrize(
    ("mode", "body"), [("drill", {"probe_id": "feed"}), ("mock", {"minutes": 10})]
)
def test_the_stream_follows_a_session_and_gives_nothing_away(app, until, mode, body):
    server = LiveServer(app())
    server.thread.start()
    until(lambda: server.started)
    text = []

    def follow(url):
        with httpx.stream("GET", url, timeout=10) as stream:
            text.extend(stream.iter_text())

    with httpx.Client(base_url=server.url, timeout=10) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        session = start(client, mode, **body)["id"]
        thread = threading.Thread(
            target=follow, args=(f"{server.url}{ROOT}/sessions/{session}/events",)
        )
        thread.start()
        walk(client, session, TEXTS)
        thread.join(10)
        assert not thread.is_alive()
    server.should_exit = True
    server.thread.join(10)
    found = parse("".join(text))
    names = [name for _, name, _ in found]
    assert [seq for seq, _, _ in found] == list(range(1, len(found) + 1))
    assert names[0] == "question" and names[-1] == "done"
    assert ("feedback" in names) == (mode == "drill")
    before = found[: names.index("feedback")] if "feedback" in names else found
    told = json.dumps([data for _, _, data in before], ensure_ascii=False)
    assert not [secret for secret in everything_secret(BANK) if secret in told]


# Nothing is lost, and nothing counts twice


def test_the_same_answer_again_changes_nothing(client):
    session = start(client, probe_id="feed")["id"]
    once = say(client, session, "Backfill", 1, "a")
    again = say(client, session, "Backfill", 1, "a")
    assert (again.status_code, again.json()) == (200, once.json())
    other = say(client, session, "something else", 1, "a")
    assert (other.status_code, other.json()["reason"]) == (409, "TurnConflict")


def test_of_two_clients_one_answers_and_the_other_is_told(client):
    session = start(client, probe_id="feed")["id"]
    found = []

    def answer(name):
        found.append(say(client, session, f"Backfill says {name}", 1, name).status_code)

    threads = [threading.Thread(target=answer, args=(f"c{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200, 409, 409, 409, 409]
    view = read(client, session)
    assert [turn["state"] for turn in view["turns"]] == ["graded", "open"]


def test_a_new_service_over_the_same_data_goes_on(app, until):
    with opened(app(), until) as client:
        session = start(client, probe_id="feed")["id"]
        say(client, session, "Backfill", 1)
    with opened(app(), until) as client:
        view = read(client, session)
        assert (view["state"], view["open_turn"]) == ("asking", 2)
        say(client, session, "Quantised", 2)
        say(client, session, "no more", 3)
        assert read(client, session)["state"] == "over"


class BrokenGrader(FakeGrader):
    def grade(self, *arguments):
        raise LLMError("the endpoint is down: start it")


def test_an_answer_survives_a_grader_that_fails(app, until):
    with opened(app(BrokenGrader()), until) as client:
        session = start(client, probe_id="feed")["id"]
        failed = say(client, session, "Backfill", 1)
        assert failed.status_code == 503 and "start it" in failed.json()["detail"]
        view = read(client, session)
        assert view["state"] == "grading"
        assert "could not be graded yet" in view["notices"][-1]
    with opened(app(), until) as client:
        assert say(client, session, "Backfill", 1).json()["score"] == 0.5  # and once more
        assert read(client, session)["open_turn"] == 2


class HeldGrader(FakeGrader):
    def __init__(self):
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def grade(self, *arguments):
        self.entered.set()
        assert self.go_on.wait(10)
        return super().grade(*arguments)


def test_where_too_much_runs_an_answer_is_stored_and_graded_later(app, until):
    grader = HeldGrader()
    with opened(app(grader, max_concurrency=1, max_queue=0), until) as client:
        one, two = (start(client, probe_id="feed")["id"] for _ in range(2))
        thread = threading.Thread(target=say, args=(client, one, "Backfill", 1))
        thread.start()
        assert grader.entered.wait(10)
        stored = say(client, two, "Quantised", 1)
        assert (stored.status_code, stored.json()["state"]) == (202, "answered")
        assert stored.json()["score"] is None
        assert read(client, two)["state"] == "grading"  # does not wait either
        grader.go_on.set()
        thread.join(10)
        assert read(client, two)["turns"][0]["score"] == 0.5


def test_a_new_index_brings_a_new_bank(app, until, pipeline):
    grader = FakeGrader()
    with opened(app(grader), until) as client:
        session = start(client, probe_id="feed")["id"]
        service = client.app.state.practice
        before = service._current[1]
        pipeline.generation = "000002"
        assert read(client, session)["open_turn"] == 1
        assert service._current[1] is not before


# Events


def test_a_stream_is_taken_up_where_it_broke_off(client):
    session = start(client, probe_id="feed")["id"]
    client.post(f"{ROOT}/sessions/{session}/turns/1/reveal")
    status, whole = events(client, session)
    assert status == 200
    assert [name for _, name, _ in whole] == ["question", "revealed", "feedback", "done"]
    assert events(client, session, 2) == (200, whole[2:])
    assert events(client, session, 4) == (204, [])


@pytest.mark.parametrize("number", ["x", "-1", "9" * 30])
def test_an_event_number_that_is_none(client, number):
    session = start(client, probe_id="feed")["id"]
    answer = client.get(f"{ROOT}/sessions/{session}/events", headers={"Last-Event-ID": number})
    assert answer.status_code == 422


# Reports


def test_reports_come_in_three_forms(client):
    session = start(client, probe_id="feed")["id"]
    say(client, session, "<script>alert(1)</script> Backfill", 1)
    client.post(f"{ROOT}/sessions/{session}/end")
    path = f"{ROOT}/sessions/{session}/report"
    assert client.get(path).json()["mode"] == "drill"
    markdown = client.get(f"{path}?format=md")
    assert markdown.headers["content-type"] == "text/markdown; charset=utf-8"
    assert markdown.text.startswith("# Practice report")
    page = client.get(f"{path}?format=html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert "<script>" not in page.text
    assert client.get(f"{path}?format=pdf").status_code == 422


# Errors


def test_errors_say_what_to_do(client):
    session = start(client, probe_id="feed")["id"]
    path = f"{ROOT}/sessions"
    cases = [
        (client.get(f"{path}/none"), 404, "NoSuchSession"),
        (client.get(f"{path}/none/events"), 404, "NoSuchSession"),
        (client.post(f"{path}/none/end"), 404, "NoSuchSession"),
        (client.post(f"{path}/{session}/turns/9/hint"), 404, "NoSuchSession"),
        (client.post(path, json={"mode": "drill", "probe_id": "x"}), 404, "UnknownProbe"),
        (client.post(path, json={"mode": "drill", "topic": "moon"}), 422, "NothingFits"),
        (client.post(path, json={"mode": "mock", "clock": "sun"}), 422, "NothingFits"),
        (say(client, session, "a" * 20_001, 1), 422, "UnreadableAnswer"),
        (say(client, session, "Backfill", 7), 404, "NoSuchSession"),
    ]
    client.post(f"{path}/{session}/end")
    cases.append((say(client, session, "Backfill", 1, "late"), 409, "SessionOver"))
    for answer, status, reason in cases:
        assert (answer.status_code, answer.json()["reason"]) == (status, reason), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"mode": "quiz"}, {"mode": "drill", "seed": -1}, {"mode": "drill", "seed": 2**31},
        {"mode": "mock", "minutes": 0}, {"mode": "drill", "rubric": True},
        {"mode": "drill", "topic": ""}, {"mode": "calibrate", "exercise": "peek"},
    ],
)  # fmt: skip
def test_requests_that_are_none(client, body):
    assert client.post(f"{ROOT}/sessions", json=body).status_code == 422


@pytest.mark.parametrize(
    "change",
    [{"text": "\ud800"}, {"text": "a\0"}, {"turn": 0}, {"client_turn_id": "a b"}, {"grade": 1}],
)
def test_answers_that_are_none(client, change):
    session = start(client, probe_id="feed")["id"]
    body = {"client_turn_id": "a", "turn": 1, "text": "Backfill"} | change
    content = json.dumps(body)
    answer = client.post(
        f"{ROOT}/sessions/{session}/turns", content=content,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert read(client, session)["open_turn"] == 1


def test_a_database_that_cannot_be_used_is_a_problem(client, make_settings):
    path = make_settings().data_dir / "practice.sqlite3"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no database" * 100)
    answer = client.get(f"{ROOT}/bank")
    assert answer.status_code == 503 and "move it away" in answer.json()["detail"]


def test_before_the_models_are_loaded_practice_waits(make_settings, pipeline):
    loaded = threading.Event()

    def load():
        loaded.wait(10)
        return pipeline

    app = create_app(make_settings(), load)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        try:
            answer = client.get(f"{ROOT}/bank")
            assert answer.status_code == 503 and answer.headers["retry-after"] == "2"
        finally:
            loaded.set()


def test_the_database_is_closed_at_the_end(app, until, monkeypatch):
    closed = []
    close = PracticeStore.close
    monkeypatch.setattr(PracticeStore, "close", lambda self: (closed.append(1), close(self)))
    with opened(app(), until) as client:
        start(client, probe_id="feed")
        assert not closed
    assert closed
