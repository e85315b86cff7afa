"""Feedback on the rows of a file on the page, as on single texts."""

import csv
import io

import browser as browsing
import pytest
from conftest import RunningServer, ask
from test_web_page import analyse_file, choose, chromium, saved, screenshots  # noqa: F401  the fixtures

pytestmark = browsing.needs_chromium
ROWS = ["I love this film", "I hate this phone", "the chair arrives on monday", "我非常喜欢这个电影"]


@pytest.fixture(scope="module")
def server(qing, models_root, tmp_path_factory):
    running = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--state", tmp_path_factory.mktemp("row_feedback") / "state")
    yield running
    assert running.stop()[0] == 0


@pytest.fixture
def page(chromium, server, tmp_path):  # noqa: F811
    """The page with the results of a file."""
    chromium.open_page(server.endpoint)
    path = tmp_path / "rows.csv"
    path.write_text("text\n" + "".join(f"{row}\n" for row in ROWS))
    choose(chromium, path)
    analyse_file(chromium)
    yield chromium
    assert chromium.console() == []


def said(page):
    return page.run("return [...document.querySelectorAll('#rows .given')].map(e => [e.closest('tr').querySelector('.text').textContent, e.textContent])")


def test_a_row_is_confirmed_or_corrected(page, server, tmp_path, screenshots):  # noqa: F811
    assert page.name("#feedback-1-prediction button") == "Yes" and page.name("#feedback-1-prediction .correct") == "No…"
    assert page.name("#feedback-1-prediction") == f"Feedback on “{ROWS[0]}”"
    page.click("#feedback-1-prediction button")
    page.wait("document.querySelectorAll('#rows .given').length === 1")
    assert said(page) == [[ROWS[0], "✓ positive"]] and page.text("#status") == "The feedback is stored."
    assert page.run("return document.activeElement.closest('.feedback')?.id") == "feedback-1-prediction", "the focus stays at the row"

    page.click("#feedback-2-prediction .correct")
    form = "#feedback-2-prediction-form"
    assert page.run(f"return document.activeElement.value === 'negative' && document.activeElement.closest('{form}') !== null")
    page.screenshot(screenshots / "desktop_row_feedback.png")
    page.resize(360, 740, mobile=True)
    assert page.run("return document.documentElement.scrollWidth") <= 360
    assert page.run("return [...document.querySelectorAll('#rows td')].every(e => e.getBoundingClientRect().right <= 360)")
    page.screenshot(screenshots / "phone_row_feedback.png")
    page.resize(1200, 900)
    page.click("#language")  # neither another language nor a filter closes the form
    page.click("#language")
    page.run(f"document.querySelector('{form} [value=neutral]').click(); document.querySelector('{form} [type=checkbox]').click(); document.querySelector('{form} .primary').click()")
    page.wait("document.querySelectorAll('#rows .given').length === 2")
    assert said(page)[1] == [ROWS[1], "✗ → neutral"] and not page.run("return document.querySelector('.correcting') !== null")
    page.screenshot(screenshots / "desktop_row_feedback_given.png")

    (summary,) = ask(f"{server.endpoint}/v1/feedback/summary")[2]["data"]
    assert (summary["feedback"], summary["agreed"], summary["kept_texts"]) == (2, 1, 1)
    head, *rows = csv.reader(io.StringIO(saved(page, tmp_path).read_text(encoding="utf-8-sig"), newline=""))
    assert [dict(zip(head, row))["feedback"] for row in rows] == ["positive", "neutral", "", ""], "the download has what was said"

    page.click("#feedback-2-prediction .correct")  # the first word is not the last
    page.run(f"document.querySelector('{form} [value=negative]').click(); document.querySelector('{form} .primary').click()")
    page.wait("[...document.querySelectorAll('#rows .given')].at(-1).textContent === '✓ negative'")
    (summary,) = ask(f"{server.endpoint}/v1/feedback/summary")[2]["data"]
    assert (summary["feedback"], summary["agreed"]) == (2, 2)


def test_what_is_refused_is_told_in_the_row(page):
    page.run("batch.items[2].prediction.asked.id = 'nothing'")
    page.click("#feedback-3-prediction button")
    page.wait("document.querySelector('#feedback-3-prediction .problem') !== null")
    assert "no answer with this id is remembered" in page.text("#feedback-3-prediction .problem")
    page.click("#feedback-3-prediction .correct")
    page.click("#feedback-3-prediction-form .primary")
    page.wait("document.querySelector('#feedback-3-prediction-form .problem') !== null")
    assert all("404" in message for message in page.console())
