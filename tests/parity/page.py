"""Writes docs/pytorch.md from the table and from page_rows.py: python3 page.py

A test fails when docs/pytorch.md differs from this script's output.
"""

from pathlib import Path

import headers
import table
from page_rows import GROUPS

PAGE = Path(__file__).resolve().parents[2] / "docs/pytorch.md"

INTRODUCTION = """# From PyTorch

This page shows PyTorch's calls beside qing's. A name that exists in PyTorch means the same here, with the same arguments
and defaults. A test compares the values and gradients of every row of the first part with PyTorch, in f64 to 1e-12 and in
f32 to 1e-5, on random shapes. The build compiles every line of the second part. `python3 tests/parity/page.py` writes this
page from these tables.

What differs:

- **Headers.** `#include <qing/qing.h>` has all of these. The last column names the header of each row, as
  `<qing/...>`, for programs that include only what they use.
- **Functions, not methods.** Operations are functions in namespace `qing`: `sum(x, {1})` for `x.sum(1)`, and `gt(x, 2)` for
  `x > 2`, since comparisons of tensors are no operators. Views, indexing
  and in-place writes are members as well. Lists of sizes and dimensions are in braces. Options are a struct with named
  members, `{.stride = 2}`.
- **dtypes.** f32 and f64 are for arithmetic and gradients, i32, i64, u8 and bool for indices, and f16, bf16 and i8 for
  storage. There is no type promotion: all operands of an operation have one dtype. `x.to(DType::f64)` converts.
- **Numbers beside integer tensors.** Nothing is promoted to a floating dtype. Arithmetic takes the number exactly and
  wraps the result modulo 2^bits, as PyTorch does: 1 + 300 is 45 in u8. A fraction, an infinity or NaN is an error.
  Setting elements to a number (`full`, `fill`, `Tensor::of`, `where`, `masked_fill`, `scatter`, `pad`, `arange`, ...)
  drops the fraction. A number out of the dtype's range is a `ValueError`. PyTorch refuses such numbers too,
  with two exceptions: it accepts −255 to −1 for u8, and `arange` wraps. `Tensor::to` and `copy_from` clamp a floating
  number to the range. Comparisons use the exact numbers, while PyTorch wraps the number first. Integer literals are exact,
  also beyond 2^53.
- **Denormal numbers** count as zeros in the vectorised functions (arithmetic, `exp`, `log`, `tanh`, the activations) and in
  products. Functions of the C library (`log2`, `sin`, `pow`, `floor_divide`, ...) read and return denormal numbers.
  Gradients of two-operand functions may flush or keep them. PyTorch always keeps them.
- **Ends of the domains.** Values and gradients equal PyTorch's, except for a few that are exact where PyTorch's formula is
  not: the left tails of `gelu` and `ndtr`, f32 of `gelu` beyond 1e38, `sinh` and `cosh` at 710, `hardswish` beyond 1e19 in f32, the
  gradients of `softsign` at infinity, of `copysign` at infinity and NaN and of `sinc` near 0, `fmod` and `remainder` by
  denormal numbers. `heaviside` of NaN is NaN, and 0 in PyTorch. The gradient of `elu`, `selu` and `celu` at NaN is NaN,
  while PyTorch's depends on the position of the element.
- **Medians.** If several elements equal the median, `median` along a dimension may return another index than PyTorch.
  `median` of an empty tensor is a `ValueError`, while PyTorch gives NaN.
- **No complex dtype.** Fourier transforms take and give complex numbers as a last dimension of 2, real and imaginary part, as
  `torch.view_as_real` gives it.
- **Factorizations** of f32 are computed in f64 and rounded once. `linalg::qr` has a gradient for matrices with at least as many
  rows as columns, and `linalg::det` for matrices that are not singular.
- **`ctc_loss`** has its exact gradient by the log-probabilities. PyTorch's gradient is right only for
  log-probabilities that come from `log_softmax`. For those both agree.
- **`NAdam`** multiplies its momenta in f64. PyTorch does so in its default dtype, f32 even for parameters of f64.
- **`std`** is written `qing::std`: with `using namespace qing` the plain name also means the namespace `std`.
- **No device.** Everything is on the CPU, and results are bitwise equal for any number of threads.
- **No global random state.** Every function that draws random numbers takes a `Generator`.
- **Modules begin in evaluation mode and without gradients**: call `train()` and `set_requires_grad(true)` to train.
- **Errors** are typed exceptions: `ShapeError`, `DTypeError`, `IndexError`, `ValueError`, `AutogradError`, `DataError` and
  `IoError`, all derived from `qing::Error`. Their text begins with the operation and says what to do.
- **`x += y`** is `x = x + y`: x gets a new tensor, and the optimizer or a view that holds the old one does not see it. PyTorch
  writes into x. `x.add_(y)` writes in place here too.
- **In-place writes** are recorded as PyTorch records them: `y.mul_(2)`, `y[{0}].fill(0)` and `y.copy_from(x)` change the
  history of `y`, of its base and of every view of the base. A write to a leaf, to a view of a leaf, or to a view made under
  `NoGradGuard` is refused with an `AutogradError`. So is a backward that needs an overwritten value. `no_grad()` is
  `NoGradGuard`: nothing is recorded or refused. `detach()` shares memory and no history. These differ from PyTorch: writes
  to parts from `split`, to views made under `NoGradGuard` of tensors without history, and `y.mul_(y)` are recorded, not
  refused. Writes to elements that share memory are a `ValueError`, for `fill` too. `relu` keeps its input for backward, not
  its result. A write to f16 or bf16 is outside the graph. Autograd does not see writes through `data()`, `span()`, Eigen
  maps, DLPack and the functions of `tensor/ops`, or writes through another `Tensor::wrap` of the same memory.
- **Sequences are ragged**: ids end to end with offsets (`nn::RaggedBatch`), not padded. See `attention` and
  `nn::EncoderForSequenceClassification`.

The snippets assume `using namespace qing;`. PyTorch's column assumes `from torch import nn` and
`import torch.nn.functional as F`.
"""


def code(text):
    """Returns inline code for a table cell: lines are joined by breaks and bars are escaped."""
    return "<br>".join("`" + line.replace("|", "\\|") + "`" for line in text.split("\n"))


def section(title, pairs):
    lines = [f"### {title}", "", "| PyTorch | qing | Header |", "|---|---|---|"]
    lines += [f"| {code(theirs)} | {code(ours)} | {code(headers.of(ours))} |" for theirs, ours in pairs]
    return "\n".join([*lines, ""])


def pairs_of(row):
    theirs, ours = row.shown or row.torch, row.shown_qing or row.qing
    if row.module:
        plain = theirs.startswith("module(") and theirs.count("(") == 1
        theirs = row.module if plain else f"module = {row.module}\n{theirs}"
        ours = row.qing_module if plain else f"module = {row.qing_module}\n{ours}"
    return theirs, ours


def parts():
    """Returns {title: pairs} of both parts of the page. Rows that show the same are one: they differ in what is drawn."""
    seen = set()

    def new(pairs):
        return [pair for pair in pairs if not (pair in seen or seen.add(pair))]

    compared = {table.title_of(family): new(map(pairs_of, table.rows_of(family))) for family in table.FAMILIES}
    return compared, {title: new(pairs) for title, pairs in GROUPS.items()}


def count():
    return sum(len(pairs) for part in parts() for pairs in part.values())


def text():
    compared, others = parts()
    sections = [INTRODUCTION, "## Compared with PyTorch\n"]
    sections += [section(title, pairs) for title, pairs in compared.items()]
    sections += ["## Everything else\n"]
    sections += [
        section(title, [(theirs, ours.removesuffix(";")) for theirs, ours in pairs]) for title, pairs in others.items()
    ]
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(f"{PAGE}: {count()} rows")
