"""Folders are read as AutoTokenizer reads them: which file goes first, and what each setting changes."""

import json

import pytest

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")
from tokenizer_peers import MASK, answers, byte_bpe, made_texts, unigram, wordpiece  # noqa: E402

TEXTS = made_texts(400, 9) + [
    "the [SEP] token <s> and [NEW] new-token NEW-TOKEN <extra> end</s> [MASK] <mask> Café",
    "x " * 700 + "and the end",
]
TRAINING = made_texts(3000, 5)
ROOM = 512


@pytest.fixture(scope="module")
def trained():
    return {
        "wordpiece": wordpiece(TRAINING, size=1500),
        "bpe": byte_bpe(TRAINING, size=1200),
        "unigram": unigram(TRAINING, size=5000, names=("<s>", "<pad>", "</s>", "<unk>", MASK)),
        "albert": unigram(TRAINING, size=5000, names=("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")),
        "mpnet": wordpiece(TRAINING, size=1500),
    }


def vocabulary(tokenizer):
    return json.loads(tokenizer.to_str())["model"]["vocab"]


def make(trained, name):
    if name in ("BertTokenizer", "DistilBertTokenizer"):
        return getattr(transformers, name)(vocab=vocabulary(trained["wordpiece"]), model_max_length=ROOM)
    if name == "RobertaTokenizer":
        model = json.loads(trained["bpe"].to_str())["model"]
        return transformers.RobertaTokenizer(
            vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]], model_max_length=ROOM
        )
    if name == "MPNetTokenizer":
        vocab = vocabulary(trained["mpnet"])
        for token in ("<s>", "<pad>", "</s>", "<mask>"):
            vocab[token] = len(vocab)
        return transformers.MPNetTokenizer(vocab=vocab, model_max_length=ROOM)
    kind = {"XLMRobertaTokenizer": "unigram", "AlbertTokenizer": "albert"}[name]
    return getattr(transformers, name)(vocab=[tuple(p) for p in vocabulary(trained[kind])], model_max_length=ROOM)


def edit(path, **changes):
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for key, value in changes.items():
        if value is KeyError:
            content.pop(key, None)
        else:
            content[key] = value
    path.write_text(json.dumps(content), encoding="utf-8")


def ids_of(folder, *room):
    return [answer["windows"][0]["ids"] for answer in answers(folder, TEXTS, *(room or (ROOM,)))]


def check(folder, *room):
    """All ids equal; returns those of `transformers`."""
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    wanted = [theirs(text, truncation=True)["input_ids"] for text in TEXTS]
    got = ids_of(folder, *room)
    wrong = [(t, g, w, theirs.convert_ids_to_tokens(w)) for t, g, w in zip(TEXTS, got, wanted) if g != w]
    assert not wrong, f"{len(wrong)} of {len(TEXTS)} differ, first: {wrong[0]}"
    (info,) = answers(folder, [{"info": True}], ROOM)
    assert info["vocab_size"] == max(theirs.get_vocab().values()) + 1
    named = {
        "pad": theirs.pad_token_id,
        "cls": theirs.cls_token_id,
        "sep": theirs.sep_token_id,
        "mask": theirs.mask_token_id,
    }
    assert {key: info[key] for key in named} == {key: -1 if id is None else id for key, id in named.items()}
    return wanted


CLASSES = [
    "BertTokenizer",
    "DistilBertTokenizer",
    "RobertaTokenizer",
    "MPNetTokenizer",
    "XLMRobertaTokenizer",
    "AlbertTokenizer",
]


@pytest.fixture(params=CLASSES)
def folder(request, trained, tmp_path):
    make(trained, request.param).save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def bert(trained, tmp_path):
    make(trained, "BertTokenizer").save_pretrained(tmp_path)
    return tmp_path


def test_every_class(folder):
    check(folder)


def test_tokens_added_and_saved(folder):
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    theirs.add_tokens(["new-token", tokenizers.AddedToken("Café", single_word=True)])
    theirs.add_special_tokens({"extra_special_tokens": ["<extra>", "[NEW]"]})
    theirs.save_pretrained(folder)
    before = ids_of(folder)
    wanted = check(folder)
    assert before == wanted and any(max(ids) >= len(theirs) - 4 for ids in wanted)


@pytest.mark.parametrize("key,value", [("truncation_side", "left"), ("split_special_tokens", True)])
def test_settings_of_all_classes(folder, key, value):
    plain = check(folder)
    edit(folder / "tokenizer_config.json", **{key: value})
    assert check(folder) != plain


@pytest.mark.parametrize("tokenizer_class", ["BertTokenizer", "PreTrainedTokenizerFast"])
def test_the_direction_of_tokenizer_json(bert, tokenizer_class):
    edit(bert / "tokenizer_config.json", tokenizer_class=tokenizer_class)
    plain = check(bert)
    truncation = {"direction": "Left", "max_length": 100, "strategy": "LongestFirst", "stride": 0}
    edit(bert / "tokenizer.json", truncation=truncation)
    assert check(bert) != plain
    edit(bert / "tokenizer_config.json", truncation_side="right")
    assert check(bert) == plain


def test_a_stale_vocab_txt_is_not_read(bert):
    plain = check(bert)
    tokens = sorted(
        vocabulary(tokenizers.Tokenizer.from_file(str(bert / "tokenizer.json"))).items(), key=lambda entry: entry[1]
    )
    (bert / "vocab.txt").write_text("".join(token + "\n" for token, _ in reversed(tokens)), encoding="utf-8")
    assert check(bert) == plain
    (bert / "tokenizer.json").unlink()
    assert check(bert) != plain


@pytest.mark.parametrize("tokenizer_class", ["BertTokenizer", "PreTrainedTokenizerFast", "BertTokenizerFast"])
@pytest.mark.parametrize(
    "settings", [{"do_lower_case": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False}]
)
def test_settings_against_the_normalizer_of_tokenizer_json(bert, tokenizer_class, settings):
    """BERT's class builds its own normalizer; the other takes that of the file."""
    edit(bert / "tokenizer_config.json", tokenizer_class=tokenizer_class)
    plain = check(bert)
    edit(bert / "tokenizer_config.json", **settings)
    assert (check(bert) == plain) == (tokenizer_class == "PreTrainedTokenizerFast")


@pytest.mark.parametrize("tokenizer_class", ["BertTokenizer", "PreTrainedTokenizerFast"])
@pytest.mark.parametrize(
    "settings",
    [
        {
            "added_tokens_decoder": {
                "5000": {"content": "new-token", "special": False, "lstrip": True},
                "0": {"content": "[PAD]", "special": True},
            }
        },
        {"extra_special_tokens": ["<extra>", "[NEW]"]},
        {"extra_special_tokens": {"image_token": "<extra>"}},
        {
            "additional_special_tokens": [
                "<extra>",
                {"__type": "AddedToken", "content": "new-token", "rstrip": True, "special": True},
            ]
        },
        {"unk_token": "a"},
        {"unk_token": {"__type": "AddedToken", "content": "[UNK]", "lstrip": True, "rstrip": True, "special": True}},
        {"sep_token": "[MASK]"},
        {"cls_token": "[NEW]"},
        {"image_token": "<extra>"},
    ],
    ids=lambda s: next(iter(s)),
)
def test_tokens_of_the_configuration(bert, tokenizer_class, settings):
    edit(bert / "tokenizer_config.json", tokenizer_class=tokenizer_class, added_tokens_decoder=KeyError)
    check(bert)
    edit(bert / "tokenizer_config.json", **settings)
    check(bert)


def legacy(bert):
    """vocab.txt and a configuration, as they were before tokenizer.json."""
    tokens = sorted(
        vocabulary(tokenizers.Tokenizer.from_file(str(bert / "tokenizer.json"))).items(), key=lambda entry: entry[1]
    )
    (bert / "tokenizer.json").unlink()
    edit(bert / "tokenizer_config.json", added_tokens_decoder=KeyError, extra_special_tokens=KeyError)
    (bert / "vocab.txt").write_text("".join(token + "\n" for token, _ in tokens), encoding="utf-8")
    return len(tokens)


def test_added_tokens_json(bert):
    size = legacy(bert)
    plain = check(bert)
    (bert / "added_tokens.json").write_text(json.dumps({"new-token": size, "[NEW]": size + 1}))
    assert check(bert) != plain


@pytest.mark.parametrize(
    "tokens",
    [
        {"additional_special_tokens": ["<extra>"]},
        {"unk_token": {"content": "[UNK]", "lstrip": True}},
        {"sep_token": "[MASK]"},
    ],
)
def test_special_tokens_map(bert, tokens):
    legacy(bert)
    plain = check(bert)
    (bert / "special_tokens_map.json").write_text(json.dumps(tokens))
    assert check(bert) != plain or "unk_token" in tokens


@pytest.mark.parametrize("end", ["\n", "\n\n", "\r\n", "\n \n"])
def test_the_last_lines_of_vocab_txt(bert, end):
    size = legacy(bert)
    path = bert / "vocab.txt"
    path.write_bytes(path.read_bytes() + end.encode())
    check(bert)
    assert answers(bert, [{"info": True}])[0]["vocab_size"] > size


def test_a_limit_above_the_models_is_lowered(bert):
    edit(bert / "tokenizer_config.json", model_max_length=4096)
    assert max(map(len, ids_of(bert, 40))) == 40
    assert answers(bert, [{"info": True}], 40)[0]["max_length"] == 40
    assert answers(bert, [{"info": True}])[0]["max_length"] == 4096
    edit(bert / "tokenizer_config.json", model_max_length=KeyError)
    assert answers(bert, [{"info": True}], 40)[0]["max_length"] == 40


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta", "albert"])
def test_the_class_follows_from_the_models_type(trained, tmp_path, model_type):
    name = {
        "bert": "BertTokenizer",
        "distilbert": "BertTokenizer",
        "electra": "BertTokenizer",
        "mpnet": "MPNetTokenizer",
        "roberta": "RobertaTokenizer",
        "xlm-roberta": "XLMRobertaTokenizer",
        "albert": "AlbertTokenizer",
    }[model_type]
    make(trained, name).save_pretrained(tmp_path)
    edit(tmp_path / "tokenizer_config.json", tokenizer_class=KeyError)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    check(tmp_path)


def test_a_class_that_is_not_supported_is_named(bert):
    edit(bert / "tokenizer_config.json", tokenizer_class="LlamaTokenizer")
    with pytest.raises(ValueError, match="tokenizer_config.json: tokenizer_class: LlamaTokenizer is not supported"):
        answers(bert, [])
    edit(bert / "tokenizer_config.json", tokenizer_class="BertTokenizer", truncation_side="top")
    with pytest.raises(ValueError, match='tokenizer_config.json: truncation_side: "top" is not supported'):
        answers(bert, [])


def test_settings_of_roberta_xlmr_and_albert(trained, tmp_path):
    for name, settings in [
        ("RobertaTokenizer", {"add_prefix_space": True}),
        ("XLMRobertaTokenizer", {"add_prefix_space": False}),
        ("AlbertTokenizer", {"do_lower_case": False}),
        ("AlbertTokenizer", {"keep_accents": True}),
    ]:
        folder = tmp_path / (name + next(iter(settings)))
        make(trained, name).save_pretrained(folder)
        plain = check(folder)
        edit(folder / "tokenizer_config.json", **settings)
        assert check(folder) != plain, settings
