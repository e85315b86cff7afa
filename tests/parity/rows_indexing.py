from row import Row

TITLE = "Indexing and sorting"

ROWS = [
    Row("index_select", "x: m n k; i: j | int 0 m", "x.index_select(0, i)", "index_select(x, 0, i)"),
    Row("index_select of columns", "x: m n k; i: j | int32 0 k", "x.index_select(-1, i)", "index_select(x, -1, i)"),
    Row("index_add", "x: m n; i: j | int 0 n; s: m j", "x.index_add(1, i, s, alpha=2)", "index_add(x, 1, i, s, 2)"),
    Row("index_copy", "x: m n; i: m | permutation; s: m n", "x.index_copy(0, i, s)", "index_copy(x, 0, i, s)"),
    Row("gather", "x: m n k; i: m j k | int 0 n", "x.gather(1, i)", "gather(x, 1, i)"),
    Row("gather of integers", "x: m n | int 0 99; i: j n | int 0 m", "x.gather(0, i)", "gather(x, 0, i)"),
    Row("scatter", "x: m n; i: m 1 | int 0 n; s: m 1", "x.scatter(1, i, s)", "scatter(x, 1, i, s)"),
    Row("scatter of a number", "x: m n; i: m j | int 0 n", "x.scatter(1, i, 2.5)", "scatter(x, 1, i, 2.5)"),
    Row("scatter_add", "x: m n k; i: m j k | int 0 n; s: m j k", "x.scatter_add(1, i, s)", "scatter_add(x, 1, i, s)"),
    Row("take_along_dim", "x: m n k; i: m j 1 | int 0 n", "x.take_along_dim(i, 1)", "take_along_dim(x, i, 1)"),
    Row("masked_select", "x: m n; b: m 1 | bool", "x.masked_select(b)", "masked_select(x, b)"),
    Row("embedding", "w: m n; i: j k | int32 0 m", "F.embedding(i, w)", "embedding(w, i)"),
    Row(
        "embedding with padding",
        "w: m n; i: j k | int 0 m",
        "F.embedding(i, w, padding_idx=0)",
        "embedding(w, i, 0)",
    ),
    Row(
        "embedding_bag, mean",
        "w: m n; i: j | int 0 m",
        "F.embedding_bag(i, w, torch.tensor([0, 0, j // 2]))",
        "embedding_bag(w, i, Tensor::from<int64_t>({0, 0, j / 2}, {3}))",
        empty=False,
    ),
    Row(
        "embedding_bag, sum",
        "w: m n; i: j | int 0 m",
        "F.embedding_bag(i, w, torch.tensor([0, j // 2]), mode='sum', padding_idx=0)",
        "embedding_bag(w, i, Tensor::from<int64_t>({0, j / 2}, {2}), BagMode::sum, 0)",
        empty=False,
    ),
    Row("sort", "x: m n k", "x.sort(1)", "sort(x, 1)"),
    Row("sort, descending", "x: *", "x.sort(descending=True)", "sort(x, -1, true)"),
    Row("sort of integers, stable", "x: m n | int 0 3", "x.sort(dim=0, stable=True)", "sort(x, 0)", sizes={"m": (2, 30)}),
    Row("argsort", "x: m n", "x.argsort(0)", "argsort(x, 0)"),
    Row("topk", "x: m n", "x.topk(2, 0)", "topk(x, 2, 0)", sizes={"m": (2, 20)}),
    Row("topk, smallest", "x: m n", "x.topk(1, largest=False)", "topk(x, 1, -1, false)"),
    Row("kthvalue", "x: m n", "x.kthvalue(2, 1, True)", "kthvalue(x, 2, 1, true)", sizes={"n": (2, 9)}),
]
