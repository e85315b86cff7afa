// The first layer of an encoder: sums rows of several tables, normalises the sum, applies dropout.
#include <fmt/format.h>

#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/normalization.h>
#include <qing/autograd/ops/normalization_detail.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/index_elements.h>
#include <qing/tensor/ops/reduce.h>

namespace qing {
namespace {

constexpr const char* kName = "embedding_layer_norm";

// One table with checked i64 ids. Undefined ids: the first row for every position.
struct Term {
  Tensor table, ids;
};

std::vector<Term> check(const std::vector<TableRows>& tables, const Tensor& weight, const Tensor& bias) {
  if (tables.empty() || !tables.front().ids.defined()) {
    throw ShapeError(fmt::format("{}: needs a table with ids first", kName));
  }
  std::vector<Term> terms;
  for (const TableRows& rows : tables) {
    check_same_dtype(rows.table, weight, kName);
    if (rows.table.dim() != 2 || rows.table.size(0) < 1 || weight.shape() != Shape{rows.table.size(1)} ||
        rows.table.size(1) < 1 || bias.shape() != weight.shape()) {
      throw ShapeError(fmt::format("{}: table {}, weight {}, bias {} do not fit; needs [entries, n], [n], [n]", kName,
                                   to_string(rows.table.shape()), to_string(weight.shape()), to_string(bias.shape())));
    }
    Term term{rows.table.alias().contiguous(), {}};
    if (rows.ids.defined()) {
      if (rows.ids.dim() != 1 || rows.ids.size(0) != tables.front().ids.size(0)) {
        throw ShapeError(fmt::format("{}: ids {} beside ids {}; needs [rows], as many for every table", kName,
                                     to_string(rows.ids.shape()), to_string(tables.front().ids.shape())));
      }
      term.ids = checked_index(rows.ids, rows.table.size(0), kName);
    }
    terms.push_back(std::move(term));
  }
  check_same_dtype(weight, bias, kName);
  return terms;
}

// The sum of the terms' rows, in their order.
template <class T> void add_up(const std::vector<Term>& terms, int64_t row, int64_t width, T* out) {
  const T* so_far = nullptr;
  for (const Term& term : terms) {
    const T* from = term.table.data<T>() + (term.ids.defined() ? term.ids.data<int64_t>()[row] * width : 0);
    if (so_far == nullptr) {
      so_far = from;
    } else {
      kernels::kernels<T>().add(width, so_far, from, out);
      so_far = out;
    }
  }
  if (so_far != out) std::copy_n(so_far, width, out);
}

// Passes the gradients of all rows of the sum on to the tables.
void give_tables(const std::vector<Term>& terms, const Tensor& dsum, GradSink& grad) {
  for (size_t i = 0; i < terms.size(); ++i) {
    if (!grad.needs(i)) continue;
    if (terms[i].ids.defined()) {
      grad.add_rows(i, terms[i].ids, dsum);
      continue;
    }
    const Tensor total = Tensor::empty({1, dsum.size(1)}, dsum.dtype());
    dispatch_floating(dsum.dtype(), kName, [&](auto zero) {
      using T = decltype(zero);
      sum_rows(dsum.size(0), dsum.size(1), dsum.data<T>(), dsum.size(1), total.data<T>(), false);
    });
    grad.add_rows(i, Tensor::zeros({1}, DType::i64), total);
  }
}

}  // namespace

Tensor embedding_layer_norm(const std::vector<TableRows>& tables, const Tensor& weight, const Tensor& bias, double eps,
                            double p, Generator* rng) {
  const std::vector<Term> terms = check(tables, weight, bias);
  check_dropout(p, kName);
  const Tensor gamma = weight.contiguous(), beta = bias.contiguous();
  const DType dtype = weight.dtype();
  const int64_t rows = terms.front().ids.size(0), width = weight.size(0);
  const bool dropping = rng != nullptr && p > 0;
  const Tensor mask = dropping ? keep_mask(rows * width, p, *rng) : Tensor::empty({0}, DType::u8);
  const double factor = dropping ? 1 / (1 - p) : 1;
  std::vector<Tensor> inputs;
  inputs.reserve(tables.size() + 2);
  for (const TableRows& given : tables) inputs.push_back(given.table);
  inputs.insert(inputs.end(), {weight, bias});
  Tensor y = Tensor::empty({rows, width}, dtype);
  // Only backward needs the sum beside the result.
  const bool records = recording(inputs);
  const Tensor sum = records ? Tensor::empty({rows, width}, dtype) : y;
  const Tensor stats = Tensor::empty({rows, kStatistics}, dtype);
  dispatch_floating(dtype, kName, [&](auto zero) {
    using T = decltype(zero);
    const auto& table = kernels::kernels<T>();
    parallel_for(rows, norm_row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        T *const total = sum.data<T>() + r * width, *const out = y.data<T>() + r * width;
        add_up(terms, r, width, total);
        table.layer_norm(width, total, gamma.data<T>(), beta.data<T>(), T(eps), out, statistics_of<T>(stats, r));
        if (dropping) table.drop(width, mask.data<uint8_t>() + r * width, T(factor), out, nullptr, out);
      }
    });
  });
  if (!records) return y;
  // Backward needs only the tables' shapes and ids.
  record("embedding_layer_norm", y, inputs,
         [terms, rows, width, dropping, factor, mask, stats, sum = Saved(sum), gamma = Saved(gamma)](const Tensor& dy,
                                                                                                     GradSink& grad) {
           const Tensor dsum = Tensor::empty({rows, width}, dy.dtype());
           dispatch_floating(dy.dtype(), kName, [&](auto zero) {
             using T = decltype(zero);
             const Tensor through = dropping ? Tensor::empty({rows, width}, dy.dtype()) : dy;
             const LayerNormRows<T> norm{sum.get(grad).data<T>(), gamma.get(grad).data<T>(), through.data<T>(),
                                         statistics_of<T>(stats, 0), width};
             over_norm_rows<T>(rows, width, grad, terms.size(), 2, [&](int64_t r, T* dweight, T* dbias) {
               const int64_t at = r * width;
               if (dropping) {
                 kernels::kernels<T>().drop(width, mask.data<uint8_t>() + at, T(factor), dy.data<T>() + at, nullptr,
                                            through.data<T>() + at);
               }
               norm.run(r, dsum.data<T>() + at, false, dweight, dbias);
             });
           });
           give_tables(terms, dsum, grad);
         });
  return y;
}

}  // namespace qing
