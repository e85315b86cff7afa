"""Ids, offsets and type ids equal those of `tokenizers` on texts in ten scripts, for every kind of stage."""

import itertools
import json
import random

import pytest

tokenizers = pytest.importorskip("tokenizers")
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors  # noqa: E402
from tokenizer_peers import (  # noqa: E402
    answers,
    byte_bpe,
    compare,
    made_texts,
    spelling_model,
    unigram,
    wordpiece,
)

TEXTS = made_texts(10000, 3)
TRAINING = TEXTS[:4000]
PAIRS = list(zip(TEXTS[:600], TEXTS[600:1200]))

ALBERT = normalizers.Sequence(
    [
        normalizers.Replace("``", '"'),
        normalizers.Replace("''", '"'),
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(" {2,}"), " "),
    ]
)
MAKERS = {
    "bert": lambda: wordpiece(TRAINING),
    "bert-cased": lambda: wordpiece(TRAINING, lowercase=False),
    "roberta": lambda: byte_bpe(TRAINING),
    "roberta-spaced": lambda: byte_bpe(TRAINING, add_prefix_space=True),
    "xlm-r": lambda: unigram(TRAINING),
    "albert": lambda: unigram(TRAINING, ALBERT, names=("[CLS]", "<pad>", "[SEP]", "<unk>", "[MASK]")),
}


@pytest.fixture(scope="module", params=MAKERS)
def family(request, tmp_path_factory):
    theirs = MAKERS[request.param]()
    path = tmp_path_factory.mktemp("family") / "tokenizer.json"
    theirs.save(str(path))
    return path, theirs


def test_ten_thousand_texts(family):
    compare(*family, TEXTS)


def test_pairs(family):
    compare(*family, PAIRS)


def test_decoding(family):
    path, theirs = family
    rng_ids = [theirs.encode(text).ids for text in TEXTS[:400]]
    for skip in (False, True):
        ours = answers(path, [{"decode": ids, "skip": skip} for ids in rng_ids])
        for ids, mine in zip(rng_ids, ours):
            assert mine == {"text": theirs.decode(ids, skip_special_tokens=skip)}


@pytest.mark.parametrize("direction", ["left", "right"])
@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("length,stride", [(12, 0), (9, 3), (16, 1)])
def test_truncation(family, tmp_path, direction, strategy, length, stride):
    path, theirs = family
    theirs = tokenizers.Tokenizer.from_str(theirs.to_str())
    theirs.enable_truncation(length, strategy=strategy, direction=direction, stride=stride)
    theirs.save(str(tmp_path / "tokenizer.json"))
    lines = ([] if strategy == "only_second" else TEXTS[:300]) + PAIRS[:300]
    kept, refused = [], []
    for line in lines:
        try:
            theirs.encode(*line) if isinstance(line, tuple) else theirs.encode(line)
            kept.append(line)
        except BaseException:  # too short to be cut so far, which is an error or a panic
            refused.append(line)
    assert len(kept) > 20
    compare(tmp_path / "tokenizer.json", theirs, kept)
    assert all("error" in answer for answer in answers(tmp_path / "tokenizer.json", refused[:20]))


NORMALIZERS = {
    "none": None,
    "bert": normalizers.BertNormalizer(),
    "bert accents": normalizers.BertNormalizer(strip_accents=False),
    "bert raw": normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, lowercase=False, strip_accents=True
    ),
    "nfc": normalizers.NFC(),
    "nfd": normalizers.NFD(),
    "nfkc": normalizers.NFKC(),
    "nfkd": normalizers.NFKD(),
    "lower": normalizers.Lowercase(),
    "strip": normalizers.Strip(),
    "strip right": normalizers.Strip(left=False),
    "accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    "replace": normalizers.Replace("o", "0oo"),
    "remove": normalizers.Replace("e", ""),
    "longer": normalizers.Replace("don", "do"),
    "spaces": normalizers.Replace(Regex(" {2,}"), "▁"),
    "white": normalizers.Replace(Regex(r"\s+"), " "),
    "line": normalizers.Replace(Regex("^ |\n$"), "_"),
    "class": normalizers.Replace(Regex(r"[^\p{L}a-e\s]+"), "#"),
    "prepend": normalizers.Prepend("▁"),
    "nmt": normalizers.Nmt(),
    "bytes": normalizers.ByteLevel(),
    "all": normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Strip(),
            normalizers.Prepend("▁"),
            normalizers.NFD(),
            normalizers.Lowercase(),
        ]
    ),
}


@pytest.mark.parametrize("name", NORMALIZERS)
def test_normalizers(tmp_path, name):
    theirs = tokenizers.Tokenizer(spelling_model())
    if NORMALIZERS[name]:
        theirs.normalizer = NORMALIZERS[name]
    theirs.save(str(tmp_path / "tokenizer.json"))
    compare(tmp_path / "tokenizer.json", theirs, TEXTS[:1500])


BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PRE_TOKENIZERS = {
    "bert": pre_tokenizers.BertPreTokenizer(),
    "words": pre_tokenizers.Whitespace(),
    "white": pre_tokenizers.WhitespaceSplit(),
    "digits": pre_tokenizers.Digits(),
    "each digit": pre_tokenizers.Digits(individual_digits=True),
    "delimiter": pre_tokenizers.CharDelimiterSplit("a"),
    "length": pre_tokenizers.FixedLength(3),
    "meta": pre_tokenizers.Metaspace(),
    "meta first": pre_tokenizers.Metaspace(prepend_scheme="first"),
    "meta never": pre_tokenizers.Metaspace(prepend_scheme="never"),
    "meta whole": pre_tokenizers.Metaspace(split=False),
    "bytes": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "bytes spaced": pre_tokenizers.ByteLevel(),
    "bytes whole": pre_tokenizers.ByteLevel(use_regex=False),
    "gpt": pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(GPT2), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    ),
    "xlm-r": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
    "both": pre_tokenizers.Sequence(
        [pre_tokenizers.ByteLevel(), pre_tokenizers.Digits(True), pre_tokenizers.Punctuation()]
    ),
    **{f"punctuation {b}": pre_tokenizers.Punctuation(b) for b in BEHAVIORS},
    **{
        f"split {b} {invert}": pre_tokenizers.Split("a", b, invert)
        for b, invert in itertools.product(BEHAVIORS, [False, True])
    },
    **{f"split spaces {b}": pre_tokenizers.Split(Regex(r"\s+"), b) for b in BEHAVIORS},
}


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_pre_tokenizers(tmp_path, name):
    """A model of whole words gives a token for each, whose offsets show where the text was cut."""
    theirs = tokenizers.Tokenizer(models.WordLevel({"<unk>": 0, "▁": 1, "Ġ": 2, "a": 3}, unk_token="<unk>"))
    theirs.pre_tokenizer = PRE_TOKENIZERS[name]
    theirs.add_tokens([tokenizers.AddedToken("<mask>", lstrip=True), tokenizers.AddedToken("[SEP]", rstrip=True)])
    theirs.save(str(tmp_path / "tokenizer.json"))
    compare(tmp_path / "tokenizer.json", theirs, TEXTS[:1500])


@pytest.mark.parametrize("split_special", [False, True])
@pytest.mark.parametrize(
    "normalizer", [None, normalizers.Lowercase(), normalizers.Sequence([normalizers.NFKD(), normalizers.Prepend("x")])]
)
def test_added_tokens_with_every_flag(tmp_path, normalizer, split_special):
    theirs = tokenizers.Tokenizer(spelling_model())
    if normalizer:
        theirs.normalizer = normalizer
    theirs.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    contents = iter(
        ["Abc", "bcd", "ab", "É", "the end", "#", "##", "<T>", "tok", "token", "de", "f g", "一", "二三", "...", "Ⅷ"]
    )
    for flags, content in zip(itertools.product([False, True], repeat=4), contents):
        single_word, lstrip, rstrip, normalized = flags
        token = tokenizers.AddedToken(
            content,
            single_word=single_word,
            lstrip=lstrip,
            rstrip=rstrip,
            normalized=normalized,
            special=len(content) > 2,
        )
        theirs.add_special_tokens([token]) if len(content) > 2 else theirs.add_tokens([token])
    theirs.save(str(tmp_path / "tokenizer.json"))
    parts = [
        "Abc",
        "abc",
        "ABC",
        "bcd",
        "ab",
        "é",
        "É",
        "E\u0301",
        "the end",
        "The End",
        "#",
        "##",
        "###",
        "<T>",
        "<t>",
        "tok",
        "token",
        "tokens",
        "de",
        "f g",
        "F G",
        "一",
        "一二三",
        "...",
        "....",
        "Ⅷ",
        "viii",
        " ",
        "  ",
        "\t",
        "\u3000",
        "x",
        "_",
        "-",
        "é",
        "\u0301",
    ]
    rng = random.Random(8)
    texts = ["".join(rng.choice(parts) for _ in range(rng.randint(1, 9))) for _ in range(2000)]
    if split_special:
        # A setting of folders, which a file does not have.
        theirs.encode_special_tokens = True
        (tmp_path / "tokenizer_config.json").write_text(
            json.dumps({"split_special_tokens": True, "tokenizer_class": "PreTrainedTokenizerFast"})
        )
        compare(tmp_path, theirs, texts, 10000)
    else:
        compare(tmp_path / "tokenizer.json", theirs, texts)


@pytest.mark.parametrize(
    "options",
    [
        dict(unk_token="<unk>"),
        dict(unk_token="<unk>", fuse_unk=True),
        dict(),
        dict(continuing_subword_prefix="##", unk_token="<unk>"),
        dict(end_of_word_suffix="</w>", unk_token="<unk>"),
        dict(ignore_merges=True, unk_token="<unk>"),
    ],
)
def test_options_of_bpe(tmp_path, options):
    theirs = tokenizers.Tokenizer(models.BPE(**options))
    theirs.pre_tokenizer = pre_tokenizers.Whitespace()
    trained = {k: v for k, v in options.items() if k in ("continuing_subword_prefix", "end_of_word_suffix")}
    theirs.train_from_iterator(
        TRAINING[:1500],
        tokenizers.trainers.BpeTrainer(
            vocab_size=900, limit_alphabet=150, special_tokens=["<unk>"], show_progress=False, **trained
        ),
    )
    theirs.save(str(tmp_path / "tokenizer.json"))
    long = ["ab" * 60, "".join(TRAINING[60:90]).replace(" ", "")]
    compare(tmp_path / "tokenizer.json", theirs, TEXTS[:1000] + long)


def test_byte_fallback_of_unigram(tmp_path):
    pieces = [("<unk>", 0.0), ("a", -1.0), ("ab", -1.5), ("▁", -2.0), *((f"<0x{b:02X}>", -9.0) for b in range(256))]
    theirs = tokenizers.Tokenizer(models.Unigram(pieces, 0, True))
    theirs.pre_tokenizer = pre_tokenizers.Metaspace()
    theirs.save(str(tmp_path / "tokenizer.json"))
    compare(tmp_path / "tokenizer.json", theirs, TEXTS[:500])


def test_scores_to_the_last_bit(tmp_path):
    """Many equal sums, which the rounding of each score decides."""
    rng = random.Random(4)
    # Scores that the reader of `tokenizers` rounds to another double than the nearest, and some that it does not.
    many = [("<unk>", 0.0)] + [(str(i), -rng.random() * 12) for i in range(400)]
    read = json.loads(tokenizers.Tokenizer.from_str(tokenizers.Tokenizer(models.Unigram(many, 0)).to_str()).to_str())[
        "model"
    ]["vocab"]
    changed = [score for (_, score), (_, other) in zip(many, read) if score != other]
    assert len(changed) > 5
    scores = changed[:5] + [many[1][1], many[2][1]]
    pieces = [("<unk>", 0.0)] + [
        ("".join(p), rng.choice(scores)) for n in (1, 2, 3) for p in itertools.product("abc", repeat=n)
    ]
    theirs = tokenizers.Tokenizer(models.Unigram(pieces, 0))
    theirs.save(str(tmp_path / "tokenizer.json"))
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    texts = ["".join(rng.choice("abc") for _ in range(rng.randint(1, 60))) for _ in range(5000)]
    compare(tmp_path / "tokenizer.json", theirs, texts)
    # The texts tell the two readings apart.
    exact = tokenizers.Tokenizer(models.Unigram(pieces, 0))
    assert any(theirs.encode(text).ids != exact.encode(text).ids for text in texts)


PROCESSORS = {
    "none": None,
    "bytes": processors.ByteLevel(),
    "bytes spaced": processors.ByteLevel(add_prefix_space=False),
    "bert": processors.BertProcessing(("</s>", 2), ("<s>", 0)),
    "roberta": processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False),
    "types": processors.TemplateProcessing(
        single="<s>:3 $A:5", pair="$B:1 <s>:2 $A:7 </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    ),
    "both": processors.Sequence(
        [
            processors.ByteLevel(),
            processors.TemplateProcessing(
                single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
            ),
        ]
    ),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_post_processors(tmp_path, name):
    theirs = byte_bpe(TRAINING[:500], True, 600)
    theirs = tokenizers.Tokenizer.from_str(json.dumps({**json.loads(theirs.to_str()), "post_processor": None}))
    if PROCESSORS[name]:
        theirs.post_processor = PROCESSORS[name]
    theirs.save(str(tmp_path / "tokenizer.json"))
    compare(tmp_path / "tokenizer.json", theirs, TEXTS[:300] + PAIRS[:300])


DECODERS = {
    "none": None,
    "wordpiece": decoders.WordPiece(),
    "untidy": decoders.WordPiece(cleanup=False),
    "meta": decoders.Metaspace(),
    "bpe": decoders.BPEDecoder(),
    "bytes": decoders.ByteLevel(),
    "fallback": decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    ),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders(tmp_path, name):
    tokens = [
        "<unk>",
        "a",
        "##b",
        "▁c",
        "d</w>",
        "Ġe",
        ".",
        "?",
        "'s",
        "n't",
        "do",
        "not",
        "<0x41>",
        "<0xE4>",
        "<0xBD>",
        "<0xA0>",
        "<0xff>",
        "é",
        "好",
        " ",
        "'",
    ]
    theirs = tokenizers.Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token="<unk>"))
    if DECODERS[name]:
        theirs.decoder = DECODERS[name]
    theirs.add_special_tokens(["<s>", "<unk>"])
    theirs.save(str(tmp_path / "tokenizer.json"))
    rng = random.Random(2)
    lines = [[rng.randrange(len(tokens) + 3) for _ in range(rng.randint(1, 12))] for _ in range(500)]
    for skip in (False, True):
        ours = answers(tmp_path / "tokenizer.json", [{"decode": ids, "skip": skip} for ids in lines])
        for ids, mine in zip(lines, ours):
            assert mine == {"text": theirs.decode(ids, skip_special_tokens=skip)}, ids
