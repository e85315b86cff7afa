from row import Row

TITLE = "Arithmetic and functions of numbers"


def unary(name, domain="", torch="", qing=""):
    """A function of one number with the same name in both libraries."""
    return Row(name, f"x: *{domain}", torch or f"torch.{name}(x)", qing or f"{name}(x)")


def binary(name, second="", torch="", qing=""):
    return Row(name, f"x: *; y: *{second}", torch or f"torch.{name}(x, y)", qing or f"{name}(x, y)")


ROWS = [
    binary("add"),
    binary("sub"),
    binary("mul"),
    binary("div", " | positive"),
    binary("add, operator", torch="x + y", qing="x + y"),
    binary("sub, operator", torch="x - y", qing="x - y"),
    binary("mul, operator", torch="x * y", qing="x * y"),
    binary("div, operator", " | positive", torch="x / y", qing="x / y"),
    unary("add a number", torch="x + 2.5", qing="x + 2.5"),
    unary("subtract from a number", torch="2.5 - x", qing="2.5 - x"),
    unary("multiply by a number", torch="x * 2.5", qing="x * 2.5"),
    unary("divide a number", " | positive", torch="2.5 / x", qing="2.5 / x"),
    Row("addcmul", "x: *; y: *; z: *", "torch.addcmul(x, y, z, value=0.5)", "addcmul(x, y, z, 0.5)"),
    Row("addcdiv", "x: *; y: *; z: * | positive", "torch.addcdiv(x, y, z, value=0.5)", "addcdiv(x, y, z, 0.5)"),
    Row("lerp", "x: *; y: *; w: *", "torch.lerp(x, y, w)", "lerp(x, y, w)"),
    Row("lerp by a number", "x: *; y: *", "torch.lerp(x, y, 0.3)", "lerp(x, y, 0.3)"),
    unary("neg"),
    unary("neg, operator", torch="-x", qing="-x"),
    unary("abs"),
    unary("sign"),
    unary("square"),
    unary("sqrt", " | positive"),
    unary("rsqrt", " | positive"),
    unary("reciprocal", " | positive"),
    unary("exp"),
    unary("exp2"),
    unary("expm1"),
    unary("log", " | positive"),
    unary("log2", " | positive"),
    unary("log10", " | positive"),
    unary("log1p", " | positive"),
    unary("sin"),
    unary("cos"),
    unary("tan", " | range -1 1"),
    unary("asin", " | range -0.9 0.9"),
    unary("acos", " | range -0.9 0.9"),
    unary("atan"),
    unary("sinh"),
    unary("cosh"),
    unary("tanh"),
    unary("asinh"),
    unary("acosh", " | range 1.2 4"),
    unary("atanh", " | range -0.9 0.9"),
    unary("erf"),
    unary("erfc"),
    unary("ndtr", torch="torch.special.ndtr(x)"),
    unary("sinc", " | range 0.1 3"),
    unary("floor"),
    unary("ceil"),
    unary("round"),
    unary("trunc"),
    unary("frac"),
    Row("pow", "x: * | positive; y: *", "torch.pow(x, y)", "pow(x, y)"),
    unary("pow, a number's", " | positive", torch="torch.pow(2.5, x)", qing="pow(2.5, x)"),
    unary("pow by a number", " | positive", torch="torch.pow(x, 2.5)", qing="pow(x, 2.5)"),
    unary("pow by an integer", torch="x ** 3", qing="pow(x, 3)"),
    binary("fmod", " | positive"),
    binary("remainder", " | positive"),
    binary("floor_divide", " | positive", torch="torch.div(x, y, rounding_mode='floor')"),
    binary("atan2"),
    binary("hypot"),
    binary("logaddexp"),
    binary("copysign"),
    binary("xlogy", " | positive"),
]
