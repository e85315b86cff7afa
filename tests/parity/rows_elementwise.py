from row import Row

TITLE = "Elementwise"

ROWS = [
    Row("add", "x: *; y: *", "torch.add(x, y)", "add(x, y)"),
    Row("sub", "x: *; y: *", "torch.sub(x, y)", "sub(x, y)"),
    Row("mul", "x: *; y: *", "torch.mul(x, y)", "mul(x, y)"),
    Row("div", "x: *; y: * | positive", "torch.div(x, y)", "div(x, y)"),
    Row("add operator", "x: *; y: *", "x + y", "x + y"),
    Row("sub operator", "x: *; y: *", "x - y", "x - y"),
    Row("mul operator", "x: *; y: *", "x * y", "x * y"),
    Row("div operator", "x: *; y: * | positive", "x / y", "x / y"),
    Row("mul by a number", "x: *", "x * 2.5", "x * 2.5"),
    Row("neg", "x: *", "torch.neg(x)", "neg(x)"),
    Row("exp", "x: *", "torch.exp(x)", "exp(x)"),
    Row("log", "x: * | positive", "torch.log(x)", "log(x)"),
    Row("sqrt", "x: * | positive", "torch.sqrt(x)", "sqrt(x)"),
    Row("tanh", "x: *", "torch.tanh(x)", "tanh(x)"),
    Row("sigmoid", "x: *", "torch.sigmoid(x)", "sigmoid(x)"),
    Row("relu", "x: *", "torch.relu(x)", "relu(x)"),
    Row("gelu", "x: *", "F.gelu(x)", "gelu(x)"),
]
