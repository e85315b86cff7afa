from row import Row

TITLE = "Products"

ROWS = [
    Row("matmul", "x: m k; y: k n", "x @ y", "matmul(x, y)", sizes={"k": (2, 40), "n": (2, 40)}),
    Row("linear", "x: m k; w: n k; b: n", "F.linear(x, w, b)", "linear(x, w, b)"),
    Row("linear without bias", "x: m j k; w: n k", "F.linear(x, w)", "linear(x, w)"),
    Row("linear, then gelu", "x: m k; w: n k; b: n", "F.gelu(F.linear(x, w, b))", "linear_gelu(x, w, b)"),
]
