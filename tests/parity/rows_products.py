from row import Row

TITLE = "Products"

ROWS = [
    Row("matmul", "x: m k; y: k n", "x @ y", "matmul(x, y)", sizes={"k": (2, 40), "n": (2, 40)}),
    Row("linear", "x: m k; w: n k; b: n", "F.linear(x, w, b)", "linear(x, w, b)"),
    Row("linear without bias", "x: m j k; w: n k", "F.linear(x, w)", "linear(x, w)"),
    Row("linear, then gelu", "x: m k; w: n k; b: n", "F.gelu(F.linear(x, w, b))", "linear_gelu(x, w, b)"),
    Row("matmul of batches that broadcast", "x: j 1 m k; y: i k n", "x @ y", "matmul(x, y)"),
    Row("matmul of a batch and a matrix", "x: i m k; y: k n", "x @ y", "matmul(x, y)"),
    Row("matmul of a vector and a batch", "x: k; y: i k n", "x @ y", "matmul(x, y)"),
    Row("matmul of a batch and a vector", "x: i m k; y: k", "x @ y", "matmul(x, y)"),
    Row("bmm", "x: i m k; y: i k n", "torch.bmm(x, y)", "bmm(x, y)"),
    Row("mm", "x: m k; y: k n", "torch.mm(x, y)", "mm(x, y)"),
    Row("mv", "x: m k; y: k", "torch.mv(x, y)", "mv(x, y)"),
    Row("dot", "x: k; y: k", "torch.dot(x, y)", "dot(x, y)"),
    Row("outer", "x: m; y: n", "torch.outer(x, y)", "outer(x, y)"),
    Row("addmm", "z: n; x: m k; y: k n", "torch.addmm(z, x, y, beta=0.5, alpha=2)", "addmm(z, x, y, 0.5, 2)"),
    Row("baddbmm", "z: i 1 n; x: i m k; y: i k n",
        "torch.baddbmm(z, x, y, beta=2, alpha=-1)", "baddbmm(z, x, y, 2, -1)"),
    Row("bilinear", "x: m j; y: m k; w: n j k; b: n", "F.bilinear(x, y, w, b)", "bilinear(x, y, w, b)", empty=False),
]
