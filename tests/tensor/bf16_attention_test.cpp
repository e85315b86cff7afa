#include <qing/tensor/ops/bf16_attention.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

#include "tensor/numbers.h"

namespace qing {
namespace {

using test::numbers;
using Offsets = std::vector<int64_t>;

// Sequences of so many queries and keys, whose rows hold q, k and v of all heads side by side.
struct Batch {
  Offsets queries, keys;
  int64_t heads, depth;
  std::vector<BFloat16> q, kv;

  Batch(const std::vector<std::pair<int64_t, int64_t>>& sequences, int64_t heads_, int64_t depth_)
      : queries{0}, keys{0}, heads(heads_), depth(depth_) {
    for (const auto& [n, m] : sequences) {
      queries.push_back(queries.back() + n);
      keys.push_back(keys.back() + m);
    }
    q = rounded(queries.back() * width(), 1, 3);
    kv = rounded(keys.back() * 2 * width(), 2, 2);
  }
  int64_t width() const { return heads * depth; }

  static std::vector<BFloat16> rounded(int64_t n, uint64_t seed, float factor) {
    std::vector<BFloat16> out;
    for (const float x : numbers<float>(n, seed)) out.push_back(to_bfloat16(factor * x));
    return out;
  }

  // The rows of sequences `first` to `end` alone. Each result row is followed by two numbers that stay.
  std::vector<BFloat16> run(size_t first, size_t end) const {
    const auto part = [&](const Offsets& all) {
      Offsets some;
      for (size_t s = first; s <= end; ++s) some.push_back(all[s] - all[first]);
      return some;
    };
    const Offsets query_part = part(queries), key_part = part(keys);
    std::vector<BFloat16> out(query_part.back() * (width() + 2), to_bfloat16(77.0F));
    const BFloat16* const k = kv.data() + keys[first] * 2 * width();
    bf16_attention({q.data() + queries[first] * width(), width()}, {k, 2 * width()}, {k + width(), 2 * width()},
                   query_part, key_part, heads, depth, {out.data(), width() + 2});
    return out;
  }
  std::vector<BFloat16> run() const { return run(0, queries.size() - 1); }
};

class Bf16Attention : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_bf16_attention(32)) GTEST_SKIP() << "attention is in f32 on this instruction set";
  }
  ~Bf16Attention() override { set_num_threads(before_); }
  const int before_ = num_threads();
};

TEST_F(Bf16Attention, IsWithinTheErrorOfItsRoundings) {
  for (const int64_t depth : {32, 96}) {
    const Batch b({{1, 1}, {5, 3}, {16, 16}, {17, 31}, {1, 200}, {32, 32}, {33, 65}, {0, 0}, {70, 129}}, 3, depth);
    const auto got = b.run();
    for (size_t s = 0; s + 1 < b.queries.size(); ++s) {
      const int64_t keys = b.keys[s + 1] - b.keys[s], width = b.width();
      for (int64_t i = b.queries[s]; i < b.queries[s + 1]; ++i) {
        for (int64_t h = 0; h < b.heads; ++h) {
          const auto key = [&](int64_t j, int64_t c) {
            return double(to_float(b.kv[(b.keys[s] + j) * 2 * width + h * depth + c]));
          };
          std::vector<double> weights(keys);
          double most = -1e30, sum = 0;
          for (int64_t j = 0; j < keys; ++j) {
            for (int64_t c = 0; c < depth; ++c) weights[j] += key(j, c) * to_float(b.q[i * width + h * depth + c]);
            most = std::max(most, weights[j] /= std::sqrt(double(depth)));
          }
          for (double& w : weights) sum += w = std::exp(w - most);
          for (int64_t c = 0; c < depth; ++c) {
            double want = 0, magnitude = 0;
            for (int64_t j = 0; j < keys; ++j) {
              want += weights[j] / sum * key(j, width + c);
              magnitude += weights[j] / sum * std::abs(key(j, width + c));
            }
            // The unit roundoff of bf16 for each weight and for the result, and the exponential's error.
            const double error = (1.0 / 256 + 2e-4) * magnitude + std::abs(want) / 256 + 1e-30;
            ASSERT_NEAR(to_float(got[i * (width + 2) + h * depth + c]), want, error)
                << depth << ": " << s << "," << i << "," << h << "," << c;
          }
        }
        ASSERT_EQ(to_float(got[i * (width + 2) + width]), 77) << "written beyond the row";
      }
    }
  }
}

TEST_F(Bf16Attention, BitsDependOnTheSequenceAloneForAnyNumberOfThreads) {
  const Batch b({{40, 40}, {1, 70}, {0, 0}, {64, 64}, {3, 3}, {130, 130}, {20, 100}}, 6, 32);
  set_num_threads(1);
  const auto want = b.run();
  for (const int threads : {1, 2, 4}) {
    set_num_threads(threads);
    for (size_t first = 0; first + 1 < b.queries.size(); ++first) {
      for (const size_t end : {first + 1, b.queries.size() - 1}) {
        const auto got = b.run(first, end);
        const BFloat16* const alone = want.data() + b.queries[first] * (b.width() + 2);
        // An empty sequence has a null pointer, which memcmp does not take.
        EXPECT_TRUE(got.empty() || std::memcmp(got.data(), alone, got.size() * 2) == 0)
            << threads << " threads, sequences " << first << " to " << end;
      }
    }
  }
}

TEST_F(Bf16Attention, NanStaysInItsSequence) {
  Batch b({{20, 20}, {20, 20}, {20, 20}}, 1, 32);
  b.kv[25 * 64 + 3] = to_bfloat16(std::numeric_limits<float>::quiet_NaN());
  const auto got = b.run();
  for (int64_t i = 0; i < 60; ++i) {
    for (int64_t c = 0; c < 32; ++c) {
      EXPECT_EQ(std::isnan(to_float(got[i * 34 + c])), i >= 20 && i < 40) << i << "," << c;
    }
  }
}

TEST_F(Bf16Attention, ScoresOfThousandsGiveTheLargestOne) {
  Batch b({{1, 2}}, 1, 32);
  for (int64_t c = 0; c < 32; ++c) {
    b.q[c] = to_bfloat16(100.0F);
    b.kv[c] = to_bfloat16(-100.0F), b.kv[64 + c] = to_bfloat16(90.0F);
  }
  const auto got = b.run();
  for (int64_t c = 0; c < 32; ++c) EXPECT_EQ(got[c].bits, b.kv[64 + 32 + c].bits) << c;
}

TEST_F(Bf16Attention, RefusesWhatItDoesNotCompute) {
  EXPECT_FALSE(has_bf16_attention(0));
  EXPECT_FALSE(has_bf16_attention(48));
  const Offsets offsets{0, 1}, none{0, 0};
  std::vector<BFloat16> x(200);
  const auto run = [&](int64_t depth, int64_t step, const Offsets& keys) {
    bf16_attention({x.data(), 64}, {x.data(), 64}, {x.data(), 64}, offsets, keys, 1, depth, {x.data() + 100, step});
  };
  EXPECT_THROW(run(48, 64, offsets), ValueError);
  EXPECT_THROW(run(32, 65, offsets), ValueError);
  EXPECT_THROW(run(32, 64, none), ValueError);
  run(32, 64, offsets);
}

}  // namespace
}  // namespace qing
