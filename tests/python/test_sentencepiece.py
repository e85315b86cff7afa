"""Tokenizers of translation models are read from SentencePiece's files: ids and texts are those of the library, or of
the classes of `transformers`; damaged files are refused."""

import json
import random
import struct

import pytest

pytest.importorskip("sentencepiece")
pytest.importorskip("transformers")
import sentencepiece  # noqa: E402
from sentencepiece_models import (  # noqa: E402
    FAIRSEQ,
    MARIAN,
    m2m100_tokenizer,
    marian_tokenizer,
    mbart50_tokenizer,
    mbart_tokenizer,
    nllb_tokenizer,
    t5_tokenizer,
    train,
)
from tokenizer_peers import answers, made_texts  # noqa: E402

TRAINING = made_texts(2500, 5)
# Ten scripts, rare characters between, and what white space, marks and symbols of the user may do.
TEXTS = made_texts(600, 9) + [
    "", " ", "   ", "▁", " ▁ ", "▁▁a", "a", " a ", "a  b", "a\u3000b\u00a0c", "\n\ta\r\n b \n", "中文 和 English混合",
    "<sep>a<sep><sep> b", "a <sep> b", "ab<sep", "[X] [X][X] x[X]y", "12,000.50 12", "ｆｕｌｌ ﬁ ½ Ⅷ e\u0301", "\U00020000\U00020001 x\U0001f60a\U0001f60a",
    "<0x41> <unk> <s> x", "word " * 60, "x" * 300, "\x00 a\x00b", "İstanbul ẞ ΌΣΟΣ",
]  # fmt: skip
MODELS = {
    "unigram": dict(MARIAN),
    "unigram, bytes": dict(FAIRSEQ, byte_fallback=True, size=2900),
    "unigram, as it is": dict(MARIAN, normalization_rule_name="identity", remove_extra_whitespaces=False),
    "unigram, no prefix": dict(MARIAN, add_dummy_prefix=False, normalization_rule_name="nfkc_cf"),
    "unigram, symbols": dict(FAIRSEQ, user_defined_symbols=["<sep>", "[X]", "12"], control_symbols=["<ctl>"]),
    "bpe": dict(FAIRSEQ, model_type="bpe"),
    "bpe, bytes": dict(FAIRSEQ, model_type="bpe", byte_fallback=True, size=2900),
    "bpe, symbols": dict(MARIAN, model_type="bpe", user_defined_symbols=["<sep>", "[X]", "12"],
                         remove_extra_whitespaces=False),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model file by its name, trained once."""
    folder, files = tmp_path_factory.mktemp("pieces"), {}

    def make(name):
        if name not in files:
            files[name] = folder / f"{len(files)}.model"
            train(files[name], TRAINING, **MODELS[name])
        return files[name]

    return make


@pytest.mark.parametrize("name", MODELS)
def test_ids_and_texts_are_those_of_the_library(name, made):
    path = made(name)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    unknown, splits = theirs.unk_id(), 0
    for text, answer in zip(TEXTS, answers(path, TEXTS)):
        (ours,) = answer["windows"]
        assert ours["ids"] == theirs.encode(text), repr(text)
        assert ours["offsets"] == sorted(ours["offsets"]) or "bytes" in name, repr(text)
        splits += sum(theirs.encode(text).count(id) for id in (unknown,))
    assert ("bytes" in name) == (splits == 0), "unknown characters are part of the test"
    rng = random.Random(3)
    drawn = [[rng.randrange(theirs.get_piece_size()) for _ in range(rng.randint(1, 12))] for _ in range(400)]
    drawn += [theirs.encode(text) for text in TEXTS if text.strip()]
    for ids, answer in zip(drawn, answers(path, [{"decode": ids} for ids in drawn])):
        assert answer["text"] == theirs.decode(ids), ids


def test_denormalizer_and_unused_pieces(made, tmp_path):
    model = pytest.importorskip("sentencepiece.sentencepiece_model_pb2").ModelProto()
    for name in ("unigram", "bpe"):
        model.ParseFromString(made(name).read_bytes())
        words = [piece for piece in model.pieces if piece.type == 1 and len(piece.piece) > 2]
        for piece in words[::3]:
            piece.type = 5
        model.denormalizer_spec.precompiled_charsmap = model.normalizer_spec.precompiled_charsmap
        model.denormalizer_spec.add_dummy_prefix = model.denormalizer_spec.escape_whitespaces = False
        path = tmp_path / f"{name}.spm"
        path.write_bytes(model.SerializeToString())
        theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
        ids = [answer["windows"][0]["ids"] for answer in answers(path, TEXTS)]
        assert ids == [theirs.encode(text) for text in TEXTS]
        assert ids != [answer["windows"][0]["ids"] for answer in answers(made(name), TEXTS)], "no piece was unused"
        lines = [{"decode": each} for each in ids if each]
        assert [answer["text"] for answer in answers(path, lines)] == [theirs.decode(each) for each in ids if each]


CLASSES = {
    "marian": lambda folder: marian_tokenizer(folder, TRAINING, ["fra", "cmn_Hans"]),
    "m2m100": lambda folder: m2m100_tokenizer(folder, TRAINING),
    "mbart50": lambda folder: mbart50_tokenizer(folder, TRAINING),
    "t5": lambda folder: t5_tokenizer(folder, TRAINING),
    "mbart": lambda folder: mbart_tokenizer(folder, TRAINING),
    "nllb": lambda folder: nllb_tokenizer(folder, TRAINING),
    "nllb, legacy": lambda folder: nllb_tokenizer(folder, TRAINING, legacy_behaviour=True),
}


@pytest.mark.parametrize("name", CLASSES)
def test_folders_give_the_ids_of_transformers(name, tmp_path):
    theirs = CLASSES[name](tmp_path / "model")
    texts = [text for text in TEXTS if "\x00" not in text]
    texts += ["a </s> b<pad>c", "x<unk>y", "en_XX __fr__ <extra_id_3> <mask>"]
    ids = [answer["windows"][0]["ids"] for answer in answers(tmp_path / "model", texts, 1000)]
    for text, ours in zip(texts, ids):
        assert ours == theirs(text).input_ids, repr(text)
    rng = random.Random(4)
    drawn = ids + [[rng.randrange(len(theirs)) for _ in range(rng.randint(1, 12))] for _ in range(300)]
    lines = [{"decode": each, "skip": True} for each in drawn]
    for each, answer in zip(drawn, answers(tmp_path / "model", lines)):
        expected = theirs.decode(each, skip_special_tokens=True)
        assert answer["text"] == expected, (each, theirs.convert_ids_to_tokens(each))


@pytest.mark.parametrize("name", ["mbart50", "t5"])
def test_folders_saved_anew_give_the_same_ids(name, tmp_path):
    theirs = CLASSES[name](tmp_path / "model")
    theirs.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved/tokenizer.json").exists()
    assert answers(tmp_path / "saved", TEXTS, 1000) == answers(tmp_path / "model", TEXTS, 1000)


def field(number, content):
    """A field of a protobuf message: bytes, a number, or a float."""
    if isinstance(content, float):
        return varint(number << 3 | 5) + struct.pack("<f", content)
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value):
    result = b""
    while value > 127:
        result += bytes([value & 127 | 128])
        value >>= 7
    return result + bytes([value])


def piece(text, score=-1.0, kind=1):
    return field(1, field(1, text) + field(2, score) + field(3, kind))


UNKNOWN = piece(b"<unk>", 0.0, 2)
HOSTILE = {
    "empty": (b"", "no piece for unknown text"),
    "no pieces of text": (UNKNOWN, "no pieces of text"),
    "no unknown piece": (piece(b"a"), "no piece for unknown text"),
    "two unknown pieces": (UNKNOWN + piece(b"b", 0.0, 2) + piece(b"a"), "piece 1 is unknown text"),
    "nan": (UNKNOWN + piece(b"a", float("nan")), "score nan is not finite"),
    "infinity": (UNKNOWN + piece(b"a", float("-inf")), "score -inf is not finite"),
    "twice": (UNKNOWN + piece(b"a") + piece(b"a"), "piece 2 'a' is there twice"),
    "empty piece": (UNKNOWN + piece(b""), "piece 1 is empty"),
    "long piece": (UNKNOWN + piece(b"a" * 8000), "piece 1 has 8000 bytes"),
    "zero byte": (UNKNOWN + piece(b"a\0b"), "zero byte"),
    "no UTF-8": (UNKNOWN + piece(b"\xff\xfe"), "piece 1 is no UTF-8"),
    "a type": (UNKNOWN + piece(b"a", -1.0, 7), "no type 7"),
    "a byte without fallback": (UNKNOWN + piece(b"<0x41>", -1.0, 6) + piece(b"a"), "byte_fallback is false"),
    "too few bytes": (UNKNOWN + piece(b"a") + piece(b"<0x00>", -1.0, 6) + field(2, field(35, 1)), "no piece <0x01>"),
    "no byte": (UNKNOWN + piece(b"a") + piece(b"<0xzz>", -1.0, 6) + field(2, field(35, 1)), "is no byte"),
    "words": (UNKNOWN + piece(b"a") + field(2, field(3, 3)), "a model of words"),
    "a model type": (UNKNOWN + piece(b"a") + field(2, field(3, 9)), "no model_type 9"),
    "suffix": (UNKNOWN + piece(b"a") + field(2, field(24, 1)), "treat_whitespace_as_suffix"),
    "huge length": (UNKNOWN + b"\x0a" + varint(1 << 62) + b"a", "are left"),
    "varint": (UNKNOWN + b"\x0a" + b"\xff" * 12, "more than 10 bytes"),
    "varint of 70 bits": (UNKNOWN + b"\x0a" + b"\xff" * 9 + b"\x7f", "64 bits"),
    "wire type": (UNKNOWN + b"\x0b", "wire type 3"),
    "field 0": (UNKNOWN + b"\x02\x00", "without a number"),
    "score as text": (UNKNOWN + field(1, field(1, b"a") + field(2, b"high")), "no float"),
    "map too short": (UNKNOWN + piece(b"a") + field(3, field(2, b"ab")), "too short"),
    "map larger than the file": (UNKNOWN + piece(b"a") + field(3, field(2, b"\xff\xff\xff\x7f" + b"a" * 8)), "its trie"),
    "json": (b'{"model": {"vocab": []}}', "SentencePiece"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_files_are_refused(name, tmp_path):
    content, message = HOSTILE[name]
    path = tmp_path / "m.model"
    path.write_bytes(content)
    with pytest.raises(ValueError) as refused:
        answers(path, ["a"])
    assert str(path) in str(refused.value) and message in str(refused.value), refused.value
    # In the folder of a model the file is named too.
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "spiece.model").write_bytes(content)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer"}')
    with pytest.raises(ValueError) as refused:
        answers(folder, ["a"])
    assert str(folder / "spiece.model") in str(refused.value) and message in str(refused.value), refused.value


def test_cut_and_changed_files_end_with_an_error_or_an_answer(made, tmp_path):
    """No cut and no changed byte ends the program by anything but an error of its own."""
    content = made("bpe, symbols").read_bytes()
    path, rng = tmp_path / "m.model", random.Random(6)
    refused = 0
    for i in range(60):
        damaged = bytearray(content)
        if i % 2:
            damaged = damaged[: rng.randrange(len(content))]
        for _ in range(rng.randint(1, 30)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            answers(path, TEXTS[:30])
        except ValueError as error:
            assert str(error).startswith(str(path)), error
            refused += 1
    assert refused > 20


@pytest.mark.parametrize(("file", "content", "message"), [
    ("vocab.json", '{"</s>": 0}', "unk_token '<unk>' is missing"),
    ("vocab.json", "[]", "vocab.json"),
    ("vocab.json", None, "vocab.json"),
    ("sentencepiece.bpe.model", None, "sentencepiece"),
    ("tokenizer_config.json", '{"tokenizer_class": "M2M100Tokenizer", "src_lang": "tlh"}', "the language 'tlh'"),
    ("tokenizer_config.json", '{"tokenizer_class": "M2M100Tokenizer", "language_codes": "x"}', "language_codes: 'x'"),
    ("tokenizer_config.json", '{"tokenizer_class": "NllbTokenizer"}', "tokenizer.json"),
    ("tokenizer_config.json", '{"tokenizer_class": "MBartTokenizer"}', "tokenizer.json"),
    ("tokenizer_config.json", '{"tokenizer_class": "M2M100Tokenizer", "unk_token": null}', "unk_token is missing"),
])  # fmt: skip
def test_folders_that_lack_something_are_refused(file, content, message, tmp_path):
    m2m100_tokenizer(tmp_path / "model", TRAINING[:1500])
    path = tmp_path / "model" / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ValueError, match=message) as refused:
        answers(tmp_path / "model", ["a"])
    assert str(tmp_path / "model") in str(refused.value)


@pytest.mark.parametrize(("make", "name"), [
    (marian_tokenizer, "unk_token"), (nllb_tokenizer, "unk_token"), (mbart50_tokenizer, "cls_token"),
    (mbart50_tokenizer, "mask_token"),
])  # fmt: skip
def test_a_token_that_the_class_needs_is_not_null(make, name, tmp_path):
    make(tmp_path / "model", TRAINING[:1500])
    path = tmp_path / "model/tokenizer_config.json"
    settings = json.loads(path.read_text())
    # The other files that could name the token.
    for other in ("special_tokens_map.json", "added_tokens.json"):
        (tmp_path / "model" / other).unlink(missing_ok=True)
    path.write_text(json.dumps({**settings, name: None}))
    with pytest.raises(ValueError) as refused:
        answers(tmp_path / "model", ["a"])
    assert f"{path}: {name} is missing" in str(refused.value), refused.value


def test_a_model_file_beside_tokenizer_json_is_not_read(tmp_path):
    t5_tokenizer(tmp_path / "model", TRAINING).save_pretrained(tmp_path / "saved")
    (tmp_path / "saved/spiece.model").write_bytes(b"damaged")
    assert answers(tmp_path / "saved", ["a"])[0]["windows"]
    assert json.loads((tmp_path / "saved/tokenizer_config.json").read_text())["tokenizer_class"] == "T5Tokenizer"
