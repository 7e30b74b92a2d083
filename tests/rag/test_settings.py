from pathlib import Path

import pytest
from pydantic import ValidationError

from rag.errors import SettingsError
from rag.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.upper().startswith("RAG_")]:
        monkeypatch.delenv(name)


def test_defaults_stand_without_an_environment():
    assert load_settings() == Settings()
    assert load_settings().data_dir == Path(".data")


def test_the_environment_sets_and_overrides_win(monkeypatch, tmp_path):
    monkeypatch.setenv("RAG_DATA_DIR", "elsewhere")
    monkeypatch.setenv("RAG_RERANK_DEPTH", "3")
    monkeypatch.setenv("RAG_RERANK_WEIGHTS", '{"late": 2}')
    settings = load_settings(data_dir=tmp_path)
    assert (settings.data_dir, settings.rerank_depth) == (tmp_path, 3)
    assert settings.rerank_weights == {"late": 2.0}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("RAG_RERANKR", "did you mean RAG_RERANKER?"),
        ("RAG_LLM_BACKENDS", "did you mean RAG_LLM_BACKEND?"),
        ("RAG_QQQQ", "see rag/settings.py"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(monkeypatch, name, hint):
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"{name} is not a setting.*{hint.rstrip('?')}"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAG_PORT", "eighty"),
        ("RAG_MIN_SUPPORT", "1.5"),
        ("RAG_LLM_BACKEND", "gpt"),
        ("RAG_THREADS", "0"),
        ("RAG_RERANK_WEIGHTS", '{"late": "much"}'),
    ],
)
def test_a_bad_value_is_named_with_what_was_given(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        load_settings()
    assert (value in str(caught.value)) or "much" in str(caught.value)


@pytest.mark.parametrize("name", ["RAG_RERANK_WEIGHTS", "RAG_ALLOWED_HOSTS"])
def test_what_must_be_json_says_so(monkeypatch, name):
    monkeypatch.setenv(name, "localhost")
    with pytest.raises(SettingsError, match="JSON") as caught:
        load_settings()
    assert name.removeprefix("RAG_").lower() in str(caught.value).lower()


def test_an_unknown_override_is_refused():
    with pytest.raises(SettingsError, match="RERANKR"):
        load_settings(rerankr="x")


def test_settings_do_not_change_and_do_not_show_secrets(monkeypatch):
    monkeypatch.setenv("RAG_LLM_API_KEY", "sesame")
    settings = load_settings()
    assert "sesame" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.port = 1
