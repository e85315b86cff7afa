"""Ten steps of AdamW on a four-layer encoder: qing's losses are those of transformers from the same initial weights."""

import subprocess

import pytest
from conftest import BUILD

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import save_file  # noqa: E402

STEPS, LR = 10, 1e-3
LENGTHS = [7, 31, 1, 12, 19, 3, 24, 16]


@pytest.fixture
def model():
    torch.manual_seed(11)
    config = transformers.BertConfig(
        vocab_size=200, hidden_size=64, num_hidden_layers=4, num_attention_heads=4, intermediate_size=160,
        max_position_embeddings=40, hidden_dropout_prob=0, attention_probs_dropout_prob=0, initializer_range=0.05,
        id2label={0: "a", 1: "b", 2: "c"}, label2id={"a": 0, "b": 1, "c": 2},
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config).train()


def transformers_losses(model, texts, labels):
    ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(text) for text in texts], batch_first=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.01)
    losses = []
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(model(input_ids=ids, attention_mask=mask).logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def qing_losses(folder, texts, labels, dtype):
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    save_file({"ids": torch.cat(texts).to(torch.int32), "offsets": offsets, "labels": labels}, folder / "batch")
    tool = BUILD / "bert_steps"
    command = [tool, folder, folder / "batch", str(STEPS), str(LR), dtype]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()]


# The losses are of order 1. Ten steps amplify the differences in the last digit.
@pytest.mark.parametrize(("dtype", "bound"), [("f32", 1e-4), ("f64", 1e-10)])
def test_ten_losses_equal_those_of_transformers(model, dtype, bound, tmp_path):
    model = model.to({"f32": torch.float32, "f64": torch.float64}[dtype])
    model.save_pretrained(tmp_path)
    generator = torch.Generator().manual_seed(12)
    texts = [torch.randint(1, 200, (length,), generator=generator) for length in LENGTHS]
    labels = torch.randint(0, 3, (len(LENGTHS),), generator=generator)
    ours = qing_losses(tmp_path, texts, labels, dtype)
    theirs = transformers_losses(model, texts, labels)
    assert len(ours) == STEPS
    assert theirs[-1] < theirs[0] / 2, "losses that hardly move would prove nothing"
    worst = max(abs(a - b) / abs(b) for a, b in zip(ours, theirs))
    print(f"losses {theirs[0]:.4f} to {theirs[-1]:.4f}, largest relative difference {worst:.1e} in {dtype}")
    assert worst < bound, f"{ours}\n{theirs}"
