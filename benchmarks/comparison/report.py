"""Results as text and markdown tables."""

from . import sections


def table(header, rows):
    """Columns of aligned text."""
    lines = [list(map(str, row)) for row in [header, *rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths)))
        for line in lines
    )


def markdown(header, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [header, ["---"] * len(header), *rows])


def shape_name(row):
    return "x".join(map(str, row["shape"]))


def gemm_rows(run):
    """(header, rows) of GFLOP/s, the ratio and the share of the peak."""
    names = []
    for row in run["gemm"]:
        names += [name for name in row["seconds"] if name not in names]
    rows = []
    for row in run["gemm"]:
        speeds = [f"{sections.gflops(row, n):.1f}" if n in row["seconds"] else "" for n in names]
        share = 1e9 * sections.gflops(row, "qing") / run["roofs"]["peak"]
        quotient = sections.ratio(row)
        rows.append([shape_name(row), *speeds, f"{quotient:.2f}" if quotient else "", f"{100 * share:.0f}%"])
    return ["MxNxK", *names, "qing/best", "of peak"], rows


def cached_rows(run):
    rows = []
    for row in run["kernels"]["cached"]:
        mine, other = row["seconds"]["qing"], row["seconds"].get("eigen")
        rows.append([" ".join(map(str, row["job"])), f"{1e6 * mine:.2f}",
                     f"{1e6 * other:.2f}" if other else "", f"{other / mine:.2f}" if other else ""])  # fmt: skip
    return ["in cache", "qing, µs", "Eigen, µs", "Eigen/qing"], rows


def streamed_rows(run):
    rows = []
    for row in run["kernels"]["streamed"]:
        speed = row["bytes"] / row["seconds"]
        rows.append([" ".join(map(str, row["job"])), f"{speed / 1e9:.1f}", f"{row['bandwidth'] / 1e9:.1f}",
                     f"{100 * speed / row['bandwidth']:.0f}%"])  # fmt: skip
    return ["beyond caches", "qing, GB/s", "memory, GB/s", "share"], rows


def attention_rows(run):
    # Older results have only one composition.
    others = [name for name in ("composed", "unfused") if all(name in row["seconds"] for row in run["attention"])]
    rows = []
    for row in run["attention"]:
        count, length, heads, size = row["sizes"]
        seconds = row["seconds"]
        cells = [f"{1e3 * seconds[name]:.2f}" for name in ("qing", *others)]
        ratios = [f"{seconds[name] / seconds['qing']:.2f}" for name in others]
        rows.append([f"{count}x{length}, {heads} heads of {size}", *cells, *ratios])
    header = ["fused, ms", *(f"{name}, ms" for name in others), *(f"{name}/fused" for name in others)]
    return ["attention, forward+backward", *header], rows


def roof_line(run):
    r = {name: value / 1e9 for name, value in run["roofs"].items()}
    return (f"FMA peak {r['peak']:.1f} GFLOP/s; memory {r['read']:.1f} GB/s read, {r['copy']:.1f} copy, "
            f"{r['triad']:.1f} triad; L2 {r['l2']:.0f} GB/s, L1 {r['l1']:.0f} GB/s read")  # fmt: skip


def tables_of(run):
    """Returns (header, rows) of every measured section."""
    parts = []
    if run.get("gemm"):
        parts.append(gemm_rows(run))
    if run.get("kernels"):
        if run["kernels"]["cached"]:
            parts.append(cached_rows(run))
        parts.append(streamed_rows(run))
    if run.get("attention"):
        parts.append(attention_rows(run))
    return parts


def threads_name(threads):
    return f"{threads} thread" + ("s" if threads > 1 else "")


def page(result, images):
    """results.md: `images` is {threads: [file]}."""
    lines = [
        f"# {result['cpu']}, {result['isa']}",
        "",
        f"Measured {result['date']} by `{result['command']}`: GFLOP/s, {result['figures']} of {result['rounds']} "
        f"rounds that alternate between the libraries.",
        f"{result['cpus']} CPUs visible, {result['system']}.",
        "",
        *(f"- **{name}**: {text}" for name, text in result["libraries"].items()),
        *(f"- {line}" for line in result["skipped"]),
    ]
    for run in result["runs"]:
        lines += ["", f"## {threads_name(run['threads']).capitalize()}", "", roof_line(run) + "."]
        for header, rows in tables_of(run):
            lines += ["", markdown(header, rows)]
        if run.get("summary"):
            lines += ["", run["summary"].capitalize() + "."]
        lines += [""] + [f"![{name}]({name})" for name in images.get(run["threads"], [])]
    return "\n".join(lines) + "\n"
