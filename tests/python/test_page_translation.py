"""The tab of translations in Chromium: a text arrives as it is written, and its words point to those of the source."""

import json

import browser as browsing
import pytest
from conftest import ask, served
from test_page_tabs import chosen, open_fresh_tab, texts_of
from test_train_translation import PAIRS, SMALL
from test_web_page import CONTROL, ENTER, TAB, chromium, screenshots  # noqa: F401 (fixtures)

pytestmark = browsing.needs_chromium
RIGHT, LEFT, HOME, END = "\ue014", "\ue012", "\ue011", "\ue010"


@pytest.fixture(scope="module")
def endpoint(qing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("translators")
    pairs = folder / "pairs.tsv"
    pairs.write_text("en\tzh\n" + "".join(f"{en}\t{zh}\n" for en, zh in PAIRS), encoding="utf-8")
    qing("train", "--task", "translation", "--data", pairs, "--dev-share", 0, "--directions", "en-zh,zh-en", *SMALL,
         "--epochs", 60, "--out", folder / "models/both/1")  # fmt: skip
    with served(qing, folder / "models", [PAIRS[0][0]]) as address:
        yield address


@pytest.fixture
def page(chromium, endpoint):  # noqa: F811
    open_fresh_tab(chromium, endpoint, "translate", "#translate-model")
    yield chromium
    assert chromium.console() == []


def translate(page, text):
    page.run("document.getElementById('source-text').value = ''; translation = null; drawTranslation()")
    page.type("#source-text", text + CONTROL + ENTER)
    page.wait("translation?.over && !document.getElementById('translate-send').ariaDisabled")


def test_a_text_is_translated_and_its_words_point_to_the_source(page, endpoint, screenshots):  # noqa: F811
    assert texts_of(page, "#direction option") == ["English → Chinese", "Chinese → English"]
    translate(page, PAIRS[0][0])
    assert page.run("return document.getElementById('translation').textContent") == PAIRS[0][1]
    assert "token" in page.text("#translation-facts")
    words = texts_of(page, "#translation .word")
    assert "".join(words) == PAIRS[0][1] and len(words) > 1
    assert texts_of(page, "#aligned-source .word") == ["Open", "the", "file", "."]
    # What is shown for each word is what the service says of its tokens.
    _, _, answer = ask(endpoint + "/v1/models/both/translate",
                       {"texts": [PAIRS[0][0]], "source": "en", "target": "zh", "beam_size": 1, "alignment": True})  # fmt: skip
    (piece,) = answer["translations"][0]["alignment"]
    source_words = [(0, 4), (5, 8), (9, 13), (13, 14)]
    page.run("document.querySelector('#translation .word').focus()")
    found_shares = False
    for i, word in enumerate(words):
        begin = len("".join(words[:i]))
        rows = [k for k, (a, b) in enumerate(piece["target"]) if begin <= a and b <= begin + len(word)]
        assert rows
        # A token may begin with the space in front of its word.
        shares = [sum(piece["weights"][k][j] for k in rows for j, (a, b) in enumerate(piece["source"])
                      if first <= b - len(PAIRS[0][0][a:b].strip()) and b <= last) / len(rows)
                  for first, last in source_words]  # fmt: skip
        expected = [f"{int(100 * share + 0.5)}%" if share >= 0.05 else None for share in shares]
        shown = page.run("return [...document.querySelectorAll('#aligned-source .word')].map(e => e.dataset.share ?? null)")
        for mine, theirs in zip(shown, expected):
            assert (mine is None) == (theirs is None)
            assert mine is None or abs(int(mine[:-1]) - int(theirs[:-1])) <= 1
        told = page.text("#aligned-said")
        assert word in told and ("%" in told) == any(shown)
        found_shares = found_shares or any(shown)
        if i == 1:
            page.screenshot(screenshots / "translation.png")
            page.resize(1200, 900)
        page.press(RIGHT)
    assert found_shares and page.console() == []


def test_words_are_reached_by_keys_and_by_pointing(page):
    translate(page, PAIRS[2][0])
    count = len(texts_of(page, "#translation .word"))
    focused = "return [...document.querySelectorAll('#translation .word')].indexOf(document.activeElement)"
    page.run("document.getElementById('translation-copy').focus()")
    page.press(TAB)
    assert page.run(focused) == 0, "the first word is the next stop"
    for key, place in ((RIGHT, 1), (END, count - 1), (RIGHT, count - 1), (HOME, 0), (LEFT, 0), (RIGHT, 1), (LEFT, 0), (RIGHT, 1)):
        page.press(key)
        assert page.run(focused) == place
    assert texts_of(page, ".word[aria-pressed=true]") == [texts_of(page, "#translation .word")[1]]
    assert page.run("return getComputedStyle(document.querySelector('.attended'), '::after').content").strip('"').endswith("%")
    assert page.run("return document.getElementById('aligned-said').getAttribute('role')") == "status"
    page.press(TAB)
    assert page.run(focused) == -1, "all words are one stop"
    assert texts_of(page, ".word[aria-pressed=true]") == [] and texts_of(page, ".attended") == []
    page.run("document.querySelectorAll('#translation .word')[2].dispatchEvent(new PointerEvent('pointerenter'))")
    assert texts_of(page, ".word[aria-pressed=true]") == [texts_of(page, "#translation .word")[2]]
    assert page.run("return document.querySelectorAll('#aligned-table tbody tr').length") == count


def test_a_translation_arrives_as_it_is_written(page):
    page.run("""window.seen = [];
        new MutationObserver(() => window.seen.push(document.getElementById('translation').textContent))
            .observe(document.getElementById('translation'), { childList: true, subtree: true, characterData: true });""")
    page.run("document.getElementById('source-text').value = arguments[0]", "\n".join(en for en, _ in PAIRS * 100))
    page.click("#translate-send")
    page.wait("translation?.over && !document.getElementById('translate-send').ariaDisabled")
    whole = page.run("return document.getElementById('translation').textContent")
    assert whole == "\n".join(zh for _, zh in PAIRS * 100)
    seen = [text for text in page.run("return window.seen") if text]
    assert len(set(seen)) > 2 and all(whole.startswith(text) for text in seen), seen
    chosen(page, "#beams", "4")
    chosen(page, "#direction", "zh-en")
    translate(page, PAIRS[1][1])
    assert page.run("return document.getElementById('translation').textContent") == PAIRS[1][0]
    assert texts_of(page, "#translation .word") == ["Close", "the", "file", "."], "tokens within a word are one"


def test_a_translation_can_be_cancelled_and_errors_are_told(page):
    page.run("document.getElementById('source-text').value = ''")
    page.click("#translate-send")
    assert page.text("#status") == "Type a text to translate."
    long = " ".join([PAIRS[0][0]] * 60)
    page.run("document.getElementById('source-text').value = arguments[0]", long)
    page.run("document.getElementById('translate-send').click(); document.getElementById('translate-stop').click()")
    page.wait("document.getElementById('status').textContent === 'Cancelled'")
    page.wait("!document.getElementById('translate-send').ariaDisabled")
    assert page.run("return document.getElementById('translate-stop').hidden")
    page.run("models[0].directions.push('en-fr'); fillDirections()")
    chosen(page, "#direction", "en-fr")
    page.click("#translate-send")
    page.wait("!document.getElementById('error').hidden")
    assert "target" in page.text("#error") and "en-zh" in page.text("#error")
    page.console()  # the refused request


def test_the_tab_on_a_phone_and_in_chinese(page, screenshots):  # noqa: F811
    translate(page, PAIRS[0][0])
    page.click("#language")
    assert page.text("#translate-send") == "翻译" and texts_of(page, "#direction option")[0] == "英语 → 中文"
    assert page.run("return document.getElementById('translation').textContent") == PAIRS[0][1]
    page.resize(360, 740, mobile=True)
    page.run("document.querySelectorAll('#translation .word')[0].focus()")
    assert page.run("return document.documentElement.scrollWidth") <= 360
    page.screenshot(screenshots / "translation_phone.png")


def test_words_of_several_tokens_have_sums_and_means(page):
    found = page.run("""return alignWords({source: 'ab cd', text: 'xy 你好', alignment: [{
        source: [[0, 1], [1, 2], [2, 5]], target: [[0, 1], [1, 2], [2, 4], [4, 5]],
        weights: [[0.1, 0.2, 0.6], [0.3, 0.2, 0.4], [0, 0.02, 0.9], [0, 0, 0]]}]})""")
    assert [(word["begin"], word["end"]) for word in found["source"]] == [(0, 2), (3, 5)]
    assert [(word["begin"], word["end"]) for word in found["target"]] == [(0, 2), (3, 4), (4, 5)]
    shares = [[(each["word"], round(each["share"], 6)) for each in word["shares"]] for word in found["target"]]
    assert shares == [[(1, 0.5), (0, 0.4)], [(1, 0.9)], []]


def test_listings_name_the_directions(endpoint):
    _, _, answer = ask(endpoint + "/v1/models")
    (model,) = answer["models"]
    assert model["task"] == "translation" and model["directions"] == ["en-zh", "zh-en"], json.dumps(model)
