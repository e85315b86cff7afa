"""The web page in Chromium. Screenshots are stored in $QING_SCREENSHOTS, or else in build/screenshots."""

import csv
import io
import json
import os
import time
import urllib.request
from pathlib import Path

import browser as browsing
import pytest
from conftest import ROOT, served

pytestmark = browsing.needs_chromium
TAB, ENTER, CONTROL = "\ue004", "\ue007", "\ue009"
TEXTS = ["I love this film", "我讨厌这个手机", "a <b>chair</b> stands in the hall"]


@pytest.fixture(scope="module")
def endpoint(models_root, qing):
    with served(qing, models_root, TEXTS) as address:
        yield address


@pytest.fixture(scope="module")
def labels(qing, model_dir):
    """The labels that the command predicts for TEXTS. The page must show the same."""
    said = [json.loads(line)["label"] for line in qing("predict", "--model", model_dir, "--json", *TEXTS).stdout.splitlines()]
    assert said[:2] == ["positive", "negative"]
    return said


@pytest.fixture(scope="module")
def chromium():
    running = browsing.Browser()
    yield running
    running.close()


@pytest.fixture
def page(chromium, endpoint):
    chromium.resize(1200, 900)
    chromium.open(endpoint + "/")
    chromium.run("sessionStorage.clear(); sessionStorage.setItem('theme', 'light')")
    chromium.open(endpoint + "/")
    chromium.wait("document.querySelector('#model option') !== null")
    yield chromium
    assert chromium.console() == []


@pytest.fixture(scope="session")
def screenshots():
    folder = Path(os.environ.get("QING_SCREENSHOTS", ROOT / "build/screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def analyse(page, texts):
    page.run("document.getElementById('texts').value = ''")
    page.type("#texts", "\n".join(texts) + CONTROL + ENTER)
    page.wait(f"document.querySelectorAll('#results > li').length === {len(texts)} && !document.getElementById('send').ariaDisabled")


def test_the_page_is_self_contained(endpoint):
    request = urllib.request.Request(endpoint + "/", headers={"Accept": "text/html,*/*"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        html, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy and "unsafe" not in policy and policy.count("'sha256-") == 2
    for outside in ("http://", "https://", "src=", "@import", "url("):
        assert outside not in html
    with urllib.request.urlopen(endpoint + "/", timeout=30) as answer:
        assert answer.read() == b'{"status":"alive"}'


def test_texts_get_labels_scores_and_explanations(page, labels, screenshots):
    analyse(page, TEXTS)
    assert page.run("return [...document.querySelectorAll('#results .label')].map(e => e.textContent)") == labels
    assert page.run("return [...document.querySelectorAll('#results .text')].map(e => e.textContent)") == TEXTS
    marks = page.run("return [...document.querySelectorAll('#results > li:first-child mark')].map(e => [e.textContent, "
                     "getComputedStyle(e).backgroundColor])")  # fmt: skip
    assert [mark[0] for mark in marks] == ["I", "love", "this", "film"]
    assert len({mark[1] for mark in marks}) > 1
    assert "3 texts" in page.text("#status")
    assert page.run("return document.querySelectorAll('#history button').length") == 3
    page.run("document.querySelector('#results details').open = true")
    page.screenshot(screenshots / "light.png")
    page.click("#theme")
    page.screenshot(screenshots / "dark.png")
    page.click("#language")
    assert page.text("#send") == "分析" and page.run("return document.documentElement.lang") == "zh"
    assert page.text("#status") == "已分析 3 条文本"
    page.screenshot(screenshots / "chinese.png")


def test_a_phone_needs_no_sideways_scrolling(page, screenshots):
    page.resize(360, 740, mobile=True)
    analyse(page, TEXTS[:2])
    assert page.run("return document.documentElement.scrollWidth") <= 360
    page.screenshot(screenshots / "phone.png")


def test_the_keyboard_and_a_screen_reader_reach_everything(page):
    page.run("document.activeElement.blur()")
    reached = []
    for _ in range(40):
        page.press(TAB)
        reached.append(page.run("return document.activeElement.id || document.activeElement.className"))
    for control in ("skip", "language", "theme", "texts", "send", "explain", "example", "model", "file", "curl", "python"):
        assert control in reached, control
    for css in ("#texts", "#send", "#explain", "#model", "#file", "#theme", "#language"):
        assert page.name(css), css
    assert page.run("return document.querySelector('[role=status]').getAttribute('aria-live')") == "polite"


def saved(page, folder, button="#download"):
    """The path of the file that a button of the page saves."""
    page.send("POST", "/goog/cdp/execute", {"cmd": "Browser.setDownloadBehavior", "params": {
        "behavior": "allow", "downloadPath": str(folder)}})  # fmt: skip
    path = folder / page.run("return document.querySelector(arguments[0]).download", button)
    page.click(button)
    deadline = time.monotonic() + 30
    while not (path.exists() and path.stat().st_size):  # Chromium reserves the name by an empty file
        assert time.monotonic() < deadline, "nothing was downloaded"
        time.sleep(0.05)
    return path


def downloaded(page, folder, separator=","):
    """Returns the rows of the table that the page offers."""
    content = saved(page, folder).read_bytes().decode("utf-8")
    return list(csv.reader(io.StringIO(content.removeprefix("\ufeff"), newline=""), delimiter=separator))


def choose(page, path):
    """Chooses a file, and waits until the page has read or refused it."""
    page.run("document.getElementById('file').value = ''; forgetFile()")
    page.type("#file", str(path))
    page.wait("document.getElementById('batch-status').textContent !== ''")


def analyse_file(page):
    page.click("#run")
    page.wait("!document.getElementById('file-results').hidden")


def test_a_file_is_predicted_with_progress_and_downloaded(page, labels, tmp_path, screenshots):
    rows = [["id", "text"]] + [[str(i), text] for i, text in enumerate([*TEXTS, 'a "quoted",\nbroken line', ""] * 30)]
    path = tmp_path / "texts.csv"
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(rows)
    choose(page, path)
    assert page.run("return document.getElementById('column').selectedOptions[0].textContent") == "text"
    assert "30 rows have no text" in page.text("#batch-status")
    analyse_file(page)
    assert "120 texts" in page.text("#batch-status")
    result = downloaded(page, tmp_path)
    assert result[0] == ["id", "text", "label", "score", "score_negative", "score_neutral", "score_positive"]
    assert [row[:2] for row in result[1:]] == rows[1:]
    assert [row[2] for row in result[1:4]] == labels
    assert all(row[2:] == [""] * 5 for row in result[1:] if row[1] == "")  # empty cells stay empty
    page.screenshot(screenshots / "batch.png")


def test_a_file_of_a_chinese_spreadsheet_is_read(page, labels, tmp_path):
    path = tmp_path / "TEXTS.TSV"
    path.write_bytes("编号\t文本\r\n1\t我非常喜欢这个电影\r\n2\t这个产品真的很差\r\n".encode("gb18030"))
    choose(page, path)
    assert page.run("return document.getElementById('column').selectedOptions[0].textContent") == "文本"
    analyse_file(page)
    rows = downloaded(page, tmp_path, "\t")
    assert [row[:3] for row in rows[1:]] == [["1", "我非常喜欢这个电影", "positive"], ["2", "这个产品真的很差", "negative"]]
    assert not page.run("return document.getElementById('model').disabled")


def test_new_columns_of_the_download_have_unique_names(page, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text,label,score\nI love this film,a,b\n", encoding="utf-8")
    choose(page, path)
    analyse_file(page)
    head, row = downloaded(page, tmp_path)
    assert head == ["text", "label", "score", "predicted_label", "predicted_score", "score_negative", "score_neutral", "score_positive"]
    assert row[:4] == ["I love this film", "a", "b", "positive"]


def test_a_text_without_a_word_is_told(page):
    analyse(page, ["\u200b", "good"])
    hints = page.run("return [...document.querySelectorAll('#results > li')].map(item => item.querySelector('.hint')?.textContent ?? '')")
    assert "No visible text" in hints[0] and hints[1] == ""


def test_unread_words_are_marked_and_have_their_own_weights(chromium, serve):
    """The model that comes with qing has n-grams, which also count where the encoder does not read the text."""
    text = "good and bad " * 60 + "terrible"
    chromium.open(serve().endpoint + "/")
    chromium.wait("document.querySelector('#model option') !== null")
    chromium.run("document.getElementById('explain').checked = true")
    analyse(chromium, [text])
    marks = chromium.run("return [...document.querySelectorAll('#results mark.unread')].map(mark => mark.textContent)")
    assert marks[-1] == "terrible" and set(marks) <= {"good", "and", "bad", "terrible"} and len(marks) > 20
    [hint] = chromium.run("return [...document.querySelectorAll('#results .hint')].map(hint => hint.textContent)")
    assert "After that only word n-grams count" in hint and f"of {len(text)} characters" in hint
    # What the encoder did not read stands behind a sign, and the whole text is still there.
    shown = chromium.run("const e = document.querySelector('#results .text').cloneNode(true), rest = e.querySelector('.rest.counted');"
                         "const sign = rest.querySelector('.boundary'); const said = sign.textContent; sign.remove();"
                         "return [e.textContent, rest.textContent, said]")  # fmt: skip
    read = chromium.run("return shown[0].sides[0].prediction.explanation.encoder_end")
    assert shown == [text, text[read:], "the encoder stops here"] and 0 < read < len(text)
    assert chromium.console() == []


def test_the_end_that_no_part_of_the_model_used_has_no_colour(page):
    """This model has no n-grams: it used nothing of what its encoder did not read."""
    text = "I love this film " * 60 + "terrible"
    analyse(page, [text])
    rest = page.run("const rest = document.querySelector('#results .rest'); return [rest.className, rest.querySelectorAll('mark').length]")
    assert rest == ["rest", 0]
    [hint] = page.run("return [...document.querySelectorAll('#results .hint')].map(hint => hint.textContent)")
    assert "The rest was not read and does not count." in hint


def test_errors_are_told(page, screenshots):
    analyse(page, TEXTS[:1])
    page.run("document.getElementById('model').append(new Option('gone', 'gone')); document.getElementById('model').value = 'gone'")
    page.type("#texts", "a" + CONTROL + ENTER)
    page.wait("!document.getElementById('error').hidden")
    assert "gone" in page.text("#error")
    assert page.run("return document.querySelectorAll('#results > li').length") == 0  # they answered other texts
    page.screenshot(screenshots / "error.png")
    assert any("404" in message for message in page.console())
