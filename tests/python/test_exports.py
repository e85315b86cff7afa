"""`qing export`: onnxruntime, OpenVINO and transformers give the logits of `qing predict`, GGUF and safetensors hold the
same bits, and what cannot compute the model refuses to load it."""

import json
import shutil

import numpy as np
import pytest
from conftest import ROOT
from test_embeddings import encoder, expected, model_of  # noqa: F401: encoder is a fixture

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
openvino = pytest.importorskip("openvino")
gguf = pytest.importorskip("gguf")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
safetensors = pytest.importorskip("safetensors.numpy")

SHIPPED = ROOT / "serve/models/emotion_analysis/1"
FORMATS = ("hf", "onnx", "onnx-int8", "gguf", "safetensors")
TOLERANCE = 1e-5
# Unknown characters inside words, as words and as punctuation; words and texts that are too long; marks that the n-grams
# use themselves; nothing at all.
TEXTS = [
    "I love this film", "这个产品真的很差", "a chair, 一把椅子!", "zzz", "", " \u3000 ", "x", "!", "<", "<a> > <", "#ing ##ing",
    "great\U0001fae0 movie", "\U0001fae0", "\U0001fae0\U0001fae0 so\U0001fae0bad", "ꙮ", "abꙮcd efgh", "good⸎bad", "⸎ ⸎good", "㐂好 𪚥",
    "Café CAFÉ cafe\u0301 naïve", "İstanbul straße ﬁne", "don't won't :-) :( ^_^", "a" * 100, "a" * 101, "b" * 300 + " good",
    "哈" * 40 + "terrible", "good and bad " * 60 + "\U0001f600 awful " * 200 + "terrible", "very very very very good", "he\u0000llo",
]  # fmt: skip


def dev_texts(data_dir, every=1):
    texts = []
    for name in ("en.dev.tsv", "zh.dev.tsv"):
        rows = (data_dir / name).read_text(encoding="utf-8").split("\n")[1:]
        texts += [row.split("\t")[2] for row in rows if row][::every]
    return texts


def answers(qing, model, texts, tmp_path):
    """What qing says of each text: [texts, labels] of logits and of scores. Line breaks and NUL pass as arguments do not."""
    path = tmp_path / "texts.txt"
    path.write_bytes("".join(text + "\n" for text in texts).encode())
    found = [json.loads(line) for line in qing("predict", "--model", model, "--file", path, "--json", "--logits").stdout.splitlines()]
    assert len(found) == len(texts)
    return np.array([one["logits"] for one in found]), np.array([list(one["scores"].values()) for one in found])


def export(qing, model, form, out):
    qing("export", "--model", model, "--format", form, "--out", out)
    return out


@pytest.fixture(scope="module")
def exports(qing, tmp_path_factory):
    """{format: directory} of the model that comes with qing."""
    return {form: export(qing, SHIPPED, form, tmp_path_factory.mktemp("exports") / form) for form in FORMATS}


def batches(folder, texts, size=32):
    """As docs/export.md says: tokenizer.json, then padding with any id under a mask of 0."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for first in range(0, len(texts), size):
        encodings = tokenizer.encode_batch(texts[first : first + size])
        length = max(len(encoding.ids) for encoding in encodings)
        ids, mask = np.full((len(encodings), length), 7), np.zeros((len(encodings), length), np.int64)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        yield {"input_ids": ids, "attention_mask": mask}


def ort_session(folder):
    return onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])


def ort_answers(folder, texts):
    session = ort_session(folder)
    parts = [session.run(["logits", "scores"], batch) for batch in batches(folder, texts)]
    return [np.concatenate(part) for part in zip(*parts)]


def openvino_logits(folder, texts):
    # Without the hint a CPU that can computes in bf16.
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(folder / "model.onnx", "CPU", options)
    return np.concatenate([model(batch)["logits"] for batch in batches(folder, texts)])


def transformers_answers(folder, texts, **options):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, **options).eval()
    parts = []
    with torch.no_grad():
        for first in range(0, len(texts), 32):
            batch = tokenizer(texts[first : first + 32], padding=True, truncation=True, return_tensors="pt")
            parts.append(model(**batch))
    return parts


def worst_of(ours, theirs):
    assert ours.std() > 0.1, "logits that hardly differ would prove nothing"
    return np.abs(ours - np.asarray(theirs)).max()


@pytest.mark.parametrize("form", ["onnx", "onnx-int8"])
@pytest.mark.parametrize("pooling, normalize", [("mean_tokens", True), ("mean_tokens", False), ("cls_token", True)])
def test_onnx_of_sentence_embeddings(qing, encoder, tmp_path, form, pooling, normalize):  # noqa: F811
    folder = model_of(tmp_path, encoder, pooling, normalize)
    out = export(qing, folder, form, tmp_path / "out")
    texts = [text for text in TEXTS if "\u0000" not in text]
    theirs = expected(folder, pooling, normalize, texts)
    session = ort_session(out)
    assert [output.name for output in session.get_outputs()] == ["sentence_embedding"]
    found = np.concatenate([session.run(None, batch)[0] for batch in batches(out, texts, 8)])
    if form == "onnx":
        assert np.abs(found - theirs).max() < TOLERANCE
    else:
        cosines = (found * theirs).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(theirs, axis=1)
        assert 0.98 < cosines.min() < 0.99999999
    refused = qing("export", "--model", folder, "--format", "gguf", "--out", tmp_path / "other", check=False)
    assert refused.returncode == 1 and "holds sentence embeddings" in refused.stderr


def test_onnxruntime_gives_the_same_logits_and_scores(qing, exports, tmp_path):
    logits, scores = answers(qing, SHIPPED, TEXTS, tmp_path)
    theirs = ort_answers(exports["onnx"], TEXTS)
    assert worst_of(logits, theirs[0]) < TOLERANCE
    assert np.abs(scores - theirs[1]).max() < TOLERANCE


def test_openvino_gives_the_same_logits(qing, exports, tmp_path):
    logits, _ = answers(qing, SHIPPED, TEXTS, tmp_path)
    assert worst_of(logits, openvino_logits(exports["onnx"], TEXTS)) < TOLERANCE


def test_transformers_gives_the_same_logits_and_scores(qing, exports, tmp_path):
    logits, scores = answers(qing, SHIPPED, TEXTS, tmp_path)
    parts = transformers_answers(exports["hf"], TEXTS, trust_remote_code=True)
    assert worst_of(logits, torch.cat([part.logits for part in parts])) < TOLERANCE
    assert np.abs(scores - torch.cat([part.scores for part in parts]).numpy()).max() < TOLERANCE


@pytest.mark.parametrize("program", ["onnxruntime", "openvino", "transformers"])
def test_dev_texts_have_the_same_logits(qing, exports, data_dir, tmp_path, program):
    texts = dev_texts(data_dir, every=5)
    logits, _ = answers(qing, SHIPPED, texts, tmp_path)
    if program == "onnxruntime":
        theirs = ort_answers(exports["onnx"], texts)[0]
    elif program == "openvino":
        theirs = openvino_logits(exports["onnx"], texts)
    else:
        parts = transformers_answers(exports["hf"], texts, trust_remote_code=True)
        theirs = torch.cat([part.logits for part in parts])
    worst = worst_of(logits, theirs)
    print(f"{program}: largest difference of {logits.size} logits: {worst:.2e}")
    assert worst < TOLERANCE


@pytest.mark.parametrize("program", ["onnxruntime", "openvino"])
def test_eight_bits_give_the_same_labels(qing, exports, data_dir, tmp_path, program):
    texts = dev_texts(data_dir)
    logits, _ = answers(qing, SHIPPED, texts, tmp_path)
    if program == "onnxruntime":
        theirs = ort_answers(exports["onnx-int8"], texts)[0]
    else:
        theirs = openvino_logits(exports["onnx-int8"], texts)
    same = (logits.argmax(1) == theirs.argmax(1)).mean()
    print(f"{program}: the label of {same:.2%} of {len(texts)} texts")
    assert same >= 0.995
    size = {form: (exports[form] / "model.onnx").stat().st_size for form in ("onnx", "onnx-int8")}
    assert size["onnx-int8"] < size["onnx"] - 4_000_000 and np.abs(logits - theirs).max() > TOLERANCE


def test_products_of_bytes_suit_onnxruntime(exports):
    """An unsigned operand is many times faster than a signed one, and two products fit in 16 bits: see findings/."""
    graph = onnx.load(exports["onnx-int8"] / "model.onnx").graph
    constants = {constant.name: onnx.numpy_helper.to_array(constant) for constant in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    products = [node for node in graph.node if node.op_type == "MatMulInteger"]
    assert len(products) >= 12
    for node in products:
        rows, weights, zero = node.input
        cast = makers[rows]
        assert cast.op_type == "Cast" and cast.attribute[0].i == onnx.TensorProto.UINT8
        assert constants[zero].dtype == np.uint8 and constants[zero] == 128
        assert constants[weights].dtype == np.int8 and 0 < np.abs(constants[weights].astype(int)).max() <= 63


@pytest.mark.parametrize("form", ["onnx", "onnx-int8"])
def test_the_graph_is_valid_and_says_what_it_is(exports, form):
    model = onnx.load(exports[form] / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["labels"]) == ["negative", "neutral", "positive"] and 0.9 < float(said["temperature"]) < 1.1
    assert float(said["temperature"]) != 1
    assert [i.name for i in model.graph.input] == ["input_ids", "attention_mask"]
    assert [o.name for o in model.graph.output] == ["logits", "scores"]
    assert {domain.domain: domain.version for domain in model.opset_import} == {"": 18}


def test_masked_tokens_change_nothing(exports):
    session = ort_session(exports["onnx"])
    (batch,) = batches(exports["onnx"], [TEXTS[0]])
    ids, mask = batch["input_ids"], batch["attention_mask"]
    alone = session.run(["logits"], batch)[0]
    for left, right in ((0, 3), (2, 0), (2, 150)):
        widths = ((0, 0), (left, right))
        for filler in (0, 3, 4711):
            padded = {"input_ids": np.pad(ids, widths, constant_values=filler), "attention_mask": np.pad(mask, widths)}
            assert np.abs(session.run(["logits"], padded)[0] - alone).max() < 1e-6
    # A batch of masks alone is answered, as is one whose ids are in the middle of a word.
    assert np.isfinite(session.run(["logits"], {"input_ids": ids, "attention_mask": mask * 0})[0]).all()
    assert np.abs(session.run(["logits"], {"input_ids": ids[:, 1:], "attention_mask": mask[:, 1:]})[0] - alone).max() > 1e-3


def test_ids_are_those_of_qing_but_for_unknown_words(qing, exports):
    known = [text for text in TEXTS[:4]] + ["don't won't :-)", "very very very very good"]
    ours = [json.loads(line) for line in qing("tokenize", "--model", SHIPPED, *known).stdout.splitlines()]
    size = len((SHIPPED / "vocab.txt").read_text(encoding="utf-8").splitlines())
    for form in FORMATS:
        tokenizer = tokenizers.Tokenizer.from_file(str(exports[form] / "tokenizer.json"))
        assert [tokenizer.encode(text).ids for text in known] == ours
        unknown = tokenizer.encode("great\U0001fae0").ids
        if form in ("gguf", "safetensors"):
            assert unknown == [2, 1, 3]
        else:
            assert len(unknown) == 4 and max(unknown) >= size
    # The encoder alone cannot take an extra id for a word of its own.
    session = ort_session(exports["onnx"])
    with pytest.raises(Exception, match="(?i)indices|out of"):
        session.run(None, {"input_ids": np.array([[2, 10**6, 3]]), "attention_mask": np.ones((1, 3), np.int64)})


def test_transformers_refuses_without_the_code(exports):
    for load in (
        transformers.AutoConfig.from_pretrained,
        transformers.AutoModelForSequenceClassification.from_pretrained,
        lambda path, **options: transformers.pipeline("text-classification", model=str(path), **options),
    ):
        with pytest.raises(ValueError, match="custom code|trust_remote_code"):
            load(exports["hf"], trust_remote_code=False)


def test_a_pipeline_of_transformers_shows_calibrated_scores(qing, exports, tmp_path):
    _, scores = answers(qing, SHIPPED, TEXTS[:4], tmp_path)
    pipeline = transformers.pipeline("text-classification", model=str(exports["hf"]), trust_remote_code=True, top_k=None)
    for ours, theirs in zip(scores, pipeline(TEXTS[:4])):
        theirs = {one["label"]: one["score"] for one in theirs}
        assert [theirs[label] for label in ("negative", "neutral", "positive")] == pytest.approx(list(ours), abs=TOLERANCE)


def test_a_model_without_ngrams(qing, model_dir, tmp_path):
    """transformers knows it as BERT; with a temperature, whose scores transformers would not give, it needs the code."""
    plain = tmp_path / "plain"
    shutil.copytree(model_dir, plain)
    config = json.loads((plain / "config.json").read_text())
    config.pop("calibration_temperature", None)
    (plain / "config.json").write_text(json.dumps(config))
    texts = [text for text in TEXTS if "\0" not in text]
    logits, scores = answers(qing, plain, texts, tmp_path)
    hf = export(qing, plain, "hf", tmp_path / "hf")
    assert worst_of(logits, torch.cat([part.logits for part in transformers_answers(hf, texts)])) < TOLERANCE
    assert not (hf / "modeling_qing.py").exists()
    form = export(qing, plain, "onnx", tmp_path / "onnx")
    assert worst_of(logits, ort_answers(form, texts)[0]) < TOLERANCE
    assert worst_of(logits, openvino_logits(form, texts)) < TOLERANCE

    config["calibration_temperature"] = 2.5
    (plain / "config.json").write_text(json.dumps(config))
    _, warm = answers(qing, plain, texts, tmp_path)
    assert np.abs(warm - scores).max() > 0.01
    hf = export(qing, plain, "hf", tmp_path / "warm")
    with pytest.raises(ValueError, match="custom code|trust_remote_code"):
        transformers.AutoModelForSequenceClassification.from_pretrained(hf, trust_remote_code=False)
    parts = transformers_answers(hf, texts, trust_remote_code=True)
    assert worst_of(logits, torch.cat([part.logits for part in parts])) < TOLERANCE
    assert np.abs(warm - torch.cat([part.scores for part in parts]).numpy()).max() < TOLERANCE
    assert np.abs(warm - ort_answers(export(qing, plain, "onnx", tmp_path / "warm_onnx"), texts)[1]).max() < TOLERANCE


LLAMA_CPP = {
    "token_embd.weight": "bert.embeddings.word_embeddings.weight",
    "blk.1.attn_q.bias": "bert.encoder.layer.1.attention.self.query.bias",
    "blk.0.attn_output.weight": "bert.encoder.layer.0.attention.output.dense.weight",
    "blk.0.attn_output_norm.weight": "bert.encoder.layer.0.attention.output.LayerNorm.weight",
    "blk.1.ffn_down.weight": "bert.encoder.layer.1.output.dense.weight",
    "cls.output.weight": "classifier.weight",
}


def test_gguf_holds_the_same_bits_and_llama_cpp_refuses_it(exports):
    reader = gguf.GGUFReader(exports["gguf"] / "model.gguf")
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    ours = safetensors.load_file(SHIPPED / "model.safetensors")
    head = safetensors.load_file(SHIPPED / "ngrams.safetensors")
    assert len(tensors) == len(ours) + len(head)
    for name, theirs in LLAMA_CPP.items():
        assert tensors[name].tobytes() == ours[theirs].tobytes() and tensors[name].shape == ours[theirs].shape
    for name, values in head.items():
        assert tensors["ngrams." + name].tobytes() == values.tobytes()
    # llama.cpp loads the architectures of this list and no other.
    architecture = reader.fields["general.architecture"].contents()
    assert architecture == "qing-bert-ngrams" and architecture not in gguf.MODEL_ARCH_NAMES.values()
    assert reader.fields["qing-bert-ngrams.classifier.output_labels"].contents() == ["negative", "neutral", "positive"]
    assert reader.fields["qing-bert-ngrams.block_count"].contents() == 2
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    vocabulary = (SHIPPED / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    spelled = [t if i < 5 else t[1:] if t.startswith("\u2581") else "##" + t for i, t in enumerate(tokens)]
    assert spelled == vocabulary


def test_safetensors_holds_all_of_the_model(exports):
    from safetensors import safe_open

    with safe_open(exports["safetensors"] / "model.safetensors", "numpy") as file:
        said = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    ours = safetensors.load_file(SHIPPED / "model.safetensors")
    ours |= {"ngrams." + name: tensor for name, tensor in safetensors.load_file(SHIPPED / "ngrams.safetensors").items()}
    assert tensors.keys() == ours.keys()
    for name, tensor in ours.items():
        assert tensor.tobytes() == tensors[name].tobytes() and tensor.dtype == tensors[name].dtype
    config = json.loads((SHIPPED / "config.json").read_text())
    assert said["qing.architecture"] == "bert+ngrams" and json.loads(said["qing.labels"]) == list(config["id2label"].values())
    assert float(said["qing.temperature"]) == pytest.approx(config["calibration_temperature"], rel=1e-15)


def test_wrong_usage_and_failures_write_nothing(qing, tmp_path):
    out = tmp_path / "out"
    refused = qing("export", "--model", SHIPPED, "--format", "pickle", "--out", out, check=False)
    assert refused.returncode == 2 and "onnx-int8" in refused.stderr
    assert qing("export", "--model", SHIPPED, "--format", "onnx", check=False).returncode == 2
    refused = qing("export", "--model", tmp_path / "none", "--format", "onnx", "--out", out, check=False)
    assert refused.returncode == 1 and "config.json" in refused.stderr and not out.exists()
    own = shutil.copytree(SHIPPED, tmp_path / "own")
    refused = qing("export", "--model", own, "--format", "hf", "--out", own, check=False)
    assert refused.returncode == 1 and "the model's own folder" in refused.stderr
    assert (own / "config.json").read_bytes() == (SHIPPED / "config.json").read_bytes()
    export(qing, SHIPPED, "gguf", out)
    before = (out / "model.gguf").read_bytes()
    export(qing, SHIPPED, "gguf", out)
    assert (out / "model.gguf").read_bytes() == before, "two exports of one model differ"
    assert sorted(path.name for path in out.iterdir()) == ["model.gguf", "tokenizer.json"]
