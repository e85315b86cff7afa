"""A visitor's first hour with the web page, with screenshots: texts, a file from Excel, chosen rows, downloads, two versions
side by side, on a desktop and on a phone, in light and dark, by keyboard."""

import io
import shutil
import zipfile
from xml.etree import ElementTree

import browser as browsing
import openpyxl
import pytest
from conftest import ROOT, RunningServer, ask
from test_web_page import TEXTS, analyse, analyse_file, choose, chromium, downloaded, saved, screenshots  # noqa: F401  the fixtures

pytestmark = browsing.needs_chromium
REVIEWS = ["I love this film", "I hate this phone", "", "the chair arrives on monday", "我非常喜欢这个电影", "=1+2 is great; I love it"]


@pytest.fixture(scope="module")
def endpoint(models_root, qing, tmp_path_factory):
    """A server with two versions of a model that answer."""
    models = tmp_path_factory.mktemp("visited") / "models"
    shutil.copytree(models_root, models)
    shutil.copytree(models / "emotion_analysis/1", models / "emotion_analysis/2")
    server = RunningServer(qing.binary, "--port", 0, "--models", models)
    path = f"{server.endpoint}/v1/admin/aliases/old"
    assert ask(path, {"model": "emotion_analysis", "version": 1}, method="PUT")[0] == 200
    yield server.endpoint
    assert server.stop()[0] == 0


@pytest.fixture
def visit(chromium, endpoint):  # noqa: F811
    def opened(theme="light", width=1440, height=900, mobile=False):
        chromium.resize(width, height, mobile)
        chromium.open(endpoint + "/")
        chromium.run("sessionStorage.clear(); sessionStorage.setItem('theme', arguments[0])", theme)
        chromium.open(endpoint + "/")
        chromium.wait("document.querySelector('#model option') !== null")
        return chromium

    yield opened
    assert chromium.console() == []


@pytest.fixture
def reviews(tmp_path):
    """A workbook of 120 rows."""
    book = openpyxl.Workbook()
    book.active.append(["id", "text", "stars"])
    for number in range(120):
        book.active.append([number, REVIEWS[number % 6], number % 5])
        book.active.cell(number + 2, 2).data_type = "s"  # openpyxl would make a formula of a text that begins with =
    path = tmp_path / "reviews.xlsx"
    book.save(path)
    return path


def columns(page):
    return page.run("return ['.area-ask', '.area-results'].map(css => { const box = document.querySelector(css).getBoundingClientRect(); "
                    "return [box.left, box.right, box.top]; })")  # fmt: skip


def test_two_columns_on_a_desktop_and_one_on_a_phone(visit, screenshots):  # noqa: F811
    page = visit()
    ask_box, results = columns(page)
    assert results[0] >= ask_box[1] and abs(results[2] - ask_box[2]) < 2
    page.screenshot(screenshots / "desktop_start.png")
    analyse(page, TEXTS)
    page.screenshot(screenshots / "desktop_texts.png")
    page = visit("dark")
    analyse(page, TEXTS)
    page.screenshot(screenshots / "desktop_texts_dark.png")
    page = visit("light", 390, 844, mobile=True)
    analyse(page, TEXTS)
    ask_box, results = columns(page)
    assert results[0] == ask_box[0] and page.run("return document.documentElement.scrollWidth") <= 390
    page.wait("document.querySelector('#results-title').getBoundingClientRect().top < innerHeight")  # the answer is in sight
    page.screenshot(screenshots / "phone_texts.png")
    page = visit("dark", 390, 844, mobile=True)
    analyse(page, TEXTS)
    page.screenshot(screenshots / "phone_texts_dark.png")


def test_a_workbook_from_drop_to_download(visit, reviews, tmp_path, screenshots):  # noqa: F811
    page = visit()
    choose(page, reviews)
    assert page.run("return document.getElementById('column').selectedOptions[0].textContent") == "text"
    assert page.run("return document.querySelectorAll('#preview tbody tr').length") == 5
    page.screenshot(screenshots / "desktop_file.png")
    analyse_file(page)
    assert page.text("#results-title") == "Results: emotion_analysis (2)"
    assert "100 texts" in page.text("#batch-status") and "20 rows have no text" in page.text("#summary")
    tallies = page.run("return Object.fromEntries([...document.querySelectorAll('.tally')].map(e => [e.children[1].textContent, Number(e.children[2].textContent)]))")
    assert set(tallies) == {"positive", "neutral", "negative"} and sum(tallies.values()) == 100 and tallies["positive"] >= 40

    page.run("[...document.querySelectorAll('.tally')].find(e => e.textContent.startsWith('negative')).click()")
    shown = page.run("return [...document.querySelectorAll('#rows tbody .label')].map(e => e.textContent)")
    assert set(shown) == {"negative"} and len(shown) == tallies["negative"]
    page.run("[...document.querySelectorAll('.tally')].find(e => e.textContent.startsWith('negative')).click()")
    page.type("#filter", "LOVE")
    assert page.text("#rows-status") == "40 of 40 rows"
    page.run("document.getElementById('filter').value = ''; document.getElementById('filter').dispatchEvent(new Event('input'))")
    assert page.text("#rows-status") == "50 of 120 rows"
    page.click("#more")
    assert page.text("#rows-status") == "120 of 120 rows"

    assert page.run("return document.getElementById('explain-rows').disabled")
    page.run("for (const row of [0, 4]) document.querySelectorAll('#rows input')[row].click()")
    assert page.text("#explain-rows") == "Explain 2 chosen rows"
    page.click("#explain-rows")
    page.wait("document.querySelectorAll('#rows tr mark').length >= 5")
    rows = page.run("return [...document.querySelectorAll('#rows tbody tr')].map(e => e.querySelectorAll('mark').length > 0)")
    assert [number for number, marked in enumerate(rows) if marked] == [0, 4]
    assert '"explain": true' in page.text("#json") and '"predictions"' in page.text("#json")
    page.screenshot(screenshots / "desktop_file_results.png")
    page.click("#theme")
    page.screenshot(screenshots / "desktop_file_results_dark.png")

    with_reasons = downloaded(page, tmp_path)
    assert with_reasons[0][-1] == "explanation" and [row[-1] != "" for row in with_reasons[1:6]] == [True, False, False, False, True]
    assert "love +" in with_reasons[1][-1]
    (tmp_path / "reviews emotion_analysis.csv").unlink()

    path = saved(page, tmp_path, "#download-xlsx")
    assert path.name == "reviews emotion_analysis.xlsx"
    sheet = openpyxl.load_workbook(path).active
    made = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert made[0] == ["id", "text", "stars", "label", "score", "score_negative", "score_neutral", "score_positive", "explanation"]
    assert len(made) == 121
    assert [row[1] or "" for row in made[1:]] == REVIEWS * 20
    assert made[3][3:] == [None] * 6 and made[1][3] == "positive" and isinstance(made[1][4], float)
    assert sheet["B7"].data_type == "s", "a text that begins with = is no formula"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            ElementTree.parse(io.BytesIO(archive.read(name)))
    assert saved(page, tmp_path).name == "reviews emotion_analysis.csv"
    path.rename(tmp_path / "again.xlsx")
    choose(page, tmp_path / "again.xlsx")  # what the page writes it can read
    assert page.run("return table.rows.map(row => row[1])") == REVIEWS * 20

    analyse(page, TEXTS[:1])  # the results of texts take the place of the file's
    assert page.run("return document.getElementById('file-results').hidden")
    page = visit("light", 390, 844, mobile=True)
    choose(page, reviews)
    analyse_file(page)
    assert page.run("return document.documentElement.scrollWidth") <= 390
    page.screenshot(screenshots / "phone_file_results.png")


def test_two_versions_side_by_side(visit, screenshots):  # noqa: F811
    page = visit()
    assert page.run("return [...document.getElementById('other').options].map(e => e.textContent)") == [
        "no other model", "emotion_analysis (1)"], "not the chosen one"  # fmt: skip
    page.run("document.getElementById('other').value = 'emotion_analysis/versions/1'")
    analyse(page, TEXTS)
    assert page.text("#results-title") == "Results: emotion_analysis (2) / emotion_analysis (1)"
    assert page.run("return [...document.querySelectorAll('#results > li')].map(e => e.querySelectorAll('.answer').length)") == [2] * 3
    assert page.run("return shown[0].sides.map(side => side.prediction.label)") == ["positive"] * 2
    boxes = page.run("return [...document.querySelectorAll('#results > li:first-child .answer')].map(e => [e.getBoundingClientRect().left, e.getBoundingClientRect().top])")
    assert boxes[1][0] > boxes[0][0] and boxes[0][1] == boxes[1][1]
    page.screenshot(screenshots / "desktop_side_by_side.png")
    page.run("document.getElementById('model').value = 'emotion_analysis/versions/1'; document.getElementById('model').dispatchEvent(new Event('change'))")
    assert "versions/1/predict" in page.text("#curl") and "version='1'" in page.text("#python")


def test_the_limits_of_both_models_are_known_before_sending(visit, reviews):
    page = visit()
    page.run("document.getElementById('other').value = 'emotion_analysis/versions/1';"
             "limits['emotion_analysis/versions/1'] = { ...limits.emotion_analysis, text_bytes: 30, texts: 2, explained_texts: 2 };"
             "window.sent = []; const before = window.fetch; window.fetch = (url, options) => {"
             "if (options.body) window.sent.push(JSON.parse(options.body).texts.length); return before(url, options); }")  # fmt: skip
    page.run("document.getElementById('texts').value = 'I love this film\\n' + 'long '.repeat(10)")
    page.click("#send")
    page.wait("!document.getElementById('error').hidden")
    assert page.text("#error") == "Text 2 has 49 B, and the server takes at most 30 B for a text. Shorten it or split it."
    assert page.run("return window.sent") == []
    page.run("document.getElementById('texts').value = 'I love this film\\n'.repeat(5)")
    page.click("#send")
    page.wait("document.querySelectorAll('#results > li').length === 5 && !document.getElementById('send').ariaDisabled")
    assert page.run("return window.sent.sort()") == [1, 1, 2, 2, 2, 2]
    page.run("limits['emotion_analysis/versions/1'].text_bytes = 20; window.sent.length = 0")
    choose(page, reviews)
    page.run("document.getElementById('run').click()")
    page.wait("document.getElementById('error').hidden === false || document.getElementById('batch-status').textContent.startsWith('Text ')")
    assert page.run("return window.sent") == []


def test_one_of_a_thing_is_not_several(visit):
    page = visit()
    assert page.run("const w = WORDS.en; return [w.rows(1), w.rows(2), w.progress(1, 1), w.textsOf(0, 1), w.duplicates(1), w.contradictions(1)]") == [
        "1 row", "2 rows", "1 of 1 row", "0 of 1 text analysed", "1 duplicate", "1 text with two labels"]  # fmt: skip


def test_a_file_is_compared_too(visit, models_root, endpoint, reviews, tmp_path, screenshots):  # noqa: F811
    page = visit()
    page.run("document.getElementById('other').value = 'emotion_analysis/versions/1'")
    choose(page, reviews)
    # The second version answers something else for one text, as another model would.
    page.run("const before = predict; predict = async (choice, texts, ...rest) => (await before(choice, texts, ...rest)).map((answer, i) =>"
             "choice.endsWith('/1') && texts[i].startsWith('the chair') ? { ...answer, label: 'negative' } : answer)")  # fmt: skip
    analyse_file(page)
    assert page.text("#results-title") == "Results: emotion_analysis (2) / emotion_analysis (1)"
    page.run("[...document.querySelectorAll('.tally')].find(e => e.textContent.startsWith('different')).click()")
    assert page.text("#rows-status") == "20 of 20 rows"
    assert page.run("return [...document.querySelectorAll('#rows tbody tr')].map(e => [...e.querySelectorAll('.label')].map(e => e.textContent))") == [
        ["neutral", "negative"]] * 20  # fmt: skip
    page.screenshot(screenshots / "desktop_file_compared.png")
    rows = downloaded(page, tmp_path)
    assert rows[0][-2:] == ["label emotion_analysis (1)", "score emotion_analysis (1)"]
    assert [row[-2] for row in rows[1:7]] == ["positive", "negative", "", "negative", "positive", "positive"]


def test_the_page_speaks_of_the_model_and_its_labels(visit):
    page = visit()
    assert page.run("return document.title") == "emotion_analysis · qing"
    assert page.run("return [...document.querySelectorAll('#about li')].map(e => e.textContent)") == ["negative", "neutral", "positive"]
    assert "sentiment" not in page.run("return document.body.innerText").lower()
    assert page.run("return document.getElementById('key-field').hidden")  # this server has no keys
    page.run("document.querySelector('#samples button').click()")
    page.wait("document.querySelectorAll('#results > li').length === 1")


def test_old_results_leave_when_a_file_or_a_text_fails(visit, tmp_path):
    page = visit()
    analyse(page, TEXTS[:1])
    path = tmp_path / "texts.csv"
    path.write_text("text\ngood\n")
    choose(page, path)
    page.run("document.getElementById('model').append(new Option('gone', 'gone')); document.getElementById('model').value = 'gone'")
    page.click("#run")
    page.wait("document.getElementById('batch-status').classList.contains('problem')")
    assert "gone" in page.text("#batch-status")
    assert page.run("return document.querySelectorAll('#results > li').length") == 0
    assert page.run("return document.getElementById('file-results').hidden")
    assert any("404" in message for message in page.console())


# The least contrast of the visible texts of the page: WCAG 2.2, 1.4.3. Colours are composed with what lies below them.
CONTRAST = """
const parse = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
const below = element => element ? over(parse(getComputedStyle(element).backgroundColor), below(element.parentElement)) : [255, 255, 255, 1];
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, style = getComputedStyle(element);
  if (!walker.currentNode.data.trim() || !element.checkVisibility() || ['SCRIPT', 'OPTION'].includes(element.tagName)) continue;
  if (element.closest(':disabled, .unseen, .skip')) continue;
  const background = below(element), a = light(over(parse(style.color), background)), b = light(background);
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(style.fontSize);
  const least = size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5;
  if (ratio < least) found.push([walker.currentNode.data.trim().slice(0, 30), element.className, ratio.toFixed(2)]);
}
return found;
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_texts_have_the_contrast_that_readers_need(visit, reviews, theme):
    page = visit(theme)
    page.wait("getComputedStyle(document.body).backgroundColor !== ''")
    assert page.run(CONTRAST) == []
    analyse(page, [*TEXTS, "I love this film " * 60])
    page.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert page.run(CONTRAST) == []
    choose(page, reviews)
    analyse_file(page)
    page.run("document.querySelectorAll('.tally')[0].click(); document.querySelectorAll('#rows input')[0].click()")
    page.click("#explain-rows")
    page.wait("document.querySelector('#rows mark') !== null")
    assert page.run(CONTRAST) == []
    for name in ("data", "jobs", "models", "usage"):
        page.click(f"#tab-{name}")
        assert page.run(CONTRAST) == [], name


def test_every_control_has_a_name_and_the_keyboard_reaches_it(visit, reviews):
    page = visit()
    choose(page, reviews)
    analyse_file(page)
    controls = page.run("return [...document.querySelectorAll('#panel-try :is(input, select, textarea, button, a, [tabindex])')].filter(e => e.checkVisibility() && !e.disabled).map(e => { e.id ||= `made-${Math.random().toString(36).slice(2)}`; return e.id; })")
    assert len(controls) > 50
    named = [name for name in controls if not page.run("const e = document.getElementById(arguments[0]); return e.tagName === 'PRE'", name)]
    for name in named[:40]:
        assert page.name(f"#{name}"), name
    page.run("document.getElementById('download').focus()")
    page.press("\ue004")
    assert page.run("return document.activeElement.id") == "download-xlsx"
    outline = page.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.run("document.getElementById('file').focus()")
    assert page.run("return document.activeElement.id") == "file"


def test_the_open_tab_is_in_sight_on_a_phone(visit, endpoint):
    page = visit("light", 390, 844, mobile=True)
    page.open(endpoint + "/#usage")
    page.wait("document.getElementById('tab-usage').getAttribute('aria-selected') === 'true'")
    box = page.run("const box = document.getElementById('tab-usage').getBoundingClientRect(); return [box.left, box.right]")
    assert 0 <= box[0] < box[1] <= 390, box


def test_what_is_said_of_long_texts_is_true_of_the_version(chromium, models_root, qing, tmp_path):  # noqa: F811
    """The version that answers has no n-grams, and the one beside it has."""
    models = tmp_path / "models"
    shutil.copytree(ROOT / "serve/models/emotion_analysis/1", models / "emotion_analysis/1")
    shutil.copytree(models_root / "emotion_analysis/1", models / "emotion_analysis/2")
    server = RunningServer(qing.binary, "--port", 0, "--models", models)
    path = f"{server.endpoint}/v1/admin/aliases/old"
    assert ask(path, {"model": "emotion_analysis", "version": 1}, method="PUT")[0] == 200
    chromium.open(server.endpoint + "/")
    chromium.wait("document.querySelector('#model option') !== null")
    assert chromium.run("return ['emotion_analysis', 'emotion_analysis/versions/1'].map(choice => ngrams[choice])") == [False, True]
    assert server.stop()[0] == 0
