from row import Row

TITLE = "Views and shapes"

ROWS = [
    Row("reshape", "x: m 2*n", "x.reshape(2, m, n)", "reshape(x, {2, m, n})"),
    Row("reshape -1", "x: m n", "x.reshape(-1)", "reshape(x, {-1})"),
    Row("transpose", "x: m n k", "x.transpose(0, 2)", "transpose(x, 0, 2)"),
    Row("permute", "x: m n k", "x.permute(2, 0, 1)", "permute(x, {2, 0, 1})"),
    Row("expand", "x: m 1 n", "x.expand(k, m, 3, n)", "expand(x, {k, m, 3, n})", sizes={"k": (1, 4)}),
    Row("slice", "x: m n", "x[:, 1:n]", "slice(x, 1, 1, n)"),
    Row("slice with a step", "x: m n", "x[::2]", "slice(x, 0, 0, m, 2)"),
    Row("select", "x: m n k", "x.select(1, 1)", "select(x, 1, 1)", sizes={"n": (2, 6)}),
]
