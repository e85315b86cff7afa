"""Sentence embeddings: values by sentence-transformers' rule, and the protocols that answer with them."""

import base64
import json
import shutil
import sys
import urllib.request

import numpy as np
import pytest
from conftest import ROOT, ask, served

sys.path.insert(0, str(ROOT / "serve/sdk/python"))

import maas_sdk  # noqa: E402
from maas_sdk import MaaSClient, WrongTaskError  # noqa: E402

TEXTS = ["I love this film", "我讨厌这个手机", "a chair stands in the hall, does it?", ""]
LENGTH = 24  # max_seq_length of the model


def write_modules(folder, pooling, normalize):
    """The files that sentence-transformers writes beside the encoder."""
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")][: 3 if normalize else 2]
    modules = [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
               for i, (path, kind) in enumerate(kinds)]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    modes = {f"pooling_mode_{mode}": mode == pooling
             for mode in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}  # fmt: skip
    (folder / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 32, **modes}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LENGTH, "do_lower_case": False}))


@pytest.fixture(scope="module")
def encoder(model_dir, tmp_path_factory):
    """A folder with a small BertModel of random weights."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("encoder")
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model_dir / name, folder)
    torch.manual_seed(3)
    vocabulary = (model_dir / "vocab.txt").read_text(encoding="utf-8").count("\n")
    config = transformers.BertConfig(vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                                     intermediate_size=64, max_position_embeddings=128, initializer_range=0.3)  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def model_of(root, encoder, pooling="mean_tokens", normalize=True):
    folder = root / "vectors/1"
    shutil.copytree(encoder, folder)
    write_modules(folder, pooling, normalize)
    return folder


def expected(folder, pooling, normalize, texts=TEXTS):
    """What sentence-transformers' encode() gives: the encoder, the pooling, and F.normalize."""
    import tokenizers
    import torch
    import transformers

    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH)
    model = transformers.BertModel.from_pretrained(folder).eval()
    vectors = []
    for text in texts:
        with torch.no_grad():
            hidden = model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
        vector = hidden[0] if pooling == "cls_token" else hidden.mean(dim=0)
        vectors.append(torch.nn.functional.normalize(vector, dim=0) if normalize else vector)
    return np.stack([vector.numpy() for vector in vectors])


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory):
    return model_of(tmp_path_factory.mktemp("models"), encoder)


@pytest.fixture(scope="module")
def endpoint(qing, folder):
    with served(qing, folder.parents[1], TEXTS) as address:
        yield address


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
@pytest.mark.parametrize("normalize", [True, False])
def test_values_are_those_of_sentence_transformers(encoder, serve, tmp_path, pooling, normalize):
    folder = model_of(tmp_path, encoder, pooling, normalize)
    server = serve("--models", tmp_path)
    status, _, answer = ask(server.endpoint + "/v1/embeddings", {"model": "vectors", "input": TEXTS})
    assert status == 200
    found = np.array([item["embedding"] for item in answer["data"]], dtype=np.float32)
    np.testing.assert_allclose(found, expected(folder, pooling, normalize), atol=2e-5)
    # "normalize" goes before the modules, and is true in text-embeddings-inference unless told otherwise.
    plain = expected(folder, pooling, False)
    np.testing.assert_allclose(ask(server.endpoint + "/embed", {"inputs": TEXTS, "normalize": False})[2], plain, atol=2e-5)
    unit = plain / np.linalg.norm(plain, axis=1, keepdims=True)
    np.testing.assert_allclose(ask(server.endpoint + "/embed", {"inputs": TEXTS})[2], unit, atol=2e-5)


def test_a_text_is_cut_where_the_model_says(endpoint, folder):
    long = "film phone book " * 40
    vectors = expected(folder, "mean_tokens", True, [long])
    np.testing.assert_allclose(ask(endpoint + "/embed", {"inputs": long})[2], vectors, atol=2e-5)
    status, _, answer = ask(endpoint + "/embed", {"inputs": ["film", long], "truncate": False})
    assert status == 413 and f"text 1 has more than {LENGTH} tokens" in answer["error"]
    assert answer["error_type"] == "validation"


def test_a_vector_does_not_depend_on_the_rest_of_the_batch(endpoint):
    together = ask(endpoint + "/embed", {"inputs": TEXTS * 4})[2]
    for i, text in enumerate(TEXTS):
        assert ask(endpoint + "/embed", {"inputs": text})[2] == [together[i]]


def test_openai_client(endpoint, folder):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=endpoint + "/v1", api_key="none", max_retries=0)
    vectors = expected(folder, "mean_tokens", True)
    for form in ({}, {"encoding_format": "float"}):  # without it the client asks for base64
        answer = client.embeddings.create(model="vectors", input=TEXTS, **form)
        assert [item.index for item in answer.data] == [0, 1, 2, 3] and answer.model == "vectors"
        np.testing.assert_allclose([item.embedding for item in answer.data], vectors, atol=2e-5)
        assert answer.usage.prompt_tokens == answer.usage.total_tokens > 8
    raw = client.embeddings.create(model="vectors", input=TEXTS[0], encoding_format="base64")
    floats = client.embeddings.create(model="vectors", input=TEXTS[0], encoding_format="float").data[0].embedding
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(raw.data[0].embedding), dtype="<f4"),
                                  np.array(floats, dtype=np.float32))  # fmt: skip
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.embeddings.create(model="vectors", input=TEXTS[0], dimensions=8)
    assert refused.value.body["message"].startswith("dimensions: ")
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.embeddings.create(model="vectors", input=[[1, 2]])
    assert refused.value.body["message"].startswith("input[0]: must be a string")
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="other", input=TEXTS[0])
    assert missing.value.code == "unknown_model"


def test_hugging_face_client(endpoint, folder):
    hub = pytest.importorskip("huggingface_hub")
    vectors = expected(folder, "mean_tokens", True)
    for address in (endpoint, endpoint + "/models/vectors", endpoint + "/embed"):
        client = hub.InferenceClient(model=address)
        np.testing.assert_allclose(client.feature_extraction(TEXTS[0]), vectors[:1], atol=2e-5)
        raw = client.feature_extraction(TEXTS[0], normalize=False, truncate=True, truncation_direction="right")
        np.testing.assert_allclose(raw, expected(folder, "mean_tokens", False)[:1], atol=2e-5)
    for address in (endpoint, endpoint + "/models/vectors", endpoint + "/similarity"):
        found = hub.InferenceClient(model=address).sentence_similarity(TEXTS[0], other_sentences=TEXTS)
        np.testing.assert_allclose(found, vectors @ vectors[0], atol=2e-5)
    with pytest.raises(hub.errors.HfHubHTTPError) as refused:
        hub.InferenceClient(model=endpoint).feature_extraction(TEXTS[0], prompt_name="query")
    assert refused.value.response.status_code == 422 and "prompt_name" in refused.value.response.json()["error"]


def test_tokens_and_texts_are_those_of_tokenizers(endpoint, folder):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    status, _, answer = ask(endpoint + "/tokenize", {"inputs": TEXTS})
    assert status == 200
    for text, tokens in zip(TEXTS, answer):
        encoding = tokenizer.encode(text)
        assert [token["id"] for token in tokens] == encoding.ids
        assert [token["special"] for token in tokens] == [bool(mask) for mask in encoding.special_tokens_mask]
        assert tokens[0] == {"id": encoding.ids[0], "text": "[CLS]", "special": True, "start": None, "stop": None}
        for token, (start, stop) in list(zip(tokens, encoding.offsets))[1:-1]:
            assert (token["start"], token["stop"]) == (start, stop) and token["text"] == text[start:stop]
    assert ask(endpoint + "/tokenize", {"inputs": TEXTS[0], "add_special_tokens": False})[2] == [answer[0][1:-1]]
    ids = [[token["id"] for token in tokens] for tokens in answer]
    assert ask(endpoint + "/decode", {"ids": ids})[2] == [tokenizer.decode(one) for one in ids]
    plain = ask(endpoint + "/decode", {"ids": ids[2], "skip_special_tokens": False})[2]
    assert plain == [tokenizer.decode(ids[2], skip_special_tokens=False)]


def test_a_model_is_asked_for_what_it_gives(endpoint, qing, folder, models_root, serve, tmp_path):
    for path, body in (("/v1/classify", {"model": "vectors", "input": "x"}), ("/predict", {"inputs": "x"}),
                       ("/v1/models/vectors/predict", {"text": "x"}), ("/v1/models/vectors:predict", {"instances": ["x"]})):  # fmt: skip
        status, _, answer = ask(endpoint + path, body)
        assert status == 422 and "gives embeddings instead of labels" in json.dumps(answer), path
    classifier = serve("--models", models_root)
    for path, body in (("/v1/embeddings", {"model": "emotion_analysis", "input": "x"}), ("/embed", {"inputs": "x"})):
        status, _, answer = ask(classifier.endpoint + path, body)
        assert status == 422 and "gives labels instead of embeddings" in json.dumps(answer), path
    assert ask(classifier.endpoint + "/tokenize", {"inputs": "x"})[0] == 200  # every model has a tokenizer
    with urllib.request.urlopen(endpoint + "/info") as answer:
        info = json.load(answer)
    assert info["model_type"] == {"embedding": {"pooling": "mean"}} and info["max_input_length"] == LENGTH
    (listed,) = map(json.loads, qing("models", "--models", folder.parents[1], "--json").stdout.splitlines())
    assert listed["task"] == "feature-extraction" and listed["labels"] == [] and "error" not in listed
    with urllib.request.urlopen(endpoint + "/v1/models/vectors") as answer:
        assert json.load(answer)["embedding_size"] == 32


@pytest.mark.parametrize(
    "path, body, field",
    [
        ("/embed", {"inputs": 1}, "inputs: "),
        ("/embed", {"inputs": "x", "dimensions": 8}, "dimensions: "),
        ("/embed", {"inputs": "x", "truncation_direction": "Left"}, "truncation_direction: "),
        ("/similarity", {"inputs": "x"}, "inputs: must be an object"),
        ("/similarity", {"inputs": {"source_sentence": "x"}}, "inputs.sentences: is missing"),
        ("/similarity", {"inputs": {"source_sentence": "x", "sentences": []}}, "inputs.sentences: is empty"),
        ("/tokenize", {}, "inputs: is missing"),
        ("/decode", {"ids": "x"}, "ids: "),
        ("/decode", {"ids": [[1], [-1]]}, "ids[1][0]: "),
    ],
)
def test_refusals_name_the_field_and_have_an_error_type(endpoint, path, body, field):
    status, _, answer = ask(endpoint + path, body)
    assert status == 422 and answer["error"].startswith(field) and answer["error_type"] == "validation", answer


def test_another_type_of_body_has_an_error_type_too(endpoint):
    status, _, answer = ask(endpoint + "/embed", {"inputs": "x"}, {"Content-Type": "text/plain"})
    assert status == 415 and answer["error_type"] == "validation"


@pytest.mark.parametrize("name, content, told", [("config.json", {"vocab_size": 300}, "word_embeddings"),
                                                 ("config.json", {"vocab_size": 999999}, "describes"),
                                                 ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "mean and max")])  # fmt: skip
def test_a_folder_that_is_not_supported_is_not_served(qing, encoder, tmp_path, name, content, told):
    folder = model_of(tmp_path, encoder)
    described = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**described, **content}))
    result = qing("serve", "--port", 0, "--models", tmp_path, check=False)
    assert result.returncode == 1 and told in result.stderr


def embed(server, texts, **options):
    status, _, answer = ask(server.endpoint + "/embed", {"inputs": texts, **options})
    assert status == 200, answer
    return np.array(answer)


def with_prompts(folder, name="query", include=True, **prompts):
    settings = {"prompts": prompts, "default_prompt_name": name, "similarity_fn_name": "cosine"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    pooling = folder / "1_Pooling/config.json"
    pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "include_prompt": include}))


def test_the_default_prompt_stands_before_every_text(encoder, serve, tmp_path):
    """sentence-transformers 6.2: encode() without a prompt takes prompts[default_prompt_name]."""
    folder = model_of(tmp_path, encoder)
    with_prompts(folder, query="a film: ", passage="a book: ")
    expected_vectors = expected(folder, "mean_tokens", True, ["a film: " + text for text in TEXTS])
    server = serve("--models", tmp_path)
    np.testing.assert_allclose(embed(server, TEXTS), expected_vectors, atol=2e-5)
    (tokens,) = ask(server.endpoint + "/tokenize", {"inputs": "film"})[2]
    (alone,) = ask(server.endpoint + "/tokenize", {"inputs": "film film"})[2]
    assert len(alone) == len(tokens) + 1
    # Tokens of the prompt are counted and have no place in the text; positions count from the text's first character.
    assert {token["text"] for token in alone[1:-3]} == {""}
    assert [(token["text"], token["start"], token["stop"]) for token in alone[-3:-1]] == [("film", 0, 4), ("film", 5, 9)]


@pytest.mark.parametrize("name, prompts", [(None, {"query": "a film: "}), ("none", {"none": ""}), ("none", {"none": None})])
def test_no_default_prompt_changes_nothing(encoder, serve, tmp_path, name, prompts):
    folder = model_of(tmp_path, encoder)
    with_prompts(folder, name, include=False, **prompts)
    vectors = embed(serve("--models", tmp_path), TEXTS)
    np.testing.assert_allclose(vectors, expected(folder, "mean_tokens", True), atol=2e-5)


@pytest.mark.parametrize("name, include, told", [("passage", True, "default_prompt_name: 'passage' is none of the prompts"),
                                                 ("query", False, "include_prompt: false is not supported")])  # fmt: skip
def test_prompts_that_are_not_computed_are_refused(qing, encoder, tmp_path, name, include, told):
    with_prompts(model_of(tmp_path, encoder), name, include, query="a film: ")
    result = qing("serve", "--port", 0, "--models", tmp_path, check=False)
    assert result.returncode == 1 and told in result.stderr


@pytest.mark.parametrize("size", [4, None])
def test_a_model_of_cut_vectors_is_refused(qing, encoder, serve, tmp_path, size):
    """sentence-transformers 6.2 saves its truncate_dim, and encode() of the loaded model cuts the vectors."""
    folder = model_of(tmp_path, encoder)
    settings = {"prompts": {"query": ""}, "default_prompt_name": None, "truncate_dim": size}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    if size is None:
        vectors = embed(serve("--models", tmp_path), TEXTS)
        np.testing.assert_allclose(vectors, expected(folder, "mean_tokens", True), atol=2e-5)
        return
    result = qing("serve", "--port", 0, "--models", tmp_path, check=False)
    assert result.returncode == 1 and "truncate_dim: 4 is not supported" in result.stderr


@pytest.mark.parametrize("settings, told", [
    ({"processing_kwargs": {"text": {"max_length": 4}}}, 'processing_kwargs: {"text":{"max_length":4}} is not supported'),
    ({"processing_kwargs": {"text": {"add_special_tokens": False}}}, "processing_kwargs: "),
    ({"transformer_task": "fill-mask"}, "transformer_task: fill-mask is not supported"),
    ({"processing_kwargs": {}, "transformer_task": "feature-extraction"}, None),
])  # fmt: skip
def test_settings_of_the_transformer_are_computed_or_refused(qing, encoder, serve, tmp_path, settings, told):
    """sentence-transformers 6.2 passes processing_kwargs to each call of the tokenizer."""
    folder = model_of(tmp_path, encoder)
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LENGTH, **settings}))
    if told is None:
        vectors = embed(serve("--models", tmp_path), TEXTS)
        np.testing.assert_allclose(vectors, expected(folder, "mean_tokens", True), atol=2e-5)
        return
    result = qing("serve", "--port", 0, "--models", tmp_path, check=False)
    assert result.returncode == 1 and told in result.stderr


@pytest.mark.parametrize("lower", [True, False])
def test_do_lower_case_comes_before_the_tokenizer(encoder, serve, tmp_path, lower):
    """sentence-transformers 6.2 puts the stage Lowercase of `tokenizers` before a normalizer that has none."""
    folder = model_of(tmp_path, encoder)
    # A tokenizer that keeps upper case, which its vocabulary does not have.
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_lower_case": False}))
    settings = folder / "sentence_bert_config.json"
    settings.write_text(json.dumps({"max_seq_length": LENGTH, "do_lower_case": lower}))
    vectors = embed(serve("--models", tmp_path), ["I LOVE this FILM", "i love this film"])
    assert np.allclose(vectors[0], vectors[1], atol=1e-6) == lower
    np.testing.assert_allclose(vectors[1:], expected(folder, "mean_tokens", True, ["i love this film"]), atol=2e-5)


def test_a_text_without_tokens_is_the_callers_error(encoder, serve, tmp_path):
    """transformers cannot compute a text without tokens either: its embedding has no rows of type float."""
    folder = model_of(tmp_path, encoder)
    without_special_tokens(folder)
    server = serve("--models", tmp_path)
    for texts, place in (("", "inputs"), (" ", "inputs"), (["film", "film", "", "film", " "], "inputs[2]")):
        status, _, answer = ask(server.endpoint + "/embed", {"inputs": texts})
        assert (status, answer["code"]) == (422, "unacceptable_text"), answer
        assert answer["error"].startswith(f"{place}: ") and "has no tokens" in answer["error"], answer
    assert embed(server, "film book").shape == (1, 32)
    many = ["film"] * 60
    many[41] = " "
    for path, body, place in (
        ("/v1/embeddings", {"model": "vectors", "input": many}, "input[41]"),
        ("/v1/embeddings", {"model": "vectors", "input": ""}, "input"),
        ("/models/vectors", {"inputs": many}, "inputs[41]"),
        ("/similarity", {"inputs": {"source_sentence": "film", "sentences": ["film", ""]}}, "inputs.sentences[1]"),
        ("/similarity", {"inputs": {"source_sentence": "", "sentences": ["film", ""]}}, "inputs.source_sentence"),
        ("/tokenize", {"inputs": many}, "inputs[41]"),
    ):
        status, _, answer = ask(server.endpoint + path, body)
        error = answer["error"] if isinstance(answer["error"], str) else answer["error"]["message"]
        assert status == 422 and error.startswith(f"{place}: "), (path, answer)
    with MaaSClient(endpoint=server.endpoint) as client, pytest.raises(maas_sdk.InvalidRequestError, match=r"texts\[41\]: "):
        client.get_model("vectors").embed(many)


def without_special_tokens(folder):
    """The tokenizer of a folder adds no tokens around a text any more."""
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "post_processor": None}))
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}))


def test_a_classifier_names_the_text_without_tokens(model_dir, serve, tmp_path):
    folder = shutil.copytree(model_dir, tmp_path / "mood/1")
    without_special_tokens(folder)
    endpoint = serve("--models", tmp_path).endpoint
    texts = ["film", "film", "film", " "]
    tensor = {"name": "text", "shape": [4], "datatype": "BYTES", "data": texts}
    for path, body, place in (
        ("/v1/models/mood/predict", {"texts": texts}, "texts[3]"),
        ("/v1/models/mood/predict", {"texts": texts, "explain": True}, "texts[3]"),
        ("/v1/models/mood/predict", {"text": " "}, "text"),
        ("/v1/models/mood:predict", {"instances": texts}, "instances[3]"),
        ("/v2/models/mood/infer", {"inputs": [tensor]}, "inputs[0].data[3]"),
        ("/models/mood", {"inputs": texts}, "inputs[3]"),
        ("/predict", {"inputs": [[text] for text in texts]}, "inputs[3]"),
        ("/classify", {"input": texts}, "input[3]"),
    ):
        status, _, answer = ask(endpoint + path, body)
        error = answer["error"] if isinstance(answer["error"], str) else answer["error"]["message"]
        assert status == 422 and error.startswith(f"{place}: "), (path, answer)


def test_the_python_package_embeds(endpoint, folder):
    """By the name of the model and by its task, which the description of the model tells."""
    wanted = expected(folder, "mean_tokens", True)
    with MaaSClient(endpoint=endpoint) as client:
        model = client.get_model("vectors")
        assert (model.task, model.embedding_size) == ("embedding", 32)
        np.testing.assert_allclose(model.embed(TEXTS * 30, as_numpy=True), np.tile(wanted, (30, 1)), atol=2e-5)
        np.testing.assert_allclose(model.embed(TEXTS[0]), wanted[0], atol=2e-5)
        with pytest.raises(WrongTaskError, match=r"call embed\(texts\)"):
            model.predict(TEXTS)


def test_a_version_embeds(encoder, serve, tmp_path):
    """Every protocol of embeddings takes the version as /predict does: in the path."""
    first = model_of(tmp_path, encoder)
    second = shutil.copytree(first, tmp_path / "vectors/2")
    write_modules(second, "cls_token", True)
    endpoint = serve("--models", tmp_path).endpoint
    vectors = {1: expected(first, "mean_tokens", True), 2: expected(second, "cls_token", True)}
    assert ask(f"{endpoint}/v1/admin/aliases/old", {"model": "vectors", "version": 1}, method="PUT")[0] == 200
    for version, wanted in vectors.items():
        path = f"{endpoint}/v1/models/vectors/versions/{version}"
        answer = ask(path + "/embeddings", {"input": TEXTS})[2]
        np.testing.assert_allclose([item["embedding"] for item in answer["data"]], wanted, atol=2e-5)
        np.testing.assert_allclose(ask(path + "/embed", {"inputs": TEXTS})[2], wanted, atol=2e-5)
        near = ask(path + "/similarity", {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}})[2]
        np.testing.assert_allclose(near, wanted[1:] @ wanted[0], atol=2e-5)
        assert ask(path + "/tokenize", {"inputs": "film"})[0] == 200 and ask(path + "/decode", {"ids": [5]})[0] == 200
        with MaaSClient(endpoint=endpoint) as client:
            model = client.get_model("vectors", version=version)
            np.testing.assert_allclose(model.embed(TEXTS, as_numpy=True), wanted, atol=2e-5)
    for name in ("vectors", "old"):
        wanted = vectors[2 if name == "vectors" else 1]
        np.testing.assert_allclose(ask(f"{endpoint}/v1/models/{name}/embed", {"inputs": TEXTS})[2], wanted, atol=2e-5)
    for route, body in (("embeddings", {"input": "a"}), ("embed", {"inputs": "a"}), ("similarity", {"inputs": {}}),
                        ("tokenize", {"inputs": "a"}), ("decode", {"ids": [5]})):  # fmt: skip
        for version, code in (("3", "unknown_version"), ("x", "unknown_version")):
            status, _, answer = ask(f"{endpoint}/v1/models/vectors/versions/{version}/{route}", body)
            assert status == 404 and code in json.dumps(answer), (route, version, answer)
        assert ask(f"{endpoint}/v1/models/none/{route}", body)[0] == 404, route
    status, _, answer = ask(f"{endpoint}/v1/models/vectors/embeddings", {"model": "old", "input": "a"})
    assert status == 422 and answer["error"]["message"].startswith("model: is another one"), answer
    assert ask(f"{endpoint}/v1/models/vectors/embeddings", {"model": "vectors", "input": "a"})[0] == 200


def test_an_embedding_model_is_called_one(endpoint):
    assert [(model["name"], model["task"]) for model in ask(endpoint + "/v1/models")[2]["models"]] == [("vectors", "embedding")]
    assert ask(endpoint + "/v1/admin/models")[2]["models"][0]["task"] == "embedding"
