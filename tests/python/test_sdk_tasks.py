"""The Python package with models of other tasks than classification: what is sent, what comes back, and the errors."""

import asyncio
import base64
import contextlib
import http.server
import io
import json
import pickle
import struct
import sys
import threading

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "serve/sdk/python"))
import maas_sdk
from maas_sdk import Alignment, AsyncMaaSClient, Entity, ImageClass, MaaSClient, Translation, WrongTaskError

REFUSED = "AAAA"  # a text, and a picture in base64
TASKS = {"zh-en": "translation", "clothes": "image", "names": "tagging", "mood": "classification",
         "vectors": "embedding", "old-vectors": "classification"}  # which is what an older service says of such a model


@pytest.fixture
def service():
    """An endpoint that answers as a service with one model of each task does, and the bodies of the requests."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def answer(self, body, status=200):
            data = json.dumps(body).encode("utf-8")
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            name = self.path.split("/")[3]
            labels, more = ["good", "bad"] if name == "mood" else [], {"embedding_size": 3} if "vectors" in name else {}
            about = {"name": name, "version": "2", "task": TASKS[name], "labels": labels, "limits": {"body_bytes": 4096}}
            self.answer({**about, **more})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            noun, given = next((noun, body[noun]) for noun in ("texts", "images", "input") if noun in body)
            if REFUSED in given:
                return self.answer({"error": f"{noun}[{given.index(REFUSED)}]: cannot be read", "code": "x"}, 422)
            head = {"model": self.path.split("/")[3:4], "version": "2"}
            if self.path.endswith("/translate"):
                piece = {"source": [[0, 2]], "target": [[0, 1], [1, 2]], "weights": [[0.5], [1]]}
                more = {"alignment": [piece]} if body.get("alignment") else {}
                found = [{"text": t.upper(), "score": -0.5, "tokens": 3, "complete": len(t) < 50, **more} for t in body["texts"]]
                self.answer({**head, "translations": found})
            elif self.path.endswith("/tag"):
                entity = {"type": "PER", "begin": 0, "end": 1, "text": "a", "score": 0.75}
                self.answer({**head, "results": [{"entities": [entity] if t else [], "tokens": 3} for t in body["texts"]]})
            elif self.path in ("/v1/embeddings", "/v1/models/vectors/versions/2/embeddings"):
                vectors = [base64.b64encode(struct.pack("<3f", *vector_of(text))).decode() for text in body["input"]]
                data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
                self.answer({"object": "list", "data": data, "model": "vectors"})
            else:
                kinds = [base64.b64decode(image)[:8].hex() for image in body["images"]]
                self.answer({**head, "predictions": [{"label": k, "score": 0.5, "scores": {k: 0.5}} for k in kinds]})

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield f"http://127.0.0.1:{server.server_port}", asked
    server.server_close()


def both(endpoint, name, call):
    """The result of a call of the model by the client and by the asyncio client, which must be equal."""
    with MaaSClient(endpoint=endpoint) as client:
        first = call(client.get_model(name))

    async def again():
        async with AsyncMaaSClient(endpoint=endpoint) as client:
            return await call(await client.get_model(name))

    assert asyncio.run(again()) == first
    return first


def test_translations(service):
    endpoint, asked = service
    one = both(endpoint, "zh-en", lambda model: model.translate("hi", beam_size=2, target="zh"))
    assert one == "HI" and (one.score, one.tokens, one.version) == (-0.5, 3, "2") and isinstance(one, Translation)
    assert asked[-1] == ("/v1/models/zh-en/translate", {"texts": ["hi"], "beam_size": 2, "target": "zh"})
    assert one.alignment == []
    aligned = both(endpoint, "zh-en", lambda model: model.translate("hi", alignment=True))
    assert asked[-1][1] == {"texts": ["hi"], "alignment": True}
    assert aligned.alignment == [Alignment([(0, 2)], [(0, 1), (1, 2)], [[0.5], [1.0]])]
    assert pickle.loads(pickle.dumps(aligned)).alignment == aligned.alignment
    many = both(endpoint, "zh-en", lambda model: model.translate([f"text {i} " + "x" * 90 for i in range(100)]))
    assert [str(text).split()[1] for text in many] == [str(i) for i in range(100)]
    assert max(len(json.dumps(body)) for _, body in asked) < 4096 and all("beam_size" not in b for _, b in asked[-2:])
    assert one.complete and not many[0].complete and not pickle.loads(pickle.dumps(many[0])).complete
    assert pickle.loads(pickle.dumps(one)).tokens == 3
    with MaaSClient(endpoint=endpoint) as client:
        model = client.get_model("zh-en")
        for wrong in (0, True, 1.5, "4"):
            with pytest.raises(ValueError, match="beam_size"):
                model.translate("a", beam_size=wrong)
        with pytest.raises(TypeError, match=r"translate: texts\[1\] is int"):
            model.translate(["a", 1])


def test_entities(service):
    endpoint, _ = service
    assert both(endpoint, "names", lambda model: model.tag("a b")) == [Entity("PER", 0, 1, "a", 0.75)]
    assert [len(found) for found in both(endpoint, "names", lambda model: model.tag(["a", "", "b"]))] == [1, 0, 1]


def test_pictures_are_sent_in_batches_of_their_own_limit(service):
    endpoint, asked = service
    picture = b"\x89PNG\r\n\x1a\n"
    with MaaSClient(endpoint=endpoint, batch_size=1000) as client:
        assert len(client.get_model("clothes").predict([picture] * 100)) == 100
    assert sorted(len(body["images"]) for _, body in asked) == [36, 64]


def test_pictures(service, tmp_path):
    endpoint, asked = service
    numpy, image = pytest.importorskip("numpy"), pytest.importorskip("PIL.Image")
    grey = numpy.arange(28 * 28, dtype=numpy.uint8).reshape(28, 28)
    color = numpy.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=numpy.uint8)
    jpeg = b"\xff\xd8\xff\xe0rest"
    (tmp_path / "a.jpg").write_bytes(jpeg)
    given = [grey, color, image.fromarray(color), jpeg, tmp_path / "a.jpg", str(tmp_path / "a.jpg")]
    classes = both(endpoint, "clothes", lambda model: model.predict(given))
    png = "89504e470d0a1a0a"
    assert [str(one) for one in classes] == [png, png, png] + [jpeg.hex()[:16]] * 3
    assert isinstance(classes[0], ImageClass) and classes[0].scores == {png: 0.5} and classes[0].version == "2"
    # The pixels of an array arrive as they are.
    bodies = [base64.b64decode(one) for _, body in asked for one in body["images"]]
    assert (numpy.asarray(image.open(io.BytesIO(bodies[0]))) == grey).all()
    assert (numpy.asarray(image.open(io.BytesIO(bodies[1]))) == color).all()
    assert both(endpoint, "clothes", lambda model: model.predict(grey)) == png
    assert both(endpoint, "clothes", lambda model: model.predict(numpy.stack([grey, grey])[..., None])) == [png, png]
    with MaaSClient(endpoint=endpoint) as client:
        model = client.get_model("clothes")
        for wrong, error in ((grey.astype(float), ValueError), ([1], TypeError), ([color[:0]], ValueError), ({}, TypeError)):
            with pytest.raises(error, match="images"):
                model.predict(wrong)
        with pytest.raises(FileNotFoundError, match=r"images\[1\].*none.png"):
            model.predict([jpeg, tmp_path / "none.png"])
        with pytest.raises(ValueError, match=r"images\[1\] cannot be written as PNG .*convert it to RGB"):
            model.predict([jpeg, image.new("CMYK", (2, 2))])
        with pytest.raises(ValueError, match="explain"):
            model.predict(grey, explain=True)


@pytest.mark.parametrize(("name", "method", "remedy"), [
    ("mood", "translate", r"translate: mood is a model of the task classification; call predict\(texts\)"),
    ("mood", "tag", r"call predict\(texts\)"),
    ("names", "predict", r"predict: names is a model of the task tagging; call tag\(texts\)"),
    ("zh-en", "predict", r"call translate\(texts\)"),
    ("zh-en", "stream", r"call translate\(texts\)"),
    ("clothes", "translate", r"call predict\(images\)"),
    ("vectors", "predict", r"predict: vectors is a model of the task embedding; call embed\(texts\)"),
    ("vectors", "stream", r"call embed\(texts\)"),
])  # fmt: skip
def test_a_wrong_task_is_an_error_by_name(service, name, method, remedy):
    endpoint, asked = service
    with MaaSClient(endpoint=endpoint) as client, pytest.raises(WrongTaskError, match=remedy) as caught:
        getattr(client.get_model(name), method)(["text"])
    assert isinstance(caught.value, maas_sdk.InvalidRequestError) and asked == []

    async def ask():
        async with AsyncMaaSClient(endpoint=endpoint) as client:
            found = getattr(await client.get_model(name), method)(["text"])
            if method == "stream":
                async for _ in found:
                    pass
            else:
                await found

    with pytest.raises(WrongTaskError, match=remedy):
        asyncio.run(ask())


def test_pictures_may_be_open_files(service, tmp_path):
    endpoint, asked = service
    jpeg = b"\xff\xd8\xff\xe0" + b"line\n" * 40
    (tmp_path / "a.jpg").write_bytes(jpeg)
    with MaaSClient(endpoint=endpoint) as client, open(tmp_path / "a.jpg", "rb") as file:
        model = client.get_model("clothes")
        assert model.predict(file) == model.predict(io.BytesIO(jpeg)) == jpeg.hex()[:16]
        assert model.predict([io.BytesIO(jpeg), tmp_path / "a.jpg"]) == [jpeg.hex()[:16]] * 2
        assert {base64.b64decode(image) for _, body in asked for image in body["images"]} == {jpeg}
        before = len(asked)
        with pytest.raises(ValueError, match=r"images\[0\] has no bytes; .*open it again"):
            model.predict(file)  # which is at its end
        with pytest.raises(ValueError, match=r"images\[1\] has no bytes"):
            model.predict([jpeg, b""])
        with pytest.raises(TypeError, match=r"images\[0\] is a file opened as text; open it with 'rb'"):
            model.predict(io.StringIO("picture"))
        assert len(asked) == before


def test_files_to_upload_are_bytes(service):
    endpoint, asked = service
    with MaaSClient(endpoint=endpoint) as client:
        with pytest.raises(TypeError, match="file: opened as text; open it with 'rb'"):
            client.files.create(file=io.StringIO("text,label"))
    assert asked == []


def vector_of(text):
    return [float(len(text)), 0.5, -1.25]


@pytest.mark.parametrize("numpy_wanted", [False, True])
def test_embeddings(service, numpy_wanted):
    endpoint, asked = service
    numpy = pytest.importorskip("numpy")
    texts = ["x" * (i % 9) for i in range(150)]

    def plain(found):
        return found.tolist() if numpy_wanted else found

    with MaaSClient(endpoint=endpoint) as client:
        model = client.get_model("vectors")
        assert (model.task, model.embedding_size, model.labels) == ("embedding", 3, [])
        one, many, none = (model.embed(given, as_numpy=numpy_wanted) for given in ("ab", iter(texts), []))
    assert plain(one) == vector_of("ab") and plain(many) == [vector_of(text) for text in texts]
    if numpy_wanted:
        assert (one.shape, many.shape, none.shape) == ((3,), (150, 3), (0, 3)) and many.dtype == numpy.float32
    else:
        assert none == [] and type(many[0][0]) is float
    assert sorted(len(body["input"]) for path, body in asked if path == "/v1/embeddings") == [1, 22, 64, 64]
    assert {body["model"] for _, body in asked} == {"vectors"} and {body["encoding_format"] for _, body in asked} == {"base64"}

    async def use():
        async with AsyncMaaSClient(endpoint=endpoint) as client:
            model = await client.get_model("vectors")
            assert plain(await model.embed("ab", as_numpy=numpy_wanted)) == vector_of("ab")
            assert plain(await model.embed(texts, as_numpy=numpy_wanted)) == [vector_of(text) for text in texts]

    asyncio.run(use())


def test_a_part_of_the_embeddings_is_not_lost(service):
    endpoint, asked = service
    texts = ["a"] * 70 + [REFUSED]
    with MaaSClient(endpoint=endpoint) as client:
        model = client.get_model("vectors")
        with pytest.raises(maas_sdk.PartialResult, match=r"texts\[70\]: cannot be read") as caught:
            model.embed(texts)
        assert caught.value.results[0] == vector_of("a") and caught.value.missing == list(range(64, 71))
        with pytest.raises(TypeError, match=r"embed: texts\[1\] is int"):
            model.embed(["a", 1])
        assert client.get_model("vectors", version=2).embed("a") == vector_of("a")
        assert asked[-1][0] == "/v1/models/vectors/versions/2/embeddings"
        assert client.get_model("old-vectors").embed("a") == vector_of("a")
        with pytest.raises(WrongTaskError, match=r"embed: mood is a model of the task classification; call predict\(texts\)"):
            client.get_model("mood").embed("a")


@pytest.mark.parametrize("answer", [
    [], {}, {"data": []}, {"data": [{"embedding": 3, "index": 0}]}, {"data": [{"index": 0, "embedding": "AAA="}]},
])  # fmt: skip
def test_an_answer_that_is_no_embedding_is_an_error(service, monkeypatch, answer):
    endpoint, _ = service
    with MaaSClient(endpoint=endpoint) as client:
        model = client.get_model("vectors")
        monkeypatch.setattr(client, "request", lambda *arguments: answer)
        with pytest.raises(maas_sdk.MaaSError, match="vectors: "):
            model.embed("a")
