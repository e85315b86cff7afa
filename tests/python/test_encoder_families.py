"""Models of every family of encoders that `transformers` saves give the same logits, scores and embeddings in qing."""

import json
import re
import subprocess

import pytest
from conftest import BUILD

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file  # noqa: E402

TOLERANCE = 1e-5  # of the largest output
VOCABULARY = 97
LENGTHS = [5, 1, 512, 2, 64, 65, 3, 130, 48, 49, 511]

BERT = dict(vocab_size=VOCABULARY, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80,
            max_position_embeddings=512, initializer_range=0.1)  # fmt: skip
# Padding in front: the numbers of positions begin behind its own.
ROBERTA = BERT | dict(max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5)
FAMILIES = {
    "bert": ("Bert", BERT),
    "minilm": ("Bert", BERT | dict(hidden_size=32, intermediate_size=128, num_hidden_layers=6, hidden_act="gelu_new")),
    "distilbert": ("DistilBert", dict(vocab_size=VOCABULARY, dim=48, n_layers=3, n_heads=4, hidden_dim=80,
                                      initializer_range=0.1, activation="relu")),
    "roberta": ("Roberta", ROBERTA),
    "xlm-r": ("XLMRoberta", ROBERTA | dict(pad_token_id=3, max_position_embeddings=516)),
    "electra": ("Electra", BERT | dict(embedding_size=24)),
    "electra, as wide": ("Electra", BERT | dict(embedding_size=48, hidden_act="silu")),
    "albert": ("Albert", BERT | dict(embedding_size=24)),
    "albert, groups": ("Albert", BERT | dict(embedding_size=24, num_hidden_layers=5, num_hidden_groups=3,
                                             inner_group_num=2, hidden_act="gelu")),
    "mpnet": ("MPNet", BERT | dict(max_position_embeddings=514)),
    "mpnet, more buckets": ("MPNet", BERT | dict(max_position_embeddings=514, relative_attention_num_buckets=40)),
}  # fmt: skip


def make(family, head, **settings):
    """A model of random weights, biases and norms included."""
    prefix, config = FAMILIES[family]
    torch.manual_seed(len(family))
    config = getattr(transformers, prefix + "Config")(**config, **settings)
    model = getattr(transformers, prefix + head)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def sequences(lengths=LENGTHS, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(5, VOCABULARY, (length,), generator=generator) for length in lengths]


def run_tool(task, folder, batch, tmp_path):
    offsets = torch.tensor([0] + [len(ids) for ids in batch]).cumsum(0)
    save_file({"ids": torch.cat(batch).int(), "offsets": offsets}, tmp_path / "batch.safetensors")
    arguments = [BUILD / "encoder_outputs", task, folder, tmp_path / "batch.safetensors", tmp_path / "out.safetensors"]
    return subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=300)


def outputs(task, folder, batch, tmp_path):
    result = run_tool(task, folder, batch, tmp_path)
    assert result.returncode == 0, result.stderr
    return load_file(tmp_path / "out.safetensors")["outputs"]


def expect_equal(ours, theirs, tolerance=TOLERANCE):
    assert ours.shape == theirs.shape
    assert theirs.std() > 0.01, "outputs that hardly differ would prove nothing"
    worst = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    assert worst < tolerance, worst


def theirs_of(model, batch, field="logits"):
    """Sequence by sequence, without padding: each token is real, whatever its id."""
    with torch.no_grad():
        found = [model(input_ids=ids[None], attention_mask=torch.ones(1, len(ids)))[field][0] for ids in batch]
    return torch.cat([each if each.dim() == 2 else each[None] for each in found])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("head", "task"), [("ForSequenceClassification", "sequence"), ("ForMaskedLM", "mlm"),
                                            ("ForTokenClassification", "tokens")])  # fmt: skip
def test_a_head_of_each_family(family, head, task, tmp_path):
    model = make(family, head, num_labels=4)
    model.save_pretrained(tmp_path / "m")
    batch = sequences()
    expect_equal(outputs(task, tmp_path / "m", batch, tmp_path), theirs_of(model, batch))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pooling", ["cls", "mean", "mean, normalised", "without modules.json"])
def test_sentence_embeddings(family, pooling, tmp_path):
    model = make(family, "Model")
    folder = tmp_path / "m"
    model.save_pretrained(folder)
    if pooling != "without modules.json":
        (folder / "1_Pooling").mkdir()
        modes = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling != "cls",
                 "pooling_mode_max_tokens": False, "word_embedding_dimension": 48}  # fmt: skip
        (folder / "1_Pooling/config.json").write_text(json.dumps(modes))
        kinds = [("", "Transformer"), ("1_Pooling", "Pooling")] + [("2_Normalize", "Normalize")] * ("norm" in pooling)
        modules = [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
                   for i, (path, kind) in enumerate(kinds)]  # fmt: skip
        (folder / "modules.json").write_text(json.dumps(modules))
    batch = sequences()
    with torch.no_grad():
        hidden = [model(input_ids=ids[None])["last_hidden_state"][0] for ids in batch]
    theirs = torch.stack([rows[0] if pooling == "cls" else rows.mean(0) for rows in hidden])
    if "norm" in pooling:
        theirs = torch.nn.functional.normalize(theirs)
    expect_equal(outputs("sentence", folder, batch, tmp_path), theirs)


@pytest.mark.parametrize("family", ["roberta", "xlm-r", "mpnet"])
def test_padding_inside_a_text_has_no_position_of_its_own(family, tmp_path):
    model = make(family, "ForMaskedLM")
    model.save_pretrained(tmp_path / "m")
    padding = 1 if family == "mpnet" else model.config.pad_token_id
    batch = sequences([9, 20])
    batch[0][4] = batch[1][0] = batch[1][7] = padding
    expect_equal(outputs("mlm", tmp_path / "m", batch, tmp_path), theirs_of(model, batch))


@pytest.mark.parametrize("family", ["bert", "albert", "mpnet"])
def test_a_decoder_that_is_not_tied(family, tmp_path):
    model = make(family, "ForMaskedLM", tie_word_embeddings=False)
    model.save_pretrained(tmp_path / "m")
    batch = sequences([7, 30])
    expect_equal(outputs("mlm", tmp_path / "m", batch, tmp_path), theirs_of(model, batch))


@pytest.mark.parametrize("family", FAMILIES)
def test_forms_of_the_weights(family, tmp_path):
    """Shards, f16, names of old versions, names without the encoder's own, and other heads."""
    model = make(family, "ForSequenceClassification", num_labels=3)
    folder = tmp_path / "m"
    batch = sequences([3, 40])
    theirs = theirs_of(model, batch)
    model.save_pretrained(folder, max_shard_size="20kB")
    assert (folder / "model.safetensors.index.json").exists()
    expect_equal(outputs("sequence", folder, batch, tmp_path), theirs)

    state = model.state_dict()
    for path in folder.glob("model*"):
        path.unlink()
    base = model.base_model_prefix + "."
    old = {name.removeprefix(base): tensor for name, tensor in state.items()}
    old = {re.sub("LayerNorm.weight$", "LayerNorm.gamma", name): tensor for name, tensor in old.items()}
    old = {re.sub("LayerNorm.bias$", "LayerNorm.beta", name): tensor for name, tensor in old.items()}
    old["cls.seq_relationship.weight"] = torch.ones(2, 48)
    old["embeddings.position_ids"] = torch.arange(512)[None]
    save_file({name: tensor.clone() for name, tensor in old.items()}, folder / "model.safetensors")
    expect_equal(outputs("sequence", folder, batch, tmp_path), theirs)

    half = {name: tensor.half() for name, tensor in state.items()}
    save_file(half, folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in half.items()})
    expect_equal(outputs("sequence", folder, batch, tmp_path), theirs_of(model, batch))


SETTINGS = {
    "hidden_act": "quick_gelu", "is_decoder": True, "add_cross_attention": True, "is_encoder_decoder": True,
    "position_embedding_type": "relative_key", "pruned_heads": {"0": [1]}, "quantization_config": {"bits": 8},
    "problem_type": "ranking", "num_hidden_layers": 2, "hidden_size": 47, "model_type": "gpt2",
    "architectures": ["BertForQuestionAnswering"],
}  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_that_changes_results_is_refused_by_name(setting, tmp_path):
    folder = tmp_path / "m"
    make("bert", "ForSequenceClassification").save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {setting: SETTINGS[setting]}))
    result = run_tool("sequence", folder, sequences([3]), tmp_path)
    # Weights of layers that the configuration does not have are named themselves.
    name = "bert.encoder.layer.2" if setting == "num_hidden_layers" else setting
    assert result.returncode == 1 and name in result.stderr, result.stderr


def test_weights_that_are_missing_are_named(tmp_path):
    folder = tmp_path / "m"
    make("roberta", "ForMaskedLM").save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["RobertaForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(config))
    result = run_tool("sequence", folder, sequences([3]), tmp_path)
    assert result.returncode == 1 and "missing bert.pooler.dense.weight" in result.stderr


@pytest.mark.parametrize(("file", "text", "wanted"), [
    ("modules.json", '[{"path": "", "type": "a.Transformer"}, {"path": "2_Dense", "type": "a.Dense"}]', "a.Dense"),
    ("modules.json", '[{"path": "", "type": "a.Transformer"}, {"path": "../x", "type": "a.Pooling"}]', "leads out"),
    ("modules.json", '[{"path": "", "type": "a.Transformer"}]', "Pooling"),
    ("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}', "max is not supported"),
    ("1_Pooling/config.json", '{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}', "cls and mean"),
])  # fmt: skip
def test_sentence_modules_that_are_not_computed(file, text, wanted, tmp_path):
    folder = tmp_path / "m"
    make("bert", "Model").save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode": "mean"}')
    modules = [{"path": "", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    assert run_tool("sentence", folder, sequences([3]), tmp_path).returncode == 0
    (folder / file).write_text(text)
    result = run_tool("sentence", folder, sequences([3]), tmp_path)
    assert result.returncode == 1 and wanted in result.stderr and file in result.stderr, result.stderr


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "##s", "a", "the", "book"]


def add_tokenizer(folder, **settings):
    tokenizer = transformers.BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}, **settings)
    tokenizer.save_pretrained(folder)
    return tokenizer


@pytest.mark.parametrize("family", ["bert", "minilm", "distilbert", "electra"])
def test_texts_through_the_command(qing, family, tmp_path):
    model = make(family, "ForSequenceClassification", id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1})
    folder = tmp_path / "m"
    model.save_pretrained(folder, max_shard_size="20kB")
    tokenizer = add_tokenizer(folder, model_max_length=100000)
    texts = ["a good film", "the bad books", "x", "good " * 700]
    lines = qing("predict", "--model", folder, "--json", "--logits", *texts).stdout.splitlines()
    ours = torch.tensor([json.loads(line)["logits"] for line in lines])
    batch = [tokenizer(text, truncation=True, max_length=512, return_tensors="pt")["input_ids"][0] for text in texts]
    expect_equal(ours, theirs_of(model, batch))
    explained = json.loads(qing("explain", "--model", folder, "--json", texts[0]).stdout)["explanation"]
    assert explained["spans"] and explained["label"] in ("no", "yes")


@pytest.mark.parametrize(
    "family, wanted",
    [
        ("roberta", "holds no tokenizer.json"),
        ("xlm-r", "holds no tokenizer.json"),
        ("albert", "holds no tokenizer.json"),
    ],
)
def test_a_vocabulary_file_of_another_tokenizer_is_refused(qing, family, wanted, tmp_path):
    folder = tmp_path / "m"
    make(family, "ForSequenceClassification").save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(word + "\n" for word in WORDS))
    refused = qing("predict", "--model", folder, "a good film", check=False)
    assert refused.returncode == 1 and wanted in refused.stderr, refused.stderr


@pytest.mark.parametrize(("family", "head", "task", "named"), [
    ("electra", "ForSequenceClassification", "sequence", "sequence classification"),
    ("albert", "ForMaskedLM", "mlm", "masked language model"),
    ("bert", "ForMaskedLM", "mlm", "masked language model"),
    ("roberta", "ForTokenClassification", "tokens", "token classification"),
    ("mpnet", "Model", "sentence", "sentence embedding"),
])  # fmt: skip
def test_import(qing, family, head, task, named, tmp_path):
    model = make(family, head)
    source, out = tmp_path / "source", tmp_path / "out"
    model.save_pretrained(source, max_shard_size="20kB")
    add_tokenizer(source)
    said = json.loads(qing("import", source, "--out", out, "--json").stdout)
    assert said["task"] == named and said["model_type"] == model.config.model_type and said["parameters"] > 10000
    assert {path.name for path in out.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}
    batch = sequences([3, 60])
    ours = outputs(task, out, batch, tmp_path)
    assert torch.equal(ours, outputs(task, source, batch, tmp_path))
    again = type(model).from_pretrained(out).eval()
    for name, tensor in model.state_dict().items():
        if "pooler" not in name or head == "Model" and family == "bert":
            assert torch.equal(again.state_dict()[name], tensor), name
    assert "is the source" in qing("import", source, "--out", source, check=False).stderr


def test_import_of_sentence_modules(qing, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    make("mpnet", "Model").save_pretrained(source / "0_Transformer")
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true}')
    modules = [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{path.split('_')[1]}"}
               for i, path in enumerate(["0_Transformer", "1_Pooling", "2_Normalize"])]  # fmt: skip
    (source / "modules.json").write_text(json.dumps(modules))
    for _ in range(2):  # a second time over the first
        qing("import", source, "--out", out)
    batch = sequences([3, 60])
    assert torch.equal(outputs("sentence", out, batch, tmp_path), outputs("sentence", source, batch, tmp_path))


def test_import_refuses_what_it_cannot_compute_and_leaves_what_was_there(qing, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    make("bert", "ForQuestionAnswering").save_pretrained(source)
    out.mkdir()
    (out / "config.json").write_text("before")
    refused = qing("import", source, "--out", out, check=False)
    assert refused.returncode == 1 and "BertForQuestionAnswering" in refused.stderr
    assert [path.name for path in out.iterdir()] == ["config.json"] and (out / "config.json").read_text() == "before"


def test_import_leaves_nothing_of_an_earlier_model(qing, tmp_path):
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "out"
    make("bert", "Model").save_pretrained(first)
    add_tokenizer(first)
    (first / "1_Pooling").mkdir()
    (first / "1_Pooling/config.json").write_text('{"pooling_mode": "mean"}')
    modules = [{"path": "", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.Pooling"}]
    (first / "modules.json").write_text(json.dumps(modules))
    make("bert", "ForSequenceClassification").save_pretrained(second)
    add_tokenizer(second)
    qing("import", first, "--out", out)
    assert (out / "modules.json").exists()
    qing("import", second, "--out", out)
    assert not (out / "modules.json").exists()
    assert "LABEL" in qing("predict", "--model", out, "a good film").stdout


def test_tokenize_works_with_every_head(qing, tmp_path):
    folder = tmp_path / "m"
    make("bert", "Model", num_labels=1, problem_type="regression").save_pretrained(folder)
    add_tokenizer(folder)
    assert json.loads(qing("tokenize", "--model", folder, "a good film").stdout) == [2, 9, 5, 7, 3]
