from row import Row

TITLE = "Layers"


def layer(name, inputs, torch, qing, **options):
    """A layer of one input x, constructed as told."""
    given = inputs.split(":")[0]
    return Row(name, inputs, f"module({given})", f"module.forward({given})", module=torch, qing_module=qing, **options)


ROWS = [
    layer("nn.Linear", "x: m k", "nn.Linear(k, n)", "nn::Linear(k, n, rng)"),
    layer("nn.Linear without bias", "x: m j k", "nn.Linear(k, n, bias=False)", "nn::Linear(k, n, rng, {.bias = false})"),
    Row("nn.Linear, then gelu", "x: m k", "F.gelu(module(x))", "module.forward_gelu(x)",
        module="nn.Linear(k, n)", qing_module="nn::Linear(k, n, rng)"),
    Row("nn.Bilinear", "x: m j; y: m k", "module(x, y)", "module.forward(x, y)",
        module="nn.Bilinear(j, k, n)", qing_module="nn::Bilinear(j, k, n, rng)", empty=False),
    layer("nn.Embedding", "i: j k | int 0 m", "nn.Embedding(m, n)", "nn::Embedding(m, n, rng)", empty=False),
    layer("nn.Embedding, padding_idx", "i: j k | int 0 m", "nn.Embedding(m, n, padding_idx=0)",
          "nn::Embedding(m, n, rng, {.padding_idx = 0})", empty=False),
    layer("nn.LayerNorm", "x: m k n", "nn.LayerNorm(n)", "nn::LayerNorm(n)", sizes={"n": (3, 40)}, empty=False),
    Row("nn.LayerNorm of a residual", "x: m n; y: m n", "module(x + y)", "module.forward_residual(x, y, 0, nullptr)",
        module="nn.LayerNorm(n, eps=1e-12)", qing_module="nn::LayerNorm(n, 1e-12)", sizes={"n": (3, 40)}, empty=False),
    layer("nn.Dropout in evaluation", "x: m n", "nn.Dropout(0.5).eval()", "nn::Dropout(0.5)"),
    layer("nn.Identity", "x: m n", "nn.Identity()", "nn::Identity()"),
    layer("nn.Flatten", "x: m n k", "nn.Flatten()", "nn::Flatten()"),
    layer("nn.ReLU", "x: m n", "nn.ReLU()", "nn::ReLU()"),
    layer("nn.GELU", "x: m n", "nn.GELU()", "nn::GELU()"),
    layer("nn.Tanh", "x: m n", "nn.Tanh()", "nn::Tanh()"),
    layer("nn.Sigmoid", "x: m n", "nn.Sigmoid()", "nn::Sigmoid()"),
    layer("nn.Softmax", "x: m n", "nn.Softmax(-1)", "nn::Softmax()", empty=False),
    layer("nn.Sequential", "x: m k", "nn.Sequential(nn.Linear(k, n), nn.ReLU(), nn.Linear(n, 3))",
          "nn::Sequential(nn::Linear(k, n, rng), nn::ReLU(), nn::Linear(n, 3, rng))"),
]  # fmt: skip
