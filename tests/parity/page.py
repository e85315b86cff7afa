"""docs/pytorch.md, written from the table and from page_rows.py.

python3 page.py: writes it; a test fails when it is not what this would write.
"""

from pathlib import Path

import table
from page_rows import GROUPS

PAGE = Path(__file__).resolve().parents[2] / "docs/pytorch.md"

INTRODUCTION = """# From PyTorch

PyTorch's calls beside qing's. A name that exists in PyTorch means the same here, with the same arguments and defaults.
Every row of the first part is compared with PyTorch by a test, values and gradients, in f64 to 1e-12 and in f32 to 1e-5, on
shapes drawn at random; every line of the second part is compiled by the build. This page is written from that table:
`python3 tests/parity/page.py`.

What differs:

- **Functions, not methods.** Operations are functions in namespace `qing`: `sum(x, {1})` for `x.sum(1)`. Views, indexing
  and in-place writes are members as well. Lists of sizes and dimensions stand in braces; options stand in a struct with
  named members, `{.stride = 2}`.
- **dtypes.** f32 and f64 compute and differentiate; i32, i64, u8 and bool index; f16, bf16 and i8 store. Nothing is
  promoted: operands of an operation have one dtype, `x.to(DType::f64)` converts.
- **No device.** Everything is on the CPU, and results are bitwise equal whatever the number of threads.
- **No global random state.** Whatever draws numbers takes a `Generator`.
- **Modules begin in evaluation mode and without gradients**: call `train()` and `set_requires_grad(true)` to train.
- **Errors** are exceptions with types: `ShapeError`, `DTypeError`, `IndexError`, `ValueError`, `AutogradError`, `DataError`,
  `IoError`, all of `qing::Error`. Their text begins with the operation and says what to do.
- **In-place writes** are recorded as PyTorch records them: `y.mul_(2)`, `y[{0}].fill(0)` and `y.copy_from(x)` change the
  history of `y`, of its base and of every view of that. A leaf, a view of one, and a view made under `NoGradGuard` are
  refused with an `AutogradError`, and so is a backward that needs a value that was overwritten. `no_grad()` is
  `NoGradGuard`: nothing is recorded or refused. `detach()` shares memory and no history. What differs: writes to parts
  from `split`, to views made under `NoGradGuard` of tensors without history, and `y.mul_(y)` are recorded, not refused;
  writes to elements that share memory are a `ValueError`, for `fill` too; `relu` keeps its input for backward, not its
  result; a write to f16 or bf16 is outside the graph. Writes through `data()`, `span()`, Eigen maps,
  DLPack and the functions of `tensor/ops` are not seen, nor are those through another `Tensor::wrap` of the same memory.
- **Sequences are ragged**: ids end to end with offsets (`nn::RaggedBatch`), not padded. See `attention` and
  `nn::BertForSequenceClassification`.

The snippets assume `using namespace qing;`, in PyTorch's column `from torch import nn` and `import torch.nn.functional as F`.
"""


def code(text):
    """Inline code that survives a table's cell: lines are joined by breaks and bars escaped."""
    return "<br>".join("`" + line.replace("|", "\\|") + "`" for line in text.split("\n"))


def section(title, pairs):
    lines = [f"### {title}", "", "| PyTorch | qing |", "|---|---|"]
    lines += [f"| {code(theirs)} | {code(ours)} |" for theirs, ours in pairs]
    return "\n".join([*lines, ""])


def pairs_of(row):
    theirs, ours = row.shown or row.torch, row.qing
    if row.module:
        plain = theirs.startswith("module(") and theirs.count("(") == 1
        theirs = row.module if plain else f"module = {row.module}\n{theirs}"
        ours = row.qing_module if plain else f"module = {row.qing_module}\n{ours}"
    return theirs, ours


def compared():
    return {table.title_of(family): [pairs_of(row) for row in table.rows_of(family)] for family in table.FAMILIES}


def count():
    return sum(len(pairs) for part in (compared(), GROUPS) for pairs in part.values())


def text():
    parts = [INTRODUCTION, "## Compared with PyTorch\n"]
    parts += [section(title, pairs) for title, pairs in compared().items()]
    parts += ["## And the rest\n"]
    parts += [
        section(title, [(theirs, ours.removesuffix(";")) for theirs, ours in pairs]) for title, pairs in GROUPS.items()
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(f"{PAGE}: {count()} rows")
