from row import Row

TITLE = "Normalisation and attention"

ROWS = [
    Row("layer_norm", "x: m k n; w: n; b: n", "F.layer_norm(x, (n,), w, b, 1e-5)", "layer_norm(x, w, b, 1e-5)",
        sizes={"n": (3, 40)}, empty=False),
    Row("layer_norm of two dimensions", "x: m k n; w: k n",
        "F.layer_norm(x, (k, n), w)", "layer_norm(x, Shape{k, n}, w)",
        sizes={"n": (3, 40)}, empty=False),
    Row("rms_norm", "x: m k n; w: n",
        "F.rms_norm(x, (n,), w)", "rms_norm(x, Shape{n}, w)", sizes={"n": (3, 40)}, empty=False),
    Row("rms_norm, eps", "x: m k n",
        "F.rms_norm(x, (k, n), eps=0.1)", "rms_norm(x, Shape{k, n}, {}, 0.1)", empty=False),
    Row("batch_norm in training", "x: m n j k; w: n; b: n",
        "F.batch_norm(x, None, None, w, b, training=True)", "batch_norm(x, {}, {}, w, b, true)",
        sizes={"m": (2, 6), "j": (2, 6)}, empty=False),
    Row("batch_norm in evaluation", "x: m n j; u: n | const; v: n | positive; w: n; b: n",
        "F.batch_norm(x, u, v.detach(), w, b) + 0 * v.sum()", "batch_norm(x, u, detach(v), w, b) + scale(sum(v), 0)",
        shown="F.batch_norm(x, u, v, w, b)", empty=False),
    Row("group_norm", "x: m 2*n j k; w: 2*n; b: 2*n", "F.group_norm(x, 2, w, b)", "group_norm(x, 2, w, b)",
        sizes={"k": (3, 9)}, empty=False),
    Row("instance_norm", "x: m n j k; w: n; b: n", "F.instance_norm(x, weight=w, bias=b)", "instance_norm(x, w, b)",
        sizes={"j": (2, 6), "k": (3, 9)}, empty=False),
    Row("dropout, residual, layer_norm", "x: m n; y: m n; w: n; b: n",
        "F.layer_norm(x + y, (n,), w, b, 1e-5)", "dropout_add_layer_norm(x, y, w, b, 1e-5, 0, nullptr)",
        sizes={"n": (3, 40)}, empty=False),
    Row("ragged attention of one sequence", "q: s h*d; k: t h*d; v: t h*d",
        "F.scaled_dot_product_attention(*(x.reshape(-1, h, d).transpose(0, 1) for x in (q, k, v)))"
        ".transpose(0, 1).reshape(s, h * d)",
        "attention(q, k, v, {0, s}, {0, t}, h)", empty=False),
]  # fmt: skip
