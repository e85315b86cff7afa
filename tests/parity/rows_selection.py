from row import Row

TITLE = "Choices and bounds"

ROWS = [
    Row("where", "c: * | bool; x: *; y: *", "torch.where(c, x, y)", "where(c, x, y)"),
    Row("where, a number", "c: * | bool; x: *", "torch.where(c, x, 0.5)", "where(c, x, 0.5)"),
    Row("masked_fill", "x: m n; c: n | bool", "x.masked_fill(c, -2.0)", "masked_fill(x, c, -2)"),
    Row("maximum", "x: *; y: *", "torch.maximum(x, y)", "maximum(x, y)"),
    Row("minimum", "x: *; y: *", "torch.minimum(x, y)", "minimum(x, y)"),
    Row("fmax", "x: *; y: *", "torch.fmax(x, y)", "fmax(x, y)"),
    Row("fmin", "x: *; y: *", "torch.fmin(x, y)", "fmin(x, y)"),
    Row("clamp", "x: *", "x.clamp(-0.5, 0.7)", "clamp(x, -0.5, 0.7)"),
    Row("clamp by tensors", "x: *; y: * | range -1 0; z: * | positive", "torch.clamp(x, y, z)", "clamp(x, y, z)"),
    Row("clamp_min", "x: *", "x.clamp_min(-0.5)", "clamp_min(x, -0.5)"),
    Row("clamp_max", "x: *", "x.clamp_max(0.7)", "clamp_max(x, 0.7)"),
    Row("nan_to_num", "x: * | const", "torch.nan_to_num(x.log(), 0.5, 2.0, -2.0)", "nan_to_num(log(x), 0.5, 2, -2)"),
    Row("heaviside", "x: * | const; y: * | const", "torch.heaviside(x, y)", "heaviside(x, y)"),
]  # fmt: skip
