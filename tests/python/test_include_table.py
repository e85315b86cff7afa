"""Dependencies point only downward: between layers, between rooms (subfolders) and between files. The table of allowed
includes is in docs/architecture.md."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ["tensor", "autograd", "nn", "optim", "serve"]
USERS = {"benchmarks": LAYERS, "tests": LAYERS, "examples": LAYERS}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
# Headers that are not public, so that no example may include them.
PRIVATE = re.compile(r"^qing/(tensor/kernels/|autograd/(node|anomaly)\.h|autograd/ops/|serve/(cli|protocols)/)")
# Include cycles between files. A source file and its header are one unit. This list may only shrink.
FILE_CIRCLES = {
    # GradMeta keeps a node; making a graph makes nodes, and the history of a view is part of its node.
    frozenset({"autograd/graph", "autograd/node", "autograd/view_history"}),
    # A header "X_detail.h" is private to X.cpp and its neighbours.
    frozenset({"autograd/ops/arithmetic", "autograd/ops/pointwise_detail"}),
    frozenset({"autograd/ops/losses", "autograd/ops/losses_detail"}),
    # A number becomes a tensor, and members of Tensor take numbers.
    frozenset({"tensor/scalar_rules", "tensor/tensor"}),
}


def rooms_of_the_table():
    """Returns {room: allowed rooms} from the table in docs/architecture.md. A layer may include all layers below it."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = text[text.index("| Room |") :].split("\n\n")[0]
    rooms = {}
    for line in table.splitlines()[2:]:
        room, allowed = (cell.strip() for cell in line.strip("|").split("|"))
        rooms[room.strip("`")] = set(re.findall(r"`([^`]+)`", allowed))
    return rooms


def sources(folder):
    return [p for p in (ROOT / folder).rglob("*") if p.suffix in {".h", ".cpp", ".inl"}]


def included(path, text, root=ROOT):
    """Returns the project's files that the file at `path` with the content `text` includes, relative to root."""
    for name in INCLUDE.findall(text):
        if name.startswith("qing/"):
            yield Path(name[5:])
        elif (root / path.parent / name).exists() or ".." in name:
            yield Path(*(root / path.parent / name).resolve().relative_to(root.resolve()).parts)


def room_of(path, rooms):
    """Returns the room of a file. A header X.h beside a folder X/ belongs to the room X."""
    if path.suffix == ".h" and str(path.with_suffix("")) in rooms:
        return str(path.with_suffix(""))
    return str(path.parent)


def room_violations(path, text, rooms):
    """Returns descriptions of the includes in the file `path` that the table of rooms forbids."""
    own = room_of(path, rooms)
    if own not in rooms:
        return [f"{path}: the folder {own} is not in the table of docs/architecture.md"]
    found = []
    for target in included(path, text):
        theirs = room_of(target, rooms)
        below = LAYERS.index(target.parts[0]) < LAYERS.index(path.parts[0]) if target.parts[0] in LAYERS else False
        if not below and theirs != own and theirs not in rooms[own]:
            found.append(f"{path} includes {target}: {own} may not include {theirs}")
    return found


def circles(edges):
    """Returns the strongly connected components with more than one node (Tarjan 1972)."""
    number, low, stack, found = {}, {}, [], []

    def visit(node):
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in edges.get(node, ()):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            at = stack.index(node)
            component = frozenset(stack[at:])
            del stack[at:]
            if len(component) > 1:
                found.append(component)

    for node in list(edges):
        if node not in number:
            visit(node)
    return found


def test_every_file_includes_only_what_its_room_may():
    rooms = rooms_of_the_table()
    found, seen = [], set()
    for layer in LAYERS:
        for path in sources(layer):
            relative = path.relative_to(ROOT)
            seen.add(room_of(relative, rooms))
            found += room_violations(relative, path.read_text(encoding="utf-8"), rooms)
    assert not found, "\n".join(found)
    assert seen == set(rooms), f"rooms of the table without files: {set(rooms) - seen}"


def test_the_table_of_rooms_has_no_cycle():
    rooms = rooms_of_the_table()
    assert circles(rooms) == []
    for room, allowed in rooms.items():
        assert all(other in rooms for other in allowed), f"{room}: a room that is not in the table"


def test_there_are_no_include_cycles_but_the_listed_ones():
    edges = {}
    for layer in LAYERS:
        for path in sources(layer):
            relative = path.relative_to(ROOT)
            unit = str(relative.with_suffix(""))
            others = {str(t.with_suffix("")) for t in included(relative, path.read_text(encoding="utf-8"))}
            edges.setdefault(unit, set()).update(others - {unit})
    found = set(circles(edges))
    assert found - FILE_CIRCLES == set(), "new circles of files"
    assert FILE_CIRCLES - found == set(), "these circles are gone; take them off the list"


@pytest.mark.parametrize("folder", USERS)
def test_users_include_public_headers_only(folder):
    found = []
    files = sources(folder)
    assert files, f"no sources in {folder}"
    for path in files:
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if not name.startswith("qing/") or name == "qing/qing.h":  # the one header of all layers
                continue
            if name.split("/")[1] not in USERS[folder]:
                found.append(f"{path} includes {name}, of no layer")
            if folder == "examples" and PRIVATE.match(name):
                found.append(f"{path} includes {name}, which is not a public header")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "path,include",
    [
        ("tensor/made_up.cpp", "<qing/autograd/ops.h>"),
        ("autograd/made_up.cpp", "<qing/nn/module.h>"),
        ("nn/made_up.cpp", "<qing/optim/optimizer.h>"),
        ("optim/made_up.cpp", '"../serve/server.h"'),
        ("tensor/kernels/made_up.cpp", "<qing/tensor/tensor.h>"),
        ("autograd/made_up.cpp", "<qing/autograd/ops/views.h>"),
        ("serve/common/made_up.cpp", "<qing/serve/http/message.h>"),
        ("serve/invented/made_up.cpp", "<qing/serve/server.h>"),
    ],
)
def test_a_violation_is_found(path, include):
    assert room_violations(Path(path), f"  #  include {include}\n", rooms_of_the_table())


def test_a_cycle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [frozenset({"a", "b", "c"})]
