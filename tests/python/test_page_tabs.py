"""The tabs of the web page in Chromium: data in, a training with its curve, the model tried, promoted and rolled back."""

import browser as browsing
import pytest
from conftest import RunningServer, ask, synthetic_rows
from job_tools import client_of, supervised, upload
from test_web_page import chromium, screenshots  # noqa: F401 (fixtures)
from walk_tools import StepClock

pytestmark = browsing.needs_chromium


@pytest.fixture(scope="module")
def endpoint(models_root, qing, tmp_path_factory):
    server = RunningServer(
        qing.binary, "--port", 0, "--models", models_root, "--state", tmp_path_factory.mktemp("page") / "state"
    )
    yield server.endpoint
    assert server.stop()[0] == 0


def open_tab(page, name):
    page.click(f"#tab-{name}")
    assert page.run(f"return document.getElementById('tab-{name}').getAttribute('aria-selected')") == "true"
    assert page.run("return [...document.querySelectorAll('[role=tabpanel]')].filter(e => !e.hidden).map(e => e.id)") == [
        f"panel-{name}"
    ]


def open_fresh_tab(page, endpoint, name, model):
    """Opens a tab as a new visitor of the English page, and waits until its list of models, `model`, is filled."""
    page.resize(1200, 900)
    page.open(endpoint + "/")
    page.run("sessionStorage.clear(); sessionStorage.setItem('theme', 'light'); sessionStorage.setItem('language', 'en')")
    page.open(endpoint + "/")
    open_tab(page, name)
    page.wait(f"document.querySelector('{model} option') !== null")


def texts_of(page, css):
    return page.run(f"return [...document.querySelectorAll('{css}')].map(e => e.textContent)")


def chosen(page, css, value):
    page.run(f"const e = document.querySelector('{css}'); e.value = arguments[0]; e.dispatchEvent(new Event('change'))", value)


def test_from_data_to_a_promoted_model_and_back(chromium, endpoint, tiny_data, screenshots):  # noqa: F811
    page = chromium
    page.resize(1200, 900)
    page.open(endpoint + "/")
    page.run("sessionStorage.clear(); sessionStorage.setItem('theme', 'light')")
    page.open(endpoint + "/")
    page.wait("document.querySelector('#model option') !== null")
    assert page.run("return document.getElementById('key-field').hidden")

    open_tab(page, "data")
    page.wait("document.querySelector('#files .hint') !== null")
    page.type("#data-file", str(tiny_data))
    page.wait("!document.getElementById('upload-send').disabled")
    page.click("#upload-send")
    page.wait("document.querySelectorAll('#files tbody tr').length === 1")
    row = page.text("#files tbody tr")
    assert "tiny.tsv" in row and "600" in row and "negative" in row
    page.screenshot(screenshots / "data.png")

    open_tab(page, "jobs")
    page.wait("document.querySelector('#job-training option') !== null && document.querySelector('#job-base option') !== null")
    assert page.run("return [...document.getElementById('job-base').options].map(o => o.value)") == ["emotion_analysis", "scratch"]
    page.run("document.getElementById('job-epochs').value = ''")
    page.type("#job-epochs", "8")
    page.type("#job-suffix", "page")
    page.click("#job-send")
    page.wait("document.querySelector('#jobs .label') !== null")
    page.wait("document.querySelector('#jobs .curve .loss')?.getAttribute('d').length > 10", seconds=120)
    page.screenshot(screenshots / "job_running.png")
    page.wait("document.querySelector('#jobs .label').textContent === 'finished'", seconds=120)
    assert page.run("return document.querySelectorAll('#jobs .curve .dot').length") >= 1
    page.screenshot(screenshots / "job.png")
    model = page.text("#jobs strong")
    assert model.startswith("ft-emotion_analysis-page-")

    open_tab(page, "models")
    page.wait("document.querySelectorAll('#models tbody tr').length === 2")
    page.wait("document.querySelector('#promote-data').options.length === 2")
    page.run("window.confirm = message => { window.asked = message; return false; }")
    page.click("#promote-send")
    page.wait("window.asked !== undefined")
    assert page.run("return window.asked") == f"Answer as emotion_analysis with {model}, without a comparison?"
    assert ask(f"{endpoint}/v1/models/emotion_analysis")[2]["version"] == "1"
    page.run("document.querySelector('#promote-data').selectedIndex = 1")
    page.click("#promote-send")
    page.wait("document.querySelectorAll('#promotion tbody tr').length >= 1", seconds=60)
    assert "version 2" in page.text("#status")
    page.screenshot(screenshots / "models.png")
    page.run("[...document.querySelectorAll('#models button')].find(b => b.textContent === 'Roll back').click()")
    page.wait("document.getElementById('status').textContent.includes('version 1 again')")

    open_tab(page, "try")
    chosen(page, "#model", "emotion_analysis")
    chosen(page, "#other", model)
    page.type("#texts", "I love this film\ue009\ue007")
    page.wait("document.querySelectorAll('#results .answer').length === 2")
    assert page.run("return [...document.querySelectorAll('#results .label')].map(e => e.textContent)") == ["positive"] * 2
    assert page.run("return [...document.querySelectorAll('#results h3')].map(e => e.textContent)") == ["emotion_analysis (1)", f"{model} (1)"]
    page.screenshot(screenshots / "side_by_side.png")

    open_tab(page, "usage")
    page.wait("document.querySelectorAll('#usage dd').length === 6")
    figures = page.run("return [...document.querySelectorAll('#usage dd')].map(e => e.textContent)")
    assert figures[1:3] == ["1", "1"] or figures[1] == "2"  # the file of results belongs to the project too
    page.click("#language")
    assert page.text("#usage dt") == "存储"
    page.resize(360, 740, mobile=True)
    for name in ("data", "jobs", "models", "usage", "try"):
        open_tab(page, name)
        assert page.run("return document.documentElement.scrollWidth") <= 360, name
    page.screenshot(screenshots / "tabs_phone.png")
    assert page.console() == []


# Notes the step and the time whenever the curve of the only job has another point.
WATCH_THE_CURVE = """
window.moves = [];
const look = () => {
  const bar = document.querySelector('#jobs progress'), points = document.querySelector('#jobs .curve .loss')?.getAttribute('d');
  if (!bar || !points || points === window.moves.at(-1)?.points) return;
  window.moves.push({ points, step: bar.value, time: Date.now() / 1000 });
};
new MutationObserver(look).observe(document.getElementById('jobs'), { childList: true, subtree: true });
"""


def test_the_curve_moves_within_a_second_of_the_step(chromium, serve, models_root, tmp_path):  # noqa: F811
    page, state = chromium, tmp_path / "state"
    server = serve("--models", models_root, "--state", state)
    client = client_of(server)
    training = upload(client, synthetic_rows(600))
    page.resize(1200, 900)
    page.open(server.endpoint + "/")
    page.run("sessionStorage.setItem('theme', 'light')")
    page.wait("document.querySelector('#model option') !== null")
    method = supervised({"n_epochs": 400, "batch_size": 8})
    job = client.fine_tuning.jobs.create(model="emotion_analysis", training_file=training, method=method)
    with StepClock(state, job.id) as clock:
        open_tab(page, "jobs")
        page.run(WATCH_THE_CURVE)
        page.wait("window.moves.length >= 20", seconds=180)
        moves = page.run("return window.moves.map(({step, time, points}) => [step, time, points.split('L').length])")
    interval = client.get(f"/fine_tuning/jobs/{job.id}", cast_to=object)["progress"]["steps"] // 100
    client.fine_tuning.jobs.cancel(job.id)
    assert interval > 1 and [points for _, _, points in moves] == sorted(points for _, _, points in moves)
    # The events before the page was opened come late. Of the others, each step with an event counts.
    shown = [step for step in clock.seen if moves[0][0] < step <= moves[-1][0] and step % interval == 0]
    late = sorted(min(time for step, time, _ in moves if step >= wanted) - clock.seen[wanted] for wanted in shown)
    assert len(late) >= 15, moves
    figures = {"steps": len(late), "median": round(late[len(late) // 2], 3), "most": round(late[-1], 3)}
    print(figures)
    # Half a second between two looks at the metrics, and a fifth between two looks at the events. One step of twenty may meet
    # a machine that is busy.
    assert late[0] > 0 and late[int(0.95 * (len(late) - 1))] < 1, figures
    assert page.console() == []


def test_a_file_of_other_column_names_trains_when_they_are_given(chromium, serve, models_root, tmp_path):  # noqa: F811
    """The service cannot count its rows, so the file is listed with an error until somebody names the columns."""
    server = serve("--models", models_root, "--state", tmp_path / "state")
    rows = "id,gold,review\n" + "".join(f"{i},{label},{text}\n" for i, (label, text) in enumerate(synthetic_rows(60)))
    upload(client_of(server), rows.encode(), "unusual.csv")
    page = chromium
    open_fresh_tab(page, server.endpoint, "jobs", "#job-training")
    assert texts_of(page, "#job-training option") == ["unusual.csv"]
    page.run("document.getElementById('job-text-column').closest('details').open = true")
    page.run("document.getElementById('job-epochs').value = ''")
    page.type("#job-epochs", "1")
    page.type("#job-text-column", "review")
    page.type("#job-label-column", "gold")
    page.click("#job-send")
    page.wait("document.querySelector('#jobs .label') !== null && document.querySelector('#jobs .label').textContent === 'finished'", seconds=120)


def test_arrow_keys_move_between_tabs(chromium, endpoint):  # noqa: F811
    page = chromium
    page.open_page(endpoint)
    page.run("document.getElementById('tab-try').focus()")
    page.press("\ue014")  # right
    assert page.run("return document.activeElement.id") == "tab-translate"
    page.press("\ue012")  # left
    page.press("\ue012")
    assert page.run("return document.activeElement.id") == "tab-usage"
    assert not page.run("return document.getElementById('panel-usage').hidden")


def test_the_key_is_asked_for_when_the_server_wants_one(chromium, models_root, qing, tmp_path):  # noqa: F811
    keys = tmp_path / "keys.txt"
    keys.write_text("a-long-enough-key-for-a-test\n")
    server = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--keys", keys)
    chromium.open(server.endpoint + "/")
    chromium.run("sessionStorage.setItem('theme', 'light')")
    chromium.wait("!document.getElementById('key-field').hidden")
    chromium.type("#key", "a-long-enough-key-for-a-test\ue007")
    chromium.wait("document.querySelector('#model option') !== null")
    assert chromium.name("#key") == "API key"
    chromium.console()  # the refused request
    assert server.stop()[0] == 0
