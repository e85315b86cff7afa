"""Reads the logs of all servers of the tests, including those of the C++ tests. It runs last."""

import re
from pathlib import Path

import pytest
from conftest import BUILD, EN, EN_THINGS, LOGS, ROOT, ZH, ZH_THINGS
from server_log import EVENTS, fault, faults, texts_of_source

SOURCES = sorted((ROOT / "tests/python").glob("*.py"))
# These sources contain qing's own messages and send no text: the table of the log, this file, and a test without a server.
OWN_WORDS = {"server_log.py", "test_all_logs.py", "test_file_formats.py"}

# Tests look for these words in messages. Errors of files, of Slurm and of Kubernetes in the log have them, too.
SYSTEM_WORDS = {"No space left on device", "No such file or directory", " has other bytes", "zip archive without a workbook",
                "Invalid node name", "apiserver not ready", "pods is forbidden", "status unknown for quota: jobs",
                "the server could not find the requested resource", "too many requests", "certificate is refused",
                "the server's certificate is refused: "}  # fmt: skip


def sent_texts():
    texts = {text for source in SOURCES if source.name not in OWN_WORDS for text in texts_of_source(source)}
    for templates, things in ((EN, EN_THINGS), (ZH, ZH_THINGS)):
        texts |= {text.format(thing) for kind in templates.values() for text in kind for thing in things}
    return texts - SYSTEM_WORDS


def test_the_list_has_every_event_of_the_server():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "serve").rglob("*.cpp")]
    written = {event for text in sources for event in re.findall(r'log_line\(\s*[^;,]*"\w+",\s*"(\w+)"', text)}
    assert len(written) > 40 and written - {*EVENTS} == set()


def test_logs_hold_no_text_and_no_secret():
    logs = [log.read_text(encoding="utf-8") for log in LOGS.iterdir()]
    if not logs:
        pytest.skip("no server has run; this test is for a run of several")
    texts = sent_texts()
    assert len(texts) > 300 and "我非常喜欢这个电影" in texts
    found = [wrong for log in logs for wrong in faults(log)]
    found += [f"a text that was sent: {text}" for log in logs for text in texts if text in log]
    assert not found, found[:5]
    print(f"{sum(len(log.splitlines()) for log in logs)} lines of {len(logs)} servers, {len(texts)} texts")


def test_logs_of_the_cpp_tests_hold_no_text_and_no_secret():
    log = BUILD / "Testing/Temporary/LastTest.log"
    if not log.exists():
        pytest.skip("ctest has not run in this build")
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if '"event":' in line]
    assert len(lines) > 100
    found = [f"{wrong}: {line}" for line in lines if (wrong := fault(line)) is not None]
    assert not found, found[:5]


LINE = '{"time":"2026-01-01T00:00:00.000Z","level":"info","event":"request","route":"/v1/models/{name}/predict","status":200,'
REST = '"milliseconds":0.100,"model":"","version":0,"texts":0,"key":"","client":"","request_id":"0123456789abcdef","traceparent":""}'


@pytest.mark.parametrize(
    "line, wrong",
    [
        (LINE + REST, None),
        (LINE + '"text":"I love this film",' + REST, "its fields"),
        (LINE.replace("{name}", "I love this film") + REST, "route has not the form"),
        (LINE + REST.replace('"key":""', '"key":"我喜欢"'), "key has not the form"),
        (LINE + REST.replace("0123456789abcdef", "0123456789abcdef." + "0" * 64), "a secret"),
        (LINE.replace("request", "asked") + REST, "does not list"),
        ('{"time":', "not JSON"),
        (LINE.replace("2026-01-01T", "") + REST, "its time"),
    ],
)
def test_the_reader_of_logs_sees_what_is_wrong(line, wrong):
    found = fault(line)
    assert found is None if wrong is None else wrong in found
