"""Rows that are wrong on purpose, each in a different way. They are not in the table. The test of the harness runs them and
checks that each is rejected."""

from row import Row

ROWS = [
    Row("wrong value", "x: *; y: *", "torch.add(x, y)", "sub(x, y)"),
    Row("wrong in the twelfth digit", "x: *", "torch.neg(x)", "sub(neg(x), Tensor::full({}, 3e-12, x.dtype()))"),
    Row("wrong gradient", "x: m n", "x * x", "mul(detach(x), x)"),
    Row("no gradient", "x: m n; y: m n", "x + y", "add(x, detach(y))"),
    Row("wrong shape", "x: m n", "x.sum(1)", "sum(x, {1}, true)"),
    Row("one output less", "x: m n", "(x, x)", "x * 1"),
    Row("an exception", "x: m n", "x.reshape(m * n)", "reshape(x, {m * n + 1})"),
    Row("another dtype", "i: m | int 0 m", "i", "i.to(DType::i32)"),
    Row(
        "wrong gradient of a parameter",
        "x: m k",
        "module(x)",
        "module.forward(x) - expand(sum(detach(module.forward(x)) - module.forward(x), {0}, true), {m, n}) * 1e-3",
        module="nn.Linear(k, n)",
        qing_module="nn::Linear(k, n, rng)",
    ),
]
