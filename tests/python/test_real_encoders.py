"""An ONNX encoder that is in use, bge-small-zh-v1.5: what qing makes of it computes in transformers what the file computes
in onnxruntime."""

import json

import pytest
from bert_files import largest_difference, load_imported
from registry_files import bge_small_zh_model, bge_small_zh_tokenizer

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
