from row import Row

TITLE = "Activations"


def activation(name, qing="", torch="", domain=""):
    return Row(name, f"x: *{domain}", torch or f"F.{name}(x)", qing or f"{name}(x)")


ROWS = [
    activation("sigmoid", torch="torch.sigmoid(x)"),
    activation("log_sigmoid", torch="F.logsigmoid(x)"),
    activation("logit", torch="torch.logit(x)", domain=" | range 0.05 0.95"),
    activation("logit, eps", torch="torch.logit(x, 0.1)", qing="logit(x, 0.1)", domain=" | range 0.01 0.99"),
    activation("relu"),
    activation("relu6", domain=" | range -3 9"),
    activation("leaky_relu"),
    activation("leaky_relu, slope", torch="F.leaky_relu(x, 0.2)", qing="leaky_relu(x, 0.2)"),
    activation("elu", torch="F.elu(x, 1.5)", qing="elu(x, 1.5)"),
    activation("selu"),
    activation("celu", torch="F.celu(x, 1.5)", qing="celu(x, 1.5)"),
    activation("gelu"),
    activation("gelu, tanh", torch="F.gelu(x, approximate='tanh')", qing="gelu(x, Approximation::tanh)"),
    activation("silu"),
    activation("mish"),
    activation("softplus"),
    activation("softplus, beta", torch="F.softplus(x, 2, 1.5)", qing="softplus(x, 2, 1.5)"),
    activation("softsign"),
    activation("tanhshrink"),
    activation("hardtanh", torch="F.hardtanh(x, -0.5, 0.8)", qing="hardtanh(x, -0.5, 0.8)"),
    # Written by its definition, because F.hardsigmoid uses an f32 value of 1/6 in its f64 gradient, which is off by 3e-8.
    activation("hardsigmoid", torch="F.relu6(x + 3) / 6", domain=" | range -5 5"),
    activation("hardswish", domain=" | range -5 5"),
    activation("softshrink"),
    activation("hardshrink"),
    activation("threshold", torch="F.threshold(x, 0.3, -1.0)", qing="threshold(x, 0.3, -1)"),
    Row("glu", "x: m 2*n", "F.glu(x)", "glu(x)"),
    Row("glu along a dimension", "x: m 2*n k", "F.glu(x, 1)", "glu(x, 1)"),
    Row("swiglu", "x: m 2*n", "F.silu(x[:, :n]) * x[:, n:]", "swiglu(x)"),
]
