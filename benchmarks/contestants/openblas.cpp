#include <cblas.h>

#include "gemm_task.h"

namespace qing::bench {

std::string describe() { return std::string(openblas_get_config()); }

std::optional<Task> prepare(const Job& job, const std::string&) {
  return gemm_task(job, [](bool transposed, int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, static_cast<blasint>(m),
                static_cast<blasint>(n), static_cast<blasint>(k), 1, a, static_cast<blasint>(k), b,
                static_cast<blasint>(transposed ? k : n), 0, c, static_cast<blasint>(n));
  });
}

std::optional<std::string> answer(const Job&) { return std::nullopt; }

}  // namespace qing::bench
