"""Random chains of operations, views and in-place writes equal PyTorch's: values, gradients and refusals."""

import random
import subprocess

import pytest
from conftest import BUILD

torch = pytest.importorskip("torch")

CHAINS, STEPS = 1500, 14
MANY_VIEWS = ("unfold", "expand")  # their elements can share memory


def weight(tensor, element):
    return ((tensor * 31 + element * 7) % 11 + 1) / 8


class Refused(Exception):
    """PyTorch's error at a step."""


class Steps:
    """Runs the steps of a chain in PyTorch. With `copies`, operands and results are copies, so that no saved tensor is
    written and PyTorch has a gradient after any later write."""

    def __init__(self, copies=False):
        self.tensors, self.leaves, self.outside = [], [], set()
        self.keep = (lambda x: x.clone()) if copies else (lambda x: x)

    def run(self, words):
        words = words.split()
        nograd = words[0] == "nograd"
        with torch.set_grad_enabled(not nograd):
            self.step(words[1:] if nograd else words, nograd)

    def step(self, words, nograd):
        name, args = words[0], words[1:]
        if name in ("constant", "leaf"):
            rank = int(args[0])
            shape = [int(n) for n in args[1 : 1 + rank]]
            values = [float(v) for v in args[1 + rank :]]
            self.tensors.append(torch.tensor(values, dtype=torch.float64).reshape(shape).clone())
            if name == "leaf":
                self.leaves.append(self.tensors[-1].requires_grad_())
            return
        number = int(args[0])
        x, args = self.tensors[number], args[1:]
        if name.endswith("_") or name in ("fill", "copy_from", "set_first"):
            return self.write(name, x, args)
        self.tensors.append(self.result(name, x, args))
        # A view made under no_grad requires a gradient in PyTorch, but not in qing.
        views = ("reshape", "permute", "expand", "unsqueeze", "transpose", "select", "slice", "index", "diagonal", "unfold")
        if name in views and (nograd or number in self.outside):
            self.outside.add(len(self.tensors) - 1)

    def result(self, name, x, args):
        keep = self.keep
        whole = [int(a) for a in args] if name not in ("scale",) else []
        if name in ("reshape", "permute", "expand"):
            return getattr(x, name)(whole[1:])
        if name in ("unsqueeze", "diagonal", "select", "transpose", "unfold"):
            return getattr(x, name)(*whole)
        if name == "slice":
            dim, start, end, step = whole
            return x[(slice(None),) * dim + (slice(start, end, step),)]
        if name == "index":
            return x[..., whole[0] : whole[1]]
        if name in ("detach", "clone", "contiguous"):
            return getattr(x, name)()
        if name == "scale":
            return x * float(args[0])
        if name in ("tanh", "sigmoid"):
            return keep(getattr(torch, name)(keep(x)))
        other = self.tensors[whole[0]]
        return keep(x) * keep(other) if name == "mul" else x + other

    def write(self, name, x, args):
        # If the base of a view got history later, PyTorch calls the view a leaf and refuses the write, unless grad_fn of the view
        # was read before.
        if torch.is_grad_enabled():
            assert x.grad_fn is None or x.requires_grad
        if name in ("mul_", "div_", "copy_from"):
            other = self.keep(self.tensors[int(args[0])])
            return {"mul_": x.mul_, "div_": x.div_, "copy_from": x.copy_}[name](other)
        if name in ("add_", "sub_"):
            return getattr(x, name)(self.tensors[int(args[0])], alpha=float(args[1]))
        if name.endswith("_number_"):
            return getattr(x, name.removesuffix("number_"))(float(args[0]))
        if name == "clamp_":
            return x.clamp_(float(args[0]), float(args[1]))
        if name == "masked_fill_":
            rank = int(args[1])
            shape = [int(n) for n in args[2 : 2 + rank]]
            mask = torch.tensor([float(v) for v in args[2 + rank :]]).reshape(shape).bool()
            return x.masked_fill_(mask, float(args[0]))
        if name == "zero_":
            return x.zero_()
        if name == "fill":
            return x.fill_(float(args[0]))
        x[(0,) * x.dim()] = float(args[0])  # set_first

    def requires_grad(self, i):
        return i not in self.outside and self.tensors[i].requires_grad

    def backward(self):
        total = None
        for i, tensor in enumerate(self.tensors):
            if not self.requires_grad(i):
                continue
            flat = tensor.reshape(-1)
            weights = torch.tensor([weight(i, j) for j in range(flat.numel())], dtype=torch.float64)
            part = (flat * weights).sum()
            total = part if total is None else total + part
        if total is not None:
            total.backward()

    def numbers(self):
        """Returns the numbers in the form of the tool's output."""
        values = []
        for i, tensor in enumerate(self.tensors):
            values += [float(self.requires_grad(i)), float(tensor.numel()), *tensor.detach().reshape(-1).tolist()]
        for leaf in self.leaves:
            values += [0.0] if leaf.grad is None else [float(leaf.numel()), *leaf.grad.reshape(-1).tolist()]
        return values


def shares_elements(x):
    places = sum(s * torch.arange(n).reshape([-1] + [1] * d) for d, (n, s) in enumerate(zip(reversed(x.shape), reversed(x.stride()))))
    return isinstance(places, torch.Tensor) and places.unique().numel() < x.numel()


class Generator:
    """Draws a step that fits the previous tensors of the chain."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def numbers(self, count):
        return " ".join(f"{self.rng.choice((-1, 1)) * self.rng.uniform(0.4, 1.3):.3f}" for _ in range(count))

    def start(self):
        shape = self.rng.choice(([4], [2, 3], [3, 3], [2, 3, 2], [3, 1, 2]))
        text = " ".join(map(str, [len(shape), *shape]))
        count = torch.Size(shape).numel()
        other = self.rng.choice(("leaf", "constant"))
        # Writes to a leaf end a chain, so writes to its double are more frequent.
        return [
            f"leaf {text} {self.numbers(count)}",
            f"{other} {text} {self.numbers(count)}",
            "scale 0 2.0",
            f"constant {text} {self.numbers(count)}",
        ]

    def pick(self, chain, fits=lambda x: True, write=False):
        fitting = [i for i, x in enumerate(chain.tensors) if fits(x) and (write or i not in chain.outside)]
        # Steps that PyTorch refuses are drawn rarely, because they end a chain.
        rare = [i for i in fitting if i in chain.outside or self.of_leaf(chain, i) or shares_elements(chain.tensors[i])]
        usual = [i for i in fitting if i not in rare]
        if write and usual and (not rare or self.rng.random() > 0.04):
            return self.rng.choice(usual)
        return self.rng.choice(rare if write and rare else fitting) if fitting else None

    @staticmethod
    def of_leaf(chain, i):
        x = chain.tensors[i]
        return any(leaf is x or leaf is x._base for leaf in chain.leaves)

    def step(self, chain):
        kind = self.rng.choice(("view", "view", "write", "write", "write", "result"))
        words = {"view": self.view, "write": self.write, "result": self.result}[kind](chain)
        if kind != "result" and words is not None and self.rng.random() < 0.08:
            target = chain.tensors[int(words.split()[1])]
            # PyTorch refuses writes to views that were made under no_grad of tensors without history. qing records them.
            if kind == "write" or target.requires_grad:
                words = "nograd " + words
        return words

    def result(self, chain):
        name = self.rng.choice(("scale", "tanh", "sigmoid", "add", "mul", "detach", "clone", "contiguous"))
        x = self.pick(chain)
        if name == "scale":
            return f"scale {x} {self.numbers(1)}"
        if name in ("add", "mul"):
            return f"{name} {x} {self.pick(chain, lambda y: y.shape == chain.tensors[x].shape)}"
        return f"{name} {x}"

    def view(self, chain):
        rng, i = self.rng, self.pick(chain, lambda x: x.numel() > 0)
        x = chain.tensors[i]
        if x.dim() == 0:
            return f"unsqueeze {i} 0"
        dim = rng.randrange(x.dim())
        size = x.shape[dim]
        name = rng.choice(
            ("slice", "slice", "select", "transpose", "permute", "reshape", "unsqueeze", "index", "diagonal", *MANY_VIEWS)
        )
        if name == "slice":
            start = rng.randrange(size)
            return f"slice {i} {dim} {start} {rng.randint(start + 1, size)} {rng.choice((1, 1, 2))}"
        if name == "select":
            return f"select {i} {dim} {rng.randrange(size)}"
        if name == "transpose":
            return f"transpose {i} {dim} {rng.randrange(x.dim())}"
        if name == "permute":
            order = rng.sample(range(x.dim()), x.dim())
            return f"permute {i} {x.dim()} {' '.join(map(str, order))}"
        if name == "reshape":
            shape = rng.choice(([x.numel()], [1, x.numel()], [x.numel(), 1], list(x.shape)))
            return f"reshape {i} {len(shape)} {' '.join(map(str, shape))}"
        if name == "unsqueeze":
            return f"unsqueeze {i} {dim}" if x.dim() < 3 else None
        if name == "index":
            start = rng.randrange(x.shape[-1])
            return f"index {i} {start} {rng.randint(start + 1, x.shape[-1])}"
        if name == "diagonal":
            return f"diagonal {i} 0" if x.dim() == 2 else None
        if name == "unfold":
            return f"unfold {i} {dim} {rng.randint(1, size)} {rng.choice((1, 2))}" if x.dim() < 3 else None
        return f"expand {i} {x.dim() + 1} 2 {' '.join(map(str, x.shape))}" if x.dim() < 3 else None

    def write(self, chain):
        i = self.pick(chain, write=True)
        x = chain.tensors[i]
        # PyTorch does not see that windows share elements.
        if shares_elements(x) and 0 not in x.stride():
            return None
        name = self.rng.choice(
            ("add_", "sub_", "mul_", "div_", "copy_from", "add_number_", "sub_number_", "mul_number_", "div_number_")
            + ("clamp_", "masked_fill_", "fill", "zero_", "set_first")
        )
        if name in ("add_", "sub_", "mul_", "div_", "copy_from"):
            # Zeros cannot be divisors, and PyTorch refuses copies between parts of one tensor that overlap.
            apart = x.untyped_storage().data_ptr()
            other = self.pick(
                chain,
                lambda y: y.untyped_storage().data_ptr() != apart
                and y.dim() <= x.dim()
                and all(a in (1, b) for a, b in zip(reversed(y.shape), reversed(x.shape)))
                and (name != "div_" or y.detach().abs().min() > 0.1),
            )
            if other is None:
                return None
            return f"{name} {i} {other}" + (f" {self.numbers(1)}" if name in ("add_", "sub_") else "")
        if name == "clamp_":
            return f"clamp_ {i} {self.rng.uniform(-1, -0.2):.12f} {self.rng.uniform(0.2, 1):.12f}"
        if name in ("masked_fill_", "fill", "zero_") and shares_elements(x):  # not refused by PyTorch
            return None
        if name == "masked_fill_":
            bits = " ".join(self.rng.choice("01") for _ in range(x.numel()))
            shape = " ".join(map(str, [x.dim(), *x.shape]))
            return f"masked_fill_ {i} {self.numbers(1)} {shape} {bits}"
        if name == "set_first" and x.dim() not in (1, 2, 3):
            return None
        return f"{name} {i}" + ("" if name == "zero_" else f" {self.numbers(1)}")


def make_chain(seed):
    """Returns the steps, and the step that PyTorch refused, if any."""
    generator, chain = Generator(seed), Steps()
    steps = generator.start()
    for words in steps:
        chain.run(words)
    while len(steps) < STEPS:
        words = generator.step(chain)
        if words is None:
            continue
        steps.append(words)
        try:
            chain.run(words)
        except RuntimeError:
            return steps, len(steps) - 1
        if chain.tensors and any(t.numel() and t.detach().abs().max() > 1e3 for t in chain.tensors):
            break
    return steps, None


def replayed(steps, copies):
    chain = Steps(copies)
    for words in steps:
        chain.run(words)
    chain.backward()
    return chain.numbers()


@pytest.fixture(scope="module")
def chains():
    """Returns for each chain its steps, the step that PyTorch refused, and qing's line."""
    made = [make_chain(seed) for seed in range(CHAINS)]
    text = [str(CHAINS)]
    for steps, _ in made:
        text += [str(len(steps)), *steps]
    tool = BUILD / "in_place_chains"
    result = subprocess.run([tool], input="\n".join(text), capture_output=True, text=True, timeout=300, check=True)
    lines = result.stdout.splitlines()
    assert len(lines) == CHAINS
    return [(*chain, line) for chain, line in zip(made, lines)]


def numbers_in(line):
    return [float(word) for word in line.split() if word not in ("values", "gradients")]


def assert_close(line, wanted, steps):
    found = numbers_in(line)
    assert len(found) == len(wanted), (line, wanted, steps)
    for a, b in zip(found, wanted):
        assert abs(a - b) <= 1e-12 * max(1, abs(b)), (a, b, line, wanted, steps)


def test_chains_have_the_same_values_and_gradients(chains):
    compared = 0
    for steps, refused, line in chains:
        if refused is not None:
            continue
        try:
            wanted = replayed(steps, copies=False)
        except RuntimeError:
            continue
        assert line.startswith("values"), (line, steps)
        assert_close(line, wanted, steps)
        compared += 1
    assert compared > CHAINS / 2


def test_what_pytorch_refuses_at_a_step_is_refused_there(chains):
    refusals = 0
    for steps, refused, line in chains:
        if refused is None:
            continue
        # Writes to elements that share memory are a ValueError, in a graph or not.
        assert line.startswith((f"step {refused} AutogradError", f"step {refused} ValueError")), (refused, line, steps)
        assert "ValueError" not in line or "share memory" in line, (line, steps)
        refusals += 1
    assert refusals > CHAINS / 20


def test_what_backward_refuses_is_refused_or_right(chains):
    refusals = agreed = 0
    for steps, refused, line in chains:
        if refused is not None:
            continue
        try:
            replayed(steps, copies=False)
        except RuntimeError:
            refusals += 1
            if "AutogradError" in line:
                agreed += line.startswith("backward")
            else:
                assert_close(line, replayed(steps, copies=True), steps)
    assert refusals > CHAINS / 100
    assert agreed > refusals / 2
