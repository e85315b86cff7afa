"""What the page says and where its focus is while it works and afterwards: counts, cancels, statuses of other tabs, texts that
are too long, small files of training, and tabs without a model. By keyboard where a visitor would use it."""

import browser as browsing
import pytest
from conftest import RunningServer, synthetic_rows
from job_tools import client_of, upload
from test_page_tabs import chosen, open_tab, texts_of
from test_web_page import ENTER, TEXTS, analyse, chromium, screenshots  # noqa: F401 (fixtures)

pytestmark = browsing.needs_chromium
HOME, END = "\ue011", "\ue010"
# Whether the focus was ever lost to the body, looked at with each frame.
WATCH_THE_FOCUS = """
window.lost = 0;
const look = () => { lost += document.activeElement === document.body; requestAnimationFrame(look); };
look();
"""
# Holds each answer back until the test releases it.
HOLD_ANSWERS = "const sent = fetch; window.held = []; window.fetch = async (...all) => { const answer = await sent(...all); await new Promise(go => held.push(go)); return answer; }"


@pytest.fixture(scope="module")
def server(models_root, qing, tmp_path_factory):
    running = RunningServer(
        qing.binary, "--port", 0, "--models", models_root, "--state", tmp_path_factory.mktemp("work") / "state"
    )
    client = client_of(running)
    for count, name in ((40, "few.jsonl"), (300, "many.jsonl")):
        upload(client, synthetic_rows(count), name=name)
    yield running
    assert running.stop()[0] == 0


@pytest.fixture
def page(chromium, server):  # noqa: F811
    chromium.resize(1280, 900)
    chromium.open(server.endpoint + "/")
    chromium.run("sessionStorage.clear(); sessionStorage.setItem('theme', 'light'); sessionStorage.setItem('language', 'en')")
    chromium.open("about:blank")
    chromium.open(server.endpoint + "/")
    chromium.wait("document.querySelector('#model option') !== null")
    yield chromium
    assert chromium.console() == []


def focused(page):
    return page.run("return document.activeElement.id")


def test_the_focus_stays_at_the_button_that_sends(page):
    page.run("document.getElementById('texts').value = 'good'; document.getElementById('send').focus()")
    page.run(WATCH_THE_FOCUS)
    page.run(HOLD_ANSWERS)
    page.press(ENTER)
    page.wait("held.length === 1")
    assert focused(page) == "send" and page.run("return document.getElementById('send').ariaDisabled") == "true"
    page.press(ENTER)
    page.run("held.shift()()")
    page.wait("document.getElementById('status').textContent === '1 text analysed'")
    assert focused(page) == "send" and page.run("return [lost, held.length]") == [0, 0], "the second press sent nothing"


def test_the_focus_stays_when_a_file_runs_and_lists_change(page, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\n" + "I love this film\nI hate this phone\n" * 40)
    page.type("#file", str(path))
    page.wait("!document.getElementById('run').disabled")
    page.run("document.getElementById('run').focus()")
    page.run(WATCH_THE_FOCUS)
    page.press(ENTER)
    page.wait("!document.getElementById('file-results').hidden")
    assert focused(page) == "run"
    page.run("document.querySelector('.tally').focus()")
    page.press(ENTER)
    assert page.run("return document.activeElement.getAttribute('aria-pressed')") == "true"
    page.press(ENTER)
    page.run("document.getElementById('more').focus()")
    page.press(ENTER)
    assert focused(page) == "rows-box", "there are no more rows"
    page.run("document.querySelector('#rows input').click(); document.getElementById('explain-rows').focus()")
    page.press(ENTER)
    page.wait("document.querySelector('#rows mark') !== null")
    assert focused(page) == "rows-box" and page.run("return lost") == 0


def test_many_texts_are_counted_and_can_be_cancelled(page, screenshots):  # noqa: F811
    page.run("document.getElementById('texts').value = arguments[0]", "\n".join(f"I love film {i}" for i in range(40)))
    page.run(HOLD_ANSWERS)
    page.run("document.getElementById('send').focus()")
    page.press(ENTER)
    page.wait("held.length === 1")
    assert page.text("#status") == "0 of 40 texts analysed"
    page.run("held.shift()()")
    page.wait("document.getElementById('status').textContent === '16 of 40 texts analysed'")
    assert page.run("return document.getElementById('send-progress').value") == pytest.approx(0.4)
    page.screenshot(screenshots / "counted.png")
    page.run("document.getElementById('send-stop').focus()")
    page.press(ENTER)
    page.run("held.forEach(go => go())")
    page.wait("document.getElementById('status').textContent === 'Cancelled: 16 of 40 texts analysed'")
    assert page.run("return document.querySelectorAll('#results > li').length") == 16
    assert focused(page) == "send" and page.run("return document.getElementById('send-stop').hidden")


def test_a_text_that_is_too_long_is_refused_in_words(page):
    page.run("document.getElementById('texts').value = 'good\\n' + 'long '.repeat(900000)")
    page.click("#send")
    page.wait("!document.getElementById('error').hidden")
    assert page.text("#error") == "Text 2 has 4.5 MB, and the server takes at most 262.1 kB for a text. Shorten it or split it."
    assert page.run("return document.querySelectorAll('#results > li').length") == 0


def test_an_empty_form_shows_no_earlier_results_and_history_has_a_text_once(page):
    analyse(page, TEXTS)
    analyse(page, TEXTS[1:2])
    assert texts_of(page, "#history button span:last-child") == [TEXTS[1], TEXTS[0], TEXTS[2]]
    page.run("document.getElementById('texts').value = ' '")
    page.click("#send")
    assert page.text("#status") == "Type at least one text." and texts_of(page, "#results > li") == []


def test_the_address_names_the_tab_and_its_status_stays_there(page, server):
    assert page.run("return location.hash") == ""
    analyse(page, TEXTS[:1])
    page.run("document.getElementById('tab-try').focus()")
    page.press(END)
    assert focused(page) == "tab-usage" and page.run("return location.hash") == "#usage" and page.text("#status") == ""
    page.press(HOME)
    assert focused(page) == "tab-try" and page.run("return location.hash") == "#try"
    page.run("location.hash = '#models'")
    page.wait("!document.getElementById('panel-models').hidden")
    page.run("location.hash = '#main'")  # the link that skips to the content
    assert page.run("return !document.getElementById('panel-models').hidden")
    page.open("about:blank")
    page.open(server.endpoint + "/#data")
    assert not page.run("return document.getElementById('panel-data').hidden")


@pytest.mark.parametrize("name, told", [("translate", "no translation model"), ("tag", "no model that finds"), ("images", "no image classifier")])
def test_a_tab_without_a_model_says_so_and_nothing_else(page, name, told):
    open_tab(page, name)
    page.wait(f"document.querySelector('#panel-{name} [id$=-none]').checkVisibility()")
    assert told in page.text(f"#panel-{name} [id$=-none]")
    shown = page.run(f"return [...document.querySelectorAll('#panel-{name} :is(input, textarea, select, button, canvas)')].filter(e => e.checkVisibility()).length")
    assert shown == 0


def test_the_rule_of_held_out_texts_is_said(page, screenshots):  # noqa: F811
    open_tab(page, "jobs")
    page.wait("document.querySelectorAll('#job-training option').length === 2")
    values = dict(zip(texts_of(page, "#job-training option"), page.run("return [...document.querySelectorAll('#job-training option')].map(e => e.value)")))
    chosen(page, "#job-training", values["many.jsonl"])
    assert "if there are at least 200" in page.text("#job-validation-hint")
    assert texts_of(page, "#job-validation option")[0] == "a tenth of the texts" and texts_of(page, "#job-validation-few") == [""]
    chosen(page, "#job-training", values["few.jsonl"])
    assert texts_of(page, "#job-validation option")[0] == "none"
    assert page.text("#job-validation-few").startswith("40 texts are too few to hold some out: there will be no validation")
    page.screenshot(screenshots / "few_texts.png")
    chosen(page, "#job-validation", values["many.jsonl"])
    assert texts_of(page, "#job-validation-few") == [""]


def test_a_training_that_has_ended_is_not_said_to_have_begun(page, screenshots):  # noqa: F811
    open_tab(page, "jobs")
    page.wait("document.querySelectorAll('#job-training option').length === 2 && document.querySelector('#job-base option') !== null")
    page.run("const list = document.getElementById('job-training'); list.value = [...list.options].find(e => e.textContent === 'many.jsonl').value;"
             "list.dispatchEvent(new Event('change')); document.getElementById('job-epochs').value = '2'; document.getElementById('job-send').focus()")  # fmt: skip
    page.run(WATCH_THE_FOCUS)
    page.press(ENTER)
    page.wait("document.getElementById('status').textContent.endsWith('has begun') || document.querySelector('#jobs .label.positive') !== null")
    page.wait("document.querySelector('#jobs .label.positive') !== null", seconds=120)
    page.wait("document.getElementById('status').textContent === ''")
    assert focused(page) == "job-send" and page.run("return lost") == 0
    page.wait("document.querySelector('#jobs .curve .tick-loss') !== null")
    least, middle, most = map(float, texts_of(page, "#jobs .curve .tick-loss"))
    assert least == 0 and middle == pytest.approx(most / 2, rel=0.05) and most > 0, "the axis of the loss"
    assert texts_of(page, "#jobs .curve .tick-score") == ["0", "0.5", "1"]
    page.screenshot(screenshots / "curve.png")


def test_models_have_their_task_and_usage_says_what_it_counts(page, screenshots):  # noqa: F811
    open_tab(page, "models")
    page.wait("document.querySelectorAll('#models tbody tr').length >= 1")
    first = page.run("return [...document.querySelector('#models tbody tr').children].map(e => e.textContent)")
    assert first[2:4] == ["text classification", "negative, neutral, positive"]
    page.screenshot(screenshots / "model_tasks.png")
    cut = page.run("return [...document.querySelectorAll('#panel-models select')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.id)")
    assert cut == []
    open_tab(page, "usage")
    page.wait("document.querySelectorAll('#usage dd').length === 6")
    assert texts_of(page, "#usage dt")[-1] == "Models trained here"
    assert page.text("#usage dd").endswith(" of 10.7 GB")


def test_what_is_dropped_on_a_tab_without_files_is_told(page):
    open_tab(page, "models")
    page.run("const list = new DataTransfer(); list.items.add(new File(['x'], 'x.csv'));"
             "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: list, bubbles: true, cancelable: true }))")  # fmt: skip
    assert page.text("#error") == "Files can be dropped in the tabs Try out, Images and Data."
