// Discrete Fourier transforms under the names of torch.fft, with its default scaling: inverse transforms are divided by
// n. There is no complex dtype: a complex number is a last dimension of 2, its real and imaginary part, as
// torch.view_as_real() gives it, and `dim` counts without that dimension. f32 or f64 (DTypeError); computed in f64 and
// rounded once. O(n log n) for n of small prime factors; a prime factor p costs O(n·p). Differentiable any number of
// times. ShapeError for a complex tensor without its last dimension of 2, IndexError for a dim out of range, ValueError
// unless n ≥ 1.
#pragma once

#include <cstdint>
#include <optional>

#include <qing/tensor/tensor.h>

namespace qing::fft {

/// yₖ = Σⱼ xⱼ·e^(−2πi·jk/n) for complex x [..., n, 2]. With `n` the dimension is cut or filled with zeros first.
Tensor fft(const Tensor& x, std::optional<int64_t> n = std::nullopt, int64_t dim = -1);
/// The inverse, xⱼ = 1/n · Σₖ yₖ·e^(2πi·jk/n).
Tensor ifft(const Tensor& y, std::optional<int64_t> n = std::nullopt, int64_t dim = -1);
/// fft of real x [..., n]: its first n/2 + 1 numbers, since the others are their conjugates. [..., n/2 + 1, 2].
Tensor rfft(const Tensor& x, std::optional<int64_t> n = std::nullopt, int64_t dim = -1);
/// The inverse of rfft(): real numbers [..., n] from y [..., n/2 + 1, 2]; n is 2·(size − 1) unless given. The imaginary
/// parts of the first and, for even n, the last number do not count.
Tensor irfft(const Tensor& y, std::optional<int64_t> n = std::nullopt, int64_t dim = -1);

}  // namespace qing::fft
