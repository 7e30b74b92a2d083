from eval.cache import Cache, code_version


def test_a_value_is_computed_once_and_survives(tmp_path):
    path = tmp_path / "deep" / "cache.jsonl"
    calls = []

    def compute():
        calls.append(1)
        return {"x": 1}

    cache = Cache(path)
    assert cache.get(["a", 1], compute) == cache.get(["a", 1], compute) == {"x": 1}
    assert Cache(path).get(["a", 1], compute) == {"x": 1}
    assert len(calls) == 1
    assert cache.find(["a", 2]) is None


def test_a_line_cut_off_by_a_kill_is_ignored_and_ended(tmp_path):
    path = tmp_path / "cache.jsonl"
    Cache(path).put("first", 1)
    with path.open("a") as file:
        file.write('\n{"key": "abc", "val')
    cache = Cache(path)
    cache.put("second", 2)
    again = Cache(path)
    assert (again.find("first"), again.find("second")) == (1, 2)


def test_the_code_version_follows_the_code(tmp_path):
    for package in ("rag", "index", "ingest"):
        (tmp_path / package).mkdir()
    (tmp_path / "rag" / "a.py").write_text("x = 1")
    before = code_version(tmp_path)
    assert before == code_version(tmp_path)
    (tmp_path / "rag" / "a.py").write_text("x = 2")
    assert (changed := code_version(tmp_path)) != before
    (tmp_path / "rag" / "probe.npz").write_bytes(b"weights")
    assert code_version(tmp_path) != changed
