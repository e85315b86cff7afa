#include <qing/autograd/ops/rotary.h>

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr const char* kRotaryEmbedding = "rotary_embedding";
constexpr int64_t kTokenGrain = 16;

void check(const Tensor& x, const Tensor& positions, const RotaryOptions& options) {
  if (x.dim() < 2 || x.size(-1) < 2 || x.size(-1) % 2 != 0) {
    throw ShapeError(
        fmt::format("{}: x {}; needs [..., heads, d] with d even", kRotaryEmbedding, to_string(x.shape())));
  }
  const Shape tokens(x.shape().begin(), x.shape().end() - 2);
  if (broadcast_shapes(positions.shape(), tokens, kRotaryEmbedding) != tokens) {
    throw ShapeError(fmt::format("{}: positions {} do not broadcast to the tokens {}", kRotaryEmbedding,
                                 to_string(positions.shape()), to_string(tokens)));
  }
  if (!(options.base > 0)) throw ValueError(fmt::format("{}: base {} is not positive", kRotaryEmbedding, options.base));
}

// cos, then sin, of every token's angles: [tokens, d/2] each.
template <class T> Tensor angles(const Tensor& positions, int64_t pairs, double base) {
  const int64_t tokens = positions.numel();
  std::vector<double> frequency(static_cast<size_t>(pairs));
  for (int64_t i = 0; i < pairs; ++i) {
    frequency[i] = std::pow(base, -static_cast<double>(i) / static_cast<double>(pairs));
  }
  Tensor table = Tensor::empty({2, tokens, pairs}, dtype_of<T>);
  T* const cosine = table.data<T>();
  T* const sine = cosine + tokens * pairs;
  const int64_t* at = positions.data<int64_t>();
  parallel_for(tokens, kTokenGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = 0; i < pairs; ++i) {
        const double angle = static_cast<double>(at[t]) * frequency[i];
        cosine[t * pairs + i] = static_cast<T>(std::cos(angle));
        sine[t * pairs + i] = static_cast<T>(std::sin(angle));
      }
    }
  });
  return table;
}

// x rotated by the table's angles, or back.
Tensor turn(const Tensor& input, const Tensor& table, RotaryLayout layout, bool back) {
  const Tensor x = input.alias().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const int64_t heads = x.size(-2), pairs = x.size(-1) / 2, tokens = table.size(1);
  const bool split = layout == RotaryLayout::half_split;
  const int64_t next = split ? 1 : 2, other = split ? pairs : 1;
  dispatch_floating(x.dtype(), kRotaryEmbedding, [&](auto zero) {
    using T = decltype(zero);
    const T* const cosine = table.data<T>();
    const T* const sine = cosine + tokens * pairs;
    const T sign = back ? T(-1) : T(1);
    parallel_for(tokens, kTokenGrain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin * heads; row < end * heads; ++row) {
        const T* in = x.data<T>() + row * 2 * pairs;
        T* out = y.data<T>() + row * 2 * pairs;
        const T *c = cosine + row / heads * pairs, *s = sine + row / heads * pairs;
        for (int64_t i = 0; i < pairs; ++i) {
          const T a = in[i * next], b = in[i * next + other], signed_sine = sign * s[i];
          out[i * next] = a * c[i] - b * signed_sine;
          out[i * next + other] = b * c[i] + a * signed_sine;
        }
      }
    });
  });
  return y;
}

// Recorded: the gradient of a rotation is the rotation back.
Tensor rotate(const Tensor& x, const Tensor& table, RotaryLayout layout, bool back) {
  Tensor y = turn(x, table, layout, back);
  if (recording({x})) {
    record("rotary_embedding", y, {x},
           [table, layout, back](const Tensor& dy, GradSink& grad) { grad.add(0, rotate(dy, table, layout, !back)); });
  }
  return y;
}

}  // namespace

Tensor rotary_embedding(const Tensor& x, const Tensor& positions, const RotaryOptions& options) {
  check(x, positions, options);
  dispatch_index(positions.dtype(), kRotaryEmbedding, [](auto) {});
  const Tensor each = positions.expand(Shape(x.shape().begin(), x.shape().end() - 2)).to(DType::i64).contiguous();
  const Tensor table = dispatch_floating(x.dtype(), kRotaryEmbedding, [&](auto zero) {
    return angles<decltype(zero)>(each, x.size(-1) / 2, options.base);
  });
  return rotate(x, table, options.layout, false);
}

}  // namespace qing
