#include <dnnl.h>

#include "peers.h"

namespace qing::bench {

void onednn(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  dnnl_sgemm('N', 'N', m, n, k, 1, a, k, b, n, 0, c, n);
}

}  // namespace qing::bench
