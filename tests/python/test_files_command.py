"""qing files, and client.files of the SDK, with a server."""

import asyncio
import io
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "serve" / "sdk" / "python"))

from maas_sdk import AsyncMaaSClient, File, MaaSClient, NotFoundError  # noqa: E402

ROWS = "label\ttext\npositive\tgood\nnegative\tbad\nnone\nneutral\tso so\n"


@pytest.fixture
def server(serve, models_root, tmp_path):
    return serve("--models", models_root, "--state", tmp_path / "state")


def test_the_command(qing, server, tmp_path):
    data = tmp_path / 'a "b".tsv'
    data.write_text(ROWS)
    at = ("--url", server.endpoint)
    shown = qing("files", "upload", data, *at).stdout
    assert "status          processed\n" in shown and "labels          negative 1, neutral 1, positive 1\n" in shown
    assert "line 4: 1 field where the header has 2" in shown
    made = json.loads(qing("files", "upload", data, "--purpose", "evals", "--json", *at).stdout)
    assert made["filename"] == data.name and made["purpose"] == "evals" and made["rows"] == 3
    listed = [json.loads(line) for line in qing("files", "list", "--json", *at).stdout.splitlines()]
    assert [file["purpose"] for file in listed] == ["evals", "fine-tune"]
    assert made["id"] in qing("files", "list", *at).stdout
    assert json.loads(qing("files", "show", made["id"], "--json", *at).stdout) == made
    qing("files", "download", made["id"], "--out", tmp_path / "copy", *at)
    assert (tmp_path / "copy").read_text() == ROWS
    assert qing("files", "delete", made["id"], *at).stdout == ""
    gone = qing("files", "show", made["id"], *at, check=False)
    assert gone.returncode == 1 and f"no file {made['id']}" in gone.stderr and "HTTP 404" in gone.stderr
    failed = qing("files", "download", made["id"], "--out", tmp_path / "none", *at, check=False)
    assert failed.returncode == 1 and not (tmp_path / "none").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [data.name, "copy"]


def test_an_upload_without_a_usable_row_is_a_failure(qing, server, tmp_path):
    data = tmp_path / "reviews.parquet"
    data.write_bytes(b"PAR1" + bytes(100))
    for more in ((), ("--json",)):
        told = qing("files", "upload", data, "--url", server.endpoint, *more, check=False)
        assert told.returncode == 1 and f"{data}: was stored as file-" in told.stderr and "error" in told.stdout
        assert "is Parquet" in told.stderr and "pandas.read_parquet('FILE').to_csv('FILE.csv'" in told.stderr
        assert str(tmp_path / "state") not in told.stdout + told.stderr and "upload-" not in told.stdout + told.stderr


def test_wrong_use_of_the_command(qing, server, tmp_path):
    for url in ("ftp://127.0.0.1:1", "https://", "https://x/y", "127.0.0.1", "http://", "http://a@b", "http://x:0", "http://x:y", "http://x/y"):
        assert qing("files", "list", "--url", url, check=False).returncode == 2, url
    assert qing("files", "show", "../models", "--url", server.endpoint, check=False).returncode == 2
    assert qing("files", "upload", tmp_path / "none", "--url", server.endpoint, check=False).returncode == 1
    for url in ("http://127.0.0.1:9", "https://127.0.0.1:9"):
        assert qing("files", "list", "--url", url, check=False).returncode == 1
    data = tmp_path / "a"
    data.write_text(ROWS)
    wrong = qing("files", "upload", data, "--purpose", "x", "--url", server.endpoint, check=False)
    assert wrong.returncode == 1 and "purpose: must be one of" in wrong.stderr


def test_keys_come_from_the_environment(qing, serve, models_root, tmp_path):
    store = tmp_path / "keys.db"
    key = qing("keys", "create", "--store", store).stdout.strip()
    server = serve("--models", models_root, "--state", tmp_path / "state", "--keys", store)
    at = ("--url", server.endpoint)
    assert "HTTP 401" in qing("files", "list", *at, check=False).stderr
    qing("files", "list", *at, "--key", key)
    qing("files", "list", env={**os.environ, "QING_API_KEY": key, "QING_URL": server.endpoint})


@pytest.mark.parametrize("command", [["files", "list"], ["files", "show", "file-1"], ["jobs", "list"], ["jobs", "wait", "ftjob-1"]], ids=" ".join)
def test_an_option_overrides_the_environment(qing, serve, models_root, tmp_path, command):
    store, wrong = tmp_path / "keys.db", tmp_path / "wrong.pem"
    key = qing("keys", "create", "--store", store, "--scopes", "admin,predict").stdout.strip()
    server = serve("--models", models_root, "--state", tmp_path / "state", "--keys", store)
    other = {**os.environ, "QING_URL": "http://127.0.0.1:9", "QING_API_KEY": "sk-wrong"}
    asked = qing(*command, "--url", server.endpoint, "--key", key, env=other, check=False)
    assert asked.returncode == 0 or "HTTP 404" in asked.stderr, asked.stderr
    refused = qing(*command, "--url", "127.0.0.1:18992", env={**other, "QING_URL": server.endpoint}, check=False)
    assert refused.returncode == 2 and "--url" in refused.stderr
    authority = qing(*command, "--url", "https://127.0.0.1:9", "--certificate-authority", wrong, check=False,
                     env={**other, "QING_CERTIFICATE_AUTHORITY": "/dev/null"})  # fmt: skip
    assert authority.returncode in (1, 3) and str(wrong) in authority.stderr
    assert qing("info", env={**os.environ, "QING_SERVE_PORT": "none"}).returncode == 0


def test_the_sdk(server, tmp_path):
    client = MaaSClient(endpoint=server.endpoint)
    data = tmp_path / "数据.tsv"
    data.write_text(ROWS)
    made = client.files.create(file=data, purpose="fine-tune")
    assert isinstance(made, File) and made.filename == data.name and made.rows == 3 and made.status == "processed"
    assert made.errors[0].line == 4 and made.labels == {"negative": 1, "neutral": 1, "positive": 1}
    assert client.files.retrieve(made.id).fields == made.fields
    assert client.files.content(made.id) == data.read_bytes()
    opened = io.BytesIO(b"skipped" + ROWS.encode())
    opened.seek(7)
    others = [client.files.create(file=file, purpose="batch") for file in (ROWS.encode(), ("b.tsv", opened), str(data))]
    assert [file.filename for file in others] == ["upload", "b.tsv", data.name]
    assert {file.bytes for file in others} == {len(ROWS)}
    assert [file.id for file in client.files.list()] == [file.id for file in [*others[::-1], made]]
    assert [file.id for file in client.files.list(purpose="fine-tune", order="asc")] == [made.id]
    client.files.delete(made.id)
    with pytest.raises(NotFoundError, match="no file"):
        client.files.retrieve(made.id)
    for wrong in (lambda: client.files.create(file=3), lambda: client.files.retrieve("")):
        with pytest.raises(ValueError):
            wrong()


def test_the_asynchronous_sdk(server):
    async def use():
        async with AsyncMaaSClient(endpoint=server.endpoint) as client:
            made = await client.files.create(file=("a.tsv", ROWS.encode()), purpose="fine-tune")
            assert made.rows == 3 and (await client.files.retrieve(made.id)).fields == made.fields
            assert await client.files.content(made.id) == ROWS.encode()
            assert [file.id async for file in client.files.list()] == [made.id]
            await client.files.delete(made.id)
            assert [file.id async for file in client.files.list()] == []

    asyncio.run(use())
