"""Explanations on the page show whole words where the model's tokenizer cuts them to pieces."""

import json

import browser as browsing
import openpyxl
from test_web_page import analyse, analyse_file, choose, chromium, endpoint, page, saved, screenshots  # noqa: F401  the fixtures

pytestmark = browsing.needs_chromium
TEXT = "An awful film, isn't it? 我非常喜欢"
WORDS = ["An", "awful", "film", "isn't", "it"]


def marks(page):  # noqa: F811
    return page.run("return [...document.querySelectorAll('#results mark')].map(e => [e.textContent, e.title])")


def test_pieces_are_joined_to_words_with_the_sum_of_their_weights(page, screenshots):  # noqa: F811
    page.run("document.getElementById('explain').checked = true")
    analyse(page, [TEXT])
    spans = page.run("return shown[0].sides[0].prediction.explanation.spans")
    assert not {"An", "isn't"} & {span["text"] for span in spans}, "the tokenizer cuts them"
    found = [[text, title] for text, title in marks(page) if text.isascii() and text[0].isalpha()]
    assert [text for text, _ in found] == WORDS
    assert page.run("return document.querySelector('#results .text').textContent") == TEXT
    begin = TEXT.index("isn't")
    pieces = [span for span in spans if begin <= span["begin"] < begin + len("isn't")]
    signed = [f"{piece['text']} {piece['weight']:+.3f}" for piece in pieces]
    total = sum(piece["weight"] for piece in pieces)
    assert dict(found)["isn't"] == f"{total:+.3f} = {' · '.join(signed)}"
    assert "=" not in dict(found)["film"], "a word of one piece has none to show"
    chinese = [text for text, _ in marks(page) if not text.isascii()]
    assert all(len(text) <= max(len(span["text"]) for span in spans if not span["text"].isascii()) for text in chinese)
    page.run("document.querySelector('#results details').open = true")
    table = page.run("return [...document.querySelectorAll('#results details tr')].map(e => [...e.children].map(cell => cell.innerText))")
    assert [f"isn't\n{' · '.join(signed)}", f"{total:+.4f}"] in table
    page.screenshot(screenshots / "desktop_words.png")
    page.resize(360, 740, mobile=True)
    assert page.run("return document.documentElement.scrollWidth") <= 360
    page.screenshot(screenshots / "phone_words.png")


def test_the_download_has_words(page, tmp_path):  # noqa: F811
    path = tmp_path / "texts.csv"
    path.write_text(f'text\n"{TEXT}"\n')
    choose(page, path)
    analyse_file(page)
    page.run("document.querySelector('#rows input').click()")
    page.click("#explain-rows")
    page.wait("document.querySelector('#rows mark') !== null")
    head, row = openpyxl.load_workbook(saved(page, tmp_path, "#download-xlsx")).active.iter_rows(values_only=True)
    said = dict(zip(head, row))["explanation"]
    spans = json.loads(page.text("#json").split("\n\n")[-1])["predictions"][0]["explanation"]["spans"]
    words = [part.rsplit(" ", 1)[0] for part in said.split("; ")]
    assert len(words) == 5 and {word for word in words if word.isascii() and word[0].isalpha()} <= set(WORDS) and len(spans) > len(WORDS)
