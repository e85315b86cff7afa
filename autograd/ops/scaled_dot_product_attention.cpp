// Scaled dot-product attention over dense tensors. The query heads that share a key head are one task. One thread
// computes it in order, so no bit depends on the rest of the batch or on the number of threads.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/attention.h>
#include <qing/autograd/ops/attention_detail.h>
#include <qing/autograd/ops/attention_graph.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/rearrange.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr const char* kOp = "scaled_dot_product_attention";

// The geometry shared by forward and backward.
struct Dense {
  int64_t key_heads;  // over the whole batch
  int64_t group;      // query heads per key head
  int64_t queries, keys, depth, value_depth;
  Shape result, scores;  // of shape [..., queries, value_depth] and [..., queries, keys]
  double scale;
  bool causal;
  int64_t first_query;

  int64_t heads() const { return key_heads * group; }
};

int64_t leading(const Tensor& x) {
  int64_t count = 1;
  for (int64_t d = 0; d + 2 < x.dim(); ++d) count *= x.size(d);
  return count;
}

Dense check(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  check_same_dtype(q, k, kOp);
  check_same_dtype(q, v, kOp);
  check_dropout(options.dropout_p, kOp);
  const int64_t rank = q.dim();
  bool fits = rank >= 2 && k.dim() == rank && v.dim() == rank && q.size(-1) == k.size(-1) && k.size(-2) == v.size(-2) &&
              q.size(-1) >= 1;
  for (int64_t d = 0; fits && d + 2 < rank; ++d) {
    const bool heads = d == rank - 3;
    const bool shared = heads && k.size(d) > 0 && q.size(d) > 0 && q.size(d) % k.size(d) == 0;
    fits = k.size(d) == v.size(d) && (q.size(d) == k.size(d) || shared);
  }
  if (!fits) {
    throw ShapeError(fmt::format("{}: q {}, k {}, v {}; needs [..., queries, d], [..., keys, d], [..., keys, dv]", kOp,
                                 to_string(q.shape()), to_string(k.shape()), to_string(v.shape())));
  }
  Dense dense{.key_heads = leading(k),
              .group = rank > 2 && k.size(-3) > 0 ? q.size(-3) / k.size(-3) : 1,
              .queries = q.size(-2),
              .keys = k.size(-2),
              .depth = q.size(-1),
              .value_depth = v.size(-1),
              .result = q.shape(),
              .scores = q.shape(),
              .scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(-1)))),
              .causal = options.is_causal,
              // Values beyond these change nothing, and additions to them could overflow.
              .first_query = std::clamp(options.first_query, -q.size(-2), k.size(-2))};
  dense.result.back() = dense.value_depth;
  dense.scores.back() = dense.keys;
  return dense;
}

// The mask as a view of the scores' shape, outside the graph.
Tensor spread_mask(const Tensor& mask, const Tensor& q, const Shape& scores) {
  if (!mask.defined()) return mask;
  if (mask.dtype() != DType::boolean && mask.dtype() != q.dtype()) {
    throw DTypeError(fmt::format("{}: attn_mask is {}; needs bool, or q's {} to be added", kOp, name_of(mask.dtype()),
                                 name_of(q.dtype())));
  }
  if (broadcast_shapes(mask.shape(), scores, kOp) != scores) {
    throw ShapeError(fmt::format("{}: attn_mask {} does not broadcast to the scores {}", kOp, to_string(mask.shape()),
                                 to_string(scores)));
  }
  return mask.alias().expand(scores);
}

// x with adjacent elements in each row; dimensions before may have any strides.
Tensor with_dense_rows(const Tensor& x) { return x.strides().back() == 1 ? x : x.contiguous(); }

// Where matrix `index` of the leading dimensions begins, relative to data().
int64_t matrix_offset(const Layout& layout, int64_t index) {
  int64_t offset = 0;
  for (int64_t d = layout.dim() - 3; d >= 0; --d) {
    offset += index % layout.sizes[d] * layout.strides[d];
    index /= layout.sizes[d];
  }
  return offset;
}

template <class T> kernels::MatrixRows<T> matrix(const Tensor& x, int64_t index) {
  const Layout& layout = x.layout();
  return {x.data<std::remove_const_t<T>>() + matrix_offset(layout, index), layout.strides[layout.dim() - 2]};
}

struct DenseOperands {
  Dense dense;
  Tensor mask;  // undefined if there is none
  AttentionDropout dropout;
  Tensor sums;  // [2, heads, queries]

  // Query head h, counted over the batch.
  template <class T>
  kernels::AttentionHead<T> head(const Tensor& q, const Tensor& k, const Tensor& v, int64_t h) const {
    kernels::AttentionHead<T> head{.queries = dense.queries,
                                   .keys = dense.keys,
                                   .depth = dense.depth,
                                   .value_depth = dense.value_depth,
                                   .scale = static_cast<T>(dense.scale),
                                   .q = matrix<const T>(q, h),
                                   .k = matrix<const T>(k, h / dense.group),
                                   .v = matrix<const T>(v, h / dense.group),
                                   .causal = dense.causal,
                                   .first_query = dense.first_query,
                                   .dropout = dropout.from_tile(h * attention_tiles(dense.queries, dense.keys)),
                                   .factor = static_cast<T>(dropout.factor)};
    if (mask.defined()) {
      const Layout& layout = mask.layout();
      head.mask.row = layout.strides[layout.dim() - 2];
      head.mask.column = layout.strides.back();
      const int64_t at = matrix_offset(layout, h);
      if (mask.dtype() == DType::boolean) {
        head.mask.allowed = mask.data<bool>() + at;
      } else {
        head.mask.added = mask.data<T>() + at;
      }
    }
    return head;
  }

  template <class T> kernels::SoftmaxSums<T> sums_of(int64_t h) const {
    T* const first = sums.data<T>() + h * dense.queries;
    return {first, first + dense.heads() * dense.queries};
  }

  // Calls body(h, scratch) for every query head; scratch is the thread's memory for the kernels. The heads that share a
  // key head run in order on one thread.
  template <class T, class Body> void for_each_head(const Body& body) const {
    parallel_for(dense.key_heads, 1, [&](int64_t begin, int64_t end) {
      const Tensor scratch = attention_scratch(dense.depth, dense.value_depth, dtype_of<T>);
      for (int64_t h = begin * dense.group; h < end * dense.group; ++h) body(h, scratch.data<T>());
    });
  }
};

template <class T>
void run_backward(const DenseOperands& operands, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& y,
                  const Tensor& dy, const AttentionTargets& targets, const Tensor& dmask) {
  const Dense& dense = operands.dense;
  const auto rows = [&](size_t i, int64_t index) {
    return targets.defined(i) ? matrix<T>(targets[i].tensor, index) : kernels::MatrixRows<T>{};
  };
  operands.for_each_head<T>([&](int64_t h, T* scratch) {
    const bool again = h % dense.group != 0;  // another query head has written the key head's gradient
    const kernels::AttentionGradients<T> gradients{
        .y = matrix<const T>(y, h),
        .dy = matrix<const T>(dy, h),
        .dq = rows(0, h),
        .dk = rows(1, h / dense.group),
        .dv = rows(2, h / dense.group),
        .add_q = targets[0].accumulate,
        .add_k = targets[1].accumulate || again,
        .add_v = targets[2].accumulate || again,
        .dmask = dmask.defined() ? dmask.data<T>() + h * dense.queries * dense.keys : nullptr};
    kernels::kernels<T>().attention_backward(operands.head<T>(q, k, v, h), operands.sums_of<T>(h), gradients, scratch);
  });
}

// True where the mask or causality hides a key; undefined if none is hidden.
Tensor hidden_keys(const Dense& dense, const Tensor& mask) {
  Tensor hidden = dense.causal ? causal_hidden(dense.queries, dense.keys, dense.first_query) : Tensor();
  if (!mask.defined()) return hidden;
  const Tensor by_mask =
      mask.dtype() == DType::boolean ? logical_not(mask) : eq(mask, -std::numeric_limits<double>::infinity());
  return hidden.defined() ? logical_or(hidden, by_mask) : by_mask;
}

void run_backward_graph(const DenseOperands& operands, const Tensor& q, const Tensor& k, const Tensor& v,
                        const Tensor& mask, const Tensor& dy, GradSink& grad) {
  const Dense& dense = operands.dense;
  // `repeated`: one key head per query head. `summed`: the sum over the query heads that shared one.
  const auto repeated = [&](const Tensor& x) { return dense.group == 1 ? x : repeat_interleave(x, dense.group, -3); };
  const auto summed = [&](const Tensor& x) {
    return dense.group == 1 ? x : sum(unflatten(x, -3, {x.size(-3) / dense.group, dense.group}), {-3});
  };
  const bool added = mask.defined() && mask.dtype() != DType::boolean;
  AttentionGraph graph{.q = q,
                       .k = repeated(k),
                       .v = repeated(v),
                       .scale = dense.scale,
                       .added = added ? mask : Tensor(),
                       .hidden = hidden_keys(dense, mask.defined() ? mask.alias().expand(dense.scores) : mask)};
  if (operands.dropout.active()) {
    graph.kept =
        operands.dropout.factors(0, dense.heads(), dense.queries, dense.keys, dy.dtype()).reshape(dense.scores);
  }
  const AttentionGradients found = graph.backward(dy);
  grad.add(0, found.q);
  grad.add(1, summed(found.k));
  grad.add(2, summed(found.v));
  if (added) grad.add(3, found.scores);
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const AttentionOptions& options) {
  const Dense dense = check(query, key, value, options);
  const Tensor q = with_dense_rows(query), k = with_dense_rows(key), v = with_dense_rows(value);
  const DenseOperands operands{.dense = dense,
                               .mask = spread_mask(options.attn_mask, query, dense.scores),
                               .dropout = AttentionDropout(options.dropout_p, options.rng),
                               .sums = Tensor::empty({2, dense.heads(), dense.queries}, q.dtype())};
  Tensor y = Tensor::empty(dense.result, q.dtype());
  dispatch_floating(q.dtype(), kOp, [&](auto zero) {
    using T = decltype(zero);
    operands.for_each_head<T>([&](int64_t h, T* scratch) {
      kernels::kernels<T>().attention_forward(operands.head<T>(q, k, v, h), operands.sums_of<T>(h), matrix<T>(y, h),
                                              scratch);
    });
  });
  if (recording({query, key, value, options.attn_mask})) {
    std::optional<Saved> saved_mask;
    if (options.attn_mask.defined()) saved_mask.emplace(options.attn_mask);
    record("scaled_dot_product_attention", y, {query, key, value, options.attn_mask},
           [operands, q = Saved(q), k = Saved(k), v = Saved(v), y = Saved(y), mask = saved_mask](const Tensor& dy,
                                                                                                 GradSink& grad) {
             if (grad.create_graph()) {
               return run_backward_graph(operands, grad.input(0, q), grad.input(1, k), grad.input(2, v),
                                         mask ? grad.input(3, *mask) : Tensor(), dy, grad);
             }
             if (mask) mask->get(grad);  // an error if it has changed
             const AttentionTargets targets(grad);
             const Tensor dmask = grad.needs(3) ? Tensor::zeros(operands.dense.scores, dy.dtype()) : Tensor();
             dispatch_floating(dy.dtype(), kOp, [&](auto zero) {
               run_backward<decltype(zero)>(operands, q.get(grad), k.get(grad), v.get(grad), y.get(grad), dy, targets,
                                            dmask);
             });
             targets.finish(grad);
             if (dmask.defined()) grad.add(3, dmask);
           });
  }
  return y;
}

}  // namespace qing
