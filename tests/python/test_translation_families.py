"""Encoder-decoders that `transformers` saves give the same logits and the same translations in qing."""

import json
import subprocess

import pytest
from conftest import BUILD

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file  # noqa: E402

TOLERANCE = 1e-5  # of the largest logit
VOCABULARY = 61
SOURCES = [7, 1, 30, 2, 12, 19]
TARGETS = [5, 9, 1, 33, 2, 14]
BART = dict(vocab_size=VOCABULARY, d_model=24, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2,
            decoder_attention_heads=4, encoder_ffn_dim=40, decoder_ffn_dim=32, max_position_embeddings=64)  # fmt: skip
T5 = dict(vocab_size=VOCABULARY, d_model=24, d_kv=6, num_layers=2, num_heads=3, d_ff=40,
          relative_attention_num_buckets=8, relative_attention_max_distance=20, decoder_start_token_id=0)  # fmt: skip
MARIAN = BART | dict(decoder_vocab_size=VOCABULARY, pad_token_id=60, eos_token_id=0, decoder_start_token_id=60,
                     forced_eos_token_id=0, activation_function="swish", scale_embedding=True)  # fmt: skip
FAMILIES = {
    "marian": ("MarianMTModel", "MarianConfig", MARIAN),
    "marian, relu": ("MarianMTModel", "MarianConfig", MARIAN | dict(activation_function="relu", scale_embedding=False)),
    "m2m": ("M2M100ForConditionalGeneration", "M2M100Config", BART),
    "bart": ("BartForConditionalGeneration", "BartConfig", BART),
    "bart, scaled": ("BartForConditionalGeneration", "BartConfig", BART | dict(scale_embedding=True)),
    "mbart": ("MBartForConditionalGeneration", "MBartConfig", BART | dict(decoder_start_token_id=2)),
    "t5": ("T5ForConditionalGeneration", "T5Config", T5),
    "t5 v1.1": ("T5ForConditionalGeneration", "T5Config", T5 | dict(feed_forward_proj="gated-gelu",
                                                                   tie_word_embeddings=False)),
    "t5, silu": ("T5ForConditionalGeneration", "T5Config", T5 | dict(feed_forward_proj="gated-silu")),
}  # fmt: skip


def make(family):
    """A model of random weights, biases and norms included, whose translations end sooner or later."""
    name, config, settings = FAMILIES[family]
    torch.manual_seed(len(family))
    model = getattr(transformers, name)(getattr(transformers, config)(**settings)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.normal_(1, 0.3)
            else:
                parameter.normal_(0, 0.25)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_(0, 0.5)
            model.final_logits_bias[0, model.config.eos_token_id] += 4
        model.get_input_embeddings().weight[model.config.eos_token_id] *= 4
    # M2M-100 in transformers numbers positions without padding, also where a translation has such a token inside.
    model.generation_config.bad_words_ids = [[model.config.pad_token_id]]
    return model


def sequences(lengths, first, seed):
    generator = torch.Generator().manual_seed(seed)
    bodies = [torch.randint(4, VOCABULARY - 1, (length,), generator=generator) for length in lengths]
    return [torch.cat([torch.tensor(first, dtype=torch.int64), body]) for body in bodies]


def run_tool(folder, sources, targets, tmp_path, **options):
    tensors = {}
    for name, batch in (("source", sources), ("target", targets)):
        tensors[name] = torch.cat(batch).int()
        tensors[name + "_offsets"] = torch.tensor([0] + [len(ids) for ids in batch]).cumsum(0)
    save_file(tensors, tmp_path / "batch.safetensors")
    arguments = [BUILD / "translation_outputs", folder, tmp_path / "batch.safetensors", tmp_path / "out.safetensors"]
    arguments += [f"{name}={float(value)}" for name, value in options.items()]
    return subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=300)


def outputs(*arguments, tmp_path, **options):
    result = run_tool(*arguments, tmp_path, **options)
    assert result.returncode == 0, result.stderr
    return load_file(tmp_path / "out.safetensors")


EARLY = {False: 0, True: 1, "never": 2}
SEARCHES = {
    "greedy": dict(max_new_tokens=30),
    "beam": dict(num_beams=4, max_new_tokens=30, num_return_sequences=3),
    "beam, short": dict(num_beams=3, max_new_tokens=6, length_penalty=0.5, num_return_sequences=3),
    "beam, stopping early": dict(num_beams=4, max_new_tokens=30, early_stopping=True, length_penalty=2.0),
    "beam, never": dict(num_beams=4, max_new_tokens=25, early_stopping="never", num_return_sequences=4),
    "beam, no length": dict(num_beams=5, max_new_tokens=30, length_penalty=0.0),
    "no n-gram twice": dict(num_beams=4, max_new_tokens=30, no_repeat_ngram_size=2),
    "greedy, no n-gram twice": dict(max_new_tokens=30, no_repeat_ngram_size=3),
    "repetition": dict(num_beams=4, max_new_tokens=30, repetition_penalty=1.7),
    "greedy, repetition": dict(max_new_tokens=30, repetition_penalty=1.7),
    "forced": dict(num_beams=4, max_new_tokens=20, forced_bos_token_id=9, min_new_tokens=8),
    "renormalized": dict(num_beams=4, max_new_tokens=20, no_repeat_ngram_size=1, renormalize_logits=True),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_translations_are_equal(family, tmp_path):
    model = make(family)
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    # What is saved is the reference: T5 1.1 has an output layer of its own in its own files, but not in those of 5.23.
    model = type(model).from_pretrained(folder).eval()
    config = model.config
    sources = [torch.cat([ids, torch.tensor([config.eos_token_id])]) for ids in sequences(SOURCES, [], 1)]
    targets = sequences(TARGETS, [config.decoder_start_token_id], 2)
    ours = outputs(folder, sources, targets, tmp_path=tmp_path, max_new_tokens=1)["logits"]
    with torch.no_grad():
        theirs = torch.cat([
            model(input_ids=source[None], attention_mask=torch.ones(1, len(source)), decoder_input_ids=target[None])
            .logits[0]
            for source, target in zip(sources, targets)
        ])  # fmt: skip
    assert ours.shape == theirs.shape and theirs.std() > 0.1
    worst = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    assert worst < TOLERANCE, worst
    ended = 0
    for name, options in SEARCHES.items():
        given = {key: EARLY[value] if key == "early_stopping" else value for key, value in options.items()}
        found = outputs(folder, sources, targets, tmp_path=tmp_path, **given)
        rows = [found["tokens"][a:b].tolist() for a, b in zip(found["offsets"][:-1], found["offsets"][1:])]
        expected, scores = [], []
        for source in sources:
            result = model.generate(input_ids=source[None], attention_mask=torch.ones(1, len(source)), do_sample=False,
                                    return_dict_in_generate=True, output_scores=True, **options)  # fmt: skip
            for row in result.sequences[:, 1:].tolist():
                ends = row.index(config.eos_token_id) + 1 if config.eos_token_id in row else len(row)
                expected.append(row[:ends])
            scores += [] if result.get("sequences_scores") is None else result.sequences_scores.tolist()
        assert rows == expected, name
        ended += sum(len(row) < options["max_new_tokens"] for row in rows)
        if scores:
            assert torch.allclose(found["scores"], torch.tensor(scores).double(), rtol=1e-4, atol=1e-4), name
    assert ended > 5, "translations that are all cut would not test how searches end"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("beams", [1, 4])
def test_alignments_are_the_cross_attentions(family, beams, tmp_path):
    """The mean over the heads of the last layer's attention to the source, for each token of a translation."""
    folder = tmp_path / "model"
    make(family).save_pretrained(folder)
    name = FAMILIES[family][0]
    model = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager").eval()
    config = model.config
    sources = [torch.cat([ids, torch.tensor([config.eos_token_id])]) for ids in sequences(SOURCES, [], 1)]
    targets = sequences([1] * len(sources), [config.decoder_start_token_id], 2)
    found = outputs(folder, sources, targets, tmp_path=tmp_path, alignment=True, num_beams=beams, max_new_tokens=20)
    at, spread = 0, 0.0
    for source, begin, end in zip(sources, found["offsets"][:-1], found["offsets"][1:]):
        tokens = found["tokens"][begin:end].long()
        ours = found["alignments"][at : at + len(tokens) * len(source)].reshape(len(tokens), len(source))
        at += ours.numel()
        inputs = torch.cat([torch.tensor([config.decoder_start_token_id]), tokens[:-1]])
        with torch.no_grad():
            theirs = model(input_ids=source[None], attention_mask=torch.ones(1, len(source)),
                           decoder_input_ids=inputs[None], output_attentions=True).cross_attentions  # fmt: skip
        assert len(theirs) > 1 and theirs[-1].shape[1] > 1, "a wrong layer or head would not be seen"
        assert (ours - theirs[-1][0].mean(0)).abs().max() < 1e-5
        spread = max(spread, theirs[-1][0].mean(0).std().item())
    assert at == len(found["alignments"]) and spread > 0.01
    plain = outputs(folder, sources, targets, tmp_path=tmp_path, num_beams=beams, max_new_tokens=20)
    assert "alignments" not in plain and torch.equal(plain["tokens"], found["tokens"])


@pytest.mark.parametrize(("file", "field", "value"), [
    ("config.json", "model_type", "pegasus"),
    ("config.json", "activation_function", "tanh"),
    ("config.json", "share_encoder_decoder_embeddings", False),
    ("config.json", "d_model", 8),
    ("config.json", "vocab_size", 10**7),
    ("config.json", "eos_token_id", [0, 1]),
    ("config.json", "quantization_config", {"bits": 4}),
    ("generation_config.json", "num_beam_groups", 2),
    ("generation_config.json", "bad_words_ids", [[3, 4]]),
    ("generation_config.json", "constraints", [1]),
    ("generation_config.json", "length_penalty", "long"),
])  # fmt: skip
def test_what_is_not_computed_is_refused_by_name(file, field, value, tmp_path):
    folder = tmp_path / "model"
    make("marian").save_pretrained(folder)
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    batch = [torch.tensor([5, 0])], [torch.tensor([60])]
    result = run_tool(folder, *batch, tmp_path)
    assert result.returncode == 1
    assert str(folder) in result.stderr and (field in result.stderr or "weight" in result.stderr), result.stderr


@pytest.mark.parametrize("family", ["marian", "t5", "t5 v1.1", "bart"])
def test_import(family, qing, tmp_path):
    source, out = tmp_path / "model", tmp_path / "imported"
    make(family).save_pretrained(source)
    told = json.loads(qing("import", source, "--out", out, "--json").stdout)
    assert told["task"] == "translation"
    config = json.loads((source / "config.json").read_text())
    assert config == json.loads((out / "config.json").read_text())
    batch = [torch.tensor([5, config["eos_token_id"]])], [torch.tensor([config["decoder_start_token_id"], 7])]
    before, after = (outputs(folder, *batch, tmp_path=tmp_path, max_new_tokens=5) for folder in (source, out))
    assert torch.equal(before["logits"], after["logits"]) and torch.equal(before["tokens"], after["tokens"])
