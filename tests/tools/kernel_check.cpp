// Compares every kernel of an instruction set with the plain C++ kernels in double, for f32 and f64 and all row lengths
// around the vector width. It links only the kernels, so that it can be built for another processor and run in an
// emulator.
//   kernel_check ISA
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <qing/tensor/kernels/kernels.h>

namespace qing::kernels {
namespace {

// Numbers in (-3, 3), the same in f32 and f64.
template <class T> std::vector<T> numbers(int64_t n, uint32_t seed) {
  std::vector<T> x;
  for (int64_t i = 0; i < n; ++i) {
    seed = seed * 1664525 + 1013904223;
    x.push_back(static_cast<T>(static_cast<float>(static_cast<int32_t>(seed >> 8) - (1 << 23)) * (3.0F / (1 << 23))));
  }
  return x;
}

struct Result {
  std::string name;
  std::vector<double> values;
};

struct Half {
  template <class T> operator T() const { return T(0.5); }  // NOLINT(google-explicit-constructor): fills any member
};

// A struct of numbers and flags with 0.5 and true in every member: the longest list of initializers that it takes.
template <class Step, class... Members> Step halves(Members... members) {
  if constexpr (requires { Step{members..., Half()}; }) {
    return halves<Step>(members..., Half());
  } else {
    return {members...};
  }
}

template <class T> struct Run {
  const Table<T>& table;
  int64_t n;
  std::vector<Result> results = {};

  void keep(const std::string& name, const std::vector<T>& values) {
    results.push_back({name + ", n = " + std::to_string(n), {values.begin(), values.end()}});
  }

  void elementwise() {
    const auto x = numbers<T>(n, 1), up = numbers<T>(n, 2);
    const T p[kUnaryParameters] = {T(0.5), T(1.5), 1};
    for (size_t op = 0; op < table.unary.size(); ++op) {
      const auto f = static_cast<Unary>(op);
      auto in = x, y = x;
      const bool positive = f == Unary::sqrt || f == Unary::rsqrt || f == Unary::log || f == Unary::reciprocal;
      for (T& v : in) v = positive ? std::abs(v) + T(0.5) : v;
      y.resize(x.size() + 1, 7);
      table.unary[op].forward(n, in.data(), y.data(), p);
      keep("unary " + std::to_string(op), y);
      auto dx = up;
      table.unary[op].backward(n, in.data(), y.data(), up.data(), dx.data(), true, p);
      keep("unary backward " + std::to_string(op), dx);
    }
    for (size_t op = 0; op < table.binary.size(); ++op) {
      auto y = x;
      auto divisor = up;
      for (T& v : divisor) v = std::abs(v) + T(0.5);
      table.binary[op](n, x.data(), 1, divisor.data(), 1, y.data());
      keep("binary " + std::to_string(op), y);
    }
    auto y = up;
    table.axpy(n, T(0.25), x.data(), y.data());
    table.add(n, x.data(), y.data(), y.data());
    table.scale(n, T(1.25), y.data());
    keep("axpy, add, scale", y);
  }

  void rows() {
    const auto x = numbers<T>(n, 3), gamma = numbers<T>(n, 4), dy = numbers<T>(n, 5);
    keep("sums", {table.dot(n, x.data(), dy.data()), table.sum(n, x.data()), table.sum_squares(n, x.data())});
    const int64_t rows = n % 5;
    const auto table_of_rows = numbers<T>(rows * (n + 2), 6);
    std::vector<double> columns(static_cast<size_t>(n) + 1, 7.0);
    table.add_columns(rows, n, table_of_rows.data(), n + 2, columns.data());
    keep("add_columns", {columns.begin(), columns.end()});
    if (n == 0) return;
    auto y = x;
    y.push_back(table.softmax(n, T(1.5), x.data(), y.data()));
    keep("softmax", y);
    T rstd = 0;
    RowStatistics<T> statistics{};
    auto dx = dy, dgamma = dy, dbeta = dy;
    table.layer_norm(n, x.data(), gamma.data(), dy.data(), T(0.1), y.data(), &statistics);
    keep("layer_norm", y);
    table.layer_norm_backward(n, x.data(), gamma.data(), dy.data(), &statistics, dx.data(), dgamma.data(),
                              dbeta.data());
    table.rms_norm(n, x.data(), gamma.data(), T(0.1), y.data(), &rstd);
    keep("rms_norm", y);
    table.rms_norm_backward(n, x.data(), gamma.data(), dy.data(), rstd, dx.data(), dgamma.data());
    for (const auto* part : {&dx, &dgamma, &dbeta}) keep("norms backward", *part);
  }

  // One step of every optimizer, all numbers of which are 0.5.
  void optimizers() {
    const auto one_step = [&]<class Step>(Step step) {
      const auto g = numbers<T>(n, 6);
      auto w = numbers<T>(n, 7);
      std::vector<std::vector<T>> states;
      std::array<T*, Step::kStates> pointers;
      for (size_t k = 0; k < Step::kStates; ++k) {
        auto& state = states.emplace_back(numbers<T>(n, 8 + static_cast<uint32_t>(k)));
        for (T& value : state) value = std::abs(value) + T(0.1);
        pointers[k] = state.data();
      }
      sweep(table, n, w.data(), g.data(), pointers.data(), step);
      keep("an optimizer's weights", w);
      for (const auto& state : states) keep("an optimizer's states", state);
    };
    const auto every_step = [&]<class... Steps>(StepList<Steps...>) { (one_step(halves<Steps>()), ...); };
    every_step(OptimizerSteps<T>());
  }

  // The random bits are the same on every ISA.
  void random() {
    std::vector<uint8_t> mask(static_cast<size_t>(n) + 1, 7);
    table.keep_mask(5, 6, 8, n, 1U << 30, mask.data());
    keep("keep_mask", {mask.begin(), mask.end()});
    std::vector<T> dropped(static_cast<size_t>(n) + 1, T(7));
    table.drop(n, mask.data(), T(1.25), numbers<T>(n, 11).data(), numbers<T>(n, 12).data(), dropped.data());
    keep("drop", dropped);
    std::vector<uint16_t> rounded(static_cast<size_t>(n));
    table.round_bf16(5, 6, 8, n, numbers<T>(n, 10).data(), rounded.data());
    keep("round_bf16", {rounded.begin(), rounded.end()});
  }

  void copies() {
    const int64_t rows = n, columns = n % 19 + 1;
    const auto in = numbers<T>(rows * (columns + 2), 18);
    std::vector<T> out(static_cast<size_t>(columns * (rows + 1)), T(7));
    table.transpose(rows, columns, in.data(), columns + 2, out.data(), rows + 1);
    keep("transpose", out);
  }

  // Strips of every height over panels of B, in place and packed both ways.
  void gemm() {
    const int64_t k = 19, columns = n % (3 * table.nr) + 1, panels = (columns + table.nr - 1) / table.nr;
    for (int64_t rows = 1; rows <= table.mr; ++rows) {
      const auto a = numbers<T>(k * rows, 11), b = numbers<T>(k * columns, 12), bias = numbers<T>(columns, 13);
      std::vector<T> transposed(b.size()), by_rows(static_cast<size_t>(panels * table.nr * k)), by_columns(by_rows);
      for (int64_t p = 0; p < k; ++p) {
        for (int64_t c = 0; c < columns; ++c) transposed[c * k + p] = b[p * columns + c];
      }
      for (int64_t q = 0; q < panels; ++q) {
        const int64_t first = q * table.nr, lines = std::min(table.nr, columns - first), at = first * k;
        table.pack_rows(k, lines, b.data() + first, columns, table.nr, by_rows.data() + at);
        table.pack_columns(k, lines, transposed.data() + first * k, k, table.nr, by_columns.data() + at);
      }
      check_product(rows, columns, k, a, b, bias, {b.data(), columns, table.nr});
      check_product(rows, columns, k, a, b, bias, {by_rows.data(), table.nr, table.nr * k});
      check_product(rows, columns, k, a, b, bias, {by_columns.data(), table.nr, table.nr * k});
    }
  }

  struct Right {
    const T* data;
    int64_t row, panel;
  };
  void check_product(int64_t rows, int64_t columns, int64_t k, const std::vector<T>& a, const std::vector<T>& b,
                     const std::vector<T>& bias, Right right) {
    std::vector<T> c(static_cast<size_t>(rows * columns), T(2));
    table.gemm_strip({rows, columns, k, a.data(), 1, rows, right.data, right.row, right.panel, c.data(), columns,
                      bias.data(), true});
    double worst = 0;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        double want = 2.0 + bias[j];
        for (int64_t p = 0; p < k; ++p) want += static_cast<double>(a[p * rows + i]) * b[p * columns + j];
        worst = std::max(worst, std::abs(c[i * columns + j] - want));
      }
    }
    if (worst > (sizeof(T) == 4 ? 1e-4 : 1e-12)) keep("gemm_strip is off by", {static_cast<T>(worst)});
  }

  void attention() {
    const int64_t queries = n + 1, keys = 2 * n + 3, depth = n % 9 + 1, values = n % 5 + 1;
    const auto q = numbers<T>(queries * depth, 14), k = numbers<T>(keys * depth, 15), v = numbers<T>(keys * values, 16),
               dy = numbers<T>(queries * values, 17);
    std::vector<T> y(dy.size()), sums(static_cast<size_t>(2 * queries)), dq(q.size()), dk(k.size()), dv(v.size());
    std::vector<T> scratch(static_cast<size_t>(3 * kKeyTile * (depth + values + kQueryTile)));
    const AttentionHead<T> head{.queries = queries,
                                .keys = keys,
                                .depth = depth,
                                .value_depth = values,
                                .scale = T(0.3),
                                .q = {q.data(), depth},
                                .k = {k.data(), depth},
                                .v = {v.data(), values},
                                .causal = n % 2 == 0,
                                .first_query = keys - queries,
                                .dropout = {.seed = 1, .stream = 2, .first_tile = 3, .threshold = 6554},
                                .factor = T(1.25)};
    const SoftmaxSums<T> kept{sums.data(), sums.data() + queries};
    table.attention_forward(head, kept, {y.data(), values}, scratch.data());
    table.attention_backward(head, kept,
                             {.y = {y.data(), values},
                              .dy = {dy.data(), values},
                              .dq = {dq.data(), depth},
                              .dk = {dk.data(), depth},
                              .dv = {dv.data(), values},
                              .add_q = false,
                              .add_k = false,
                              .add_v = false,
                              .dmask = nullptr},
                             scratch.data());
    for (const auto* part : {&y, &dq, &dk, &dv}) keep("attention", *part);
  }

  std::vector<Result> all() {
    elementwise();
    rows();
    optimizers();
    random();
    copies();
    gemm();
    attention();
    return results;
  }
};

template <class T> int compare(Isa isa, double tolerance) {
  int failed = 0, compared = 0;
  for (int64_t n = 0; n <= 70; ++n) {
    const auto got = Run<T>{table<T>(isa), n}.all();
    const auto want = Run<double>{table<double>(Isa::scalar), n}.all();
    if (got.size() != want.size()) std::printf("%zu results for %zu\n", got.size(), want.size());
    failed += got.size() != want.size();
    for (size_t i = 0; i < std::min(got.size(), want.size()); ++i, ++compared) {
      const auto& [name, values] = got[i];
      bool equal = name == want[i].name && values.size() == want[i].values.size();
      for (size_t j = 0; equal && j < values.size(); ++j) {
        equal = std::abs(values[j] - want[i].values[j]) <= tolerance * (1 + std::abs(want[i].values[j]));
      }
      if (!equal) std::printf("%s in %s differs: %s\n", sizeof(T) == 4 ? "f32" : "f64", name_of(isa), name.c_str());
      failed += !equal;
    }
  }
  const char* type = sizeof(T) == 4 ? "f32" : "f64";
  std::printf("%s, %s: %d results compared, %d differ\n", name_of(isa), type, compared, failed);
  return failed;
}

}  // namespace
}  // namespace qing::kernels

int main(int argc, char** argv) {
  using namespace qing::kernels;
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::neon}) {
    if (argc != 2 || std::strcmp(argv[1], name_of(isa)) != 0 || !supported(isa)) continue;
    return compare<float>(isa, 2e-4) + compare<double>(isa, 1e-11) == 0 ? 0 : 1;
  }
  std::fprintf(stderr, "usage: kernel_check ISA, one that this processor has: scalar, avx2, avx512 or neon\n");
  return 2;
}
