#include <qing/nn/layers/positional.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/views.h>
#include <qing/nn/forgotten_layers.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {
namespace {

void check_sizes(const char* layer, int64_t d_model, int64_t max_len) {
  check_at_least(layer, "d_model", d_model, 1);
  check_at_least(layer, "max_len", max_len, 0);
}

// Returns the rows of the table for x [..., time, d_model].
Tensor first_rows(const Tensor& x, const Tensor& table, const char* layer) {
  if (x.dim() < 2 || x.size(-1) != table.size(1) || x.size(-2) > table.size(0)) {
    throw ShapeError(fmt::format("{}: x {}; needs [..., time, {}] with a time of at most {}", layer,
                                 to_string(x.shape()), table.size(1), table.size(0)));
  }
  return slice(table, 0, 0, x.size(-2));
}

Tensor rows_at(const Tensor& x, const Tensor& positions, const Tensor& table, const char* layer) {
  Shape leading = x.shape();
  if (!leading.empty()) leading.pop_back();
  if (x.dim() < 1 || x.size(-1) != table.size(1) || broadcast_shapes(positions.shape(), leading, layer) != leading) {
    throw ShapeError(fmt::format("{}: x {} and positions {}; needs [..., {}] and what broadcasts to the rest", layer,
                                 to_string(x.shape()), to_string(positions.shape()), table.size(1)));
  }
  return embedding(table, positions);
}

}  // namespace

Tensor sinusoidal_positions(int64_t count, int64_t width, DType dtype) {
  check_at_least("sinusoidal_positions", "count", count, 0);
  check_at_least("sinusoidal_positions", "width", width, 1);
  const Tensor table = Tensor::empty({count, width}, DType::f64);
  double* out = table.data<double>();
  for (int64_t t = 0; t < count; ++t) {
    for (int64_t c = 0; c < width; ++c) {
      const double angle =
          static_cast<double>(t) * std::pow(10000.0, -static_cast<double>(c - c % 2) / static_cast<double>(width));
      *out++ = c % 2 == 0 ? std::sin(angle) : std::cos(angle);
    }
  }
  return table.to(dtype);
}

SinusoidalPositionalEncoding::SinusoidalPositionalEncoding(int64_t d_model, int64_t max_len) {
  check_sizes("SinusoidalPositionalEncoding", d_model, max_len);
  table_ = sinusoidal_positions(max_len, d_model, DType::f64);
}

Tensor SinusoidalPositionalEncoding::compute(const Tensor& x, Generator*) const {
  return add(x, first_rows(x, table_, "SinusoidalPositionalEncoding").to(x.dtype()));
}

Tensor SinusoidalPositionalEncoding::forward(const Tensor& x, const Tensor& positions) const {
  return add(x, rows_at(x, positions, table_, "SinusoidalPositionalEncoding").to(x.dtype()));
}

LearnedPositionalEncoding::LearnedPositionalEncoding(int64_t d_model, int64_t max_len, Generator& rng,
                                                     LearnedPositionalEncodingOptions options) {
  check_sizes("LearnedPositionalEncoding", d_model, max_len);
  weight_ = Tensor::empty({max_len, d_model});
  init::normal(weight_, rng, 0, options.stddev);
}

void LearnedPositionalEncoding::visit(Visitor& visitor) { visitor.parameter("weight", weight_); }

Tensor LearnedPositionalEncoding::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  return add(x, first_rows(x, weight_, "LearnedPositionalEncoding"));
}

Tensor LearnedPositionalEncoding::forward(const Tensor& x, const Tensor& positions) const {
  note_use(*this, weight_);
  return add(x, rows_at(x, positions, weight_, "LearnedPositionalEncoding"));
}

Tensor alibi_slopes(int64_t heads, DType dtype) {
  check_at_least("alibi_slopes", "heads", heads, 1);
  const auto whole = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
  const Tensor slopes = Tensor::empty({heads}, DType::f64);
  for (int64_t h = 0; h < heads; ++h) {
    const double exponent = h < whole ? static_cast<double>(h + 1) : static_cast<double>(h - whole) + 0.5;
    slopes.data<double>()[h] = std::exp2(-8 * exponent / static_cast<double>(whole));
  }
  return slopes.to(dtype);
}

Tensor alibi_bias(int64_t heads, int64_t queries, int64_t keys, int64_t first_query, DType dtype) {
  check_at_least("alibi_bias", "queries", queries, 0);
  check_at_least("alibi_bias", "keys", keys, 0);
  const Tensor slopes = alibi_slopes(heads, DType::f64);
  const Tensor bias = Tensor::empty({heads, queries, keys}, DType::f64);
  double* out = bias.data<double>();
  for (const double slope : slopes.span<double>()) {
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t j = 0; j < keys; ++j) *out++ = -slope * static_cast<double>(std::abs(first_query + i - j));
    }
  }
  return bias.to(dtype);
}

Tensor alibi_relative_bias(int64_t heads, int64_t reach, DType dtype) {
  check_at_least("alibi_relative_bias", "reach", reach, 1);
  // The distances of one query, in the middle of all keys.
  return reshape(alibi_bias(heads, 1, 2 * reach - 1, reach - 1, dtype), {heads, 2 * reach - 1});
}

namespace {

int64_t buckets_of_direction(const RelativePositionOptions& options) {
  return options.both_directions ? options.buckets / 2 : options.buckets;
}

const RelativePositionOptions& checked(const RelativePositionOptions& options) {
  const int64_t unit = options.both_directions ? 4 : 2;
  if (options.buckets < unit || options.buckets % unit != 0) {
    throw ValueError(
        fmt::format("RelativePositionBias: {} buckets; needs a positive multiple of {}", options.buckets, unit));
  }
  const int64_t exact = buckets_of_direction(options) / 2;
  if (!(std::isfinite(options.max_distance) && options.max_distance > static_cast<double>(exact))) {
    throw ValueError(fmt::format("RelativePositionBias: max_distance is {}; it must be finite and above buckets/{}, {}",
                                 options.max_distance, unit, exact));
  }
  return options;
}

}  // namespace

int64_t relative_position_bucket(int64_t relative, const RelativePositionOptions& options) {
  const int64_t count = buckets_of_direction(checked(options)), exact = count / 2;
  const int64_t distance = options.both_directions ? std::abs(relative) : std::max<int64_t>(0, -relative);
  const int64_t direction = options.both_directions && relative > 0 ? count : 0;
  if (distance < exact) return direction + distance;
  const auto growth = static_cast<float>(std::log(options.max_distance / static_cast<double>(exact)));
  const float logarithm = std::log(static_cast<float>(distance) / static_cast<float>(exact)) / growth;
  const auto steps = static_cast<int64_t>(logarithm * static_cast<float>(count - exact));
  return direction + std::min(exact + steps, count - 1);
}

RelativePositionBias::RelativePositionBias(int64_t heads, Generator& rng, RelativePositionOptions options,
                                           int64_t entries)
    : options_(checked(options)) {
  check_at_least("RelativePositionBias", "heads", heads, 1);
  if (entries != 0) check_at_least("RelativePositionBias", "entries", entries, options.buckets);
  weight_ = Tensor::empty({entries == 0 ? options.buckets : entries, heads});
  init::normal(weight_, rng, 0, options.stddev);
}

void RelativePositionBias::visit(Visitor& visitor) { visitor.parameter("weight", weight_); }

Tensor RelativePositionBias::forward(int64_t reach) const {
  check_at_least("RelativePositionBias", "reach", reach, 1);
  Tensor buckets = Tensor::empty({2 * reach - 1}, DType::i64);
  for (int64_t i = 0; i < buckets.numel(); ++i) {
    buckets.data<int64_t>()[i] = relative_position_bucket(i - (reach - 1), options_);
  }
  return transpose(embedding(weight_, buckets), 0, 1);
}

}  // namespace qing::nn
