"""POST /v1/models/{name}/translate: translations of many clients, computed together."""

import concurrent.futures
import http.client
import json
import random
import signal
import subprocess
import time
import urllib.parse

import pytest
from conftest import RunningServer, ask, served

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = [f"w{i}" for i in range(200)]


def save_model(folder, model_class="MarianMTModel", config_class="MarianConfig", **settings):
    """A random model with a vocabulary of words, whose texts end in the end token."""
    names = ["</s>", "<unk>", "<pad>", *WORDS, ".", "。", "世", "界"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Whitespace(),
        tokenizers.pre_tokenizers.Split(tokenizers.Regex("[世界。]"), "isolated"),
    ])  # fmt: skip
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 0)])
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>",
                                         pad_token="<pad>").save_pretrained(folder)  # fmt: skip
    torch.manual_seed(3)
    config = dict(vocab_size=len(names), decoder_vocab_size=len(names), d_model=32, encoder_layers=1, decoder_layers=2,
                  encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64,
                  max_position_embeddings=32, pad_token_id=2, eos_token_id=0, decoder_start_token_id=2,
                  forced_eos_token_id=None, num_beams=4)  # fmt: skip
    model = getattr(transformers, model_class)(getattr(transformers, config_class)(**(config | settings)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and "embed_positions" not in name:
                parameter.normal_(0, 0.3)
        model.final_logits_bias[0, 0] = 1.5
    model.generation_config.bad_words_ids = [[2]]
    model.generation_config.num_beams = 4
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("translators")
    save_model(root / "small/1")
    return root


@pytest.fixture(scope="module")
def url(qing, models):
    with served(qing, models, secrets=["w17 w23"]) as endpoint:
        yield endpoint + "/v1/models/small/translate"


def sentence(length, seed):
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def translate(url, texts, **options):
    status, _, answer = ask(url, {"texts": texts} | options)
    assert status == 200, answer
    return answer["translations"]


def test_translations_are_those_of_transformers(url, models):
    folder = models / "small/1"
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    model = transformers.MarianMTModel.from_pretrained(folder).eval()
    texts = [sentence(length, length) for length in (3, 12, 1, 25, 7)]
    for beams in (1, 4):
        found = translate(url, texts, beam_size=beams, max_tokens=20)
        for text, ours in zip(texts, found):
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            theirs = model.generate(input_ids=ids, num_beams=beams, max_new_tokens=20, do_sample=False)[0]
            assert ours["text"] == tokenizer.decode(theirs, skip_special_tokens=True)
            assert ours["tokens"] == len(theirs) - 1 and ours["complete"] == (0 in theirs)


@pytest.mark.parametrize("name", ["Bart", "MBart"])
def test_models_of_other_families_are_translated_with_and_served(qing, tmp_path, name):
    source, folder = tmp_path / "source", tmp_path / "models/small/1"
    save_model(source, f"{name}ForConditionalGeneration", f"{name}Config")
    qing("import", source, "--out", folder)
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(source)
    model = getattr(transformers, f"{name}ForConditionalGeneration").from_pretrained(source).eval()
    text = sentence(9, 9)
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    theirs = model.generate(input_ids=ids, num_beams=4, max_new_tokens=20, do_sample=False)[0]
    expected = tokenizer.decode(theirs, skip_special_tokens=True)
    told = qing("translate", "--model", folder, "--beam", 4, "--max-tokens", 20, text).stdout
    assert told == expected + "\n"
    with served(qing, tmp_path / "models") as endpoint:
        found = translate(endpoint + "/v1/models/small/translate", [text], beam_size=4, max_tokens=20)
    assert found[0]["text"] == expected


def test_options_of_the_folder_give_way_to_those_asked_for(qing, tmp_path):
    folder, text = tmp_path / "models/small/1", sentence(9, 9)
    save_model(folder)
    expected = {beams: qing("translate", "--model", folder, "--beam", beams, "--max-tokens", 20, text).stdout for beams in (1, 4)}
    settings = json.loads((folder / "generation_config.json").read_text())

    def write(**changes):
        (folder / "generation_config.json").write_text(json.dumps(settings | changes))

    write(num_beams=4, num_return_sequences=4)
    assert qing("translate", "--model", folder, "--beam", 1, "--max-tokens", 20, text).stdout == expected[1]
    write(num_beams=1, do_sample=True, temperature=5.0)
    assert qing("translate", "--model", folder, "--beam", 4, "--max-tokens", 20, text).stdout == expected[4]
    with served(qing, tmp_path / "models") as endpoint:
        found = translate(endpoint + "/v1/models/small/translate", [text], beam_size=4, max_tokens=20)
        assert found[0]["text"] + "\n" == expected[4]
    write(num_beams=60)
    with served(qing, tmp_path / "models") as endpoint:
        url = endpoint + "/v1/models/small/translate"
        assert translate(url, [text], max_tokens=20) == translate(url, [text], beam_size=16, max_tokens=20)


def test_an_error_of_the_command_names_the_line(qing, models):
    lines = [b"w1 w2\n"] * 100
    lines[80] = b"\xff\n"
    command = [str(qing.binary), "translate", "--model", str(models / "small/1"), "--beam", "1", "--max-tokens", "2"]
    result = subprocess.run(command, input=b"".join(lines), capture_output=True, timeout=300)
    assert result.returncode == 1 and b"stdin:81: byte 0 is not UTF-8" in result.stderr, result.stderr


def test_answers_do_not_depend_on_other_requests(url):
    texts = [sentence(3 + i % 28, i) for i in range(40)]
    alone = [translate(url, [text])[0] for text in texts]
    assert len({each["text"] for each in alone}) > 20
    assert translate(url, texts) == alone
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda text: translate(url, [text])[0], texts)) == alone


def test_lines_stay_and_long_lines_are_cut_at_sentences(url):
    first, second = sentence(3, 1), sentence(20, 2) + " . " + sentence(20, 3) + " ."
    both = translate(url, [f"  {first}\n\n{second}\n"])[0]
    parts = [translate(url, [part])[0] for part in (first, sentence(20, 2) + " .", sentence(20, 3) + " .")]
    assert both["text"] == f"  {parts[0]['text']}\n\n{parts[1]['text']} {parts[2]['text']}\n"
    assert both["tokens"] == sum(part["tokens"] for part in parts)
    assert translate(url, ["", " \n "]) == [
        {"text": text, "score": 0, "tokens": 0, "complete": True} for text in ("", " \n ")
    ]
    assert len(translate(url, [sentence(300, 4)])[0]["text"].split()) > 30, "no end of a sentence at all"


def test_alignments_are_ranges_of_characters_and_weights(url):
    text = "世界 w1 。"
    found = translate(url, [text], alignment=True)[0]
    (piece,) = found["alignment"]
    assert [text[a:b] for a, b in piece["source"]] == ["世", "界", "w1", "。"]
    words = [found["text"][a:b].strip() for a, b in piece["target"]]
    assert words == found["text"].split()
    assert len(piece["weights"]) == len(words)
    assert all(len(row) == 4 and 0 < sum(row) <= 1.0001 for row in piece["weights"])


def test_v2_tensors_are_texts_in_and_translations_out(url):
    texts = [sentence(length, length) for length in (3, 12, 1)] + [""]
    v2 = url.replace("/v1/models/small/translate", "/v2/models/small")
    signature = ask(v2)[2]
    assert signature["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert signature["outputs"] == [{"name": "translation", "datatype": "BYTES", "shape": [-1]}]

    def infer(shape=(4,), data=texts, **members):
        tensor = {"name": "text", "shape": list(shape), "datatype": "BYTES", "data": data}
        return ask(v2 + "/infer", {"inputs": [tensor]} | members)

    for options in ({}, {"beam_size": 1, "max_tokens": 5}, {"temperature": 0.7, "seed": 4}):
        status, _, answer = infer(id="a", parameters=options)
        expected = [each["text"] for each in translate(url, texts, **options)]
        assert status == 200 and answer["id"] == "a" and answer["model_name"] == "small"
        assert answer["outputs"] == [
            {"name": "translation", "datatype": "BYTES", "shape": [4], "data": expected}
        ], options  # fmt: skip
    assert infer((4, 1))[2]["outputs"][0]["shape"] == [4] and infer((0,), [])[2]["outputs"][0]["data"] == []
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}}
    request = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    status, headers, content = ask(v2 + "/infer", request + b"\2\0\0\0w1", {
        "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(request)),
    })  # fmt: skip
    assert status == 200 and content.endswith(translate(url, ["w1"])[0]["text"].encode())
    for members, field in [
        ({"parameters": {"beam_size": 0}}, "beam_size"),
        ({"parameters": {"alignment": True}}, "alignment"),
        ({"parameters": {"target": "tlh"}}, "target"),
        ({"outputs": [{"name": "label"}]}, "outputs[0].name"),
        ({"shape": (3,)}, "shape"),
        ({"data": [1], "shape": (1,)}, "data"),
    ]:
        status, _, answer = infer(**members)
        assert status == 422 and field in answer["error"], answer


def events_of(url, body, lines=None):
    """The server-sent events of a request; of some lines only, after which the client leaves."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request("POST", parts.path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200 and response.headers["Content-Type"] == "text/event-stream"
    found = []
    while line := response.readline():
        if line.startswith(b"event: "):
            found.append((line[7:].decode().strip(), json.loads(response.readline()[6:])))
        if lines is not None and len(found) >= lines:
            break
    connection.close()
    return found


def test_streams_give_tokens_and_finished_texts(url):
    texts = [sentence(5, 5), sentence(9, 9)]
    expected = translate(url, texts, beam_size=1)
    found = events_of(url, {"texts": texts, "beam_size": 1, "stream": True})
    assert found[-1] == ("end", {"model": "small", "version": "1"})
    finished = {data["index"]: data for name, data in found if name == "translation"}
    for i, each in enumerate(expected):
        assert finished[i] == {"index": i} | each
        so_far = [data["text"] for name, data in found if name == "token" and data["index"] == i]
        assert len(so_far) == each["tokens"] - 1 and all(each["text"].startswith(text) for text in so_far)
    lines = "\n\n".join([*texts, sentence(40, 4)])  # the last one in several pieces
    (whole,) = translate(url, [lines], beam_size=1)
    so_far = [data["text"] for name, data in events_of(url, {"texts": [lines], "beam_size": 1, "stream": True}) if name == "token"]
    assert all(whole["text"].startswith(text) for text in so_far) and len(set(so_far)) > 20
    assert [len(text) for text in so_far] == sorted(len(text) for text in so_far), "a text only grows"
    # How many lines the last one has depends on the piece that ends last.
    assert any("\n\n" in text for text in so_far), "lines are shown as they are written"
    beams = events_of(url, {"texts": texts, "beam_size": 3, "stream": True})
    assert [name for name, _ in beams] == ["translation", "translation", "end"]


@pytest.mark.parametrize(("body", "field"), [
    ({}, "texts"),
    ({"texts": "a"}, "texts"),
    ({"texts": ["a"], "beam_size": 0}, "beam_size"),
    ({"texts": ["a"], "beam_size": 17}, "beam_size"),
    ({"texts": ["a"], "max_tokens": 33}, "max_tokens"),
    ({"texts": ["a"], "max_tokens": 1.5}, "max_tokens"),
    ({"texts": ["a"], "length_penalty": "a"}, "length_penalty"),
    ({"texts": ["a"], "temperature": 1, "beam_size": 2}, "temperature"),
    ({"texts": ["a"], "top_p": 0}, "top_p"),
    ({"texts": ["a"], "target": 3}, "target"),
    ({"texts": ["a"], "target": "xx"}, "target"),
    ({"texts": ["a"], "source": "xx"}, "source: the model's folder does not say"),
    ({"texts": ["a"], "stream": 1}, "stream"),
    ({"texts": ["a"], "unknown": 1}, "unknown"),
])  # fmt: skip
def test_what_is_wrong_is_named(url, body, field):
    status, _, answer = ask(url, body)
    assert status == 422 and field in answer["error"], answer


def test_other_routes_name_this_one(url):
    for route in ("predict", "tag"):
        status, _, answer = ask(url.replace("/v1/models/small/translate", f"/v1/models/small/{route}"), {"texts": ["a"]})
        assert status == 422 and "POST /v1/models/small/translate" in answer["error"], answer
    status, _, answer = ask(url.replace("/small/", "/none/"), {"texts": ["a"]})
    assert status == 404 and answer["code"] == "unknown_model", answer


def test_a_server_that_stops_finishes_its_streams(qing, models):
    server = RunningServer(qing.binary, "--port", 0, "--models", models)
    try:
        parts = urllib.parse.urlsplit(server.endpoint + "/v1/models/small/translate")
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        texts = [sentence(25, i) for i in range(200)]
        connection.request("POST", parts.path, json.dumps({"texts": texts, "stream": True, "max_tokens": 30}),
                           {"Content-Type": "application/json"})  # fmt: skip
        response = connection.getresponse()
        first = response.readline()
        server.process.send_signal(signal.SIGTERM)
        events = [line for line in [first, *response] if line.startswith(b"event: ")]
        assert server.process.wait(timeout=60) == 0
    finally:
        server.stop()
    assert events.count(b"event: translation\n") == len(texts) and events[-1] == b"event: end\n"


def counted(endpoint):
    """The figures of /metrics by their names with labels."""
    lines = ask(endpoint + "/metrics")[2].decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_a_client_that_leaves_is_no_failure_of_the_version(qing, models):
    with served(qing, models) as endpoint:
        texts = [sentence(28, i) for i in range(1000)]
        events_of(endpoint + "/v1/models/small/translate", {"texts": texts, "beam_size": 1, "stream": True}, lines=1)
        for _ in range(300):
            found = counted(endpoint)
            if found.get('qing_model_cancelled_total{model="small"}') == "1":
                break
            time.sleep(0.1)
        assert found['qing_model_cancelled_total{model="small"}'] == "1"
        assert int(found['qing_model_tokens_total{model="small"}']) > 0
        assert found.get('qing_version_failed_total{model="small",version="1"}', "0") == "0"


def test_more_texts_than_may_ever_wait_are_not_to_be_sent_again(qing, tmp_path):
    save_model(tmp_path / "small/1")
    (tmp_path / "small/limits.json").write_text('{"queue_texts": 2}')
    with served(qing, tmp_path) as endpoint:
        url = endpoint + "/v1/models/small/translate"
        assert len(translate(url, ["w1", "w2"])) == 2
        status, headers, answer = ask(url, {"texts": ["w1", "w2", "w3"]})
        assert status == 422 and "more than the limits of 2 texts and " in answer["error"], answer
        assert "Retry-After" not in headers
    (tmp_path / "small/limits.json").write_text('{"queue_tokens": 100}')
    with served(qing, tmp_path) as endpoint:
        url = endpoint + "/v1/models/small/translate"
        assert len(translate(url, ["w1 " * 80])) == 1
        status, headers, answer = ask(url, {"texts": ["w1 " * 80, "w1 " * 80]})
        assert status == 422 and "164 tokens are more than" in answer["error"] and "100 tokens" in answer["error"], answer
        assert "Retry-After" not in headers


def test_a_client_that_leaves_frees_its_place(qing, tmp_path):
    """The texts of clients that leave are not translated to the end."""
    save_model(tmp_path / "slow/1", d_model=256, decoder_layers=4, decoder_ffn_dim=1024, max_position_embeddings=512)
    with served(qing, tmp_path) as endpoint:
        url = endpoint + "/v1/models/slow/translate"
        texts, clients = [sentence(200, i) for i in range(256)], 2
        for _ in range(clients):
            events_of(url, {"texts": texts, "beam_size": 1, "max_tokens": 500, "stream": True}, lines=1)
        translate(url, [sentence(3, 1)], beam_size=1, max_tokens=4)
        for _ in range(300):
            found = counted(endpoint)
            if found.get('qing_model_cancelled_total{model="slow"}') == str(clients):
                break
            time.sleep(0.1)
        assert found['qing_model_cancelled_total{model="slow"}'] == str(clients)
        # The sources alone have 200 tokens.
        assert int(found['qing_model_tokens_total{model="slow"}']) < clients * len(texts) * 200
