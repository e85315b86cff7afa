#include <blis.h>

#include "gemm_task.h"

namespace qing::bench {

std::string describe() {
  bli_init();  // reads BLIS_ARCH_TYPE
  return std::string("BLIS ") + bli_info_get_version_str() + " " + bli_arch_string(bli_arch_query_id());
}

std::optional<Task> prepare(const Job& job, const std::string&) {
  return gemm_task(job, [](bool transposed, int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
    float one = 1, zero = 0;
    // Strides describe the layout. BLIS only reads its operands, but its interface lacks const.
    bli_sgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &one, const_cast<float*>(a), k, 1, const_cast<float*>(b),
              transposed ? 1 : n, transposed ? k : 1, &zero, c, n, 1);
  });
}

std::optional<std::string> answer(const Job&) { return std::nullopt; }

}  // namespace qing::bench
