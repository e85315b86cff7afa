"""A hundred steps of every optimizer equal PyTorch's, in f32 and f64, with two groups of different options."""

import os
import subprocess
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
COUNT, STEPS = 37, 100


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023, which torch.optim does not have."""

    def __init__(self, groups, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                g = -p.grad if group["maximize"] else p.grad
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * torch.sign(beta1 * m + (1 - beta1) * g))
                m.mul_(beta2).add_(g, alpha=1 - beta2)


def words_of(options):
    """Returns PyTorch's options under the names of state_dict()."""
    flat = {}
    for name, value in options.items():
        flat.update({"beta1": value[0], "beta2": value[1]} if name == "betas" else {name: value})
    return [len(flat)] + [word for name, value in flat.items() for word in (name, repr(float(value)))]


def qing_steps(name, dtype, groups, starts, gradients):
    tool = Path(os.environ.get("QING_BUILD", ROOT / "build/release")) / "optimizer_steps"
    words = [name, "f64" if dtype == torch.float64 else "f32", STEPS, len(groups), COUNT]
    for options in groups:
        words += words_of(options)
    for tensor in (*starts, *(g for step in gradients for g in step)):
        words += [repr(v) for v in tensor.tolist()]
    text = " ".join(map(str, words))
    result = subprocess.run([tool], input=text, capture_output=True, text=True, timeout=60, check=True)
    lines = result.stdout.splitlines()
    return [torch.tensor([float(v) for v in line.split()], dtype=dtype) for line in lines]


def torch_steps(make, groups, starts, gradients):
    parameters = [start.clone().requires_grad_() for start in starts]
    optimizer = make([{"params": [p], **options} for p, options in zip(parameters, groups)])
    for step in gradients:
        for parameter, gradient in zip(parameters, step):
            parameter.grad = gradient.clone()
        optimizer.step()
        yield torch.cat([p.detach() for p in parameters])


OPTIM = torch.optim
CASES = {
    "sgd": ("sgd", OPTIM.SGD, [{}, {"lr": 0.01}]),
    "sgd momentum": ("sgd", OPTIM.SGD, [{"lr": 0.01, "momentum": 0.9}, {"lr": 0.01}]),
    "sgd dampening": ("sgd", OPTIM.SGD, [{"lr": 0.01, "momentum": 0.9, "dampening": 0.3}, {"momentum": 0.5}]),
    "sgd nesterov, decay": (
        "sgd",
        OPTIM.SGD,
        [{"lr": 0.01, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}, {"weight_decay": 0.5}],
    ),
    "sgd maximize": ("sgd", OPTIM.SGD, [{"maximize": True, "weight_decay": 0.1}, {"maximize": True, "momentum": 0.9}]),
    "adam": ("adam", OPTIM.Adam, [{}, {"lr": 0.01}]),
    "adam l2, betas": (
        "adam",
        OPTIM.Adam,
        [{"weight_decay": 0.1}, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-2, "weight_decay": 0.01}],
    ),
    "adam amsgrad": ("adam", OPTIM.Adam, [{"amsgrad": True}, {"lr": 0.01, "amsgrad": True, "maximize": True}]),
    "adamw": ("adamw", OPTIM.AdamW, [{}, {"lr": 0.01, "weight_decay": 0.1}]),
    "adamw betas": (
        "adamw",
        OPTIM.AdamW,
        [{"lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-2}, {"weight_decay": 0}],
    ),
    "adamw amsgrad, maximize": ("adamw", OPTIM.AdamW, [{"amsgrad": True}, {"amsgrad": True, "maximize": True}]),
    "adagrad": ("adagrad", OPTIM.Adagrad, [{}, {"lr": 0.1, "eps": 1e-3}]),
    "adagrad decays": (
        "adagrad",
        OPTIM.Adagrad,
        [{"lr_decay": 0.05, "weight_decay": 0.1}, {"initial_accumulator_value": 0.5, "maximize": True}],
    ),
    "rmsprop": ("rmsprop", OPTIM.RMSprop, [{"lr": 1e-3}, {"lr": 1e-3, "alpha": 0.9, "eps": 1e-3}]),
    "rmsprop momentum": (
        "rmsprop",
        OPTIM.RMSprop,
        [{"lr": 1e-3, "momentum": 0.9}, {"lr": 1e-3, "momentum": 0.5, "weight_decay": 0.1, "maximize": True}],
    ),
    "rmsprop centered": (
        "rmsprop",
        OPTIM.RMSprop,
        [{"lr": 1e-3, "centered": True}, {"lr": 1e-3, "centered": True, "momentum": 0.9, "weight_decay": 0.01}],
    ),
    "lion": ("lion", Lion, [{}, {"lr": 1e-3, "betas": (0.95, 0.98), "weight_decay": 0.1}]),
    "lion maximize": ("lion", Lion, [{"maximize": True}, {"lr": 1e-3}]),
}


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["f32", "f64"])
@pytest.mark.parametrize("case", CASES)
def test_a_hundred_steps_equal_pytorch(case, dtype, tolerance):
    name, make, groups = CASES[case]
    if name == "adagrad" and "initial_accumulator_value" in groups[1]:
        # torch.optim.Adagrad fills all accumulators with the optimizer's own value.
        groups = [{**options, "initial_accumulator_value": 0.5} for options in groups]
        make = lambda parameters: OPTIM.Adagrad(parameters, initial_accumulator_value=0.5)  # noqa: E731
    generator = torch.Generator().manual_seed(4)
    draw = lambda: torch.randn(COUNT, generator=generator, dtype=dtype)  # noqa: E731
    starts = [draw() for _ in groups]
    gradients = [[draw() + 0.3 for _ in groups] for _ in range(STEPS)]
    mine = qing_steps(name, dtype, groups, starts, gradients)
    assert len(mine) == STEPS
    for step, (a, b) in enumerate(zip(mine, torch_steps(make, groups, starts, gradients))):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=lambda m, s=step: f"step {s}: {m}")
    for group, start in enumerate(starts):
        assert (mine[-1][group * COUNT : (group + 1) * COUNT] - start).abs().max() > 1e-3


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["f32", "f64"])
@pytest.mark.parametrize("make", [OPTIM.SparseAdam, OPTIM.Adagrad, OPTIM.SGD], ids=["SparseAdam", "Adagrad", "SGD"])
def test_rows_of_tables_move_as_with_sparse_gradients(make, dtype, tolerance):
    generator = torch.Generator().manual_seed(5)
    starts = [torch.randn(COUNT, generator=generator, dtype=dtype) for _ in range(2)]
    gradients = []
    for _ in range(STEPS):
        named = [torch.rand(COUNT, generator=generator) < 0.2 for _ in starts]
        gradients.append([torch.where(m, torch.randn(COUNT, generator=generator, dtype=dtype), 0) for m in named])
    # SparseAdam adds eps before the bias correction, and Adam after it. Here eps is too small to matter.
    torch_groups = [{"lr": 0.01, "eps": 1e-30}, {"betas": (0.8, 0.95), "eps": 1e-30}]
    name, groups = "adam_rows", [{"lazy": 1, **options} for options in torch_groups]
    if make is not OPTIM.SparseAdam:
        name = make.__name__.lower() + "_rows"
        groups = torch_groups = [{"lr": 0.1}, {"lr": 0.03}]
    sparse = [[g.to_sparse() for g in step] for step in gradients]
    mine = qing_steps(name, dtype, groups, starts, gradients)
    assert len(mine) == STEPS
    for step, (a, b) in enumerate(zip(mine, torch_steps(make, torch_groups, starts, sparse))):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=lambda m, s=step: f"step {s}: {m}")
