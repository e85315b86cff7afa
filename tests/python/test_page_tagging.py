"""The tab of named entities in Chromium: marks with their kinds in words, a legend that filters, a table and files."""

import csv
import io
import json

import browser as browsing
import pytest
from conftest import ask, served
from tagged_sentences import sentences, write_conll
from test_page_tabs import open_fresh_tab, texts_of
from test_web_page import CONTROL, ENTER, chromium, saved, screenshots  # noqa: F401 (fixtures)

pytestmark = browsing.needs_chromium
TEXTS = ["Greta Weber works for Nordwind in Hong Kong .", "你好 😀 Anna Meyer lives in Oslo .", "The weather was fine .",
         "<b>Anna</b> lives in Oslo ."]  # fmt: skip
WORDS = {"PER": "person", "ORG": "organisation", "LOC": "place"}


@pytest.fixture(scope="module")
def endpoint(qing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("taggers")
    qing("train", "--task", "tagging", "--data", write_conll(folder / "train.conll", sentences(800)), "--dev-share", 0,
         "--layers", 1, "--width", 32, "--vocab", 500, "--max-length", 32, "--epochs", 8, "--lr", 3e-3,
         "--out", folder / "models/names/1")  # fmt: skip
    with served(qing, folder / "models", TEXTS) as address:
        yield address


@pytest.fixture
def page(chromium, endpoint):  # noqa: F811
    open_fresh_tab(chromium, endpoint, "tag", "#tag-model")
    yield chromium
    assert chromium.console() == []


def find(page, texts):
    page.run("document.getElementById('tag-texts').value = arguments[0]", "\n".join(texts))
    page.type("#tag-texts", CONTROL + ENTER)
    page.wait(f"document.querySelectorAll('#tagged-texts > li').length === {len(texts)} && "
              "!document.getElementById('tag-send').ariaDisabled")  # fmt: skip


def test_entities_are_marked_counted_listed_and_downloaded(page, endpoint, screenshots):  # noqa: F811
    find(page, TEXTS)
    _, _, answer = ask(endpoint + "/v1/models/names/tag", {"texts": TEXTS})
    found = [result["entities"] for result in answer["results"]]
    every = [(i + 1, entity) for i, entities in enumerate(found) for entity in entities]
    assert [entity["text"] for entity in found[0]] == ["Greta Weber", "Nordwind", "Hong Kong"] and not found[2]
    assert texts_of(page, ".entity-text") == [entity["text"] for _, entity in every]
    assert texts_of(page, ".entity-kind") == [WORDS[entity["type"]] for _, entity in every], "said in words, not by colour"
    shown = page.run("return [...document.querySelectorAll('#tagged-texts .text')].map(e => { const copy = e.cloneNode(true);"
                     "copy.querySelectorAll('.entity-kind').forEach(k => { k.previousSibling.remove(); k.remove(); });"
                     "return copy.textContent; })")  # fmt: skip
    assert shown == TEXTS, "offsets count characters, and markup is text"
    rows = page.run("return [...document.querySelectorAll('#entities tbody tr')].map(r => [...r.children].map(c => c.textContent))")
    assert rows == [[str(i), e["text"], WORDS[e["type"]], str(e["begin"]), str(e["end"]), f"{e['score']:.3f}"] for i, e in every]
    page.screenshot(screenshots / "entities.png")
    page.resize(1200, 900)

    counts = {kind: sum(e["type"] == kind for _, e in every) for kind in WORDS}
    buttons = texts_of(page, "#kinds button")
    assert sorted(buttons) == sorted(f"{WORDS[kind]}{kind}{count}" for kind, count in counts.items() if count)
    place = next(i for i, text in enumerate(buttons) if text.startswith("place"))
    page.run(f"document.querySelectorAll('#kinds button')[{place}].click()")
    assert page.run("return document.activeElement.getAttribute('aria-pressed')") == "true"
    assert set(texts_of(page, "#entities tbody td:nth-child(3)")) == {"place"}
    assert page.run("return document.querySelectorAll('.entity.faded').length") == len(every) - counts["LOC"]
    page.press(" ")
    assert len(texts_of(page, "#entities tbody tr")) == len(every)


def test_downloads_have_all_entities(page, endpoint, tmp_path):
    find(page, TEXTS)
    _, _, answer = ask(endpoint + "/v1/models/names/tag", {"texts": TEXTS})
    lines = list(csv.DictReader(io.StringIO(saved(page, tmp_path, "#entities-csv").read_text(encoding="utf-8-sig"))))
    assert [(int(line["text"]), line["entity"], line["type"], int(line["begin"]), int(line["end"])) for line in lines] == [
        (i + 1, e["text"], e["type"], e["begin"], e["end"]) for i, r in enumerate(answer["results"]) for e in r["entities"]
    ]
    objects = [json.loads(line) for line in saved(page, tmp_path, "#entities-jsonl").read_text(encoding="utf-8").splitlines()]
    assert objects == [{"text": text, "entities": r["entities"]} for text, r in zip(TEXTS, answer["results"])]


def test_many_texts_are_sent_in_parts_and_an_empty_form_is_told(page):
    page.run("document.getElementById('tag-texts').value = ' \\n '")
    page.click("#tag-send")
    assert page.text("#status") == "Type at least one text."
    page.run("""window.bodies = []; const sent = window.fetch;
        window.fetch = (url, options) => { window.bodies.push(options.body); return sent(url, options); };""")
    texts = [f"Anna Meyer lives in Oslo {i} ." for i in range(150)]
    find(page, texts)
    sent = [json.loads(body)["texts"] for body in page.run("return window.bodies")]
    assert [text for part in sent for text in part] == texts and len(sent) > 1
    assert page.text("#status").endswith("in 150 texts")


def test_the_tab_on_a_phone_and_in_chinese(page, screenshots):  # noqa: F811
    find(page, TEXTS)
    page.click("#language")
    assert page.text("#tag-send") == "查找实体" and "人物" in texts_of(page, ".entity-kind")
    page.resize(360, 740, mobile=True)
    assert page.run("return document.documentElement.scrollWidth") <= 360
    page.screenshot(screenshots / "entities_phone.png")
