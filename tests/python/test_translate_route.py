"""POST /v1/models/{name}/translate: translations of many clients, computed together."""

import concurrent.futures
import http.client
import json
import random
import time
import urllib.parse

import pytest
from conftest import RunningServer, ask, served

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = [f"w{i}" for i in range(200)]


def save_model(folder, **settings):
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
    model = transformers.MarianMTModel(transformers.MarianConfig(**(config | settings)))
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
    assert so_far[-1].count("\n\n") == 2, "lines in their order"
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
    ({"texts": ["a"], "stream": 1}, "stream"),
    ({"texts": ["a"], "unknown": 1}, "unknown"),
])  # fmt: skip
def test_what_is_wrong_is_named(url, body, field):
    status, _, answer = ask(url, body)
    assert status == 422 and field in answer["error"], answer


def test_other_routes_name_this_one(url):
    status, _, answer = ask(url.replace("/v1/models/small/translate", "/v1/models/small/predict"), {"texts": ["a"]})
    assert status in (404, 422)
    status, _, answer = ask(url.replace("/small/", "/none/"), {"texts": ["a"]})
    assert status == 404


def test_a_client_that_leaves_frees_its_place(qing, tmp_path):
    """With the places taken by clients that leave, a new request need not wait for their texts."""
    # So many tokens that the abandoned work would take far longer than the test waits.
    save_model(tmp_path / "slow/1", d_model=512, decoder_layers=8, decoder_ffn_dim=2048, max_position_embeddings=512)
    server = RunningServer(qing.binary, "--port", 0, "--models", tmp_path)
    try:
        url = server.endpoint + "/v1/models/slow/translate"
        texts = [sentence(200, i) for i in range(256)]
        started = time.monotonic()
        for _ in range(2):
            events_of(url, {"texts": texts, "beam_size": 1, "max_tokens": 500, "stream": True}, lines=1)
        one_step = (time.monotonic() - started) / 2
        started = time.monotonic()
        translate(url, [sentence(3, 1)], beam_size=1, max_tokens=4)
        assert time.monotonic() - started < 10 * one_step + 5
    finally:
        code, _ = server.stop()
    assert code == 0
