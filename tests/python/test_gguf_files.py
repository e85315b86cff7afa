"""GGUF files: every tensor equals what the package gguf unpacks, to the bit; a BERT under llama.cpp's names comes back
under transformers' and computes the same."""

import json

import pytest
from bert_files import inputs, load_imported, named_tensors, small_bert
from conftest import assert_same_tensors, same_bits

gguf = pytest.importorskip("gguf")
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TYPES = gguf.GGMLQuantizationType
LAYER = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
         "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
         "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}  # fmt: skip
TOP = {"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
       "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm"}  # fmt: skip
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "中", "##文", "##s", "."]


def write(path, architecture="bert", tensors=(), values=(), alignment=None):
    """tensors: (name, array, type); values: (method of the writer, arguments)."""
    writer = gguf.GGUFWriter(path, architecture)
    if alignment:
        writer.add_custom_alignment(alignment)
    for method, *arguments in values:
        getattr(writer, method)(*arguments)
    for name, array, kind in tensors:
        raw = None if kind is None else kind
        writer.add_tensor(name, array, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def quantized(array, kind):
    return gguf.quants.quantize(array, kind), kind


@pytest.mark.parametrize("alignment", [None, 8, 64, 4096])
def test_tensors_as_the_package_unpacks_them(weights, tmp_path, alignment):
    rng = np.random.default_rng(3)
    arrays = {"f32": rng.standard_normal((5, 7), np.float32), "f16": rng.standard_normal((3, 2, 4)).astype(np.float16),
              "f64": rng.standard_normal(3), "i8": rng.integers(-128, 128, 9).astype(np.int8),
              "i32": rng.integers(-9, 9, (2, 2)).astype(np.int32), "i64": rng.integers(-9, 9, 4)}  # fmt: skip
    blocks = rng.standard_normal((6, 96), np.float32) * np.float32([[1e-6], [1e-3], [1], [50], [1e4], [0]])
    tensors = [(name, array, None) for name, array in arrays.items()]
    for kind in (TYPES.Q8_0, TYPES.Q4_0, TYPES.BF16):
        tensors.append((kind.name, *quantized(blocks, kind)))
    found = weights.read(write(tmp_path / "w.gguf", tensors=tensors, alignment=alignment))
    expected = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for kind in (TYPES.Q8_0, TYPES.Q4_0):
        packed, _ = quantized(blocks, kind)
        expected[kind.name] = torch.from_numpy(gguf.quants.dequantize(packed, kind))
    expected["BF16"] = torch.from_numpy(blocks).to(torch.bfloat16)
    assert_same_tensors(found, expected)


@pytest.mark.parametrize("kind", [TYPES.Q4_1, TYPES.Q5_0, TYPES.Q5_1, TYPES.IQ4_NL, TYPES.TQ1_0, TYPES.MXFP4], ids=lambda t: t.name)
def test_other_types_are_refused_by_their_names(weights, tmp_path, kind):
    array = np.ones((2, 256), np.float32)
    try:
        packed = gguf.quants.quantize(array, kind)
    except NotImplementedError:
        pytest.skip("the package does not write it")
    path = write(tmp_path / "w.gguf", tensors=[("a", packed, kind)])
    assert f"tensor 'a' has the type {kind.name}" in weights.refusal(path)


def phantom(piece):
    """A piece of vocab.txt as llama.cpp's converter writes it."""
    if piece.startswith("[") and piece.endswith("]"):
        return piece
    return piece[2:] if piece.startswith("##") else "\u2581" + piece


def bert_values(config):
    return [("add_block_count", config.num_hidden_layers), ("add_context_length", config.max_position_embeddings),
            ("add_embedding_length", config.hidden_size), ("add_feed_forward_length", config.intermediate_size),
            ("add_head_count", config.num_attention_heads), ("add_layer_norm_eps", config.layer_norm_eps),
            ("add_causal_attention", False), ("add_tokenizer_model", "bert"), ("add_token_list", [phantom(p) for p in VOCABULARY]),
            ("add_token_types", [3] * 5 + [1] * (len(VOCABULARY) - 5)), ("add_unk_token_id", 1), ("add_pad_token_id", 0),
            ("add_bos_token_id", 2), ("add_sep_token_id", 3)]  # fmt: skip


def bert_tensors(model, kind=None):
    """(name, array, type) of every tensor but the pooler, matrices of layers in `kind`."""
    for name, tensor in named_tensors(model).items():
        stem, part = name.rsplit(".", 1)
        if stem.startswith("pooler"):
            continue
        if stem.startswith("encoder.layer."):
            number, rest = stem.removeprefix("encoder.layer.").split(".", 1)
            as_named = f"blk.{number}.{LAYER[rest]}.{part}"
        else:
            as_named = f"{TOP[stem]}.{part}"
        array = tensor.numpy()
        if kind is None or array.ndim == 1 or "position" in name or "token_type" in name:
            yield as_named, array, None
        elif kind == TYPES.F16:
            yield as_named, array.astype(np.float16), None
        else:
            yield as_named, *quantized(array, kind)


@pytest.mark.parametrize("kind", [None, TYPES.F16, TYPES.Q8_0, TYPES.Q4_0], ids=["F32", "F16", "Q8_0", "Q4_0"])
def test_an_encoder(weights, tmp_path, kind):
    model = small_bert()
    path = write(tmp_path / "bert.gguf", tensors=bert_tensors(model, kind), values=bert_values(model.config))
    folder = weights.encoder(path)
    loaded = load_imported(folder, add_pooling_layer=False)
    expected = small_bert()
    with torch.no_grad():
        for name, tensor in expected.named_parameters():
            if kind is None or tensor.dim() == 1 or "position" in name or "token_type" in name or "pooler" in name:
                continue
            if kind == TYPES.F16:
                tensor.copy_(tensor.to(torch.float16))
            else:
                tensor.copy_(torch.from_numpy(gguf.quants.dequantize(*quantized(tensor.numpy(), kind))))
    for name, tensor in loaded.named_parameters():
        assert same_bits(tensor, expected.get_parameter(name)), name
    batch = inputs(model.config.vocab_size)
    with torch.no_grad():
        assert torch.equal(loaded(**batch).last_hidden_state, expected(**batch).last_hidden_state)
    assert (folder / "vocab.txt").read_text("utf-8").split("\n")[:-1] == VOCABULARY
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer("Playing 中.").input_ids == [2, 5, 6, 7, 10, 3]
    config = json.loads((folder / "config.json").read_text())
    for field in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "layer_norm_eps",
                  "max_position_embeddings", "type_vocab_size", "hidden_act"):  # fmt: skip
        assert config[field] == getattr(model.config, field), field


def without(values, method):
    return [value for value in values if value[0] != method]


def test_what_is_no_such_encoder_is_refused(weights, tmp_path):
    model = small_bert()
    values, tensors = bert_values(model.config), list(bert_tensors(model))

    def said(architecture="bert", tensors=tensors, values=values):
        path = write(tmp_path / "bert.gguf", architecture, tensors, values)
        return weights.refusal(path, "import_encoder")

    assert "the architecture 'nomic-bert'" in said("nomic-bert")
    assert "'bert.block_count' is missing" in said(values=without(values, "add_block_count"))
    assert "'bert.attention.head_count' is missing" in said(values=without(values, "add_head_count"))
    assert "a width of 64 for 5 heads" in said(values=[*without(values, "add_head_count"), ("add_head_count", 5)])
    assert "the tensor 'blk.1.ffn_up.bias' is missing" in said(tensors=[t for t in tensors if t[0] != "blk.1.ffn_up.bias"])
    assert "tensor 'cls.weight' is none" in said(tensors=[*tensors, ("cls.weight", np.ones((64, 64), np.float32), None)])
    assert "but the sizes of the encoder give" in said(values=[*without(values, "add_feed_forward_length"), ("add_feed_forward_length", 64)])
    assert "a decoder" in said(values=[*without(values, "add_causal_attention"), ("add_causal_attention", True)])
    assert "the tokenizer 'gpt2'" in said(values=[*without(values, "add_tokenizer_model"), ("add_tokenizer_model", "gpt2")])
    assert "the id 99 is of no token" in said(values=[*without(values, "add_pad_token_id"), ("add_pad_token_id", 99)])
