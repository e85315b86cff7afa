"""A file on the page whose server dies in the middle: the finished rows stay, the page waits and tries again, and only the missing rows
are sent."""

import browser as browsing
import pytest
from conftest import RunningServer, free_port
from test_web_page import choose, chromium, downloaded, screenshots  # noqa: F401  the fixtures

pytestmark = browsing.needs_chromium
ROWS = 400
# Records the texts of each request, and holds those after the third until `release` is called.
GATE = """window.sent = []; const before = fetch; const gate = new Promise(go => { window.release = go; });
window.fetch = async (url, options) => {
  if (options.method !== 'POST') return before(url, options);
  sent.push(JSON.parse(options.body).texts);
  if (sent.length > 3) await gate;
  return before(url, options);
}"""


@pytest.fixture
def arguments(models_root):
    return ["--port", free_port(), "--models", models_root]


@pytest.fixture
def server(qing, arguments):
    running = RunningServer(qing.binary, *arguments)
    yield running
    running.stop()


@pytest.fixture
def page(chromium, server, tmp_path):  # noqa: F811
    """The page, whose file lost its server after three requests."""
    chromium.open_page(server.endpoint)
    path = tmp_path / "rows.csv"
    path.write_text("id,text\n" + "".join(f"{i},{'' if i == 7 else f'I love film {i}'}\n" for i in range(ROWS)))
    choose(chromium, path)
    chromium.run(GATE)
    chromium.click("#run")
    chromium.wait("batch.items.filter(item => item.prediction).length >= 192 && sent.length >= 5")
    server.stop()
    chromium.run("window.before = sent.slice(0, 3).flat(); release()")
    chromium.wait("wake !== null")
    yield chromium
    chromium.console()  # of the requests that failed


def test_the_run_goes_on_when_the_server_is_there_again(page, qing, arguments, tmp_path, screenshots):  # noqa: F811
    said = page.text("#batch-status")
    assert said == "The server does not answer · 192 of 399 rows are finished and kept. The page tries again by itself."
    assert page.text("#go-on").startswith("Try now (") and page.run("return document.getElementById('progress').value") == pytest.approx(192 / 399)
    assert page.run("return document.querySelectorAll('#rows tbody tr').length") == 50
    assert [row[0] for row in downloaded(page, tmp_path)[1:]] == [str(i) for i in range(193) if i != 7], "the finished rows"
    page.screenshot(screenshots / "desktop_lost_server.png")
    page.resize(360, 740, mobile=True)
    assert page.run("return document.documentElement.scrollWidth") <= 360
    page.screenshot(screenshots / "phone_lost_server.png")
    page.run("window.failed = sent.length")
    page.wait("sent.length > failed", 60)  # by itself
    page.wait("wake !== null")
    page.run("window.failed = sent.length")
    server = RunningServer(qing.binary, *arguments)
    page.run("document.getElementById('go-on').click()")
    page.wait("document.getElementById('batch-status').textContent === '399 texts analysed'")
    assert page.run("return document.getElementById('go-on').hidden && document.getElementById('cancel').hidden && stop === null")
    assert not page.run("return document.getElementById('run').disabled")
    later = page.run("return sent.slice(failed).flat()")
    assert sorted(later + page.run("return before")) == sorted(f"I love film {i}" for i in range(ROWS) if i != 7), "each row was answered once"
    assert page.run("return document.getElementById('rows-status').textContent") == "50 of 400 rows"
    assert page.run("return batch.items.every(item => item.empty || item.prediction.label === 'positive')")
    server.stop()


def test_a_run_that_was_stopped_goes_on_with_the_missing_rows(page, qing, arguments):
    page.click("#cancel")
    page.wait("stop === null")
    assert page.text("#batch-status") == "Cancelled · The finished rows are kept and can be downloaded."
    assert page.text("#go-on") == "Go on with 207 missing rows" and page.run("return document.activeElement.id") == "go-on"
    page.click("#language")
    assert page.text("#go-on") == "继续处理缺少的 207 行" and page.text("#batch-status").startswith("已取消 · ")
    page.click("#language")
    page.run("window.failed = sent.length")
    server = RunningServer(qing.binary, *arguments)
    page.click("#go-on")
    page.wait("document.getElementById('batch-status').textContent === '399 texts analysed'")
    assert len(page.run("return sent.slice(failed).flat()")) == 207
    server.stop()


def test_another_file_is_not_gone_on_with(page, tmp_path):
    page.click("#cancel")
    page.wait("stop === null && !document.getElementById('go-on').hidden")
    path = tmp_path / "other.csv"
    path.write_text("text\nfine\n")
    choose(page, path)
    assert page.run("return document.getElementById('go-on').hidden")
