"""Writes the C++ of the table: one file per family, a list of the families, and the snippets of the page. The build runs
this script.

python3 generate.py FOLDER: FOLDER/parity_<family>.cpp, parity_wrong.cpp, parity_families.cpp, parity_page.cpp
"""

import sys
from pathlib import Path

import page_rows
import table
import wrong
from row import symbols

HEADER = """// Written by tests/parity/generate.py from {source}.
#include "parity/runner.h"

#include <limits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
{includes}
// As in a user's program: names of qing that clash with others' in the global namespace do not compile here.
using namespace qing;

namespace {{

using parity::Case;
using parity::outputs;

"""


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def function_of(row, number):
    """Returns the row as a C++ function of a case: its variables, its module, its call."""
    lines = [f"// {row.name}", f"std::vector<Tensor> row_{number}(Case& drawn) {{"]
    lines += [f"  [[maybe_unused]] const int64_t {name} = drawn.size({quoted(name)});" for name in symbols(row)]
    lines += [f"  const Tensor {spec.name} = drawn.input({quoted(spec.name)});" for spec in row.specs()]
    if row.module:
        lines += ["  [[maybe_unused]] Generator& rng = drawn.rng;", f"  auto module = {row.qing_module};"]
        lines += ["  drawn.load(module);"]
    return "\n".join([*lines, f"  return outputs({row.qing});", "}", ""])


def family_source(family, rows, source, headers=()):
    functions = "\n".join(function_of(row, number) for number, row in enumerate(rows))
    listed = "".join(f"    {{{quoted(row.name)}, row_{number}}},\n" for number, row in enumerate(rows))
    return (
        HEADER.format(source=source, includes="".join(f"#include <qing/{header}>\n" for header in headers))
        + functions
        + "\n}  // namespace\n\nnamespace qing::parity {\n\n"
        + f"std::vector<Row> rows_{family}() {{\n  return {{\n{listed}  }};\n}}\n\n"
        + "}  // namespace qing::parity\n"
    )


def list_source(families):
    declared = "".join(f"std::vector<Row> rows_{family}();\n" for family in families)
    listed = ", ".join(f"rows_{family}" for family in families)
    return (
        '// Written by tests/parity/generate.py.\n#include "parity/runner.h"\n\nnamespace qing::parity {\n\n'
        f"{declared}\nstd::vector<Row> all_rows() {{\n  std::vector<Row> all;\n"
        f"  for (auto* family : {{{listed}}}) {{\n    for (const Row& row : family()) all.push_back(row);\n  }}\n"
        "  return all;\n}\n\n}  // namespace qing::parity\n"
    )


def page_source():
    """Returns the snippets of the page. They are compiled and linked, but never called."""
    variables = ", ".join(f"[[maybe_unused]] {kind}& {name}" for name, kind in page_rows.SETTING.items())
    snippets = [ours for pairs in page_rows.GROUPS.values() for _, ours in pairs]
    functions = "".join(f"\nvoid snippet_{n}({variables}) {{\n{ours}\n}}\n" for n, ours in enumerate(snippets))
    includes = "".join(f"#include <qing/{header}>\n" for header in page_rows.HEADERS)
    return (
        "// Written by tests/parity/generate.py from page_rows.py.\n#include <filesystem>\n#include <iostream>\n\n"
        # A comma separates expressions that the page only lists.
        f'{includes}\n#pragma GCC diagnostic ignored "-Wunused-value"\n\nusing namespace qing;\n\nnamespace page {{\n{functions}'
        "\n}  // namespace page\n"
    )


def write(path, text):
    """Writes the file unless its content is the same, so that nothing is compiled again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for family in table.FAMILIES:
        text = family_source(family, table.rows_of(family), f"rows_{family}.py", table.headers_of(family))
        write(folder / f"parity_{family}.cpp", text)
    write(folder / "parity_wrong.cpp", family_source("wrong", wrong.ROWS, "wrong.py"))
    write(folder / "parity_page.cpp", page_source())
    write(folder / "parity_families.cpp", list_source([*table.FAMILIES, "wrong"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
