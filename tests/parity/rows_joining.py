from row import Row

TITLE = "Joining and arranging"

ROWS = [
    Row("cat", "x: m n; y: m k", "torch.cat([x, y, x], 1)", "cat({x, y, x}, 1)"),
    Row("cat of integers", "x: m n | int 0 9; y: k n | int 0 9", "torch.cat([x, y])", "cat({x, y})"),
    Row("stack", "x: m n; y: m n", "torch.stack([x, y], -1)", "stack({x, y}, -1)"),
    Row("hstack", "x: m n; y: m k", "torch.hstack([x, y])", "hstack({x, y})"),
    Row("hstack of scalars", "x: ; y: ", "torch.hstack([x, y])", "hstack({x, y})"),
    Row("vstack", "x: n; y: m n", "torch.vstack([x, y])", "vstack({x, y})"),
    Row("split", "x: m n", "x.split(2, 1)", "split(x, 2, 1)"),
    Row("split by sizes", "x: m+n k", "x.split([m, n])", "split(x, std::vector<int64_t>{m, n})"),
    Row("chunk", "x: m n", "x.chunk(3, 0)", "chunk(x, 3, 0)"),
    Row("unbind", "x: m n", "x.unbind(1)", "unbind(x, 1)", empty=False),
    Row("repeat", "x: m n", "x.repeat(2, 1, 3)", "repeat(x, {2, 1, 3})"),
    Row("tile", "x: m n", "x.tile(2)", "tile(x, {2})"),
    Row("repeat_interleave", "x: m n", "x.repeat_interleave(3, 1)", "repeat_interleave(x, 3, 1)"),
    Row(
        "repeat_interleave by counts",
        "x: m n; r: m | int 0 4",
        "x.repeat_interleave(r, 0)",
        "repeat_interleave(x, r, 0)",
    ),
    Row("flip", "x: m n k", "x.flip(0, -1)", "flip(x, {0, -1})"),
    Row("roll", "x: m n", "x.roll((1, -2), (0, 1))", "roll(x, {1, -2}, {0, 1})"),
    Row("tril", "x: m n k", "x.tril(1)", "tril(x, 1)"),
    Row("triu", "x: m n", "x.triu(-1)", "triu(x, -1)"),
    Row("pad", "x: m n", "F.pad(x, (1, 2, 0, 3), value=0.5)", "pad(x, {1, 2, 0, 3}, PadMode::constant, 0.5)"),
    Row("pad that crops", "x: m n", "F.pad(x, (-1, 2))", "pad(x, {-1, 2})"),
    Row("pad by reflection", "x: m n k", "F.pad(x, (2, 1), 'reflect')", "pad(x, {2, 1}, PadMode::reflect)", sizes={"k": (3, 6)}),
    Row("pad by replication", "x: m n k", "F.pad(x, (2, 3), 'replicate')", "pad(x, {2, 3}, PadMode::replicate)"),
    Row(
        "pad around",
        "x: m n k",
        "F.pad(x, (2, 1), 'circular')",
        "pad(x, {2, 1}, PadMode::circular)",
        sizes={"k": (2, 6)},
    ),
]
