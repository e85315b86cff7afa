"""A row of the parity table, and how its shapes are drawn. It needs only the standard library, because the build reads it."""

import random
import zlib
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One call of PyTorch's beside qing's.

    `inputs` are separated by semicolons: "x: m n; i: k | int 0 m". Left of the bar are the sizes. They are Python expressions of
    one-letter symbols that are drawn at random. `*` is any shape, the same for all inputs with `*` (for two of them
    broadcast shapes are drawn as well, unless `broadcast` is false). The kind of the elements is right of the bar:

    normal (default), positive (0.5 to 2), range A B (uniform), distinct (no two are near): floating, differentiated;
    const: floating, normal, not differentiated;
    int A B, int32 A B (B excluded), permutation: i64 or i32; bool.

    (A and B are expressions of symbols too.) Symbols and inputs are variables in both expressions. A row with `module` is a layer: `module` constructs PyTorch's,
    `qing_module` qing's, which gets the state of the former, and the expressions call it `module`.
    """

    name: str
    inputs: str
    torch: str
    qing: str
    module: str = ""
    qing_module: str = ""
    sizes: dict = field(default_factory=dict)  # symbol: (least, most); by default 2 to 6, and one variant with 1
    broadcast: bool = True
    empty: bool = True  # whether sizes 0 are tried, where PyTorch takes them
    shown: str = ""  # PyTorch's call as the page shows it, where `torch` is less plain
    shown_qing: str = ""  # the same of qing's

    def specs(self):
        return [InputSpec.parse(text) for text in self.inputs.split(";") if text.strip()]


@dataclass(frozen=True)
class InputSpec:
    name: str
    dims: tuple
    kind: tuple

    @staticmethod
    def parse(text):
        name, _, rest = text.partition(":")
        dims, _, kind = rest.partition("|")
        return InputSpec(name.strip(), tuple(dims.split()), tuple(kind.split()) or ("normal",))

    @property
    def any_shape(self):
        return self.dims == ("*",)

    @property
    def integer(self):
        return self.kind[0] in ("int", "int32", "permutation", "bool")

    @property
    def differentiated(self):
        return not self.integer and self.kind[0] != "const"


@dataclass(frozen=True)
class Variant:
    """One drawing of a row: a value for every symbol, a shape for every input, and the memory layout of the inputs."""

    what: str
    sizes: dict
    shapes: dict
    layout: str = "plain"  # or transposed, or strided


def symbols(row):
    """Returns the symbols in sizes, element bounds and the module."""
    expressions = [text for spec in row.specs() for text in (*spec.dims, *spec.kind[1:]) if text != "*"]
    names = [name for text in [*expressions, row.module or "0"] for name in compile(text, row.name, "eval").co_names]
    return list(dict.fromkeys([*(name for name in names if len(name) == 1), *row.sizes]))


def _shapes(row, sizes, any_shape, rng=None):
    """Returns the shapes of the inputs. With rng, inputs of any shape get different shapes that broadcast to it."""
    shapes = {}
    broadcasting = [spec.name for spec in row.specs() if spec.any_shape]
    for spec in row.specs():
        if not spec.any_shape:
            shapes[spec.name] = tuple(eval(dim, {}, dict(sizes)) for dim in spec.dims)
        elif rng is None:
            shapes[spec.name] = any_shape
        else:
            # Each input in turn loses leading sizes or gets sizes of 1. The first input keeps every size that no other has.
            shape = [1 if rng.random() < 0.4 else size for size in any_shape]
            shapes[spec.name] = tuple(shape[rng.randrange(len(shape) + 1) if spec.name == broadcasting[-1] else 0 :])
    return shapes


def _draw(row, rng):
    return {name: rng.randint(*row.sizes.get(name, (2, 6))) for name in symbols(row)}


def variants(row):
    rng = random.Random(zlib.crc32(row.name.encode()))
    any_shapes = sum(spec.any_shape for spec in row.specs())
    # Any shape has ranks 0 to 4. The last dimension is long enough for a vector of any ISA and a remainder.
    ranks = [[rng.randint(2, 5) for _ in range(rank - 1)] + [rng.randint(2, 37)] * min(rank, 1) for rank in (3, 1, 2, 4)]
    drawn = []
    for number, any_shape in enumerate(ranks[: 4 if any_shapes else 3]):
        sizes = _draw(row, rng)
        drawn.append(Variant(f"random {number}", sizes, _shapes(row, sizes, tuple(any_shape))))
    if any_shapes >= 2 and row.broadcast:
        for number in range(6):
            shape = [rng.randint(2, 5) for _ in range(rng.randint(1, 4))]
            drawn.append(Variant(f"broadcast {number}", {}, _shapes(row, _draw(row, rng), shape, rng)))
    if any_shapes:
        drawn.append(Variant("scalar", sizes, _shapes(row, sizes, ())))
    sizes = {name: row.sizes.get(name, (1,))[0] for name in symbols(row)}
    drawn.append(Variant("least", sizes, _shapes(row, sizes, (1, 1))))
    for layout in ("transposed", "strided"):
        sizes = _draw(row, rng)
        drawn.append(Variant(layout, sizes, _shapes(row, sizes, (3, 4, 5)), layout))
    if row.empty:
        for name in symbols(row):
            sizes = {**_draw(row, rng), name: 0}
            drawn.append(Variant(f"empty {name}", sizes, _shapes(row, sizes, (2,))))
        if any_shapes:
            sizes = _draw(row, rng)
            drawn.append(Variant("empty", sizes, _shapes(row, sizes, (2, 0, 3))))
    return drawn
