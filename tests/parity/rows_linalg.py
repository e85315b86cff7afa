from row import Row

TITLE = "Linear algebra and Fourier transforms"

# Matrices far from singular.
DEFINITE = "(x @ x.mT + 2 * torch.eye(n, dtype=x.dtype))"
OURS = "(matmul(x, transpose(x, -2, -1)) + 2 * diag_embed(Tensor::full({n}, 1, x.dtype())))"


def of(name, call, ours=None, **options):
    """A row whose function takes a definite matrix."""
    ours = ours or call
    return Row(name, "x: b n n", f"torch.linalg.{call.format(DEFINITE)}", f"linalg::{ours.format(OURS)}",
               shown=f"torch.linalg.{call.format('x')}", shown_qing=f"linalg::{ours.format('x')}", empty=False, **options)  # fmt: skip


def complex_row(name, torch, qing, inputs="x: m n 2", **options):
    return Row(name, inputs, torch, qing, empty=False, **options)


ROWS = [
    of("linalg.inv", "inv({})"),
    Row("linalg.solve", "x: b n n; y: n k", f"torch.linalg.solve({DEFINITE}, y)", f"linalg::solve({OURS}, y)",
        shown="torch.linalg.solve(x, y)", shown_qing="linalg::solve(x, y)", empty=False),
    Row("linalg.solve, a vector", "x: n n; y: n", f"torch.linalg.solve({DEFINITE}, y)", f"linalg::solve({OURS}, y)",
        shown="torch.linalg.solve(x, y)", shown_qing="linalg::solve(x, y)", empty=False),
    Row("linalg.solve_triangular", "x: b n n; y: b n k", f"torch.linalg.solve_triangular({DEFINITE}, y, upper=True)",
        f"linalg::solve_triangular({OURS}, y, true)", shown="torch.linalg.solve_triangular(x, y, upper=True)",
        shown_qing="linalg::solve_triangular(x, y, true)", empty=False),
    Row("linalg.solve_triangular, lower, ones", "x: n n | range -0.5 0.5; y: n k",
        "torch.linalg.solve_triangular(x, y, upper=False, unitriangular=True)", "linalg::solve_triangular(x, y, false, true)",
        empty=False),
    Row("linalg.det", "x: b n n", "torch.linalg.det(x)", "linalg::det(x)", sizes={"n": (1, 3)}, empty=False),
    of("linalg.slogdet", "slogdet({})[1]", "slogdet({}).logabsdet"),
    Row("linalg.slogdet, the sign", "x: b n n", "torch.linalg.slogdet(x)[0]", "linalg::slogdet(x).sign", empty=False),
    of("linalg.cholesky", "cholesky({})"),
    Row("linalg.qr", "x: b n+m n", "tuple(torch.linalg.qr(x))",
        "[&] { const auto f = linalg::qr(x); return std::pair(f.q, f.r); }()", shown="torch.linalg.qr(x)",
        shown_qing="linalg::qr(x)", sizes={"n": (1, 4)}, empty=False),
    Row("linalg.qr, wide", "x: n n+m | const", "tuple(torch.linalg.qr(x))",
        "[&] { const auto f = linalg::qr(x); return std::pair(f.q, f.r); }()", shown="torch.linalg.qr(x)",
        shown_qing="linalg::qr(x)", empty=False),
    of("linalg.eigvalsh", "eigvalsh({})", sizes={"n": (1, 3)}),
    # Vectors without their signs: each as v·vᵀ, which is the projection on it.
    Row("linalg.eigh", "x: n n; y: n", f"(lambda f: (f[1] * torch.arange(1, n + 1, dtype=x.dtype)) @ f[1].mT)(torch.linalg.eigh({DEFINITE}))",
        f"[&] {{ const auto f = linalg::eigh({OURS}); return matmul(f.eigenvectors * (Tensor::arange(n, x.dtype()) + 1), transpose(f.eigenvectors, 0, 1)); }}()",
        shown="torch.linalg.eigh(x)", shown_qing="linalg::eigh(x)", sizes={"n": (2, 3)}, empty=False),
    Row("linalg.svdvals", "x: b m n", "torch.linalg.svdvals(x)", "linalg::svdvals(x)", sizes={"n": (2, 4)}, empty=False),
    Row("linalg.svd", "x: n+2 n", "(lambda f: f[0] @ f[2])(torch.linalg.svd(x, full_matrices=False))",
        "[&] { const auto f = linalg::svd(x); return matmul(f.u, f.vh); }()", shown="torch.linalg.svd(x, full_matrices=False)",
        shown_qing="linalg::svd(x)", sizes={"n": (2, 3)}, empty=False),
    Row("linalg.matrix_norm", "x: b m n", "torch.linalg.matrix_norm(x)", "linalg::matrix_norm(x)", empty=False),
    Row("linalg.matrix_norm, nuclear", "x: m n", "torch.linalg.matrix_norm(x, 'nuc')",
        "linalg::matrix_norm(x, linalg::MatrixNorm::nuc)", sizes={"m": (2, 3), "n": (2, 3)}, empty=False),
    Row("linalg.matrix_norm, spectral", "x: b m n", "torch.linalg.matrix_norm(x, 2)",
        "linalg::matrix_norm(x, linalg::MatrixNorm::two)", empty=False),
    Row("linalg.matrix_norm, columns", "x: b m n", "torch.linalg.matrix_norm(x, 1, keepdim=True)",
        "linalg::matrix_norm(x, linalg::MatrixNorm::one, true)", empty=False),
    Row("linalg.matrix_norm, rows", "x: b m n", "torch.linalg.matrix_norm(x, -float('inf'))",
        "linalg::matrix_norm(x, linalg::MatrixNorm::minus_inf)", empty=False),
    Row("linalg.matrix_power", "x: b n n | range -0.5 0.5", "torch.linalg.matrix_power(x, 5)", "linalg::matrix_power(x, 5)", empty=False),
    of("linalg.matrix_power, negative", "matrix_power({}, -2)"),
    complex_row("fft.fft", "torch.view_as_real(torch.fft.fft(torch.view_as_complex(x.contiguous())))", "fft::fft(x)",
                shown="torch.view_as_real(torch.fft.fft(x))"),
    complex_row("fft.fft of another dimension, cut", "torch.view_as_real(torch.fft.fft(torch.view_as_complex(x.contiguous()), 2, dim=0))",
                "fft::fft(x, 2, 0)", shown="torch.view_as_real(torch.fft.fft(x, 2, dim=0))"),
    complex_row("fft.ifft", "torch.view_as_real(torch.fft.ifft(torch.view_as_complex(x.contiguous()), 7))", "fft::ifft(x, 7)",
                shown="torch.view_as_real(torch.fft.ifft(x, 7))"),
    complex_row("fft.rfft", "torch.view_as_real(torch.fft.rfft(x))", "fft::rfft(x)", inputs="x: m n"),
    complex_row("fft.rfft of another dimension", "torch.view_as_real(torch.fft.rfft(x, dim=0))", "fft::rfft(x, {}, 0)", inputs="x: m n"),
    complex_row("fft.irfft", "torch.fft.irfft(torch.view_as_complex(x.contiguous()))", "fft::irfft(x)", shown="torch.fft.irfft(x)",
                sizes={"n": (2, 7)}),
    complex_row("fft.irfft, odd", "torch.fft.irfft(torch.view_as_complex(x.contiguous()), 9)", "fft::irfft(x, 9)",
                shown="torch.fft.irfft(x, 9)"),
]  # fmt: skip
