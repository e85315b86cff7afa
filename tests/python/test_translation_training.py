"""Training of translation models: losses beside those of PyTorch, and a training that is killed midway."""

import json
import subprocess
import time

import pytest
from conftest import BUILD

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import save_file  # noqa: E402

STEPS, LR, SMOOTHING, VOCABULARY = 50, 2e-3, 0.1, 90
SMALL = dict(vocab_size=VOCABULARY, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
             decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64,
             dropout=0, attention_dropout=0, activation_dropout=0)  # fmt: skip
FAMILIES = {
    # In transformers the embedding of padding learns nothing from where it is looked up, also as Marian's start token.
    "marian": ("MarianMTModel", "MarianConfig", SMALL | dict(
        decoder_vocab_size=VOCABULARY, pad_token_id=89, eos_token_id=0, decoder_start_token_id=2,
        activation_function="swish", scale_embedding=True)),
    "m2m": ("M2M100ForConditionalGeneration", "M2M100Config", SMALL | dict(
        decoder_start_token_id=2, encoder_layerdrop=0, decoder_layerdrop=0)),
    "t5": ("T5ForConditionalGeneration", "T5Config", dict(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0,
        dropout_rate=0)),
}  # fmt: skip
LENGTHS = [([5, 17, 1, 9, 12], [8, 3, 14, 1, 10]), ([2, 30, 7], [26, 5, 6]), ([11, 11, 11, 4], [1, 2, 3, 19])]


def made_batches(end):
    generator = torch.Generator().manual_seed(12)

    def sentence(length):
        return torch.cat([torch.randint(4, VOCABULARY - 1, (length,), generator=generator), torch.tensor([end])])

    return [([sentence(n) for n in sources], [sentence(n) for n in targets]) for sources, targets in LENGTHS]


def torch_losses(model, batches):
    pad, start = model.config.pad_token_id, model.config.decoder_start_token_id
    join = torch.nn.utils.rnn.pad_sequence
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=LR, weight_decay=0.01)
    losses = []
    for step in range(STEPS):
        sources, targets = batches[step % len(batches)]
        given = [torch.cat([torch.tensor([start]), target[:-1]]) for target in targets]
        logits = model(
            input_ids=join(sources, batch_first=True, padding_value=pad),
            attention_mask=join([torch.ones_like(ids) for ids in sources], batch_first=True),
            decoder_input_ids=join(given, batch_first=True, padding_value=pad),
        ).logits
        labels = join(targets, batch_first=True, padding_value=-100)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), label_smoothing=SMOOTHING, ignore_index=-100
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("family", FAMILIES)
def test_fifty_losses_are_those_of_pytorch(family, tmp_path):
    name, config, settings = FAMILIES[family]
    torch.manual_seed(11)
    model = getattr(transformers, name)(getattr(transformers, config)(**settings))
    model.save_pretrained(tmp_path)
    model = type(model).from_pretrained(tmp_path).double().train()
    batches = made_batches(model.config.eos_token_id)
    tensors = {}
    for i, batch in enumerate(batches):
        for side, sequences in zip(("source", "target"), batch):
            tensors[f"{side}_{i}"] = torch.cat(sequences).int()
            tensors[f"{side}_{i}_offsets"] = torch.tensor([0] + [len(ids) for ids in sequences]).cumsum(0)
    save_file(tensors, tmp_path / "batches.safetensors")
    command = [BUILD / "translation_steps", tmp_path, tmp_path / "batches.safetensors", STEPS, LR, SMOOTHING, "f64"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    ours, theirs = [float(line) for line in done.stdout.split()], torch_losses(model, batches)
    assert len(ours) == STEPS and ours[-1] < 0.8 * ours[0], "the model learns"
    assert max(abs(a - b) / b for a, b in zip(ours, theirs)) < 1e-5


def test_a_killed_training_ends_with_the_same_bits(qing, tmp_path):
    lines = [f"open file {i} of {i % 7}\t{i % 7} 打开 {i} 文件" for i in range(120)]
    (tmp_path / "pairs.tsv").write_text("en\tzh\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "dev.tsv").write_text("en\tzh\n" + "\n".join(lines[:6]) + "\n", encoding="utf-8")

    def arguments(out, *more):
        return ["train", "--task", "translation", "--data", tmp_path / "pairs.tsv", "--dev", tmp_path / "dev.tsv",
                "--layers", 1, "--width", 32, "--vocab", 300, "--batch-tokens", 256, "--epochs", 30,
                "--directions", "en-zh,zh-en", "--eval-every", 40, "--checkpoint-every", 5, "--eval-sentences", 2,
                "--out", out, *more]  # fmt: skip

    qing(*arguments(tmp_path / "whole"))
    out, reached = tmp_path / "killed", 0

    def checkpoint():
        return max([int(path.name[5:]) for path in (out / "run/checkpoints").glob("step-*")], default=0)

    for i in range(4):
        command = [qing.binary, *map(str, arguments(out, "--resume", "--threads", 1 + i % 2))]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while checkpoint() <= reached + 20:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.005)
        process.kill()
        process.wait()
        reached = checkpoint()
    assert reached > 80
    last = qing("train", "--resume", "--out", out, "--json")
    assert json.loads(last.stdout.splitlines()[-1])["resumed_from"] == reached
    for name in ("model.safetensors", "run/last/model.safetensors", "tokenizer.json", "config.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
