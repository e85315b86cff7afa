// Derivatives of factorizations: Giles 2008, "Collected matrix derivative results for forward and reverse mode
// algorithmic differentiation", and Murray 2016, "Differentiation of the Cholesky decomposition". An operation with
// several results records each by itself: the gradient is the sum of their parts.
#include <qing/autograd/ops/linalg.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/math.h>
#include <qing/autograd/ops/products.h>
#include <qing/autograd/ops/rearrange.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/decompositions.h>

namespace qing::linalg {
namespace {

void check_matrices(const Tensor& a, bool square, const char* op) {
  check_floating(a, op);
  if (a.dim() < 2 || (square && a.size(-1) != a.size(-2))) {
    throw ShapeError(
        fmt::format("{}: a {}; needs {}", op, to_string(a.shape()), square ? "[..., n, n]" : "[..., m, n]"));
  }
}

Tensor turned(const Tensor& a) { return transpose(a, -2, -1); }

// The matrices as one batch in f64, outside the graph.
Tensor batch_of(const Tensor& a) {
  const int64_t rows = a.size(-2), columns = a.size(-1);
  int64_t count = 1;
  for (int64_t d = 0; d + 2 < a.dim(); ++d) count *= a.size(d);
  return a.alias().to(DType::f64).contiguous().reshape({count, rows, columns});
}

// A result of such a batch, [batch, tail...], with the leading dimensions and the dtype of a.
Tensor like_batch_of(const Tensor& found, const Tensor& a) {
  Shape shape(a.shape().begin(), a.shape().end() - 2);
  shape.insert(shape.end(), found.shape().begin() + 1, found.shape().end());
  return found.reshape(shape).to(a.dtype());
}

// The lower triangle whose diagonal counts half, and its transpose: a symmetric matrix.
Tensor symmetric_half(const Tensor& x) {
  const Tensor lower = tril(x);
  return scale(add(lower, turned(tril(x, -1))), 0.5);
}

Shape batch_shape(const Tensor& a) { return {a.shape().begin(), a.shape().end() - 2}; }

Tensor with_batch(const Tensor& a, const Shape& batch) {
  Shape shape = batch;
  shape.insert(shape.end(), a.shape().end() - 2, a.shape().end());
  return a.shape() == shape ? a : expand(a, shape);
}

// 1/(values[j] − values[i]) at row i and column j; 0 on the diagonal. values [..., n].
Tensor inverse_gaps(const Tensor& values) {
  const Tensor gaps = sub(unsqueeze(values, -2), unsqueeze(values, -1));
  const Tensor diagonal = diag_embed(Tensor::full(values.shape(), 1, values.dtype()));
  return sub(div(1, add(gaps, diagonal)), diagonal);
}

Tensor columns_times(const Tensor& matrix, const Tensor& factors) { return mul(matrix, unsqueeze(factors, -2)); }
Tensor rows_times(const Tensor& matrix, const Tensor& factors) { return mul(matrix, unsqueeze(factors, -1)); }

}  // namespace

Tensor inv(const Tensor& a) {
  check_matrices(a, true, "inv");
  Tensor y = like_batch_of(inverse_of(batch_of(a), "inv"), a);
  if (recording({a})) {
    record("inv", y, {a}, [y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor back = turned(grad.output(y));
      grad.add(0, neg(matmul(matmul(back, dy), back)));
    });
  }
  return y;
}

namespace {

// a [batch..., n, n] and b [batch..., n, k] of one batch.
Tensor solved(const Tensor& a, const Tensor& b) {
  Tensor x = like_batch_of(solution_of(batch_of(a), batch_of(b), "solve"), a);
  if (recording({a, b})) {
    record("solve", x, {a, b}, [a = Saved(a), x = Saved(x)](const Tensor& dx, GradSink& grad) {
      const Tensor db = solved(turned(grad.input(0, a)), dx);
      grad.add(1, db);
      if (grad.needs(0)) grad.add(0, neg(matmul(db, turned(grad.output(x)))));
    });
  }
  return x;
}

}  // namespace

Tensor solve(const Tensor& a, const Tensor& b) {
  check_matrices(a, true, "solve");
  check_same_dtype(a, b, "solve");
  const bool vector =
      b.dim() == 1 || (b.dim() + 1 == a.dim() && std::equal(b.shape().begin(), b.shape().end(), a.shape().begin()));
  const Tensor right = vector ? unsqueeze(b, -1) : b;
  if (right.dim() < 2 || right.size(-2) != a.size(-1)) {
    throw ShapeError(fmt::format("solve: a {} and b {}; needs [..., n, n] and [..., n, k]", to_string(a.shape()),
                                 to_string(b.shape())));
  }
  const Shape batch = broadcast_shapes(batch_shape(a), batch_shape(right), "solve");
  const Tensor x = solved(with_batch(a, batch), with_batch(right, batch));
  return vector ? squeeze(x, -1) : x;
}

Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool unitriangular) {
  constexpr const char* op = "solve_triangular";
  check_matrices(a, true, op);
  check_same_dtype(a, b, op);
  if (b.dim() != a.dim() || b.size(-2) != a.size(-1) || batch_shape(a) != batch_shape(b)) {
    throw ShapeError(fmt::format("{}: a {} and b {}; needs [..., n, n] and [..., n, k] of one batch", op,
                                 to_string(a.shape()), to_string(b.shape())));
  }
  Tensor x = like_batch_of(triangular_solution_of(batch_of(a), batch_of(b), upper, unitriangular), a);
  if (recording({a, b})) {
    record("solve_triangular", x, {a, b},
           [a = Saved(a), x = Saved(x), upper, unitriangular](const Tensor& dx, GradSink& grad) {
             const Tensor db = solve_triangular(turned(grad.input(0, a)), dx, !upper, unitriangular);
             grad.add(1, db);
             if (!grad.needs(0)) return;
             const Tensor da = neg(matmul(db, turned(grad.output(x))));
             const int64_t off = unitriangular ? 1 : 0;
             grad.add(0, upper ? triu(da, off) : tril(da, -off));
           });
  }
  return x;
}

Tensor det(const Tensor& a) {
  check_matrices(a, true, "det");
  const auto [sign, log_abs] = determinants_of(batch_of(a));
  Tensor y = like_batch_of(mul(sign, exp(log_abs)), a);
  if (recording({a})) {
    record("det", y, {a}, [a = Saved(a), y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor factor = unsqueeze(unsqueeze(mul(dy, grad.output(y)), -1), -1);
      grad.add(0, mul(factor, turned(inv(grad.input(0, a)))));
    });
  }
  return y;
}

SlogdetResult slogdet(const Tensor& a) {
  check_matrices(a, true, "slogdet");
  const auto [sign, log_abs] = determinants_of(batch_of(a));
  SlogdetResult found{like_batch_of(sign, a), like_batch_of(log_abs, a)};
  if (recording({a})) {
    record("slogdet", found.logabsdet, {a}, [a = Saved(a)](const Tensor& dy, GradSink& grad) {
      grad.add(0, mul(unsqueeze(unsqueeze(dy, -1), -1), turned(inv(grad.input(0, a)))));
    });
  }
  return found;
}

Tensor cholesky(const Tensor& a) {
  check_matrices(a, true, "cholesky");
  Tensor y = like_batch_of(cholesky_of(batch_of(a), "cholesky"), a);
  if (recording({a})) {
    record("cholesky", y, {a}, [y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor factor = grad.output(y), back = turned(factor);
      const Tensor inner = symmetric_half(matmul(back, tril(dy)));
      // L⁻ᵀ·inner·L⁻¹, and inner is symmetric.
      const Tensor left = solve_triangular(back, inner, true);
      grad.add(0, turned(solve_triangular(back, turned(left), true)));
    });
  }
  return y;
}

QrResult qr(const Tensor& a) {
  check_matrices(a, false, "qr");
  auto [q, r] = qr_of(batch_of(a));
  QrResult found{like_batch_of(q, a), like_batch_of(r, a)};
  if (!recording({a})) return found;
  // The part of a gradient that passes one of the factors, whose product with that factor is `inner`; `dq` or nothing.
  const auto gradient = [](const Tensor& q, const Tensor& r, const Tensor& inner, const Tensor& dq) {
    if (q.size(-2) < r.size(-1))
      throw ValueError("qr: the gradient is for matrices with at least as many rows as columns");
    const Tensor upper = triu(inner);
    const Tensor symmetric = sub(add(upper, turned(upper)), diag_embed(diagonal(upper, 0, -2, -1)));
    const Tensor left = dq.defined() ? add(dq, matmul(q, symmetric)) : matmul(q, symmetric);
    return turned(solve_triangular(r, turned(left), true));  // left·R⁻ᵀ
  };
  const Saved saved_q(found.q), saved_r(found.r);
  record("qr", found.q, {a}, [saved_q, saved_r, gradient](const Tensor& dq, GradSink& grad) {
    const Tensor& q = saved_q.get(grad);
    const Tensor& r = saved_r.get(grad);
    grad.add(0, gradient(q, r, neg(matmul(turned(q), dq)), dq));
  });
  record("qr", found.r, {a}, [saved_q, saved_r, gradient](const Tensor& dr, GradSink& grad) {
    const Tensor& q = saved_q.get(grad);
    const Tensor& r = saved_r.get(grad);
    grad.add(0, gradient(q, r, matmul(dr, turned(r)), {}));
  });
  return found;
}

EighResult eigh(const Tensor& a) {
  check_matrices(a, true, "eigh");
  const auto [values, vectors] = symmetric_eigen_of(batch_of(a), "eigh");
  EighResult found{like_batch_of(values, a), like_batch_of(vectors, a)};
  if (!recording({a})) return found;
  const Saved saved_values(found.eigenvalues), saved_vectors(found.eigenvectors);
  record("eigh", found.eigenvalues, {a}, [saved_vectors](const Tensor& dw, GradSink& grad) {
    const Tensor& v = saved_vectors.get(grad);
    grad.add(0, matmul(columns_times(v, dw), turned(v)));
  });
  record("eigh", found.eigenvectors, {a}, [saved_values, saved_vectors](const Tensor& dv, GradSink& grad) {
    const Tensor& v = saved_vectors.get(grad);
    const Tensor inner = mul(matmul(turned(v), dv), inverse_gaps(saved_values.get(grad)));
    grad.add(0, matmul(matmul(v, inner), turned(v)));
  });
  return found;
}

Tensor eigvalsh(const Tensor& a) { return eigh(a).eigenvalues; }

SvdResult svd(const Tensor& a) {
  check_matrices(a, false, "svd");
  const auto [u, s, vt] = singular_values_of(batch_of(a), "svd");
  SvdResult found{like_batch_of(u, a), like_batch_of(s, a), like_batch_of(vt, a)};
  if (!recording({a})) return found;
  const Saved saved_u(found.u), saved_s(found.s), saved_vh(found.vh);
  record("svd", found.s, {a}, [saved_u, saved_vh](const Tensor& ds, GradSink& grad) {
    grad.add(0, matmul(columns_times(saved_u.get(grad), ds), saved_vh.get(grad)));
  });
  // The part through the vectors of one side: those of the other side are `other`, and `own` [..., size, k] has the own
  // ones. Inside the span of the vectors the gaps of the squared values count, and outside of it the values themselves.
  const auto through = [](const Tensor& own, const Tensor& s, const Tensor& d) {
    const Tensor along = matmul(turned(own), d);
    const Tensor rotation = mul(sub(along, turned(along)), inverse_gaps(square(s)));
    return std::pair(rotation, sub(d, matmul(own, along)));
  };
  record("svd", found.u, {a}, [saved_u, saved_s, saved_vh, through](const Tensor& du, GradSink& grad) {
    const Tensor& u = saved_u.get(grad);
    const Tensor& s = saved_s.get(grad);
    const Tensor& vh = saved_vh.get(grad);
    const auto [rotation, outside] = through(u, s, du);
    const Tensor inside = matmul(u, columns_times(rotation, s));
    grad.add(0, matmul(add(inside, columns_times(outside, div(1, s))), vh));
  });
  record("svd", found.vh, {a}, [saved_u, saved_s, saved_vh, through](const Tensor& dvh, GradSink& grad) {
    const Tensor& u = saved_u.get(grad);
    const Tensor& s = saved_s.get(grad);
    const Tensor v = turned(saved_vh.get(grad));
    const auto [rotation, outside] = through(v, s, turned(dvh));
    const Tensor inside = matmul(rows_times(rotation, s), turned(v));
    grad.add(0, matmul(u, add(inside, rows_times(turned(outside), div(1, s)))));
  });
  return found;
}

Tensor svdvals(const Tensor& a) { return svd(a).s; }

Tensor matrix_norm(const Tensor& a, MatrixNorm order, bool keepdim) {
  check_matrices(a, false, "matrix_norm");
  const auto kept = [&](const Tensor& norms) { return keepdim ? unsqueeze(unsqueeze(norms, -1), -1) : norms; };
  switch (order) {
    case MatrixNorm::fro: return norm(a, 2, {-2, -1}, keepdim);
    case MatrixNorm::nuc: return kept(sum(svdvals(a), {-1}));
    case MatrixNorm::two: return kept(amax(svdvals(a), {-1}));
    case MatrixNorm::minus_two: return kept(amin(svdvals(a), {-1}));
    case MatrixNorm::one: return kept(amax(sum(abs(a), {-2}), {-1}));
    case MatrixNorm::minus_one: return kept(amin(sum(abs(a), {-2}), {-1}));
    case MatrixNorm::inf: return kept(amax(sum(abs(a), {-1}), {-1}));
    case MatrixNorm::minus_inf: break;
  }
  return kept(amin(sum(abs(a), {-1}), {-1}));
}

Tensor matrix_power(const Tensor& a, int64_t n) {
  check_matrices(a, true, "matrix_power");
  Tensor power = n < 0 ? inv(a) : a, product;
  for (uint64_t left = n < 0 ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n); left > 0; left >>= 1) {
    if ((left & 1) != 0) product = product.defined() ? matmul(product, power) : power;
    if (left > 1) power = matmul(power, power);
  }
  if (product.defined()) return n == 1 ? clone(a) : product;
  return clone(expand(diag_embed(Tensor::full({a.size(-1)}, 1, a.dtype())), a.shape()));
}

}  // namespace qing::linalg
