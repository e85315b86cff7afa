"""`qing train --task image`, the classifiers that it writes, and how they are served."""

import base64
import gzip
import io
import json
import shutil
import struct
import sys
import urllib.error
import urllib.request

import numpy
import pytest
import safetensors.numpy as safetensors_numpy
from conftest import ROOT, served
from PIL import Image

sys.path.insert(0, str(ROOT / "serve/sdk/python"))
from maas_sdk import MaaSClient

SMALL = ["--widths", "8,16", "--epochs", 4, "--batch", 32, "--flip", 0, "--crop-padding", 1]
LABELS = ["left", "right"]


def squares(count, seed):
    """Gray pictures of 12 x 12 with a bright square at the left or at the right, and their labels."""
    rng = numpy.random.default_rng(seed)
    images, labels = rng.integers(0, 40, (count, 12, 12), dtype="uint8"), rng.integers(0, 2, count)
    for image, label in zip(images, labels):
        row, column = rng.integers(1, 7), (0 if label == 0 else 7) + rng.integers(0, 2)
        image[row : row + 4, column : column + 4] = rng.integers(150, 255)
    return images, labels.astype("uint8")


def png(image):
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def write_idx(path, array):
    head = struct.pack(">HBB", 0, 8, array.ndim) + b"".join(struct.pack(">I", size) for size in array.shape)
    with gzip.open(path, "wb") as file:
        file.write(head + array.tobytes())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a folder for each label, and the same as IDX."""
    folder = tmp_path_factory.mktemp("squares")
    images, labels = squares(400, 1)
    for i, (image, label) in enumerate(zip(images, labels)):
        place = folder / "pictures" / LABELS[label]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.png").write_bytes(png(image))
    write_idx(folder / "t-images-idx3-ubyte.gz", images)
    write_idx(folder / "t-labels-idx1-ubyte.gz", labels)
    return folder


@pytest.fixture(scope="module")
def classifier(qing, data):
    out = data / "root/squares/1"
    result = qing("train", "--task", "image", "--data", data / "pictures", *SMALL, "--out", out, "--json")
    return out, result


@pytest.fixture(scope="module")
def server(qing, classifier):
    with served(qing, classifier[0].parents[1]) as running:
        yield running


def post(server, body, kind, path="/v1/models/squares/predict"):
    """The status and the answer."""
    request = urllib.request.Request(server + path, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def form(pictures, explain=False):
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n' + picture + b"\r\n"
        for picture in pictures
    )
    if explain:
        body += b'--x\r\nContent-Disposition: form-data; name="explain"\r\n\r\ntrue\r\n'
    return body + b"--x--\r\n", "multipart/form-data; boundary=x"


def test_a_share_is_held_out_and_scored(classifier):
    out, result = classifier
    told = json.loads(result.stdout)
    assert told["dev"][0]["accuracy"] > 0.95 and told["images_per_second"] > 0
    config = json.loads((out / "config.json").read_text())
    assert config["task"] == "image" and config["id2label"] == {"0": "left", "1": "right"}
    assert {"height": 12, "width": 12, "channels": 1} == {k: config["preprocessing"][k] for k in ("height", "width", "channels")}
    card = (out / "README.md").read_text()
    assert "\n# squares\n" in card and "1 block each" in card  # the name of NAME/VERSION
    assert "image-classification" in card and "| expected \\ predicted |" in card and "--task image" in card
    assert (out / "confusion.svg").read_text().startswith("<svg")


def test_predict_prints_labels(qing, classifier, tmp_path):
    images, labels = squares(4, 5)
    for i, image in enumerate(images):
        (tmp_path / f"{i}.png").write_bytes(png(image))
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    lines = qing("predict", "--model", classifier[0], *paths).stdout.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [[path, LABELS[label]] for path, label in zip(paths, labels)]
    answers = [json.loads(line) for line in qing("predict", "--json", "--model", classifier[0], *paths).stdout.splitlines()]
    assert [answer["label"] for answer in answers] == [LABELS[label] for label in labels]


def test_every_form_of_a_request_gives_the_same_answer(server):
    images, labels = squares(9, 6)
    pictures = [png(image) for image in images]
    encoded = [base64.b64encode(picture).decode() for picture in pictures]
    status, by_json = post(server, json.dumps({"images": encoded}).encode(), "application/json")
    assert status == 200 and by_json["model"] == "squares" and by_json["version"] == "1"
    assert [one["label"] for one in by_json["predictions"]] == [LABELS[label] for label in labels]
    assert post(server, *form(pictures)) == (200, by_json)
    for picture, expected in zip(pictures, by_json["predictions"]):
        assert post(server, picture, "image/png")[1]["predictions"] == [expected]
    for kind, values in (("UINT8", images), ("FP32", images.astype("float32") / 255)):
        tensor = {"name": "image", "datatype": kind, "shape": [9, 12, 12, 1], "data": values.ravel().tolist()}
        status, answer = post(server, json.dumps({"inputs": [tensor]}).encode(), "application/json",
                              "/v2/models/squares/infer")  # fmt: skip
        assert status == 200, answer
        columns = {output["name"]: output["data"] for output in answer["outputs"]}
        assert columns["label"] == [LABELS[label] for label in labels]
        scores = [score for one in by_json["predictions"] for score in one["scores"].values()]
        numpy.testing.assert_allclose(columns["scores"], scores, atol=1e-6)


def infer(server, numbers, size=None, **members):
    """The answer to one picture of zeros, with these members of the request. ``numbers`` are those of the tensor, or its
    bytes."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 12, 12, 1]}
    binary = numbers if isinstance(numbers, bytes) else b""
    tensor |= {"parameters": {"binary_data_size": len(binary) if size is None else size}} if binary else {"data": numbers}
    head = json.dumps({"inputs": [tensor]} | members).encode()
    request = urllib.request.Request(server + "/v2/models/squares/infer", head + binary, {
        "Content-Type": "application/octet-stream" if binary else "application/json",
        **({"Inference-Header-Content-Length": str(len(head))} if binary else {}),
    })  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            body, length = answer.read(), answer.headers["Inference-Header-Content-Length"]
            return answer.status, json.loads(body[: int(length)] if length else body), body[int(length) :] if length else b""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), b""


def test_requests_of_tensors_are_read_as_those_of_texts(server):
    zeros = [0] * 144
    status, plain, _ = infer(server, zeros, id="7", model_name="squares", outputs=[])
    assert status == 200 and plain["id"] == "7", plain
    assert [output["name"] for output in plain["outputs"]] == ["label", "scores"], "an empty list asks for all"
    status, answer, parts = infer(server, bytes(144), parameters={"binary_data_output": True})
    assert status == 200 and [o["parameters"]["binary_data_size"] for o in answer["outputs"]] == [len(parts) - 8, 8]
    assert list(struct.unpack("<2f", parts[-8:])) == pytest.approx(plain["outputs"][1]["data"])
    status, answer, parts = infer(server, bytes(144), outputs=[{"name": "scores", "parameters": {"binary_data": True}}])
    assert status == 200 and len(parts) == 8


@pytest.mark.parametrize("numbers, size, members, status, text", [
    ([0] * 144, None, {"outputs": [{"name": "scores"}] * 2}, 422, "outputs[1].name: must be one of label, scores, each once"),
    ([0] * 144, None, {"outputs": [{"name": "scores", "x": 1}]}, 422, "outputs[0].x"),
    ([0] * 144, None, {"parameters": {"explain": True}}, 422, "parameters.explain"),
    ([0] * 144, None, {"parameters": {"content_type": "str"}}, 422, "parameters.content_type: must be np"),
    ([0] * 143, None, {}, 422, "inputs[0].data: 143 numbers, but the shape has 144"),
    (bytes(144), 143, {}, 400, "binary_data_size"),
    (bytes(143), None, {}, 400, "inputs[0]: 143 bytes for 144 elements"),
])  # fmt: skip
def test_requests_of_tensors_are_refused_as_those_of_texts(server, numbers, size, members, status, text):
    found, answer, _ = infer(server, numbers, size, **members)
    assert found == status and text in answer["error"], answer


def test_the_model_says_what_it_takes(server):
    with urllib.request.urlopen(server + "/v2/models/squares") as answer:
        described = json.load(answer)
    assert described["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 12, 12, 1]}]
    assert [output["shape"] for output in described["outputs"]] == [[-1], [-1, 2]]


def test_the_python_client_sends_as_many_pictures_as_the_server_takes(server):
    with urllib.request.urlopen(server + "/v1/models/squares") as answer:
        assert json.load(answer)["limits"]["images"] == 64
    images, labels = squares(150, 9)
    with MaaSClient(endpoint=server, batch_size=1000) as client:
        assert client.get_model("squares").predict(list(images)) == [LABELS[label] for label in labels]


def test_explanations_are_pictures_whose_weights_sum_to_the_difference(server):
    images, labels = squares(2, 8)
    status, answer = post(server, *form([png(image) for image in images], explain=True))
    assert status == 200
    for one, label in zip(answer["predictions"], labels):
        explanation = one["explanation"]
        assert explanation["label"] == LABELS[label] and explanation["gap"] < 0.02
        assert explanation["score"] == pytest.approx(one["score"], abs=1e-4)
        overlay = Image.open(io.BytesIO(base64.b64decode(explanation["overlay"])))
        assert overlay.format == "PNG" and overlay.mode == "RGB" and overlay.width % 12 == 0
    assert "explanation" in post(server, png(images[0]), "image/png", "/v1/models/squares/predict?explain=true")[1]["predictions"][0]


@pytest.mark.parametrize(
    "body, kind, status, text",
    [
        (b"GIF89a", "image/png", 422, "images[0]: the picture looks like GIF"),
        (b"", "image/png", 422, "images[0]: the picture is empty"),
        (png(squares(1, 1)[0][0])[:60], "image/png", 422, "images[0]: the PNG is damaged"),
        (b"{}", "application/json", 422, "images: "),
        (b'{"images": []}', "application/json", 422, "images: there are none"),
        (b'{"images": ["*"]}', "application/json", 422, "images[0]: "),
        (b'{"images": 3, "x": 1}', "application/json", 422, "x: "),
        (b"--x", "multipart/form-data; boundary=x", 400, ""),
        (b"text", "text/plain", 415, "Content-Type: must be image/png"),
        (json.dumps({"images": ["AAAA"] * 65}).encode(), "application/json", 422, "images: 65 exceed the limit of 64"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(server, body, kind, status, text):
    found, answer = post(server, body, kind)
    assert found == status and text in answer["error"]
    assert post(server, png(squares(1, 2)[0][0]), "image/png")[0] == 200, "the server goes on"


def test_a_picture_of_too_many_pixels_is_refused(server):
    out = io.BytesIO()
    Image.new("1", (60000, 60000)).save(out, "PNG")
    status, answer = post(server, out.getvalue(), "image/png")
    assert status == 422 and "at most 16777216 pixels are accepted" in answer["error"]


def test_texts_are_sent_to_another_route(server):
    status, answer = post(server, b'{"texts": ["hello"]}', "application/json")
    assert status == 422 and answer["error"].startswith("texts: "), answer
    for route in ("tag", "translate"):
        status, answer = post(server, b'{"texts": ["hello"]}', "application/json", f"/v1/models/squares/{route}")
        assert status == 422 and "POST /v1/models/squares/predict" in answer["error"], answer


def test_scores_that_are_not_finite_are_the_models_fault(qing, classifier, tmp_path):
    folder = tmp_path / "squares/1"
    shutil.copytree(classifier[0], folder)
    # Zero for a black picture, which a server tries a model out with, and more than floats hold for others.
    config = json.loads((folder / "config.json").read_text())
    config["preprocessing"]["mean"] = [0]
    (folder / "config.json").write_text(json.dumps(config))
    weights = safetensors_numpy.load_file(folder / "model.safetensors")
    zero = {name: values * 0 for name, values in weights.items() if name.endswith((".bias", "running_mean"))}
    huge = {name: values * 0 + numpy.float32(1e30) for name, values in weights.items() if "conv" in name}
    weights |= zero | huge
    safetensors_numpy.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with served(qing, tmp_path) as server:
        status, answer = post(server, png(squares(1, 1)[0][0]), "image/png")
        assert status == 500 and answer["code"] == "internal", answer
        assert post(server, png(numpy.zeros((12, 12), "uint8")), "image/png")[0] == 200


def test_weights_that_are_not_finite_are_refused_by_their_file(qing, classifier, tmp_path):
    folder, picture = tmp_path / "m", tmp_path / "a.png"
    shutil.copytree(classifier[0], folder)
    picture.write_bytes(png(squares(1, 1)[0][0]))
    weights = safetensors_numpy.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    safetensors_numpy.save_file(weights | {"conv1.weight": weights["conv1.weight"] * numpy.float32("nan")},
                                folder / "model.safetensors", {"format": "pt"})  # fmt: skip
    result = qing("predict", "--model", folder, picture, check=False)
    assert result.returncode == 1
    assert f"{folder / 'model.safetensors'}: conv1: filter 0 is not finite" in result.stderr, result.stderr


def test_idx_files_are_trained_on_alone(qing, data, tmp_path):
    told = json.loads(qing("train", "--task", "image", "--data", data / "t-images-idx3-ubyte.gz", "--dev-share", 0, "--network",
                           "vit", "--patch", 4, "--layers", 1, "--width", 32, "--optimizer", "adamw", "--lr", 2e-3, "--epochs",
                           2, "--out", tmp_path / "m", "--json").stdout)  # fmt: skip
    assert told["epochs"] == 2
    assert json.loads((tmp_path / "m/config.json").read_text())["architectures"] == ["ViTForImageClassification"]


@pytest.mark.parametrize("form", ["idx", "table"])
def test_a_resumed_training_notices_other_labels_and_pictures(qing, data, tmp_path, form):
    images, labels = squares(60, 4)
    if form == "idx":
        file, changed = tmp_path / "t-images-idx3-ubyte.gz", tmp_path / "t-labels-idx1-ubyte.gz"
        write_idx(file, images)
        write_idx(changed, labels)
    else:
        file, changed = tmp_path / "list.csv", tmp_path / "0.png"
        file.write_text("path,label\n" + "".join(f"{i}.png,{LABELS[label]}\n" for i, label in enumerate(labels)))
        for i, image in enumerate(images):
            (tmp_path / f"{i}.png").write_bytes(png(image))
    out = tmp_path / "m"
    qing("train", "--task", "image", "--data", file, "--dev-share", 0, *SMALL, "--out", out)
    write_idx(changed, 1 - labels) if form == "idx" else changed.write_bytes(png(255 - images[0]))
    result = qing("train", "--out", out, "--resume", "--epochs", 5, check=False)
    assert result.returncode != 0 and file.name in result.stderr, result.stderr


def test_bad_pictures_stop_the_training_or_are_left_out(qing, data, tmp_path):
    folder = tmp_path / "pictures"
    images, labels = squares(40, 3)
    for i, (image, label) in enumerate(zip(images, labels)):
        (folder / LABELS[label]).mkdir(parents=True, exist_ok=True)
        (folder / LABELS[label] / f"{i}.png").write_bytes(png(image))
    (folder / "left/broken.png").write_bytes(png(images[0])[:50])
    command = ["train", "--task", "image", "--data", folder, "--dev-share", 0, *SMALL]
    result = qing(*command, "--out", tmp_path / "a", check=False)
    assert result.returncode == 1 and "broken.png: the PNG is damaged" in result.stderr
    result = qing(*command, "--bad-images", "skip", "--out", tmp_path / "b")
    assert "left out: " in result.stderr and "broken.png" in result.stderr
