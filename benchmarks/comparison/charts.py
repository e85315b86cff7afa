"""Charts as SVG text: bars of ratios, and the roofline (Williams, Waterman and Patterson 2009)."""

import math
from xml.sax.saxutils import escape

INK, GRID, QING, PEER, GOOD, BAD = "#222", "#ddd", "#c8452b", "#4a6fa5", "#5b9c6b", "#c8452b"


class Drawing:
    def __init__(self, width, height, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
        ]
        self.text(width / 2, 22, title, anchor="middle", size=15)

    def text(self, x, y, content, anchor="start", size=12, color=INK, turn=0):
        rotation = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}"{rotation}>'
            f"{escape(content)}</text>"
        )

    def line(self, x1, y1, x2, y2, color=INK, width=1.0, dash=""):
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" '
            f'stroke-width="{width}"{dashes}/>'
        )

    def rect(self, x, y, width, height, color):
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{color}"/>'
        )

    def dot(self, x, y, color, title):
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}" fill-opacity="0.75">'
            f"<title>{escape(title)}</title></circle>"
        )

    def svg(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def bars(title, rows):
    """rows: (label, value); a line at 1."""
    left, right, top, step = 130, 60, 50, 20
    width, height = 720, top + step * len(rows) + 30
    drawing = Drawing(width, height, title)
    scale = (width - left - right) / max(1.2, max((value for _, value in rows), default=1))
    bottom = top + step * len(rows)
    for tick in range(0, int((width - left - right) / scale / 0.2) + 1):
        x = left + scale * tick * 0.2
        drawing.line(x, top - 4, x, bottom, GRID)
        drawing.text(x, bottom + 16, f"{tick * 0.2:.1f}", anchor="middle", size=11)
    for i, (label, value) in enumerate(rows):
        y = top + step * i
        drawing.text(left - 8, y + 13, label, anchor="end")
        drawing.rect(left, y + 2, scale * value, step - 5, GOOD if value >= 1 else BAD)
        drawing.text(left + scale * value + 5, y + 13, f"{value:.2f}", size=11)
    drawing.line(left + scale, top - 4, left + scale, bottom, INK, 1.5)
    return drawing.svg()


def roofline(title, peak, roofs, points):
    """peak in GFLOP/s; roofs: (name, GB/s); points: (FLOP a byte, GFLOP/s, "qing" or another's name, label)."""
    left, top, width, height = 70, 50, 760, 500
    plot_width, plot_height = width - left - 30, height - top - 60
    lowest_x = min([0.25, *(p[0] for p in points)])
    highest_x = max([512, *(p[0] for p in points)])
    lowest_y = min([peak / 64, *(p[1] for p in points)]) / 1.2
    highest_y = peak * 1.6

    def at_x(v):
        return left + plot_width * math.log(v / lowest_x) / math.log(highest_x / lowest_x)

    def at_y(v):
        return top + plot_height * (1 - math.log(v / lowest_y) / math.log(highest_y / lowest_y))

    drawing = Drawing(width, height, title)
    for power in range(math.ceil(math.log2(lowest_x)), math.floor(math.log2(highest_x)) + 1):
        drawing.line(at_x(2**power), top, at_x(2**power), top + plot_height, GRID)
        drawing.text(at_x(2**power), top + plot_height + 16, f"{2.0**power:g}", anchor="middle", size=11)
    for power in range(math.ceil(math.log2(lowest_y)), math.floor(math.log2(highest_y)) + 1):
        drawing.line(left, at_y(2**power), left + plot_width, at_y(2**power), GRID)
        drawing.text(left - 6, at_y(2**power) + 4, f"{2.0**power:g}", anchor="end", size=11)
    drawing.text(left + plot_width / 2, height - 12, "FLOP a byte of operands and result", anchor="middle")
    drawing.text(18, top + plot_height / 2, "GFLOP/s", anchor="middle", turn=-90)
    drawing.line(at_x(lowest_x), at_y(peak), at_x(highest_x), at_y(peak), INK, 1.5)
    drawing.text(at_x(highest_x), at_y(peak) - 6, f"FMA peak {peak:.0f} GFLOP/s", anchor="end")
    for name, bandwidth in roofs:
        start, end = max(lowest_x, lowest_y / bandwidth), min(peak / bandwidth, highest_x)
        if start < end:
            drawing.line(at_x(start), at_y(bandwidth * start), at_x(end), at_y(bandwidth * end), INK, 1, "5 3")
            drawing.text(at_x(start) + 4, at_y(bandwidth * start) - 8, f"{name} {bandwidth:.0f} GB/s", size=11)
    for intensity, speed, name, label in sorted(points, key=lambda p: p[2] == "qing"):
        drawing.dot(at_x(intensity), at_y(speed), QING if name == "qing" else PEER, f"{label}: {name} {speed:.1f}")
    drawing.dot(left + 14, top + 14, QING, "qing")
    drawing.text(left + 24, top + 18, "qing")
    drawing.dot(left + 74, top + 14, PEER, "best peer")
    drawing.text(left + 84, top + 18, "best peer")
    return drawing.svg()


def scaling(title, curves, points):
    """Seconds of a step by ranks, both logarithmic. curves: (name, [(ranks, seconds)]), predicted; points: (name of a curve, ranks,
    seconds), measured."""
    left, top, width, height = 70, 50, 760, 500
    plot_width, plot_height = width - left - 30, height - top - 60
    every = [p for _, found in curves for p in found] + [p[1:] for p in points]
    most = max(ranks for ranks, _ in every)
    low, high = min(s for _, s in every) / 1.3, max(s for _, s in every) * 1.3

    def at_x(v):
        return left + plot_width * math.log2(v) / max(1, math.log2(most))

    def at_y(v):
        return top + plot_height * (1 - math.log(v / low) / math.log(high / low))

    drawing = Drawing(width, height, title)
    for power in range(math.floor(math.log2(most)) + 1):
        drawing.line(at_x(2**power), top, at_x(2**power), top + plot_height, GRID)
        drawing.text(at_x(2**power), top + plot_height + 16, str(2**power), anchor="middle", size=11)
    for power in range(math.ceil(math.log10(low) * 3), math.floor(math.log10(high) * 3) + 1):
        value = 10 ** (power / 3)
        drawing.line(left, at_y(value), left + plot_width, at_y(value), GRID)
        drawing.text(left - 6, at_y(value) + 4, f"{value * 1000:.3g}", anchor="end", size=11)
    drawing.text(left + plot_width / 2, height - 12, "ranks", anchor="middle")
    drawing.text(18, top + plot_height / 2, "ms a step", anchor="middle", turn=-90)
    colors = dict(zip([name for name, _ in curves], [PEER, GOOD, QING, INK, "#8a6fb0"] * len(curves), strict=False))
    for i, (name, found) in enumerate(curves):
        for (a, b), (c, d) in zip(found, found[1:], strict=False):
            drawing.line(at_x(a), at_y(b), at_x(c), at_y(d), colors[name], 1.5)
        drawing.line(left + 12, top + 14 + 18 * i, left + 32, top + 14 + 18 * i, colors[name], 1.5)
        drawing.text(left + 38, top + 18 + 18 * i, name)
    for name, ranks, seconds in points:
        drawing.dot(at_x(ranks), at_y(seconds), colors[name], f"{name}, {ranks} ranks: measured {seconds * 1000:.1f} ms")
    return drawing.svg()
