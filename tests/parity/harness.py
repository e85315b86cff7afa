"""Runs rows of the table in PyTorch and in qing on the same drawn inputs, and compares values and gradients.

Every variant of a row (see row.py) is one case in f64 and one in f32. Each floating output gets a random cotangent. The
gradients of every differentiated input and of every parameter are compared. parity_runner runs all cases in one process.
"""

import subprocess
import zlib
from dataclasses import dataclass

import torch
from row import Row, Variant, variants
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-5}
NAMES = {torch.float64: "f64", torch.float32: "f32"}


@dataclass
class Case:
    row: Row
    variant: Variant
    dtype: torch.dtype
    given: dict  # input/NAME, state/NAME, cotangent/I
    expected: dict  # output/I, grad/NAME

    def __str__(self):
        shapes = ", ".join(f"{name} {list(shape)}" for name, shape in self.variant.shapes.items())
        sizes = ", ".join(f"{name}={value}" for name, value in self.variant.sizes.items())
        return f"{self.row.name} [{NAMES[self.dtype]}, {self.variant.what}: {shapes}; {sizes}]"

    def line(self):
        words = [f'"{self.row.name}"', "dtype", NAMES[self.dtype]]
        for name, value in self.variant.sizes.items():
            words += ["size", name, str(value)]
        for spec in self.row.specs():
            words += ["input", spec.name, self.variant.layout, str(int(spec.differentiated))]
        return " ".join(words)


def draw(spec, shape, sizes, generator, dtype):
    """Draws elements of spec.kind. Floating ones are drawn in f64 and rounded."""
    kind, *arguments = spec.kind
    low, high = (eval(argument, {}, dict(sizes)) for argument in arguments) if arguments else (0.5, 2)
    count = torch.Size(shape).numel()
    if kind in ("int", "int32"):
        integers = torch.int64 if kind == "int" else torch.int32
        return torch.randint(low, max(high, low + 1), shape, generator=generator).to(integers)
    if kind == "permutation":
        return torch.randperm(count, generator=generator).reshape(shape)
    if kind == "bool":
        return torch.rand(shape, generator=generator) < 0.5
    if kind in ("positive", "range"):
        values = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
    elif kind == "distinct":
        values = (torch.randperm(count, generator=generator).double() - count / 3).reshape(shape) / 4
    else:
        assert kind in ("normal", "const"), f"{spec.name}: unknown kind {kind}"
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return values.to(dtype)


def laid_out(x, layout):
    """Returns the same elements with another memory layout, like the runner does."""
    if x.dim() == 0 or layout == "plain":
        return x.clone()
    if layout == "transposed":
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    wide = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def outputs_of(result):
    return [result] if isinstance(result, torch.Tensor) else list(result)


def prepare(row, variant, dtype):
    """Returns the case with PyTorch's results."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{row.name} {variant.what}".encode()))
    given, leaves = {}, {}
    names = {"torch": torch, "nn": nn, "F": F, **variant.sizes}
    for spec in row.specs():
        x = draw(spec, variant.shapes[spec.name], variant.sizes, generator, dtype)
        given[f"input/{spec.name}"] = x
        names[spec.name] = laid_out(x, variant.layout)
        if spec.differentiated:
            leaves[spec.name] = names[spec.name].requires_grad_()
    if row.module:
        module = names["module"] = eval(row.module, names).to(dtype)
        for name, value in module.state_dict().items():
            if value.is_floating_point() and name in dict(module.named_parameters()):
                value.copy_(torch.randn(value.shape, generator=generator, dtype=torch.float64) / 2)
            given[f"state/{name}"] = value.clone()
        leaves.update(module.named_parameters())
    expected = {}
    computed = outputs_of(eval(row.torch, names))
    for i, output in enumerate(computed):
        expected[f"output/{i}"] = output.detach().clone()
        if output.requires_grad:
            cotangent = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output.dtype)
            given[f"cotangent/{i}"] = cotangent
            # A clone, because PyTorch may use the cotangent as the leaf's gradient and add to it later.
            output.backward(cotangent.clone(), retain_graph=True)
    for name, leaf in leaves.items():
        expected[f"grad/{name}"] = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    return Case(row, variant, dtype, given, expected)


def cases_of(row):
    cases = []
    for variant in variants(row):
        for dtype in BOUNDS:
            try:
                cases.append(prepare(row, variant, dtype))
            except (RuntimeError, ValueError, IndexError):
                # Only what has no elements may be more than PyTorch takes.
                if not variant.what.startswith("empty"):
                    raise
    return cases


def compare(ours, theirs, bound):
    """Returns None or the problem: max |a-b| / max(1, |b|) over the elements must be at most the bound."""
    if ours.dtype != theirs.dtype:
        return f"dtype {ours.dtype}, PyTorch {theirs.dtype}"
    if ours.shape != theirs.shape:
        return f"shape {list(ours.shape)}, PyTorch {list(theirs.shape)}"
    if not theirs.is_floating_point():
        return None if torch.equal(ours, theirs) else f"{ours.tolist()}, PyTorch {theirs.tolist()}"
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())
    error = ((ours - theirs).abs() / theirs.abs().clamp(min=1)).masked_fill(same, 0).flatten()
    if error.numel() == 0 or error.max() <= bound:
        return None
    worst = int(error.nan_to_num(nan=torch.inf).argmax())
    return f"{ours.flatten()[worst]:.17g}, PyTorch {theirs.flatten()[worst]:.17g} (error {error[worst]:.2g})"


def problems_of(case, results):
    problems = []
    if results.keys() - case.expected.keys():
        problems.append(f"{case}: has more results: {sorted(results.keys() - case.expected.keys())}")
    for name, theirs in case.expected.items():
        ours = results.get(name)
        if ours is None and name.startswith("grad/"):
            ours = torch.zeros_like(theirs)  # a missing gradient equals zeros
        wrong = "no such output" if ours is None else compare(ours, theirs, BOUNDS[case.dtype])
        if wrong:
            problems.append(f"{case}: {name}: {wrong}")
    return problems


def results_of(cases, runner, folder, environment=None):
    """Returns qing's results {case number: {output/I or grad/NAME: tensor}} and {case number: error}."""
    (folder / "plan").write_text("".join(case.line() + "\n" for case in cases), encoding="utf-8")
    inputs = {f"{n}/{key}": x.contiguous() for n, case in enumerate(cases) for key, x in case.given.items()}
    save_file(inputs, folder / "inputs")
    done = subprocess.run(
        [runner, folder / "plan", folder / "inputs", folder / "outputs"],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
    )
    assert done.returncode == 0, f"{runner}: exit {done.returncode}: {done.stderr}"
    refused = {int(n): text for n, text in (line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)}
    results = {}
    for name, x in load_file(folder / "outputs").items():
        number, _, key = name.partition("/")
        results.setdefault(int(number), {})[key] = x
    return results, refused


def run(rows, runner, folder):
    """Returns {row name: [problem]} and the number of cases."""
    cases = [case for row in rows for case in cases_of(row)]
    results, refused = results_of(cases, runner, folder)
    problems = {row.name: [] for row in rows}
    for number, case in enumerate(cases):
        if number in refused:
            problems[case.row.name].append(f"{case}: qing threw: {refused[number]}")
        else:
            problems[case.row.name] += problems_of(case, results.get(number, {}))
    return problems, len(cases)
