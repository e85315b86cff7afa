"""qing fine-tunes encoders of every family with tokenizers of every kind, and `transformers` loads what it saves."""

import json
import re
import shlex

import pytest
from conftest import logits_of, same_bits, small_training, synthetic_rows, write_tsv
from safetensors.torch import load_file

torch = pytest.importorskip("torch")
tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")
from tokenizer_peers import MASK, answers, byte_bpe, made_texts, unigram, wordpiece  # noqa: E402

TOLERANCE = 1e-5
ROOM = 60
WORDS = "bert.embeddings.word_embeddings.weight"
SMALL = dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
             max_position_embeddings=ROOM, initializer_range=0.2)  # fmt: skip
BEHIND_PADDING = SMALL | dict(max_position_embeddings=ROOM + 2, type_vocab_size=1)
# The models' classes and settings, and the tokenizers' classes.
FAMILIES = {
    "bert": ("Bert", SMALL, "BertTokenizer"),
    "bert, added token": ("Bert", SMALL, "BertTokenizer"),
    "bert, unigram": ("Bert", SMALL | dict(pad_token_id=1), None),
    "distilbert": ("DistilBert", dict(dim=32, n_layers=3, n_heads=4, hidden_dim=48, initializer_range=0.2,
                                      max_position_embeddings=ROOM), "DistilBertTokenizer"),
    "roberta": ("Roberta", BEHIND_PADDING, "RobertaTokenizer"),
    "xlm-r": ("XLMRoberta", BEHIND_PADDING, "XLMRobertaTokenizer"),
    "electra": ("Electra", SMALL | dict(embedding_size=16), "BertTokenizer"),
    "albert": ("Albert", SMALL | dict(embedding_size=16, num_hidden_groups=2, inner_group_num=2), "AlbertTokenizer"),
    "mpnet": ("MPNet", BEHIND_PADDING, "MPNetTokenizer"),
}  # fmt: skip
TEXTS = [text for _, text in synthetic_rows(40, seed=8)] + ["1 + 1 = 2", "a 喜 b", "ünïcode <mask> [MASK] 👍🏽 end "]


@pytest.fixture(scope="module")
def trained():
    texts = [text for _, text in synthetic_rows(300, seed=2)] + made_texts(1500, 3)
    return {
        "wordpiece": wordpiece(texts, size=1200),
        "bpe": byte_bpe(texts, size=900),
        "unigram": unigram(texts, size=4000),
        "albert": unigram(texts, size=4000, names=("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")),
    }


def make_tokenizer(trained, name, folder):
    kind = FAMILIES[name][2]
    parts = {key: json.loads(value.to_str())["model"] for key, value in trained.items()}
    if kind is None:
        names = {"unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
        made = transformers.PreTrainedTokenizerFast(tokenizer_object=trained["unigram"], model_max_length=ROOM, **names)
    elif kind == "RobertaTokenizer":
        merges = [tuple(merge) for merge in parts["bpe"]["merges"]]
        made = transformers.RobertaTokenizer(vocab=parts["bpe"]["vocab"], merges=merges, model_max_length=ROOM)
    elif kind in ("XLMRobertaTokenizer", "AlbertTokenizer"):
        pieces = parts["albert" if kind == "AlbertTokenizer" else "unigram"]["vocab"]
        made = getattr(transformers, kind)(vocab=[tuple(piece) for piece in pieces], model_max_length=ROOM)
    else:
        vocab = dict(parts["wordpiece"]["vocab"])
        if kind == "MPNetTokenizer":
            vocab |= {token: len(vocab) + i for i, token in enumerate(("<s>", "<pad>", "</s>", "<mask>"))}
        made = getattr(transformers, kind)(vocab=vocab, model_max_length=ROOM)
        if name == "bert, added token":
            made.add_tokens(["喜欢", "zzz"])
    made.save_pretrained(folder)
    return made


@pytest.fixture(scope="module")
def base(trained, tmp_path_factory):
    """The folder of a family's encoder without a head, whose weights are all different."""
    made = {}

    def of(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("base")
            tokenizer = make_tokenizer(trained, name, folder)
            prefix, settings, _ = FAMILIES[name]
            torch.manual_seed(4)
            config = getattr(transformers, prefix + "Config")(vocab_size=len(tokenizer) + 3, **settings)
            model = getattr(transformers, prefix + "Model")(config)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.05 * torch.randn_like(parameter))
            model.save_pretrained(folder)
            made[name] = folder
        return made[name]

    return of


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tsv(tmp_path_factory.mktemp("data") / "train.tsv", synthetic_rows(120))


def fine_tune(qing, folder, data, out, *more):
    rate = [] if "--lr" in more else ["--lr", 1e-3]
    qing("train", "--from", folder, "--data", data, "--max-steps", 3, "--batch", 8, "--max-length", 40, "--out", out, *rate,
         *more)  # fmt: skip
    return out


def transformers_logits(folder, texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    kind = transformers.AutoModelForSequenceClassification
    model, report = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    ids = [tokenizer(text, truncation=True)["input_ids"] for text in texts]
    with torch.no_grad():
        return ids, torch.cat([model.eval()(torch.tensor([each])).logits for each in ids])


def ids_of(folder, texts):
    return [answer["windows"][0]["ids"] for answer in answers(folder, texts)]


@pytest.mark.parametrize("pruned", [False, True], ids=["whole", "pruned"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_result_in_transformers(qing, base, data, name, pruned, tmp_path):
    out = fine_tune(qing, base(name), data, tmp_path / "m", *["--prune-vocab", 1][: 2 * pruned])
    texts = [*TEXTS, "I love this film " * 30]
    ids, theirs = transformers_logits(out, texts)
    assert max(map(len, ids)) == 40
    assert ids == ids_of(out, texts)
    assert theirs.std() > 0.02, "logits that hardly differ would prove nothing"
    assert (logits_of(qing, out, texts, tmp_path) - theirs).abs().max() < TOLERANCE
    rows = transformers.AutoConfig.from_pretrained(out).vocab_size
    whole = transformers.AutoConfig.from_pretrained(base(name)).vocab_size
    assert rows < 0.8 * whole if pruned else rows == whole


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pruned_vocabulary_changes_nothing_but_the_numbers(qing, base, data, name, tmp_path):
    """Texts of kept tokens have the same tokens and the same logits to the bit."""
    quiet = ["--lr", 1e-30, "--weight-decay", 0, "--word-dropout", 0]
    whole = fine_tune(qing, base(name), data, tmp_path / "whole", *quiet)
    pruned = fine_tune(qing, base(name), data, tmp_path / "pruned", *quiet, "--prune-vocab", 1)
    tokens = [answers(folder, [{"info": True}])[0]["tokens"] for folder in (whole, pruned)]
    kept = set(tokens[1])
    endings = ("", " lamp", "!", "，这个", " 的 car")
    candidates = [text + ending for text in TEXTS for ending in endings] + made_texts(600, 3)
    candidates = [text for text in dict.fromkeys(candidates) if text.strip() and "\n" not in text and "\r" not in text]
    before, after = ids_of(whole, candidates), ids_of(pruned, candidates)
    same = [i for i, ids in enumerate(before) if all(tokens[0][id] in kept for id in ids)]
    assert len(same) > 100
    for i in same:
        assert [tokens[0][id] for id in before[i]] == [tokens[1][id] for id in after[i]], candidates[i]
    texts = [candidates[i] for i in same[:50]]
    assert same_bits(logits_of(qing, whole, texts, tmp_path), logits_of(qing, pruned, texts, tmp_path))


def test_what_a_pruned_tokenizer_keeps(qing, base, data, tmp_path):
    bpe = fine_tune(qing, base("roberta"), data, tmp_path / "bpe", "--prune-vocab", 1)
    model = json.loads((bpe / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    assert set(tokenizers.pre_tokenizers.ByteLevel.alphabet()) <= set(model["vocab"])
    assert all({left, right, left + right} <= set(model["vocab"]) for left, right in map(tuple, model["merges"]))
    pieces = fine_tune(qing, base("bert, unigram"), data, tmp_path / "unigram", "--prune-vocab", 1)
    after = json.loads((pieces / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    before = json.loads((base("bert, unigram") / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    assert after["vocab"][after["unk_id"]] == before["vocab"][before["unk_id"]]
    assert min(score for _, score in after["vocab"]) == min(score for _, score in before["vocab"])
    # Bytes of no training text still have tokens.
    assert "<unk>" not in json.dumps([answers(bpe, ["𝒳 ç"])])
    assert 3 in ids_of(pieces, ["𝒳"])[0]


@pytest.mark.parametrize("name", ["electra", "albert", "mpnet"])
@pytest.mark.parametrize("options", [["--head-only", 1], ["--lora-rank", 2], ["--layer-decay", 0.5]], ids=lambda o: o[0])
def test_ways_of_fine_tuning(qing, base, data, name, options, tmp_path):
    before = load_file(base(name) / "model.safetensors")
    after = load_file(fine_tune(qing, base(name), data, tmp_path / "m", *options) / "model.safetensors")
    family = FAMILIES[name][0].lower() + "."
    same = {key for key, value in before.items() if family + key in after and same_bits(after[family + key], value)}
    trained = {key for key in before if family + key in after} - same
    if options[0] == "--head-only":
        assert trained <= {"pooler.weight", "pooler.bias"}
    elif options[0] == "--lora-rank":
        assert "embeddings.word_embeddings.weight" in same and any("attention" in key for key in trained)
    else:
        assert "embeddings.word_embeddings.weight" in trained


def test_checkpointed_layers_of_mpnet(qing, base, data, tmp_path):
    """All layers share the table of relative positions, whose gradient is a sum over the layers."""
    found = []
    for on in (0, 1):
        out = fine_tune(qing, base("mpnet"), data, tmp_path / str(on), "--gradient-checkpointing", on)
        found.append(load_file(out / "model.safetensors"))
    for key, value in found[0].items():
        assert same_bits(value, found[1][key]), key


def test_a_head_that_qing_does_not_compute(qing, base, data, tmp_path):
    """A regression's head is left out, whose one label qing has no use for."""
    folder = tmp_path / "one"
    config = transformers.AutoConfig.from_pretrained(base("roberta"), num_labels=1)
    transformers.RobertaForSequenceClassification(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(base("roberta")).save_pretrained(folder)
    assert len(json.loads((folder / "config.json").read_text())["id2label"]) == 1
    assert len(logits_of(qing, fine_tune(qing, folder, data, tmp_path / "m"), ["a film"], tmp_path)[0]) == 3


def test_refusals_name_the_file(qing, base, data, tmp_path):
    def refusal(folder, *more):
        result = qing("train", "--from", folder, "--data", data, "--out", tmp_path / "m", *more, check=False)
        assert result.returncode == 1
        return result.stderr

    assert 'model_type "roberta", and n-grams stand beside BERT\'s encoder only' in refusal(base("roberta"), "--ngrams", 2)
    folder = tmp_path / "less"
    model = transformers.AutoModel.from_pretrained(base("distilbert"))
    state = {key: value for key, value in model.state_dict().items() if "q_lin" not in key}
    model.save_pretrained(folder, state_dict=state)
    transformers.AutoTokenizer.from_pretrained(base("distilbert")).save_pretrained(folder)
    message = refusal(folder)
    assert str(folder / "model.safetensors") in message and "6 mismatches: missing bert.encoder.layer.0" in message


def test_ngrams_beside_another_tokenizer(qing, base, data, tmp_path):
    out = fine_tune(qing, base("bert, unigram"), data, tmp_path / "m", "--ngrams", 3)
    with_them = logits_of(qing, out, TEXTS[:8], tmp_path)
    assert json.loads((out / "config.json").read_text())["ngram_head"]
    again = fine_tune(qing, out, data, tmp_path / "again", "--lr", 1e-30, "--ngram-lr", 0, "--weight-decay", 0)
    assert (logits_of(qing, again, TEXTS[:8], tmp_path) - with_them).abs().max() < 1e-6


def test_the_command_of_the_card_gives_the_same_weights(qing, tiny_data, tmp_path):
    """It leaves out what the model of --from decides, because the command refuses these options."""
    qing(*small_training(tiny_data, tmp_path / "first", "--max-steps", 2))
    out = tmp_path / "second"
    qing("train", "--data", tiny_data, "--from", tmp_path / "first", "--out", out, "--max-steps", 2, "--dev-share", 0)
    before = (out / "model.safetensors").read_bytes()
    card = (out / "README.md").read_text(encoding="utf-8")
    command = shlex.split(re.search(r"^qing (train .*)$", card, re.MULTILINE)[1])
    (out / "model.safetensors").unlink()
    qing(*command, "--overwrite")
    assert (out / "model.safetensors").read_bytes() == before
