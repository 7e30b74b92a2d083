from __future__ import annotations

from urllib.parse import quote

import pytest

LINE = {
    "id": "9b2f4c51d07ae836",
    "doc": "bias.md",
    "title": "Position bias",
    "chunks": 1,
    "sha256": "ab" * 32,
}


def test_list(client):
    assert client.get("/v1/documents").json() == [LINE]


def test_read(client):
    document = client.get("/v1/documents/9b2f4c51d07ae836").json()
    assert document.pop("text").startswith("# Position bias\n")
    assert document == LINE | {"offset_unit": "unicode_code_point"}


@pytest.mark.parametrize("name", ["bias.md", "x", "..", "%2e%2e%2fetc", "\0", "é", " "])
def test_unknown(client, name):
    answer = client.get(f"/v1/documents/{quote(name, safe='%.')}")
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
