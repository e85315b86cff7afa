// Makes a task of a library's matrix product function.
#pragma once

#include <optional>
#include <utility>

#include "contestant.h"

namespace qing::bench {

/// c[m×n] = a[m×k]·b. b is k×n, or n×k when transposed.
using Gemm =
    std::function<void(bool transposed, int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c)>;

inline std::optional<Task> gemm_task(const Job& job, Gemm gemm) {
  const bool transposed = job.kind == "gemm_nt";
  if (!transposed && job.kind != "gemm_nn") return std::nullopt;
  struct Memory {
    Floats a, b, c;
  };
  const int64_t m = job.size(0), n = job.size(1), k = job.size(2);
  auto memory = std::make_shared<Memory>(Memory{Floats(m * k, 1), Floats(k * n, 2), Floats(m * n)});
  return Task{.run = [=] { gemm(transposed, m, n, k, memory->a.data(), memory->b.data(), memory->c.data()); },
              .result = [memory] { return memory->c.span(); }};
}

}  // namespace qing::bench
