"""A hundred steps of every optimizer equal PyTorch's, in f32 and f64, with two groups of different options."""

import subprocess
import sys

import pytest
from conftest import BUILD, ROOT

torch = pytest.importorskip("torch")

sys.path.insert(0, str(ROOT / "tests/parity"))
import optimizer_rows  # noqa: E402

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


def options_of(text):
    """The keyword arguments of torch.optim for options in the form of optimizer_rows.h."""
    options = {name: float(value) for name, value in (word.split("=") for word in text.split())}
    assert ("beta1" in options) == ("beta2" in options), "torch.optim takes both"
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    if "eps1" in options or "eps2" in options:
        options["eps"] = (options.pop("eps1", None), options.pop("eps2", 1e-3))
    flags = ("maximize", "amsgrad", "nesterov", "centered", "decoupled_weight_decay")
    return {name: bool(value) if name in flags else value for name, value in options.items()}


def qing_steps(name, dtype, groups, starts, gradients, count=COUNT):
    tool = BUILD / "optimizer_steps"
    dtype_name = "f64" if dtype == torch.float64 else "f32"
    numbers = " ".join(repr(v) for tensor in (*starts, *(g for step in gradients for g in step)) for v in tensor.tolist())
    text = "\n".join([f"{name} {dtype_name} {STEPS} {len(groups)} {count}", *groups, numbers])
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


ROWS = {f"{row[0]}, {row[2]}": row for row in optimizer_rows.read()}


@pytest.fixture
def in_f64():
    # torch.optim.NAdam keeps the product of its momenta in the default dtype, which is f32 for parameters of f64 too.
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def maker(name, options):
    if name == "-":
        return Lion
    if name == "Adagrad" and "initial_accumulator_value" in options:
        # torch.optim.Adagrad fills all accumulators with the optimizer's own value.
        value = options["initial_accumulator_value"]
        return lambda groups: torch.optim.Adagrad(groups, initial_accumulator_value=value)
    return getattr(torch.optim, name)


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["f32", "f64"])
@pytest.mark.parametrize("row", ROWS)
def test_a_hundred_steps_equal_pytorch(row, dtype, tolerance, in_f64):
    name, torch_name, _, *groups = ROWS[row]
    options = [options_of(group) for group in groups]
    generator = torch.Generator().manual_seed(4)
    draw = lambda: torch.randn(COUNT, generator=generator, dtype=dtype)  # noqa: E731
    starts = [draw() for _ in groups]
    gradients = [[draw() + 0.3 for _ in groups] for _ in range(STEPS)]
    mine = qing_steps(name, dtype, groups, starts, gradients)
    assert len(mine) == STEPS
    for step, (a, b) in enumerate(zip(mine, torch_steps(maker(torch_name, options[0]), options, starts, gradients))):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=lambda m, s=step: f"step {s}: {m}")
    for group, start in enumerate(starts):
        assert (mine[-1][group * COUNT : (group + 1) * COUNT] - start).abs().max() > 1e-3


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["f32", "f64"])
def test_matrices_of_adafactor(dtype, tolerance):
    generator = torch.Generator().manual_seed(6)
    draw = lambda: torch.randn(42, generator=generator, dtype=dtype)  # noqa: E731
    starts, gradients = [draw()], [[draw() + 0.3] for _ in range(STEPS)]
    mine = qing_steps("Adafactor_matrices", dtype, ["lr=0.05 weight_decay=0.1"], starts, gradients, 42)
    parameter = starts[0].reshape(2, 3, 7).clone().requires_grad_()
    optimizer = torch.optim.Adafactor([parameter], lr=0.05, weight_decay=0.1)
    assert len(mine) == STEPS
    for step, (a, (gradient,)) in enumerate(zip(mine, gradients)):
        parameter.grad = gradient.reshape(2, 3, 7)
        optimizer.step()
        b = parameter.detach().flatten()
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=lambda m, s=step: f"step {s}: {m}")


OPTIM = torch.optim


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
    name, groups = "Adam_rows", ["lazy=1 lr=0.01 eps=1e-30", "lazy=1 beta1=0.8 beta2=0.95 eps=1e-30"]
    if make is not OPTIM.SparseAdam:
        name = {OPTIM.SGD: "Sgd", OPTIM.Adagrad: "Adagrad"}[make] + "_rows"
        groups, torch_groups = ["lr=0.1", "lr=0.03"], [{"lr": 0.1}, {"lr": 0.03}]
    sparse = [[g.to_sparse() for g in step] for step in gradients]
    mine = qing_steps(name, dtype, groups, starts, gradients)
    assert len(mine) == STEPS
    for step, (a, b) in enumerate(zip(mine, torch_steps(make, torch_groups, starts, sparse))):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=lambda m, s=step: f"step {s}: {m}")
