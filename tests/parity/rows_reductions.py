from row import Row

TITLE = "Reductions"

ROWS = [
    Row("sum", "x: *", "x.sum()", "sum(x)"),
    Row("sum over dims", "x: m n k", "x.sum((0, 2))", "sum(x, {0, 2})"),
    Row("sum, keepdim", "x: m n k", "x.sum(1, keepdim=True)", "sum(x, {1}, true)"),
    Row("mean", "x: *", "x.mean()", "mean(x)", empty=False),
    Row("mean over dims", "x: m n k", "x.mean((1, 2), keepdim=True)", "mean(x, {1, 2}, true)", empty=False),
    Row("softmax", "x: m n", "x.softmax(-1)", "softmax(x)", sizes={"n": (1, 40)}, empty=False),
]
