"""Steps of SGD and AdamW equal PyTorch's."""

import os
import subprocess
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
COUNT = 1000


def qing_steps(name, start, gradients, **options):
    tool = Path(os.environ.get("QING_BUILD", ROOT / "build/release")) / "optimizer_steps"
    settings = {"lr": 0.1, "momentum": 0, "nesterov": 0, "weight_decay": 0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    settings.update(options)
    words = [name, *(repr(float(v)) if k != "nesterov" else int(v) for k, v in settings.items()), len(gradients), COUNT]
    words += [repr(v) for v in start.tolist()] + [repr(v) for g in gradients for v in g.tolist()]
    result = subprocess.run([tool], input=" ".join(map(str, words)), capture_output=True, text=True, timeout=60, check=True)
    return [torch.tensor([float(v) for v in line.split()]) for line in result.stdout.splitlines()]


def torch_steps(make, start, gradients):
    parameter = start.clone().requires_grad_()
    optimizer = make([parameter])
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        yield parameter.detach().clone()


CASES = {
    "sgd": ("sgd", {"lr": 0.1}, torch.optim.SGD, {"lr": 0.1}),
    "sgd momentum": ("sgd", {"lr": 0.1, "momentum": 0.9}, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "sgd nesterov, decay": (
        "sgd",
        {"lr": 0.05, "momentum": 0.8, "nesterov": 1, "weight_decay": 0.01},
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ),
    "adamw": ("adamw", {"lr": 5e-4, "weight_decay": 0.01}, torch.optim.AdamW, {"lr": 5e-4, "weight_decay": 0.01}),
    "adamw betas": (
        "adamw",
        {"lr": 1e-2, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.95, "eps": 1e-2},
        torch.optim.AdamW,
        {"lr": 1e-2, "weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-2},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_step_and_ten_equal_pytorch(case):
    name, ours, make, theirs = CASES[case]
    generator = torch.Generator().manual_seed(4)
    start = torch.randn(COUNT, generator=generator)
    gradients = [torch.randn(COUNT, generator=generator) for _ in range(10)]
    mine = qing_steps(name, start, gradients, **ours)
    assert len(mine) == 10
    for step, (a, b) in enumerate(zip(mine, torch_steps(lambda p: make(p, **theirs), start, gradients))):
        # A few units in the last place: the order of multiplications differs.
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6, msg=lambda m, s=step: f"step {s}: {m}")
        assert (a - start).abs().max() > 1e-4
