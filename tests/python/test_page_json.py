"""Nested JSON, chats, tasks of Label Studio and lines of fastText on the page: read as `qing predict --file` reads them."""

import csv
import json
import re

import browser as browsing
import pytest
from conftest import ROOT
from test_page_files import texts_read
from test_web_page import analyse_file, choose, chromium, downloaded, endpoint, page, screenshots  # noqa: F401  the fixtures

pytestmark = browsing.needs_chromium


def lines(*objects):
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


def message(role, content):
    return {"role": role, "content": content}


NESTED = lines({"id": 1, "data": {"text": "I love this film", "meta": {"lang": "en", "tags": ["a", "b"], "none": {}}}},
               {"id": 2, "data": {"text": "我讨厌这个手机", "meta": None}, "late": True})  # fmt: skip
CHATS = lines({"messages": [message("system", "Name the mood."), message("user", "I hate it"), message("assistant", "negative"),
                            message("user", [{"type": "text", "text": "I love "}, {"type": "text", "text": "this film"}]),
                            message("assistant", "positive")], "id": "a"},
              {"messages": [message("user", "I hate this phone")]})  # fmt: skip
TASKS = json.dumps([{"data": {"beschreibung": "I love this film"}, "annotations": [{"result": [], "note": "a long remark on the task"}]}], indent=1)
FASTTEXT = "__label__positive I love this film\n\n__label__negative\tI hate this phone, really\r\n"
# The texts, then what qing's reader takes for the columns before its own.
SAME = {
    "nested.jsonl": (NESTED, ["I love this film", "我讨厌这个手机"]),
    "chats.jsonl": (CHATS, ["I love this film", "I hate this phone"]),
    "tasks.json": (TASKS, ["I love this film"]),
    "lines.txt": (FASTTEXT, ["I love this film", "I hate this phone, really"]),
    "lines.ft": (FASTTEXT, ["I love this film", "I hate this phone, really"]),
    "several.jsonl": (lines({"content": "no", "sentence": "I hate this phone", "n": 3}), ["I hate this phone"]),
    "without_suffix": (NESTED, ["I love this film", "我讨厌这个手机"]),
}


@pytest.mark.parametrize("name", SAME)
def test_a_file_is_read_as_the_command_reads_it(page, qing, model_dir, tmp_path, name):  # noqa: F811
    content, texts = SAME[name]
    path = tmp_path / name
    path.write_bytes(content.encode())
    qing("predict", "--model", model_dir, "--file", path, "--out", tmp_path / "by_command.csv")
    with open(tmp_path / "by_command.csv", encoding="utf-8", newline="") as file:
        expected = list(csv.reader(file))
    choose(page, path)
    assert texts_read(page) == texts
    analyse_file(page)
    rows = downloaded(page, tmp_path)
    labels = len(rows[0]) - 4  # the scores differ in their last digits
    assert [row[:labels] for row in rows] == [row[:labels] for row in expected] and rows[0] == expected[0]


def test_a_chat_shows_the_text_that_is_sent(page, tmp_path, screenshots):  # noqa: F811
    path = tmp_path / "chats.jsonl"
    path.write_text(CHATS)
    choose(page, path)
    assert page.run("return [...document.querySelectorAll('#column option')].map(e => e.textContent)") == ["messages", "id", "user message"]
    assert page.run("return [...document.querySelectorAll('#preview tbody tr:first-child td')].map(e => e.textContent)")[0] == "I love this film"
    page.screenshot(screenshots / "desktop_chats.png")
    page.click("#language")
    assert page.run("return document.getElementById('column').selectedOptions[0].textContent") == "用户消息"
    page.click("#language")
    analyse_file(page)
    assert page.run("return [...document.querySelectorAll('#rows .text')].map(e => e.textContent)") == ["I love this film", "I hate this phone"]
    page.resize(360, 740, mobile=True)
    assert page.run("return document.documentElement.scrollWidth") <= 360
    assert page.run("return [...document.querySelectorAll('#drop > *')].every(e => e.getBoundingClientRect().right <= document.getElementById('drop').getBoundingClientRect().right - 8)")
    page.screenshot(screenshots / "phone_chats.png")


def test_what_qing_would_refuse_is_told(page, tmp_path):  # noqa: F811
    for name, content, told in [
        ("behind.txt", "__label__a good\nbad __label__b\n", "Line 2 has a label behind its text and was skipped"),
        ("picture.jsonl", CHATS + lines({"messages": [message("user", [{"type": "image_url"}])]}), "1 row has no text"),
        ("assistant.jsonl", CHATS + lines({"messages": [message("assistant", "hello")]}), "1 row has no text"),
    ]:
        (tmp_path / name).write_text(content)
        choose(page, tmp_path / name)
        assert told in page.text("#batch-status"), name
    path = tmp_path / "fast.txt"
    path.write_text(FASTTEXT)
    choose(page, path)
    assert page.text("#separator option") == "none: __label__ and a text on each line (guessed)"
    assert not page.run("return document.getElementById('header-field').checkVisibility()")


def test_the_choosers_offer_every_format_that_qing_reads(page):  # noqa: F811
    formats = (ROOT / "docs/tables.md").read_text().split("## Formats")[1].split("\n\n")[1]
    suffixes = {suffix for line in formats.splitlines() for suffix in re.findall(r"`(\.[a-z]+)`", line.split("|")[1])}
    assert len(suffixes) == 11
    for field in ("file", "data-file"):
        assert set(page.run("return document.getElementById(arguments[0]).accept.split(',')", field)) == suffixes
