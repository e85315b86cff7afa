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
    # What carries the gradient adds 0 to an integer: bounds are met.
    Row("clamp at its bounds", "x: * | range -3 3", "(x.detach().round() + (x - x.detach())).clamp(-1, 1)",
        "clamp(round(detach(x)) + (x - detach(x)), -1, 1)", shown="x.clamp(-1, 1)  # gradient 0 at -1 and 1",
        shown_qing="clamp(x, -1, 1)"),
    Row("clamp by tensors at its bounds", "x: m n | range -2 2; y: m n | range -2 2; z: m n | range -2 2",
        "torch.clamp(*(v.detach().round() + (v - v.detach()) for v in (x, y, z)))",
        "clamp(round(detach(x)) + (x - detach(x)), round(detach(y)) + (y - detach(y)), round(detach(z)) + (z - detach(z)))",
        sizes={"m": (6, 9), "n": (9, 20)}, shown="torch.clamp(x, y, z)  # where they meet",
        shown_qing="clamp(x, y, z)"),
    Row("clamp_min by a tensor at its bound", "x: m n | range -2 2; y: n | range -2 2",
        "torch.clamp_min(*(v.detach().round() + (v - v.detach()) for v in (x, y)))",
        "clamp_min(round(detach(x)) + (x - detach(x)), round(detach(y)) + (y - detach(y)))",
        shown="torch.clamp_min(x, y)  # where they meet", shown_qing="clamp_min(x, y)"),
    Row("clamp_max by a tensor at its bound", "x: n | range -2 2; y: m n | range -2 2",
        "torch.clamp_max(*(v.detach().round() + (v - v.detach()) for v in (x, y)))",
        "clamp_max(round(detach(x)) + (x - detach(x)), round(detach(y)) + (y - detach(y)))",
        shown="torch.clamp_max(x, y)  # where they meet", shown_qing="clamp_max(x, y)"),
    Row("clamp_min", "x: *", "x.clamp_min(-0.5)", "clamp_min(x, -0.5)"),
    Row("clamp_max", "x: *", "x.clamp_max(0.7)", "clamp_max(x, 0.7)"),
    Row("nan_to_num", "x: * | const", "torch.nan_to_num(x.log(), 0.5, 2.0, -2.0)", "nan_to_num(log(x), 0.5, 2, -2)"),
    Row("heaviside", "x: * | const; y: * | const", "torch.heaviside(x, y)", "heaviside(x, y)"),
]  # fmt: skip
