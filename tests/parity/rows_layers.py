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
    layer("nn.SiLU", "x: m n", "nn.SiLU()", "nn::SiLU()"),
    layer("nn.Mish", "x: m n", "nn.Mish()", "nn::Mish()"),
    layer("nn.ReLU6", "x: m n | range -3 9", "nn.ReLU6()", "nn::ReLU6()"),
    layer("nn.SELU", "x: m n", "nn.SELU()", "nn::SELU()"),
    layer("nn.Softsign", "x: m n", "nn.Softsign()", "nn::Softsign()"),
    layer("nn.Hardswish", "x: m n", "nn.Hardswish()", "nn::Hardswish()"),
    layer("nn.LogSigmoid", "x: m n", "nn.LogSigmoid()", "nn::LogSigmoid()"),
    layer("nn.LeakyReLU", "x: m n", "nn.LeakyReLU(0.2)", "nn::LeakyReLU(0.2)"),
    layer("nn.ELU", "x: m n", "nn.ELU(1.5)", "nn::ELU(1.5)"),
    layer("nn.LogSoftmax", "x: m n", "nn.LogSoftmax(-1)", "nn::LogSoftmax()", empty=False),
    layer("nn.RMSNorm", "x: m k n", "nn.RMSNorm(n, eps=1e-6)", "nn::RMSNorm(n, 1e-6)", sizes={"n": (3, 40)}, empty=False),
    layer("nn.GroupNorm", "x: m 2*n k j", "nn.GroupNorm(2, 2 * n)", "nn::GroupNorm(2, 2 * n)",
          sizes={"k": (3, 6), "j": (3, 6)}, empty=False),
    layer("nn.BatchNorm1d in evaluation", "x: m n k", "nn.BatchNorm1d(n).eval()", "nn::BatchNorm1d(n)", empty=False),
    layer("nn.BatchNorm2d in evaluation", "x: m n j k", "nn.BatchNorm2d(n).eval()", "nn::BatchNorm2d(n)", empty=False),
    Row("nn.BatchNorm1d in training", "x: m n k", "module(x)", "(module.train(), module.forward(x))",
        module="nn.BatchNorm1d(n)", qing_module="nn::BatchNorm1d(n)", sizes={"m": (3, 6), "k": (3, 6)}, empty=False),
    Row("nn.BatchNorm2d in training, then in evaluation", "x: m n j k; y: m n j k", "(module(x), module.eval()(y))[1]",
        "(module.train(), module.forward(x), module.eval(), module.forward(y))",
        module="nn.BatchNorm2d(n)", qing_module="nn::BatchNorm2d(n)", sizes={"m": (3, 6), "k": (3, 6)}, empty=False),
    layer("nn.Conv1d", "x: m d w", "nn.Conv1d(d, n, 3, stride=2, padding=1)",
          "nn::Conv1d(d, n, 3, rng, {.stride = 2, .padding = 1})", sizes={"w": (4, 9)}, empty=False),
    layer("nn.Conv2d", "x: m d h w", "nn.Conv2d(d, n, (3, 2), padding=1)",
          "nn::Conv2d(d, n, {3, 2}, rng, {.padding = 1})", sizes={"h": (4, 8), "w": (4, 8)}, empty=False),
    layer("nn.Conv2d, groups, without bias", "x: m 2*d h w", "nn.Conv2d(2 * d, 2 * n, 3, groups=2, bias=False)",
          "nn::Conv2d(2 * d, 2 * n, 3, rng, {.groups = 2}, false)", sizes={"h": (4, 8), "w": (4, 8)}, empty=False),
    layer("nn.ConvTranspose2d", "x: m d h w", "nn.ConvTranspose2d(d, n, 3, stride=2, output_padding=1)",
          "nn::ConvTranspose2d(d, n, 3, rng, {.stride = 2, .output_padding = 1})", empty=False),
    layer("nn.MaxPool1d", "x: m d w | distinct", "nn.MaxPool1d(2)", "nn::MaxPool1d(2)", sizes={"w": (4, 9)}, empty=False),
    layer("nn.MaxPool2d", "x: m d h w | distinct", "nn.MaxPool2d(2)", "nn::MaxPool2d(2)",
          sizes={"h": (4, 8), "w": (4, 8)}, empty=False),
    layer("nn.AvgPool1d", "x: m d w", "nn.AvgPool1d(2)", "nn::AvgPool1d(2)", sizes={"w": (4, 9)}, empty=False),
    layer("nn.AvgPool2d", "x: m d h w", "nn.AvgPool2d(2)", "nn::AvgPool2d(2)",
          sizes={"h": (4, 8), "w": (4, 8)}, empty=False),
]  # fmt: skip
