"""The tab of pictures in Chromium: files and a drawing get labels, bars and overlays."""

import browser as browsing
import pytest
from conftest import RunningServer
from test_image_serving import LABELS, classifier, data, png, squares  # noqa: F401 (fixtures)
from test_page_tabs import open_tab
from test_web_page import chromium, screenshots  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(
    not (browsing.CHROMIUM and browsing.DRIVER), reason="needs the packages chromium and chromium-driver"
)


@pytest.fixture(scope="module")
def endpoint(qing, classifier):  # noqa: F811
    server = RunningServer(qing.binary, "--port", 0, "--models", classifier[0].parents[1])
    yield server.endpoint
    assert server.stop()[0] == 0


def test_pictures_get_labels_and_overlays(chromium, endpoint, tmp_path, screenshots):  # noqa: F811
    page = chromium
    page.resize(1200, 900)
    page.open(endpoint + "/")
    page.run("sessionStorage.clear()")
    page.open(endpoint + "/")
    open_tab(page, "images")
    page.wait("document.querySelector('#image-model option') !== null")
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
    page.screenshot(screenshots / "images.png")


def test_a_drawing_gets_a_label(chromium, endpoint):  # noqa: F811
    page = chromium
    page.open(endpoint + "/")
    open_tab(page, "images")
    page.wait("document.querySelector('#image-model option') !== null")
    page.run("pen.fillStyle = '#fff'; pen.fillRect(0, 80, 100, 100)")
    page.click("#board-use")
    page.wait("document.querySelectorAll('.picture-label').length === 1")
    assert page.text(".picture-label") == "left"


def test_a_broken_picture_is_told(chromium, endpoint, tmp_path):  # noqa: F811
    page = chromium
    page.open(endpoint + "/")
    open_tab(page, "images")
    page.wait("document.querySelector('#image-model option') !== null")
    (tmp_path / "broken.png").write_bytes(png(squares(1, 1)[0][0])[:40])
    page.type("#image-files", str(tmp_path / "broken.png"))
    page.click("#image-send")
    page.wait("!document.getElementById('error').hidden")
    assert "images[0]: the PNG is damaged" in page.text("#error")
