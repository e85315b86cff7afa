from row import Row

TITLE = "Views and shapes"

ROWS = [
    Row("reshape", "x: m 2*n", "x.reshape(2, m, n)", "reshape(x, {2, m, n})"),
    Row("reshape -1", "x: m n", "x.reshape(-1)", "reshape(x, {-1})"),
    Row("reshape, member", "x: m 2*n", "x.reshape(m * 2, n)", "x.reshape({m * 2, n})"),
    Row("transpose", "x: m n k", "x.transpose(0, 2)", "transpose(x, 0, 2)"),
    Row("permute", "x: m n k", "x.permute(2, 0, 1)", "permute(x, {2, 0, 1})"),
    Row("expand", "x: m 1 n", "x.expand(k, m, 3, n)", "expand(x, {k, m, 3, n})", sizes={"k": (1, 4)}),
    Row("slice", "x: m n", "x[:, 1:n]", "slice(x, 1, 1, n)"),
    Row("slice with a step", "x: m n", "x[::2]", "slice(x, 0, 0, m, 2)"),
    Row("select", "x: m n k", "x.select(1, 1)", "select(x, 1, 1)", sizes={"n": (2, 6)}),
    Row("squeeze", "x: m 1 n", "x.squeeze(1)", "squeeze(x, 1)"),
    Row("squeeze all", "x: 1 m 1 n", "x.squeeze()", "x.squeeze()"),
    Row("unsqueeze", "x: m n", "x.unsqueeze(-1)", "unsqueeze(x, -1)"),
    Row("clone", "x: *", "x.clone()", "clone(x)"),
    Row("index by integers", "x: m n", "x[0, -1]", "x.index({0, -1})", empty=False),
    Row("index by slices", "x: m n k", "x[..., 1:, None, 0]", "x[{Ellipsis, Slice(1), NewAxis, 0}]", sizes={"k": (1, 4)}),
    Row("index a row", "x: m n", "x[0]", "x[0]", sizes={"m": (1, 6)}, empty=False),
    Row("movedim", "x: m n k", "x.movedim(0, -1)", "x.movedim(0, -1)"),
    Row("narrow", "x: m n", "x.narrow(1, 1, 2)", "x.narrow(1, 1, 2)", sizes={"n": (3, 9)}),
    Row("flatten", "x: m n k", "x.flatten(1)", "x.flatten(1)"),
    Row("unflatten", "x: m 3*n", "x.unflatten(1, (3, n))", "x.unflatten(1, {3, n})"),
    Row("diagonal", "x: m n k", "x.diagonal(0, 1, 2)", "x.diagonal(0, 1, 2)"),
    Row("diagonal above", "x: m n", "x.diagonal(1)", "x.diagonal(1)", sizes={"n": (2, 6)}),
    Row("unfold", "x: m n", "x.unfold(1, 3, 2)", "x.unfold(1, 3, 2)", sizes={"n": (3, 12)}),
    Row("type conversion", "x: *", "x.to(torch.float32)", "to(x, DType::f32)"),
    Row("integers as f32", "i: m n | int -9 9", "i.float()", "i.to(DType::f32)"),
]  # fmt: skip
