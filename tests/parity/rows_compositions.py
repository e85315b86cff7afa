from row import Row

TITLE = "Compositions"

ROWS = [
    Row("a tensor used three times", "x: *", "x * x.tanh() + x", "x * tanh(x) + x"),
    Row("a chain", "x: m n", "(x * 2).sigmoid().exp().sum(0).mean()", "mean(sum(exp(sigmoid(x * 2)), {0}))", empty=False),
    Row("a transposed operand", "x: m k; y: n k", "x @ y.T", "matmul(x, transpose(y, 0, 1))"),
    Row("Gram matrix", "x: m k", "x @ x.T", "matmul(x, x.transpose(0, 1))"),
    Row("views of one tensor", "x: m 2*n", "x[:, :n] * x[:, n:]", "x[{Slice(), Slice(0, n)}] * x[{Slice(), Slice(n)}]"),
    Row("a view of a view", "x: m n 2*k", "x.transpose(0, 2)[::2].flatten(1)",
        "transpose(x, 0, 2)[{Slice({}, {}, 2)}].flatten(1)"),
    Row("standardised columns", "x: m n", "(x - x.mean(0)) / ((x - x.mean(0)) ** 2).mean(0).add(1e-3).sqrt()",
        "(x - mean(x, {0})) / sqrt(mean((x - mean(x, {0})) * (x - mean(x, {0})), {0}) + Tensor::full({}, 1e-3, x.dtype()))",
        sizes={"m": (3, 9)}, empty=False),
    Row("log of softmax", "x: m n", "x.softmax(-1).log().sum()", "sum(log(softmax(x)))", empty=False),
    Row("attention by hand", "q: s d; k: t d; v: t d", "(q @ k.T * 0.5).softmax(-1) @ v",
        "matmul(softmax(matmul(q, transpose(k, 0, 1)) * 0.5), v)", empty=False),
    Row("a network", "x: m k; u: h k; a: h; w: n h; b: n; y: m | int 0 n",
        "F.cross_entropy(F.linear(F.gelu(F.linear(x, u, a)), w, b), y)",
        "cross_entropy(linear(gelu(linear(x, u, a)), w, b), y)", empty=False),
    Row("a gated layer", "x: m k; u: n k; w: n k", "torch.sigmoid(F.linear(x, u)) * torch.tanh(F.linear(x, w))",
        "sigmoid(linear(x, u)) * tanh(linear(x, w))"),
    Row("a recurrence of four steps", "x: 4 m n; h: m n; w: n n",
        "torch.tanh(x[3] + torch.tanh(x[2] + torch.tanh(x[1] + torch.tanh(x[0] + h @ w) @ w) @ w) @ w)",
        "tanh(x[3] + matmul(tanh(x[2] + matmul(tanh(x[1] + matmul(tanh(x[0] + matmul(h, w)), w)), w)), w))"),
    Row("a broadcast bias, twice", "x: m n; b: n", "(x + b) * b", "(x + b) * b"),
    Row("distances of all pairs", "x: m k; y: n k", "((x[:, None] - y[None]) ** 2).sum(-1)",
        "sum((unsqueeze(x, 1) - unsqueeze(y, 0)) * (unsqueeze(x, 1) - unsqueeze(y, 0)), {-1})"),
    Row("two outputs", "x: m n", "(x.sum(0), x.mean(1))", "std::pair(sum(x, {0}), mean(x, {1}))", empty=False),
    Row("a loss of a loss", "x: m n; y: m n", "F.mse_loss(x, y) * F.l1_loss(x, y) + x.sum()",
        "mse_loss(x, y) * l1_loss(x, y) + sum(x)", empty=False),
]  # fmt: skip
