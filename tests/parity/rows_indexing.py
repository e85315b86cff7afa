from row import Row

TITLE = "Indexing"

ROWS = [
    Row("rows by index", "x: m n k; i: j | int 0 m", "x[i]", "index_rows(x, i)"),
    Row("embedding", "w: m n; i: j k | int32 0 m", "F.embedding(i, w)", "embedding(w, i)"),
]
