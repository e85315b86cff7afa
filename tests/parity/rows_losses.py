from row import Row

TITLE = "Losses"

ROWS = [
    Row("cross_entropy", "x: m n; y: m | int 0 n", "F.cross_entropy(x, y)", "cross_entropy(x, y)", empty=False),
    Row(
        "cross_entropy, ignore_index",
        "x: m n; y: m | int 0 n-1",
        "F.cross_entropy(x, y, ignore_index=int(y[0]) + 1)",
        "cross_entropy(x, y, static_cast<int64_t>(select(y, 0, 0).item()) + 1)",
        sizes={"m": (4, 9), "n": (4, 9)}, empty=False,
    ),
]  # fmt: skip
