from row import Row

TITLE = "Layers"

ROWS = [
    Row("nn.Linear", "x: m k", "module(x)", "module.forward(x)",
        module="nn.Linear(k, n)", qing_module="nn::Linear(k, n, rng)"),
    Row("nn.Embedding", "i: j k | int 0 m", "module(i)", "module.forward(i)",
        module="nn.Embedding(m, n)", qing_module="nn::Embedding(m, n, rng)"),
    Row("nn.LayerNorm", "x: m k n", "module(x)", "module.forward(x)",
        module="nn.LayerNorm(n, eps=1e-5)", qing_module="nn::LayerNorm(n, 1e-5)", sizes={"n": (3, 40)}, empty=False),
    Row("nn.LayerNorm of a residual", "x: m n; y: m n", "module(x + y)", "module.forward_residual(x, y, 0, nullptr)",
        module="nn.LayerNorm(n, eps=1e-12)", qing_module="nn::LayerNorm(n, 1e-12)", sizes={"n": (3, 40)}, empty=False),
    Row("nn.Dropout in evaluation", "x: m n", "module(x)", "module.forward(x, nullptr)",
        module="nn.Dropout(0.5).eval()", qing_module="nn::Dropout(0.5)"),
]  # fmt: skip
