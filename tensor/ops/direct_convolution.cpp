#include <qing/tensor/ops/direct_convolution.h>

#include <algorithm>

#include <qing/tensor/kernels/kernels.h>

namespace qing {
namespace {

constexpr int64_t kMostFilters = 4;       // with more, columns are read often enough to pay for their copy
constexpr int64_t kLeastPixels = 16;      // with fewer, runs are too short
constexpr int64_t kBlockElements = 4096;  // of windows' rows at a time; they stay in the first cache

}  // namespace

bool prefers_direct(const Convolution& c) {
  return c.group_filters() <= kMostFilters && c.h.kernel * c.w.kernel > 1 && c.out_pixels() >= kLeastPixels;
}

template <class T> DirectConvolution<T>::DirectConvolution(const Convolution& c) : c_(c), shape_(c.h, c.w) {
  for (int64_t channel = 0; channel < c.group_channels(); ++channel) {
    for (int64_t i = 0; i < c.h.kernel; ++i) {
      for (int64_t j = 0; j < c.w.kernel; ++j) {
        taps_.push_back((channel * shape_.phases() + shape_.phase(i, j)) * shape_.plane() + shape_.place(i, j));
      }
    }
  }
  planes_.resize(static_cast<size_t>(c.group_channels() * shape_.phases() * shape_.plane()));
  block_.resize(static_cast<size_t>(std::max<int64_t>(1, kBlockElements / shape_.pitch) * shape_.pitch));
}

// Calls body(position in the planes, position in the image, count) for the part of each row that is not padding. The
// image's elements are w.stride apart.
template <class T> template <class Body> void DirectConvolution<T>::for_each_run(Body body) const {
  for (int64_t channel = 0; channel < c_.group_channels(); ++channel) {
    shape_.for_each_run([&](const FlatPlanes::Run& run) {
      body((channel * shape_.phases() + run.phase) * shape_.plane() + run.at,
           (channel * c_.h.in + run.y) * c_.w.in + run.x, run.count);
    });
  }
}

template <class T> void DirectConvolution<T>::clear() { std::fill(planes_.begin(), planes_.end(), T(0)); }

template <class T> void DirectConvolution<T>::load(const T* image) {
  clear();
  for_each_run([&](int64_t to, int64_t from, int64_t n) {
    for (int64_t k = 0; k < n; ++k) planes_[to + k] = image[from + k * c_.w.stride];
  });
}

template <class T> void DirectConvolution<T>::store(T* image) const {
  for_each_run([&](int64_t from, int64_t to, int64_t n) {
    for (int64_t k = 0; k < n; ++k) image[to + k * c_.w.stride] += planes_[from + k];
  });
}

// Calls body(first row of windows, rows, length of their run) for all blocks.
template <class T> template <class Body> void DirectConvolution<T>::for_each_block(Body body) {
  const int64_t step = static_cast<int64_t>(block_.size()) / shape_.pitch;
  for (int64_t first = 0; first < c_.h.out; first += step) {
    const int64_t rows = std::min(step, c_.h.out - first);
    body(first, rows, (rows - 1) * shape_.pitch + c_.w.out);
  }
}

template <class T> void DirectConvolution<T>::apply(const T* filter, const T* bias, T* y) {
  const auto& kernels = kernels::kernels<T>();
  for_each_block([&](int64_t first, int64_t rows, int64_t n) {
    std::fill_n(block_.begin(), n, bias != nullptr ? *bias : T(0));
    for (size_t tap = 0; tap < taps_.size(); ++tap) {
      kernels.axpy(n, filter[tap], planes_.data() + taps_[tap] + first * shape_.pitch, block_.data());
    }
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(block_.data() + r * shape_.pitch, c_.w.out, y + (first + r) * c_.w.out);
    }
  });
}

// Loads rows of dy with zeros between them.
template <class T> void DirectConvolution<T>::read_block(const T* dy, int64_t first, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) {
    T* const row = block_.data() + r * shape_.pitch;
    std::copy_n(dy + (first + r) * c_.w.out, c_.w.out, row);
    std::fill(row + c_.w.out, row + shape_.pitch, T(0));
  }
}

template <class T> void DirectConvolution<T>::add_transposed(const T* filter, const T* dy) {
  const auto& kernels = kernels::kernels<T>();
  for_each_block([&](int64_t first, int64_t rows, int64_t n) {
    read_block(dy, first, rows);
    for (size_t tap = 0; tap < taps_.size(); ++tap) {
      kernels.axpy(n, filter[tap], block_.data(), planes_.data() + taps_[tap] + first * shape_.pitch);
    }
  });
}

template <class T> void DirectConvolution<T>::add_filter(const T* dy, T* dfilter) {
  const auto& kernels = kernels::kernels<T>();
  for_each_block([&](int64_t first, int64_t rows, int64_t n) {
    read_block(dy, first, rows);
    for (size_t tap = 0; tap < taps_.size(); ++tap) {
      dfilter[tap] += kernels.dot(n, block_.data(), planes_.data() + taps_[tap] + first * shape_.pitch);
    }
  });
}

template class DirectConvolution<float>;
template class DirectConvolution<double>;

}  // namespace qing
