"""The tab of pictures in Chromium: files and a drawing get labels, bars and overlays."""

import browser as browsing
import pytest
from conftest import RunningServer
from test_image_serving import LABELS, classifier, data, png, squares  # noqa: F401 (fixtures)
from test_page_tabs import open_tab
from test_web_page import chromium, screenshots  # noqa: F401 (fixtures)

pytestmark = browsing.needs_chromium


@pytest.fixture(scope="module")
def endpoint(qing, classifier):  # noqa: F811
    server = RunningServer(qing.binary, "--port", 0, "--models", classifier[0].parents[1])
    yield server.endpoint
    assert server.stop()[0] == 0


def open_images(page, endpoint):
    page.open(endpoint + "/")
    open_tab(page, "images")
    page.wait("document.querySelector('#image-model option') !== null")


def test_pictures_get_labels_and_overlays(chromium, endpoint, tmp_path, screenshots):  # noqa: F811
    page = chromium
    page.resize(1200, 900)
    page.open(endpoint + "/")
    page.run("sessionStorage.clear()")
    open_images(page, endpoint)
    images, labels = squares(2, 4)
    for i, image in enumerate(images):
        (tmp_path / f"{i}.png").write_bytes(png(image))
    page.type("#image-files", "\n".join(str(tmp_path / f"{i}.png") for i in range(2)))
    page.wait("document.querySelectorAll('.pictured').length === 2")
    page.click("#image-explain")
    page.click("#image-send")
    page.wait("document.querySelectorAll('.picture-label').length === 2")
    assert page.run("return [...document.querySelectorAll('.picture-label')].map(e => e.textContent)") == [
        LABELS[label] for label in labels
    ]
    assert page.run("return document.querySelectorAll('canvas.picture').length") == 4, "each with its overlay"
    page.wait("[...document.querySelectorAll('canvas.picture')].every(e => e.width !== 300)")
    shares = page.run("return [...document.querySelectorAll('#image-results .bar')].map(e => e.firstChild.offsetWidth / e.clientWidth)")
    scores = page.run("return [...document.querySelectorAll('#image-results .scores .number')].map(e => Number(e.textContent))")
    wide = page.run("return document.querySelector('#image-results .bar').clientWidth")
    assert wide > 100 and shares == pytest.approx(scores, abs=0.02), "bars are as long as their scores"
    assert page.text("#status") == "2 pictures classified" and "Red pixels" in page.text("#image-legend")
    fits = page.run("return ['image-files', 'data-file', 'file'].map(id => document.getElementById(id)).filter(e => e.checkVisibility())"
                    ".every(e => e.scrollHeight <= e.clientHeight)")  # fmt: skip
    assert fits, "the button of a field for files is cut off"
    page.screenshot(screenshots / "images.png")


def test_a_drawing_gets_a_label(chromium, endpoint):  # noqa: F811
    page = chromium
    open_images(page, endpoint)
    page.run("pen.fillStyle = '#fff'; pen.fillRect(0, 80, 100, 100)")
    page.click("#board-use")
    page.wait("document.querySelectorAll('.picture-label').length === 1")
    assert page.text(".picture-label") == "left"


def test_a_damaged_picture_does_not_refuse_the_others(chromium, endpoint, tmp_path, screenshots):  # noqa: F811
    page = chromium
    page.resize(1200, 900)
    open_images(page, endpoint)
    images, labels = squares(3, 4)
    damaged = png(images[0])[:40]
    files = [("first.png", damaged), ("0.png", png(images[0])), ("1.png", png(images[1])), ("middle.png", damaged), ("2.png", png(images[2]))]
    drop(page, *files)
    page.wait("document.querySelectorAll('.pictured').length === 5")
    page.run("window.posts = []; const before = fetch; window.fetch = (url, options) => { if (options.body) posts.push(options.body.getAll('images').map(e => e.name)); return before(url, options); }")
    page.click("#image-send")
    page.wait("document.getElementById('status').textContent === '3 pictures classified · 2 pictures refused'")
    shown = page.run("return [...document.querySelectorAll('.pictured')].map(e => [...e.querySelectorAll('.hint, .picture-label, .problem')].map(each => each.textContent))")
    assert [each[0] for each in shown] == [name for name, _ in files]
    assert [shown[i][1] for i in (1, 2, 4)] == [LABELS[label] for label in labels]
    assert all(shown[i][1].startswith("the PNG is damaged") for i in (0, 3))
    assert page.run("return posts") == [[name for name, _ in files], ["0.png", "1.png", "middle.png", "2.png"], ["0.png", "1.png", "2.png"]]
    assert page.run("return document.getElementById('error').hidden")
    page.screenshot(screenshots / "images_damaged.png")
    page.resize(360, 740, mobile=True)
    assert page.run("return document.documentElement.scrollWidth") <= 360
    page.screenshot(screenshots / "phone_images_damaged.png")
    page.resize(1200, 900)
    drop(page, files[0])
    page.wait("document.querySelectorAll('.pictured').length === 1")
    page.click("#image-send")
    page.wait("document.getElementById('status').textContent === '0 pictures classified · 1 picture refused'")


def test_a_fast_stroke_is_a_line(chromium, endpoint):  # noqa: F811
    page = chromium
    page.open(endpoint + "/")
    open_tab(page, "images")
    place = {"type": "pointerMove", "duration": 0, "origin": {browsing.ELEMENT: page.find("#board")}}
    stroke = [{**place, "x": -100, "y": 0}, {"type": "pointerDown", "button": 0}, {**place, "x": 100, "y": 0}, {"type": "pointerUp", "button": 0}]
    page.send("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": stroke}]})
    row = "return [...pen.getImageData(0, 140, 280, 1).data].filter((_, i) => i % 4 === 0)"
    assert page.run(row)[30:250] == [255] * 220
    page.click("#board-clear")
    assert not any(page.run(row))


def drop(page, *files):
    """Drops files, {name: bytes}, on the page."""
    page.run("const list = new DataTransfer(); for (const [name, bytes] of arguments[0]) list.items.add(new File([new Uint8Array(bytes)], name));"
             "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: list, bubbles: true, cancelable: true }))",
             [[name, list(content)] for name, content in files])  # fmt: skip


def test_what_is_no_picture_is_refused_by_name_before_it_is_sent(chromium, endpoint):  # noqa: F811
    page = chromium
    page.open(endpoint + "/")
    page.console()  # of the tests before
    open_tab(page, "images")
    page.wait("document.querySelector('#image-model option') !== null")
    drop(page, ("one.png", png(squares(1, 1)[0][0])), ("letter.pdf", b"%PDF-1.4"), ("notes.png", b"text"))
    page.wait("!document.getElementById('error').hidden")
    assert page.text("#error").endswith("letter.pdf, notes.png")
    assert page.run("return [...document.querySelectorAll('.pictured .hint')].map(e => e.textContent)") == ["one.png"]
    page.click("#image-send")
    page.wait("document.getElementById('status').textContent === '1 picture classified'")
    assert page.run("return document.activeElement.id") == "image-send", "a button keeps the focus while it works"
    assert page.console() == []


def test_explained_pictures_are_counted_and_can_be_cancelled(chromium, endpoint):  # noqa: F811
    page = chromium
    open_images(page, endpoint)
    page.run("document.getElementById('image-explain').checked = true")
    drop(page, *[(f"{i}.png", png(image)) for i, image in enumerate(squares(6, 2)[0])])
    page.wait("document.querySelectorAll('.pictured').length === 6")
    page.run("const before = jsonOf; jsonOf = async response => { const answer = await before(response); document.getElementById('image-send-stop').click(); return answer; }")
    page.click("#image-send")
    page.wait("document.getElementById('status').textContent === 'Cancelled: 4 of 6 pictures classified'")
    assert page.run("return document.querySelectorAll('.picture-label').length") == 4
    assert page.run("return document.getElementById('image-send-stop').hidden")
