#include <qing/tensor/ops/gemm.h>

#include <string>

#include <qing/tensor/errors.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/gemm_blocks.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

template <class T> GemmView<T> view(Trans trans, const T* data, int64_t leading) {
  return trans == Trans::no ? GemmView<T>{data, leading, 1} : GemmView<T>{data, 1, leading};
}

template <class T> void compute(const GemmProduct<T>& product) {
  const auto& table = kernels::kernels<T>();
  for_parts(product.m, product.n, product.k, table.mr, table.nr, [&](const GemmPart& part) { product.compute(part); });
}

}  // namespace

template <class T>
void gemm(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
          int64_t ldb, T* c, int64_t ldc, const T* bias, bool accumulate, T* gelu) {
  compute<T>({m, n, k, view(trans_a, a, lda), view(trans_b, b, ldb), nullptr, c, ldc, bias, accumulate, gelu});
}

template <class T>
void gemm_serial(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
                 int64_t ldb, T* c, int64_t ldc, const T* bias, bool accumulate, T* gelu) {
  if (m <= 0 || n <= 0) return;
  const GemmProduct<T> product{m,    n,          k,   view(trans_a, a, lda), view(trans_b, b, ldb), nullptr, c, ldc,
                               bias, accumulate, gelu};
  product.compute({0, m, 0, n});
}

template <class T>
void gemm(Trans trans_a, int64_t m, const T* a, int64_t lda, const PackedMatrix<T>& b, T* c, int64_t ldc, const T* bias,
          bool accumulate, T* gelu) {
  compute<T>({m, b.columns(), b.rows(), view(trans_a, a, lda), view<T>(Trans::no, nullptr, 0), b.panels(), c, ldc, bias,
              accumulate, gelu});
}

template <class T>
PackedMatrix<T>::PackedMatrix(Trans trans_b, int64_t k, int64_t n, const T* b, int64_t ldb) : k_(k), n_(n) {
  if (k < 0 || n < 0)
    throw ValueError("PackedMatrix: " + std::to_string(k) + "×" + std::to_string(n) + " is not a valid size");
  const int64_t nr = kernels::kernels<T>().nr, block = gemm_block_depth(k), padded = round_up(n, nr);
  panels_ = Tensor::empty({k, padded}, dtype_of<T>);
  T* const out = panels_.template data<T>();
  const GemmView<T> from = view(trans_b, b, ldb);
  parallel_for(padded / nr, std::max<int64_t>(1, 16384 / (nr * (k + 1))), [&](int64_t begin, int64_t end) {
    for (int64_t p = 0; p < k; p += block) {
      const int64_t depth = std::min(block, k - p), first = begin * nr;
      pack_block(from, p, depth, first, std::min(n, end * nr) - first, out + p * padded + first * depth);
    }
  });
}

#define QING_INSTANTIATE(T)                                                                                          \
  template void gemm<T>(Trans, Trans, int64_t, int64_t, int64_t, const T*, int64_t, const T*, int64_t, T*, int64_t,  \
                        const T*, bool, T*);                                                                         \
  template void gemm_serial<T>(Trans, Trans, int64_t, int64_t, int64_t, const T*, int64_t, const T*, int64_t, T*,    \
                               int64_t, const T*, bool, T*);                                                         \
  template void gemm<T>(Trans, int64_t, const T*, int64_t, const PackedMatrix<T>&, T*, int64_t, const T*, bool, T*); \
  template class PackedMatrix<T>;
QING_INSTANTIATE(float)
QING_INSTANTIATE(double)
#undef QING_INSTANTIATE

}  // namespace qing
