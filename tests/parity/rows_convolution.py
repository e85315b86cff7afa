from row import Row

TITLE = "Convolutions and pooling"

ROWS = [
    Row("conv2d", "x: m d h w; k: n d 3 2; b: n", "F.conv2d(x, k, b)", "conv2d(x, k, b)",
        sizes={"h": (4, 8), "w": (4, 8)}, empty=False),
    Row("conv2d, all options", "x: m 2*d h w; k: 2*n d 2 3; b: 2*n",
        "F.conv2d(x, k, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)",
        "conv2d(x, k, b, {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2})",
        sizes={"h": (4, 8), "w": (4, 8)}, empty=False),
    Row("conv2d, padding same", "x: m d h w; k: n d 2 3", "F.conv2d(x, k, padding='same')",
        "conv2d(x, k, {}, {.same_padding = true})", empty=False),
    Row("conv1d without batch", "x: d w; k: n d 3; b: n", "F.conv1d(x, k, b, stride=2, padding=1)",
        "conv1d(x, k, b, {.stride = 2, .padding = 1})", sizes={"w": (4, 9)}, empty=False),
    Row("conv_transpose2d", "x: m 2*d h w; k: 2*d n 3 2; b: 2*n",
        "F.conv_transpose2d(x, k, b, stride=2, padding=(1, 0), output_padding=1, groups=2, dilation=(1, 2))",
        "conv_transpose2d(x, k, b, {.stride = 2, .padding = {1, 0}, .output_padding = 1, .groups = 2, .dilation = {1, 2}})",
        empty=False),
    Row("conv_transpose1d", "x: m d w; k: d n 3", "F.conv_transpose1d(x, k, stride=3)",
        "conv_transpose1d(x, k, {}, {.stride = 3})", empty=False),
]  # fmt: skip
