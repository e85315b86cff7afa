// Compiled once for each instruction set.
#include <Eigen/Core>
#include <cmath>
#include <unsupported/Eigen/SpecialFunctions>

#include "gemm_task.h"

namespace qing::bench {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Row = Eigen::Map<Eigen::Array<float, 1, Eigen::Dynamic>, Eigen::Aligned64>;
using ConstRow = Eigen::Map<const Eigen::Array<float, 1, Eigen::Dynamic>, Eigen::Aligned64>;

void gemm(bool transposed, int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  const Eigen::Map<const Matrix> left(a, m, k), right(b, transposed ? n : k, transposed ? k : n);
  Eigen::Map<Matrix> product(c, m, n);
  if (transposed) {
    product.noalias() = left * right.transpose();
  } else {
    product.noalias() = left * right;
  }
}

struct Memory {
  Floats x, y;
};

template <class Expression> Task elementwise(int64_t n, Expression expression) {
  auto memory = std::make_shared<Memory>(Memory{Floats(n, 1), Floats(n)});
  return {.run =
              [=] {
                const ConstRow x(memory->x.data(), n);
                Row(memory->y.data(), n) = expression(x);
              },
          .result = [memory] { return memory->y.span(); }};
}

template <class Expression> Task rowwise(int64_t rows, int64_t columns, Expression expression) {
  auto memory = std::make_shared<Memory>(Memory{Floats(rows * columns, 1), Floats(rows * columns)});
  return {.run =
              [=] {
                for (int64_t r = 0; r < rows; ++r) {
                  using Line = Eigen::Map<Eigen::Array<float, 1, Eigen::Dynamic>>;
                  const Eigen::Map<const Eigen::Array<float, 1, Eigen::Dynamic>> x(memory->x.data() + r * columns,
                                                                                   columns);
                  expression(x, Line(memory->y.data() + r * columns, columns));
                }
              },
          .result = [memory] { return memory->y.span(); }};
}

Task layer_norm(int64_t rows, int64_t columns) {
  auto weight = std::make_shared<Floats>(columns, 3), bias = std::make_shared<Floats>(columns, 4);
  return rowwise(rows, columns, [=](const auto& x, auto y) {
    const float mean = x.mean();
    const float rstd = 1 / std::sqrt((x - mean).square().mean() + 1e-5F);
    y = (x - mean) * rstd * ConstRow(weight->data(), columns) + ConstRow(bias->data(), columns);
  });
}

Task adamw(int64_t n) {
  struct State {
    Floats w, g, m, v;
  };
  auto s = std::make_shared<State>(State{Floats(n, 1), Floats(n, 2), Floats(n), Floats(n)});
  Row(s->m.data(), n).setZero();
  Row(s->v.data(), n).setZero();
  return {.run =
              [=] {
                const ConstRow g(s->g.data(), n);
                Row w(s->w.data(), n), m(s->m.data(), n), v(s->v.data(), n);
                m = 0.9F * m + 0.1F * g;
                v = 0.999F * v + 0.001F * g * g;
                w = (1 - 1e-5F) * w - 1e-2F * m / (v.sqrt() * 31.622776F + 1e-8F);
              },
          .result = [s] { return s->w.span(); }};
}

}  // namespace

std::string describe() {
  return "Eigen " + std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
         std::to_string(EIGEN_MINOR_VERSION) + " compiled for " + Eigen::SimdInstructionSetsInUse();
}

std::optional<Task> prepare(const Job& job, const std::string&) {
  const std::string& kind = job.kind;
  if (kind == "exp") return elementwise(job.size(0), [](const auto& x) { return x.exp(); });
  if (kind == "tanh") return elementwise(job.size(0), [](const auto& x) { return x.tanh(); });
  if (kind == "gelu") {
    return elementwise(job.size(0), [](const auto& x) { return 0.5F * x * (1 + (x * 0.70710678F).erf()); });
  }
  if (kind == "silu") return elementwise(job.size(0), [](const auto& x) { return x / (1 + (-x).exp()); });
  if (kind == "softmax") {
    return rowwise(job.size(0), job.size(1), [](const auto& x, auto y) {
      y = (x - x.maxCoeff()).exp();
      y *= 1 / y.sum();
    });
  }
  if (kind == "layer_norm") return layer_norm(job.size(0), job.size(1));
  if (kind == "adamw") return adamw(job.size(0));
  return gemm_task(job, gemm);
}

std::optional<std::string> answer(const Job&) { return std::nullopt; }

}  // namespace qing::bench
