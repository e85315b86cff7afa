"""qing pretrain: its loss is that of `transformers`, it resumes to the bit, and its models go on in qing and elsewhere."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
import tokenizers
from conftest import ROOT, same_bits, synthetic_rows, write_tsv
from safetensors.torch import load_file

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from tokenizer_peers import byte_bpe, made_texts, wordpiece  # noqa: E402

BUILD = Path(os.environ.get("QING_BUILD", ROOT / "build/release"))
TOLERANCE = 1e-5
SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, initializer_range=0.2)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("".join(text + "\n" for _, text in synthetic_rows(200)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def scratch(qing, texts, tmp_path_factory):
    out = tmp_path_factory.mktemp("scratch") / "m"
    qing("pretrain", "--data", texts, "--dev", texts, "--layers", 1, "--width", 32, "--vocab", 400, "--epochs", 60,
         "--batch", 20, "--lr", 3e-3, "--out", out)  # fmt: skip
    return out


def steps(folder):
    lines = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["type"] == "step"], [line for line in lines if line["type"] == "evaluation"]


def make(family, folder):
    """A masked language model of `transformers` with random weights, and its tokenizer."""
    corpus = [text for _, text in synthetic_rows(300, seed=2)] + made_texts(500, 3)
    if family == "Bert":
        vocab = json.loads(wordpiece(corpus, size=900).to_str())["model"]["vocab"]
        tokenizer = transformers.BertTokenizer(vocab=vocab, model_max_length=64)
        config = transformers.BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **SMALL)
    else:
        model = json.loads(byte_bpe(corpus, size=800).to_str())["model"]
        merges = [tuple(merge) for merge in model["merges"]]
        tokenizer = transformers.RobertaTokenizer(vocab=model["vocab"], merges=merges, model_max_length=64)
        config = transformers.RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, type_vocab_size=1,
                                            **SMALL)  # fmt: skip
    torch.manual_seed(3)
    model = getattr(transformers, family + "ForMaskedLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("whole_words", [0, 1])
@pytest.mark.parametrize("family", ["Bert", "Roberta"])
def test_the_loss_of_a_step(qing, texts, family, whole_words, tmp_path):
    model = make(family, tmp_path / "base")
    qing("pretrain", "--from", tmp_path / "base", "--data", texts, "--max-steps", 1, "--batch", 24, "--dropout", 0,
         "--seed", 9, "--whole-words", whole_words, "--out", tmp_path / "m")  # fmt: skip
    arguments = [BUILD / "masked_batch", tmp_path / "base", texts, 24, 9, whole_words, tmp_path / "batch.safetensors"]
    subprocess.run(list(map(str, arguments)), check=True)
    batch = load_file(tmp_path / "batch.safetensors")
    labels = torch.full_like(batch["ids"], -100)
    labels[batch["rows"].long()] = batch["labels"]
    assert 0.05 < len(batch["rows"]) / len(batch["ids"]) < 0.2
    total = 0.0
    for begin, end in zip(batch["offsets"][:-1], batch["offsets"][1:]):
        row = labels[begin:end].long()[None]
        with torch.no_grad():
            loss = model(input_ids=batch["ids"][begin:end].long()[None], labels=row).loss.item()
        total += loss * int((row != -100).sum())
    theirs = total / len(batch["rows"])
    ours = steps(tmp_path / "m")[0][0]["loss"]
    assert abs(ours - theirs) < TOLERANCE * theirs, (ours, theirs)


def test_it_learns(scratch):
    done, evaluations = steps(scratch)
    assert done[-1]["loss"] < 0.6 * done[0]["loss"]
    assert len(evaluations) == 60
    first, last = (evaluation["dev"][0] for evaluation in (evaluations[0], evaluations[-1]))
    assert last["perplexity"] < 0.5 * first["perplexity"] and last["accuracy"] > first["accuracy"]
    assert evaluations[-1]["score"] == -last["loss"]
    assert {path.name for path in (scratch / "run").iterdir()} >= {"config.toml", "run.json", "checkpoints", "loss.svg"}


@pytest.mark.parametrize("size", [300, 1500])
def test_a_byte_level_vocabulary_is_that_of_tokenizers(qing, tmp_path, size):
    corpus = [text for _, text in synthetic_rows(150, seed=4)] + [text for text in made_texts(300, 5) if "\x00" not in text]
    corpus = [" ".join(text.split()) for text in corpus]  # one line a text, as a file of texts has them
    corpus = [text for text in corpus if any(map(str.isalnum, text))]  # qing skips texts that are blank
    path = tmp_path / "texts.txt"
    path.write_text("".join(text + "\n" for text in corpus), encoding="utf-8")
    qing("pretrain", "--data", path, "--byte-level", 1, "--vocab", size, "--layers", 1, "--width", 32, "--max-steps", 1,
         "--out", tmp_path / "m")  # fmt: skip
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    theirs.train_from_iterator(corpus, trainer)
    wanted, ours = json.loads(theirs.to_str())["model"], json.loads((tmp_path / "m/tokenizer.json").read_text())["model"]
    assert len(wanted["merges"]) > 30
    assert ours["merges"] == wanted["merges"] and ours["vocab"] == wanted["vocab"]
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    text = "It's  Fine\t电影👍"
    ids = loaded(text)["input_ids"]
    assert ids[0] == loaded.cls_token_id and ids[-1] == loaded.sep_token_id
    assert loaded.decode(ids, skip_special_tokens=True) == text
    assert transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "m").config.vocab_size == len(wanted["vocab"])


def test_the_card(scratch, texts):
    card = (scratch / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: fill-mask\n") and "# m\n" in card
    assert "<!-- written by qing pretrain, which will replace it -->" in card
    record = json.loads((scratch / "run/run.json").read_text())
    assert card.count(record["data"][0]["sha256"]) == 2  # the file of training and the same file as dev set
    evaluations = steps(scratch)[1]
    best = max(evaluations, key=lambda evaluation: evaluation["score"])
    assert f"at step {best['step']}." in card
    dev = best["dev"][0]
    row = f"| {dev['name']} | {dev['loss']:.4f} | {dev['perplexity']:.2f} | {100 * dev['accuracy']:.2f} |"
    assert row in card, card
    parameters = sum(tensor.numel() for tensor in load_file(scratch / "model.safetensors").values())
    assert f"; {parameters} parameters, " in card
    assert "qing pretrain --" in card and "## Limits" in card


def test_transformers_loads_it(scratch):
    model, report = transformers.AutoModelForMaskedLM.from_pretrained(scratch, output_loading_info=True)
    assert not report["unexpected_keys"] and not report["mismatched_keys"], report
    assert model.config.tie_word_embeddings
    tokenizer = transformers.AutoTokenizer.from_pretrained(scratch)
    ids = tokenizer("what a wonderful [MASK]", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        best = model(input_ids=ids).logits[0, ids[0].tolist().index(tokenizer.mask_token_id)].argmax()
    assert tokenizer.decode(best).strip() in ("film", "phone", "book", "hotel", "chair", "lamp", "car", "meal", "song",
                                              "coat", "game", "camera", "product")  # fmt: skip


def test_it_resumes_to_the_bit(qing, texts, tmp_path):
    options = ["pretrain", "--data", texts, "--layers", 1, "--width", 32, "--vocab", 300, "--batch", 20, "--epochs", 2]
    qing(*options, "--out", tmp_path / "straight")
    whole = load_file(tmp_path / "straight/model.safetensors")
    # Killed as soon as there is a checkpoint.
    process = subprocess.Popen([qing.binary, *map(str, options), "--checkpoint-every", "1", "--out", tmp_path / "m"])
    while not list((tmp_path / "m/run/checkpoints").glob("step-*")) and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert json.loads((tmp_path / "m/run/run.json").read_text())["command"] == "pretrain"
    done = qing("pretrain", "--resume", "--out", tmp_path / "m", "--json")
    assert 0 < json.loads(done.stdout)["resumed_from"] < 20
    for name, tensor in load_file(tmp_path / "m/model.safetensors").items():
        assert same_bits(tensor, whole[name]), name


def test_it_is_fine_tuned(qing, scratch, tmp_path):
    data = write_tsv(tmp_path / "train.tsv", synthetic_rows(200, seed=4))
    qing("train", "--from", scratch, "--data", data, "--max-steps", 2, "--lr", 1e-30, "--weight-decay", 0, "--out",
         tmp_path / "m")  # fmt: skip
    before, after = (load_file(folder / "model.safetensors") for folder in (scratch, tmp_path / "m"))
    for name, tensor in before.items():
        if name.startswith("bert."):
            assert same_bits(tensor, after[name]), name


def test_refusals(qing, scratch, texts, tmp_path):
    def refusal(*arguments):
        return qing("pretrain", *arguments, check=False).stderr

    assert "--data is missing; see qing pretrain --help" in refusal("--out", tmp_path / "m")
    assert "--early-stop needs --dev" in refusal("--data", texts, "--out", tmp_path / "m", "--early-stop", 1)
    train = qing("train", "--resume", "--data", texts, "--out", scratch, check=False)
    assert train.returncode == 2
    headless = tmp_path / "headless"
    config = transformers.BertConfig(vocab_size=100, **SMALL)
    transformers.BertModel(config).save_pretrained(headless)
    message = refusal("--from", headless, "--data", texts, "--out", tmp_path / "m")
    assert str(headless) in message
