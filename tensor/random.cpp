#include <qing/tensor/random.h>

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <utility>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;
constexpr int64_t kRandomGrain = 4096;

std::array<uint32_t, 4> block(uint64_t seed, uint64_t stream, uint64_t index) {
  return philox4x32({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(stream),
                     static_cast<uint32_t>(stream >> 32)},
                    {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

// 52 bits in (0, 1): never 0, so that the logarithm exists; never 1, which 53 bits plus half a step would round to.
double unit(uint32_t high, uint32_t low) {
  const uint64_t bits = (static_cast<uint64_t>(high) << 32 | low) >> 12;
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

// The upper 64 bits of a·b + carry.
uint64_t high_of(uint64_t a, uint64_t b, uint64_t carry = 0) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((static_cast<Wide>(a) * b + carry) >> 64);
}

void check_contiguous(const Tensor& tensor, const char* op) {
  if (tensor.is_contiguous()) return;
  throw ShapeError(
      fmt::format("{}: a tensor of shape {} with strides {} is not contiguous; fill a new tensor of this "
                  "shape and copy it here with copy_from()",
                  op, to_string(tensor.shape()), to_string(tensor.strides())));
}

// Fills a tensor two elements at a time: pair(a, b) turns two uniform numbers into two elements.
template <class Pair> void fill_pairs(Tensor& tensor, uint64_t seed, uint64_t stream, const char* op, Pair pair) {
  check_contiguous(tensor, op);
  dispatch_floating(tensor.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    const auto out = tensor.span<T>();
    const auto n = static_cast<int64_t>(out.size());
    parallel_for((n + 1) / 2, kRandomGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto words = block(seed, stream, static_cast<uint64_t>(i));
        const auto [first, second] = pair(unit(words[0], words[1]), unit(words[2], words[3]));
        out[2 * i] = static_cast<T>(first);
        if (2 * i + 1 < n) out[2 * i + 1] = static_cast<T>(second);
      }
    });
  });
  tensor.bump_version();
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t a = static_cast<uint64_t>(kMultiplier0) * counter[0];
    const uint64_t b = static_cast<uint64_t>(kMultiplier1) * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

uint64_t Generator::next_u64() {
  const auto words = block(seed_, next_stream(), 0);
  return static_cast<uint64_t>(words[0]) << 32 | words[1];
}

uint64_t Generator::below(uint64_t bound) {
  if (bound == 0) throw ValueError("Generator::below: the bound is 0");
  // Values below 2^64 mod bound would make small results likelier, so they are drawn again.
  const uint64_t reject = -bound % bound;
  uint64_t value = next_u64();
  while (value < reject) value = next_u64();
  return value % bound;
}

void Generator::fill_uniform(Tensor& tensor, double low, double high) {
  if (const auto* meta = tensor.recorder()) {
    return meta->overwrite("fill_uniform", tensor, [&](Tensor& plain) { fill_uniform(plain, low, high); });
  }
  fill_pairs(tensor, seed_, next_stream(), "fill_uniform", [=](double a, double b) {
    return std::pair{low + (high - low) * a, low + (high - low) * b};
  });
  if (tensor.dtype() != DType::f32) return;
  // Rounding to f32 can reach `high`.
  const auto top = static_cast<float>(high), below = std::nextafter(top, static_cast<float>(low));
  for (float& value : tensor.span<float>()) value = value < top ? value : below;
}

void Generator::fill_normal(Tensor& tensor, double mean, double stddev) {
  if (const auto* meta = tensor.recorder()) {
    return meta->overwrite("fill_normal", tensor, [&](Tensor& plain) { fill_normal(plain, mean, stddev); });
  }
  // Box & Muller, "A note on the generation of random normal deviates", 1958.
  fill_pairs(tensor, seed_, next_stream(), "fill_normal", [=](double a, double b) {
    const double radius = stddev * std::sqrt(-2 * std::log(a)), angle = 2 * std::numbers::pi * b;
    return std::pair{mean + radius * std::cos(angle), mean + radius * std::sin(angle)};
  });
}

void Generator::fill_integers(Tensor& tensor, int64_t low, int64_t high) {
  if (low >= high) throw ValueError("fill_integers: no integer between the bounds");
  check_contiguous(tensor, "fill_integers");
  const auto out = tensor.span<int64_t>();
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  parallel_for(static_cast<int64_t>(out.size()), kRandomGrain, [&, stream = next_stream()](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto words = block(seed_, stream, static_cast<uint64_t>(i));
      // The words, as a fraction of 128 bits, times range, rounded down.
      const uint64_t carry = high_of(static_cast<uint64_t>(words[2]) << 32 | words[3], range);
      out[i] = static_cast<int64_t>(static_cast<uint64_t>(low) +
                                    high_of(static_cast<uint64_t>(words[0]) << 32 | words[1], range, carry));
    }
  });
  tensor.bump_version();
}

}  // namespace qing
