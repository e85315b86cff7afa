"""Files through the unmodified openai client: uploads, pages, contents, deletion, and what is refused."""

import asyncio
import hashlib
import json
import os
import resource
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import openai
import pytest

ROWS = "label\ttext\npositive\tgood\nnegative\tbad\nneutral\tso so\n"


@pytest.fixture
def service(serve, models_root, tmp_path):
    """service(*options) starts a server with its own state. Returns the server, a client and the folder of files."""

    def start(*options, state=None, **client):
        state = state or tmp_path / "state"
        server = serve("--models", models_root, "--state", state, *options)
        arguments = {"base_url": server.endpoint + "/v1", "api_key": "any", "max_retries": 0, **client}
        return server, openai.OpenAI(**arguments), state / "files"

    return start


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def raw(server, *pieces, pause=0.0, read=True):
    """Sends bytes on a socket. Returns the status and the body of the answer."""
    host, port = server.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        if not read:
            return None
        answer = b""
        while b"\r\n\r\n" not in answer:
            got = connection.recv(65536)
            if not got:
                return 0, b""
            answer += got
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            got = connection.recv(65536)
            assert got, "the answer is cut"
            body += got
        return int(head.split()[1]), body


def form(*parts, boundary=b"B"):
    """A body of parts (parameters, value)."""
    body = b""
    for parameters, value in parts:
        body += b"--" + boundary + b"\r\nContent-Disposition: form-data; " + parameters + b"\r\n\r\n" + value + b"\r\n"
    return body + b"--" + boundary + b"--\r\n"


def head(length, *headers, kind=b"multipart/form-data; boundary=B"):
    lines = [b"POST /v1/files HTTP/1.1", b"Host: x", b"Content-Type: " + kind]
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    return b"\r\n".join([*lines, *headers, b"", b""])


PURPOSE = (b'name="purpose"', b"fine-tune")
FILE = (b'name="file"; filename="a.tsv"', ROWS.encode())


def test_every_call_of_the_client(service, tmp_path):
    _, client, files = service()
    path = tmp_path / "数据 \"1\".tsv"
    path.write_text(ROWS, encoding="utf-8")
    with path.open("rb") as opened:
        made = client.files.create(file=opened, purpose="fine-tune")
    assert made.id.startswith("file-") and len(made.id) == 29
    assert (made.object, made.filename, made.purpose, made.status) == ("file", path.name, "fine-tune", "processed")
    assert made.bytes == path.stat().st_size and abs(made.created_at - time.time()) < 60
    assert made.status_details is None and made.expires_at is None
    fields = made.model_dump()
    assert fields["rows"] == 3 and fields["labels"] == {"negative": 1, "neutral": 1, "positive": 1}
    assert fields["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert fields["format"] == "tsv" and fields["languages"] == {"latin": 3} and fields["errors"] == []
    assert fields["duplicates"] == fields["contradictions"] == fields["wrong_rows"] == 0
    assert fields["lengths"]["least"] == 3 and fields["lengths"]["most"] == 5
    assert set(openai.types.FileObject.model_fields) <= set(fields)

    assert client.files.retrieve(made.id) == made
    assert [file.id for file in client.files.list()] == [made.id]
    assert client.files.content(made.id).read() == path.read_bytes()
    assert client.files.wait_for_processing(made.id) == made
    assert names(files) == [made.id]
    deleted = client.files.delete(made.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (made.id, "file", True)
    assert names(files) == [] and list(client.files.list()) == []
    for call in (client.files.retrieve, client.files.delete, client.files.content):
        with pytest.raises(openai.NotFoundError) as error:
            call(made.id)
        assert error.value.code == "file_not_found" and error.value.type == "invalid_request_error"


def test_the_async_client_and_other_forms_of_files(service, tmp_path):
    server, client, _ = service()

    async def use():
        async with openai.AsyncOpenAI(base_url=server.endpoint + "/v1", api_key="any") as other:
            made = await other.files.create(file=("b.jsonl", b'{"text": "a", "label": "x"}\n'), purpose="evals")
            assert (await other.files.content(made.id)).read() == b'{"text": "a", "label": "x"}\n'
            return [file.id async for file in other.files.list()] == [made.id]

    assert asyncio.run(use())
    unnamed = client.files.create(file=b"not rows at all", purpose="user_data")
    assert unnamed.filename == "upload" and unnamed.status == "processed" and unnamed.model_dump()["rows"] is None
    limited = client.files.create(
        file=b"x", purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert limited.expires_at == limited.created_at + 3600


def test_pages(service):
    _, client, _ = service()
    ids = [client.files.create(file=(f"{i}.txt", b"x"), purpose="batch" if i % 2 else "user_data").id for i in range(7)]
    assert [file.id for file in client.files.list(limit=2)] == ids[::-1]
    assert [file.id for file in client.files.list(limit=3, order="asc")] == ids
    assert [file.id for file in client.files.list(purpose="batch", order="asc", limit=1)] == ids[1::2]
    page = client.files.list(limit=3, after=ids[4])
    assert [file.id for file in page.data] == [ids[3], ids[2], ids[1]] and page.has_more is True
    assert client.files.list(limit=7).has_more is False
    for file in client.files.list(limit=2):  # the cursor of the next page is gone by then
        client.files.delete(file.id)
    assert client.files.list().data == []
    for wrong in ({"limit": 0}, {"limit": 10_001}, {"order": "up"}, {"extra_query": {"before": "x"}}):
        with pytest.raises(openai.UnprocessableEntityError):
            client.files.list(**wrong)


def test_a_file_without_usable_rows_is_an_error(service):
    _, client, _ = service()
    for name, content in {"a.jsonl": "not JSON\n", "b.csv": "id,note\n1,x\n", "c.tsv": "label\ttext\n"}.items():
        made = client.files.create(file=(name, content.encode()), purpose="fine-tune")
        assert made.status == "error" and "no row is usable; line 1: " in made.status_details, made
    mixed = "".join(f'{{"messages": [{{"role": "user", "content": "t {i}"}}, {{"role": "assistant", "content": "x"}}]}}\n'
                    if i % 3 else "{}\n" for i in range(600))  # fmt: skip
    made = client.files.create(file=("d.jsonl", mixed.encode()), purpose="fine-tune").model_dump()
    assert (made["status"], made["rows"], made["wrong_rows"]) == ("processed", 400, 200)
    assert len(made["errors"]) == 100 and made["errors"][1]["line"] == 4
    assert made["format"] == "openai-chat"


def test_fields_in_any_order_and_clients_that_send_forms_otherwise(service):
    server, client, _ = service()
    for parts in ((PURPOSE, FILE), (FILE, PURPOSE)):
        body = form(*parts)
        status, answer = raw(server, head(len(body)) + body)
        assert status == 200 and json.loads(answer)["rows"] == 3, answer
        status, _ = raw(server, head(len(body)), *[body[i : i + 7] for i in range(0, len(body), 7)])
        assert status == 200
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 50]), body[i : i + 50]) for i in range(0, len(body), 50))
        status, _ = raw(server, head(None, b"Transfer-Encoding: chunked"), chunks + b"0\r\n\r\n")
        assert status == 200
    curl = subprocess.run(["curl", "-sS", "-F", "purpose=fine-tune", "-F", "file=@-;filename=a.tsv;type=text/plain",
                           server.endpoint + "/v1/files/"], input=ROWS, text=True, capture_output=True)  # fmt: skip
    assert json.loads(curl.stdout)["rows"] == 3, curl
    assert len(list(client.files.list())) == 7


def test_refused_forms_leave_nothing(service):
    server, client, files = service("--file-bytes", 1000)
    large = (FILE[0], b"x" * 1001)
    cases = [
        (form(FILE), 422, "purpose: is missing"),
        (form(PURPOSE), 422, "file: is missing"),
        (form((PURPOSE[0], b"mining"), FILE), 422, "purpose: must be one of"),
        (form(PURPOSE, PURPOSE, FILE), 422, "stands twice"),
        (form(FILE, PURPOSE, FILE), 422, "stands twice"),
        (form(PURPOSE, FILE, (b'name="note"', b"x")), 422, "does not take"),
        (form(PURPOSE, (b'name="file"', b"x")), 422, "no filename"),
        (form(PURPOSE, (b'name="file"; filename="a\tb"', b"x")), 422, "control characters"),
        (form((PURPOSE[0], b"x" * 300), FILE), 422, "exceeds 256 bytes"),
        (form(PURPOSE, FILE, (b'name="expires_after[seconds]"', b"7200")), 422, "anchor"),
        (form(PURPOSE, FILE, (b'name="expires_after[anchor]"', b"created_at"), (b'name="expires_after[seconds]"', b"1")),
         422, "from 3600"),
        (form(PURPOSE, FILE)[:-8], 400, "does not end"),
        (form(PURPOSE, FILE, boundary=b"C"), 400, "does not end"),
        (form(PURPOSE, large), 413, "limit of 1000 bytes"),
        (form(large, PURPOSE), 413, "limit of 1000 bytes"),
        (b"", 400, "does not end"),
    ]  # fmt: skip
    for body, expected, why in cases:
        status, answer = raw(server, head(len(body)) + body)
        error = json.loads(answer)["error"]
        assert status == expected and why in error["message"], (body, answer)
        assert set(error) == {"message", "type", "param", "code"}
    for kind, expected in ((b"application/json", 415), (b"multipart/form-data", 400), (b"multipart/mixed; boundary=B", 415)):
        assert raw(server, head(2, kind=kind) + b"{}")[0] == expected
    assert raw(server, head(10**9))[0] == 413  # before the body
    assert raw(server, head(None))[0] == 411
    assert raw(server, head(5, b"Content-Encoding: gzip") + b"xxxxx")[0] == 415
    assert raw(server, head(5, b"Origin: https://evil.example"))[0] == 403  # any page may send a form without asking
    wait_for(lambda: names(files) == [], names(files))  # a refused upload is removed after the answer
    assert client.files.list().data == []


def test_expect_continue(service):
    server, _, _ = service()
    body = form(PURPOSE, FILE)
    host, port = server.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head(len(body), b"Expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body + b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")  # pipelined
        answer = b""
        while got := connection.recv(65536):
            answer += got
    assert answer.count(b"HTTP/1.1 200 OK") == 2 and b'"rows":3' in answer


def wait_for(condition, what):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(what)


def test_a_client_that_leaves_midway_leaves_nothing(service):
    server, client, files = service()
    body = form(PURPOSE, (FILE[0], b"x" * 300_000))
    for cut in (100, 150_000, len(body) - 3):
        raw(server, head(len(body)) + body[:cut], read=False)
        raw(server, head(None, b"Transfer-Encoding: chunked") + b"%x\r\n" % len(body) + body[:cut], read=False)
    wait_for(lambda: names(files) == [], names(files))
    assert client.files.list().data == []
    metrics = urllib.request.urlopen(server.endpoint + "/metrics").read().decode()
    assert 'route="/v1/files"' not in metrics or 'status="500"' not in metrics


def test_a_slow_client_is_cut_and_a_steady_one_is_not(service):
    server, client, files = service("--request-time", 0.5, "--upload-rate", 1000)
    body = form(PURPOSE, (FILE[0], b"label\ttext\n" + b"x\tyyyyyyyy\n" * 200))
    pieces = [body[i : i + 500] for i in range(0, len(body), 500)]
    status, answer = raw(server, head(len(body)), *pieces, pause=0.25)  # 2000 bytes a second, longer than request-time
    assert status == 200, answer
    status, answer = raw(server, head(len(body)), *[body[i : i + 1] for i in range(10)], pause=0.1)
    assert status == 408 and b"slower than the limit of 1000 bytes a second" in answer
    wait_for(lambda: len(names(files)) == 1, names(files))


def test_projects_keep_no_more_than_they_may(service):
    _, client, files = service("--storage-bytes", 5000)
    first = client.files.create(file=("a", b"x" * 3000), purpose="batch")
    with pytest.raises(openai.APIStatusError) as error:
        client.files.create(file=("a", b"x" * 2001), purpose="batch")
    assert error.value.status_code == 413 and error.value.code == "storage_full"
    assert "keeps 3000 bytes" in error.value.message and "may keep 5000" in error.value.message
    client.files.create(file=("a", b"x" * 2000), purpose="batch")
    client.files.delete(first.id)
    client.files.create(file=("a", b"x" * 3000), purpose="batch")
    assert len(names(files)) == 2


def test_a_server_cleans_up_after_one_that_was_killed(service, serve, models_root, tmp_path):
    server, client, files = service()
    kept = client.files.create(file=("a", b"x"), purpose="batch")
    over = client.files.create(file=("a", b"x"), purpose="batch")
    host, port = server.endpoint.removeprefix("http://").split(":")
    body = form(PURPOSE, (FILE[0], b"x" * 100_000))
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head(len(body)) + body[:50_000])
        wait_for(lambda: len(names(files)) == 3, names(files))
        other, _, _ = service()  # the folder is in use, and so is the upload
        assert len(names(files)) == 3
        server.process.kill()
        server.process.wait()
    other.stop()
    with sqlite3.connect(files.parent / "qing.db") as database:
        database.execute("UPDATE files SET expires = 1 WHERE id = ?", (over.id,))
    (files / "file-000000000000000000000000").write_bytes(b"without a record")
    _, client, _ = service()
    wait_for(lambda: names(files) == [kept.id], names(files))
    assert client.files.content(kept.id).read() == b"x"


def test_a_full_disk(service, small_disk):
    server, client, files = service(state=small_disk / "state")
    kept = client.files.create(file=("a", b"x" * 1000), purpose="batch")
    with pytest.raises(openai.InternalServerError):
        client.files.create(file=("a", b"x" * 6_000_000), purpose="batch")
    wait_for(lambda: names(files) == [kept.id], names(files))
    assert [file.id for file in client.files.list()] == [kept.id]
    client.files.delete(kept.id)
    assert client.files.create(file=("a", b"x" * 1000), purpose="batch").bytes == 1000
    assert "upload_not_written" in server.stop()[1]


def memory(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return {name: int(value.split()[0]) * 1024 for name, value in
            (line.split(":", 1) for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM")))}  # fmt: skip


def test_a_large_file_needs_little_memory(service, tmp_path):
    """A row of 10 MB is refused by itself."""
    server, client, files = service(timeout=300)
    client.files.create(file=("a", b"x" * 1_000_000), purpose="batch")
    path = tmp_path / "large.jsonl"
    with path.open("w") as out:
        for i in range(300_000):
            out.write('{"text": "text number %d %s", "label": "label %d"}\n' % (i, "x" * 960, i % 3))
            if i == 7:
                out.write('{"text": "%s", "label": "label 1"}\n' % ("y" * 10_000_000))
    assert path.stat().st_size > 300e6
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # VmHWM begins anew
    before = memory(server)["VmRSS"]
    answers, ended = [], threading.Event()

    def watch():
        while not ended.wait(0.05):
            begun = time.monotonic()
            urllib.request.urlopen(server.endpoint + "/v1/models", timeout=60).read()
            answers.append(time.monotonic() - begun)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        with path.open("rb") as opened:
            made = client.files.create(file=opened, purpose="fine-tune").model_dump()
    finally:
        ended.set()
        watcher.join()
    assert (made["rows"], made["wrong_rows"], made["errors"][0]["line"]) == (300_000, 1, 9)
    assert made["duplicates"] == 0 and made["bytes"] == path.stat().st_size
    assert memory(server)["VmHWM"] - before < 32e6
    assert max(answers) < 5  # other requests are answered meanwhile
    digest, size = hashlib.sha256(), 0
    with client.files.with_streaming_response.content(made["id"]) as response:
        for piece in response.iter_bytes():
            digest.update(piece)
            size += len(piece)
    assert digest.hexdigest() == made["sha256"] and size == made["bytes"]
    assert memory(server)["VmHWM"] - before < 32e6


def test_a_download_goes_on_when_the_file_is_deleted(service):
    server, client, files = service()
    content = os.urandom(8_000_000)
    made = client.files.create(file=("a", content), purpose="batch")
    with client.files.with_streaming_response.content(made.id) as response:
        pieces = response.iter_bytes(100_000)
        got = next(pieces)
        client.files.delete(made.id)
        got += b"".join(pieces)
    assert got == content


def test_without_a_state_there_are_no_files(serve, models_root):
    server = serve("--models", models_root, "--state", "")
    client = openai.OpenAI(base_url=server.endpoint + "/v1", api_key="any", max_retries=0)
    for call in (lambda: client.files.list(), lambda: client.files.create(file=b"x", purpose="batch")):
        with pytest.raises(openai.NotFoundError) as error:
            call()
        assert error.value.code == "no_state"


@pytest.mark.parametrize("name, content", {
    "chat.jsonl": '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "%s"}]}\n',
    "doccano.jsonl": '{"id": 1, "text": "%s", "label": ["%s"]}\n',
    "studio.json": '{"data": {"text": "%s"}, "annotations": [{"result": [{"type": "choices", "value": {"choices": ["%s"]}}]}]}',
}.items())  # fmt: skip
def test_train_reads_the_formats(qing, tmp_path, name, content):
    rows = [("positive", "good %d"), ("negative", "bad %d"), ("neutral", "so so %d")]
    lines = [content % (text % i, label) for i in range(12) for label, text in rows]
    text = "[" + ",\n".join(lines) + "]" if name.endswith(".json") else "".join(lines)
    for file in (tmp_path / name, tmp_path / f"file-{name.partition('.')[0]}"):  # as the store names it
        file.write_text(text)
        qing("train", "--data", file, "--layers", 1, "--width", 32, "--vocab", 100, "--epochs", 1, "--out", tmp_path / "out",
             "--overwrite")  # fmt: skip
        record = json.loads((tmp_path / "out/run/run.json").read_text())
        assert record["data"][0]["texts"] == 36 and record["data"][0]["label_texts"] == [12, 12, 12]
