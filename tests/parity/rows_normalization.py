from row import Row

TITLE = "Normalisation and attention"

ROWS = [
    Row("layer_norm", "x: m k n; w: n; b: n", "F.layer_norm(x, (n,), w, b, 1e-5)", "layer_norm(x, w, b, 1e-5)",
        sizes={"n": (3, 40)}, empty=False),
    Row("dropout, residual, layer_norm", "x: m n; y: m n; w: n; b: n",
        "F.layer_norm(x + y, (n,), w, b, 1e-5)", "dropout_add_layer_norm(x, y, w, b, 1e-5, 0, nullptr)",
        sizes={"n": (3, 40)}, empty=False),
    Row("ragged attention of one sequence", "q: s h*d; k: t h*d; v: t h*d",
        "F.scaled_dot_product_attention(*(x.reshape(-1, h, d).transpose(0, 1) for x in (q, k, v)))"
        ".transpose(0, 1).reshape(s, h * d)",
        "attention(q, k, v, {0, s}, {0, t}, h)", empty=False),
]  # fmt: skip
