"""Runs every row of one or two numbers on special values: zeros, denormals, infinities, NaN, bounds of domains and their
neighbours, large arguments. Functions of two numbers get all pairs. The cotangent is 1.

The expected results are PyTorch's, with the exceptions of docs/pytorch.md:
- Vectorised functions take denormal numbers as zeros of the same sign, and return zeros for them. The expected results are
  PyTorch's for inputs rounded in this way. Gradients of functions of two numbers may do either (MIXED).
- If PyTorch loses digits or overflows in between, REFERENCES have the exact function.
- Derivatives that are differences (CANCELS) are exact in units of 1, not of the result.

PyTorch's results at NaN may depend on the position of the element (in a vector or in the rest of a row). The expected
result is that of a single element.
"""

import math
from dataclasses import dataclass

import torch
from harness import NAMES, Case, results_of
from row import Variant
from table import rows_of

FAMILIES = ("elementwise", "activations", "selection")
BOUNDS = {torch.float64: 2e-12, torch.float32: 2e-5}

# Functions of the C library and functions on bits read and return denormal numbers.
KEEP_DENORMALS = {
    "exp2", "expm1", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh",
    "acosh", "atanh", "erf", "erfc", "sinc", "logit", "logit, eps", "neg", "neg, operator", "abs", "pow",
    "pow, a number's", "pow by a number", "pow by an integer", "fmod", "remainder", "floor_divide", "atan2", "hypot",
    "logaddexp", "copysign", "xlogy", "fmax", "fmin", "heaviside",
}  # fmt: skip

# The same for gradients.
KEEP_DENORMALS_IN_GRADIENTS = (KEEP_DENORMALS | {"maximum", "minimum"}) - {"abs", "expm1", "heaviside"}

# Gradients made of functions of both kinds. They are not compared if an operand is denormal.
MIXED = {"pow", "pow, a number's", "pow by a number", "pow by an integer", "fmod", "remainder", "atan2", "hypot",
         "logaddexp", "xlogy"}  # fmt: skip

# Derivatives that cancel, and differences of a function and its argument.
CANCELS = {"tanh", "sigmoid", "silu", "mish", "gelu", "gelu, tanh", "tanhshrink", "softsign", "sinc"}


def _sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _gelu_argument(x):
    return 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)


def _gelu_tanh(x):
    return x * _sigmoid(_gelu_argument(x)) if abs(x) < 1e3 else None


def _gelu_tanh_slope(x):
    if abs(x) > 1e3:
        return None
    s = _sigmoid(_gelu_argument(x))
    return s + x * s * (1 - s) * 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def _gelu(x):
    if x > 1e3:
        return x
    return 0.5 * x * math.erfc(-x / math.sqrt(2)) if x > -1e3 else None


def _ndtr(x):
    return 0.5 * math.erfc(-x / math.sqrt(2)) if math.isfinite(x) else None


def _gelu_slope(x):
    if abs(x) > 1e3:
        return None
    return 0.5 * math.erfc(-x / math.sqrt(2)) + x * math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _sinc_slope(x):
    return -(math.pi**2) * x / 3 + math.pi**4 * x**3 / 30 if abs(x) < 2e-3 else None


def _sinh(x):
    return math.sinh(x) if abs(x) < 710.4 else math.copysign(math.inf, x)


def _cosh(x):
    return math.cosh(x) if abs(x) < 710.4 else math.inf


def _fmod(a, b):
    return math.fmod(a, b) if math.isfinite(a) and b != 0 else None


def _remainder(a, b):
    rest = _fmod(a, b)
    return rest + b if rest and (rest < 0) != (b < 0) else rest


def _copysign_slope(a, b):
    return math.copysign(1, a) * math.copysign(1, b) if not math.isfinite(a) else None


# The exact functions where PyTorch's formulas are not exact, or None where PyTorch's result is used.
REFERENCES = {
    ("sinh", "output/0"): _sinh,  # PyTorch overflows at 710
    ("sinh", "grad/x"): _cosh,
    ("cosh", "output/0"): _cosh,
    ("cosh", "grad/x"): _sinh,
    ("gelu", "output/0"): _gelu,  # PyTorch's 1 + erf(x) cancels in the left tail, and its f32 overflows
    ("gelu", "grad/x"): _gelu_slope,
    ("ndtr", "output/0"): _ndtr,  # PyTorch's (1 + erf(x/√2))/2 cancels in the left tail
    ("gelu, tanh", "output/0"): _gelu_tanh,
    ("gelu, tanh", "grad/x"): _gelu_tanh_slope,
    ("softsign", "grad/x"): lambda x: 1 / (1 + abs(x)) / (1 + abs(x)),  # PyTorch's is a difference, NaN at infinity
    ("hardswish", "output/0"): lambda x: x if x > 1e3 else None,  # PyTorch's x·(x + 3) overflows
    ("fmod", "output/0"): _fmod,  # PyTorch's is NaN for denormal divisors
    ("remainder", "output/0"): _remainder,
    ("copysign", "grad/x"): _copysign_slope,  # PyTorch's is a quotient that is NaN at infinity and NaN
    ("log10", "grad/x"): lambda x: 1 / (x * math.log(10)) if 1e37 < abs(x) < 1e39 else None,  # PyTorch's x·ln 10 overflows
    ("sinc", "grad/x"): _sinc_slope,  # PyTorch's difference of equal numbers
}

# PyTorch's own function if the row spells out its definition. That function uses an f32 value of 1/6.
TORCH = {"hardsigmoid": "F.hardsigmoid(x)"}
LOOSE = {"hardsigmoid": 1e-7}

# NaN where x is NaN. PyTorch's gradient is NaN in a vector, but that above 0 in the rest of a row; its heaviside(NaN) is 0.
NAN_AT_NAN = {"elu": "grad/x", "selu": "grad/x", "celu": "grad/x", "heaviside": "output/0"}

# PyTorch's zeros have the sign of the path that computed them.
ANY_SIGN_OF_ZERO = {"softshrink"}


def rows():
    """Returns all rows with one or two floating inputs of any shape."""
    found = [row for family in FAMILIES for row in rows_of(family)]
    return [row for row in found if not row.module and len(row.specs()) <= 2 and all(s.any_shape and not s.integer for s in row.specs())]


def _both_signs(plain, dtype):
    one_sided = torch.tensor(plain, dtype=torch.float64).to(dtype)
    return torch.cat([one_sided, -one_sided, torch.full((1,), math.nan, dtype=dtype)])


def special_values(dtype):
    info = torch.finfo(dtype)
    plain = [0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.5, 2, 2.5, 3, 3.5, 5, 6, 8, 9, 17, 20, 40, 60, 88, 89, 104, 200,
             709, 710, 746, 1000, 1e-3, 1e-5, 1e-10, 1e-20, 1e4, 1e6, 1e10, 1e15, 1e22, 1e30, 2**23 + 0.5, 2**24, 2**52 + 0.5,
             2**53, math.pi, math.pi / 2, math.e, math.sqrt(0.5), info.tiny, 2 * info.tiny, info.max, info.max / 2,
             info.max**0.5, 1 / info.max, math.inf, info.tiny * info.eps, info.tiny / 2, info.tiny / 1024]  # fmt: skip
    values = _both_signs(plain, dtype)
    near = _both_signs([0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.5, 2, 3, 6, 20, info.tiny], dtype)
    neighbours = [torch.nextafter(near, torch.full_like(near, to)) for to in (-math.inf, math.inf)]
    return torch.cat([values, *[x[~x.isnan()] for x in neighbours]])


def pairs(dtype):
    info = torch.finfo(dtype)
    values = _both_signs(
        [0, 0.3, 0.5, 1, 1.5, 2, 3, 7.5, 1e10, info.tiny, info.tiny / 4, info.max, math.inf], dtype
    )
    return [grid.reshape(-1).contiguous() for grid in torch.meshgrid(values, values, indexing="ij")]


def without_denormals(x):
    return torch.where(x.abs() < torch.finfo(x.dtype).tiny, torch.copysign(torch.zeros_like(x), x), x)


def as_it_is(x):
    return x


@dataclass
class SpecialCase(Case):
    exact_zero: torch.Tensor  # mask of PyTorch's values that are exact zeros


def _computed(row, inputs):
    """Returns {output/0 or grad/NAME: PyTorch's result}."""
    alone = torch.stack([x.isnan() for x in inputs]).any(0)
    found = _computed_together(row, [x[~alone] for x in inputs])
    whole = {name: torch.empty_like(inputs[0]).masked_scatter(~alone, y) for name, y in found.items()}
    for i in alone.nonzero().flatten().tolist():
        for name, y in _computed_together(row, [x[i : i + 1] for x in inputs]).items():
            whole[name][i] = y[0]
    return whole


def _computed_together(row, inputs):
    leaves = {s.name: x.clone().requires_grad_(s.differentiated) for s, x in zip(row.specs(), inputs, strict=True)}
    y = eval(TORCH.get(row.name, row.torch), {"torch": torch, "F": torch.nn.functional, **leaves})
    found = {"output/0": y.detach()}
    if y.requires_grad:
        y.backward(torch.ones_like(y))
        for name, x in leaves.items():
            if x.requires_grad:
                found[f"grad/{name}"] = torch.zeros_like(x) if x.grad is None else x.grad
    return found


def case_of(row, dtype):
    specs = row.specs()
    inputs = [special_values(dtype)] if len(specs) == 1 else pairs(dtype)
    seen = {"output/0": as_it_is if row.name in KEEP_DENORMALS else without_denormals}
    for spec in specs:
        seen[f"grad/{spec.name}"] = as_it_is if row.name in KEEP_DENORMALS_IN_GRADIENTS else without_denormals
    expected = {}
    for rounding in {as_it_is, without_denormals}:
        found = _computed(row, [rounding(x) for x in inputs])
        expected.update({name: rounding(y) for name, y in found.items() if seen[name] is rounding})
        if seen["output/0"] is rounding:
            exact_zero = found["output/0"] == 0
    for (name, output), function in REFERENCES.items():
        if name == row.name:
            places = [x.tolist() for x in inputs]
            leaves = [any(math.isnan(x) for x in place) and name != "copysign" for place in zip(*places, strict=True)]
            exact = [None if left else function(*place) for left, place in zip(leaves, zip(*places, strict=True), strict=True)]
            exact = [theirs if ours is None else ours for ours, theirs in zip(exact, expected[output].tolist(), strict=True)]
            expected[output] = seen[output](torch.tensor(exact, dtype=torch.float64).to(dtype))
    if row.name in NAN_AT_NAN:
        name = NAN_AT_NAN[row.name]
        expected[name] = torch.where(inputs[0].isnan(), inputs[0], expected[name])
    given = {f"input/{spec.name}": x for spec, x in zip(specs, inputs, strict=True)}
    given["cotangent/0"] = torch.ones_like(inputs[0])
    variant = Variant("special", {}, {s.name: tuple(inputs[0].shape) for s in specs})
    return SpecialCase(row, variant, dtype, given, expected, exact_zero)


def cases():
    return [case_of(row, dtype) for row in rows() for dtype in NAMES]


def wrong_places(case, name, ours):
    """Returns a mask of the wrong elements."""
    theirs, info, row = case.expected[name], torch.finfo(case.dtype), case.row.name
    inputs = [case.given[f"input/{spec.name}"] for spec in case.row.specs()]
    is_output = name.startswith("output")
    keeps = row in KEEP_DENORMALS if is_output else row in KEEP_DENORMALS_IN_GRADIENTS - MIXED
    # The error from a flushed denormal intermediate result, times its later factor.
    least = 4 * info.tiny * info.eps if keeps else 1024 * info.tiny
    unit = 1.0 if row in CANCELS and not is_output else 0.0
    if row == "tanhshrink" and is_output:
        unit = inputs[0].abs().clamp(max=1)
    allowed = (LOOSE.get(row, BOUNDS[case.dtype]) * theirs.abs().clamp(min=unit)).clamp(min=least)
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())
    wrong = ~(same | (theirs.isfinite() & ours.isfinite() & ((ours - theirs).abs() <= allowed)))
    if is_output and row not in ANY_SIGN_OF_ZERO:
        wrong |= (ours == 0) & case.exact_zero & (torch.signbit(ours) != torch.signbit(theirs))
    if row in MIXED and not is_output:
        wrong &= ~torch.stack([(x != 0) & (x.abs() < info.tiny) for x in inputs]).any(0)
    return wrong


def described(case, name, ours):
    """Returns a description of the problem, or None."""
    wrong = wrong_places(case, name, ours).nonzero().flatten().tolist()
    if not wrong:
        return None
    inputs = [case.given[f"input/{spec.name}"] for spec in case.row.specs()]
    places = [
        f"({', '.join(f'{x[i].item():.9g}' for x in inputs)}): {ours[i].item():.9g}, not {case.expected[name][i].item():.9g}"
        for i in wrong[:6]
    ]
    return f"{case.row.name} [{NAMES[case.dtype]}] {name}: {len(wrong)} wrong: {'; '.join(places)}"


def problems(runner, folder, environment=None):
    """Returns the list of problems."""
    planned = cases()
    results, refused = results_of(planned, runner, folder, environment)
    found = [f"{planned[number]}: qing threw: {text}" for number, text in refused.items()]
    for number, case in enumerate(planned):
        if number in refused:
            continue
        for name, theirs in case.expected.items():
            ours = results.get(number, {}).get(name)
            if ours is None and not name.startswith("grad/"):
                found.append(f"{case.row.name} [{NAMES[case.dtype]}] {name}: no output")
                continue
            # A missing gradient counts as zeros.
            found.append(described(case, name, torch.zeros_like(theirs) if ours is None else ours))
    return [text for text in found if text]
