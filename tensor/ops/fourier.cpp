#include <Eigen/Core>
#include <algorithm>
#include <complex>
#include <unsupported/Eigen/FFT>

#include <qing/tensor/ops/decompositions.h>
#include <qing/tensor/threads.h>

namespace qing {

// Multiplications that are worth a thread; a number takes about 32.
constexpr int64_t kFourierWork = 1 << 16;

Tensor fourier_of(const Tensor& x, bool inverse) {
  const int64_t lanes = x.size(0), n = x.size(1);
  // Eigen 3.4 ends the program for one number.
  if (x.numel() == 0 || n == 1) return x.clone();
  Tensor y = Tensor::empty(x.shape(), DType::f64);
  parallel_for(lanes, std::max<int64_t>(1, kFourierWork / (32 * n)), [&](int64_t begin, int64_t end) {
    Eigen::FFT<double> transform;  // keeps the factors of n
    transform.SetFlag(Eigen::FFT<double>::Unscaled);
    const auto* const from = reinterpret_cast<const std::complex<double>*>(x.data<double>());
    auto* const to = reinterpret_cast<std::complex<double>*>(y.data<double>());
    for (int64_t lane = begin; lane < end; ++lane) {
      if (inverse) {
        transform.inv(to + lane * n, from + lane * n, n);
      } else {
        transform.fwd(to + lane * n, from + lane * n, n);
      }
    }
  });
  return y;
}

}  // namespace qing
