#include <qing/tensor/ops/weight_parts.h>

#include <algorithm>
#include <vector>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/gemm_blocks.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kMostParts = 16;

}  // namespace

WeightParts weight_parts(const Convolution& c, int64_t elements) {
  const int64_t size = c.filters * c.depth();
  const int64_t wanted = std::clamp<int64_t>(std::min(c.images, elements / size), 1, kMostParts);
  const int64_t images = std::max<int64_t>(1, divided_up(c.images, wanted));
  return {images, std::max<int64_t>(1, divided_up(c.images, images))};
}

template <class T>
void sum_weight_parts(const Convolution& c, int64_t parts, const T* sums, T* dweight, bool accumulate) {
  const auto& table = kernels::kernels<T>();
  const int64_t channels = c.group_channels(), filters = c.group_filters(), depth = c.depth();
  const int64_t taps = c.h.kernel * c.w.kernel, size = c.filters * depth;
  parallel_for(c.groups * channels, std::max<int64_t>(1, (1 << 15) / (taps * filters * parts)),
               [&](int64_t begin, int64_t end) {
                 std::vector<T> totals(static_cast<size_t>(taps * filters));
                 for (int64_t row = begin; row < end; ++row) {
                   const int64_t g = row / channels, channel = row % channels;
                   for (int64_t tap = 0; tap < taps; ++tap) {
                     const T* const from = sums + ((g * taps + tap) * channels + channel) * filters;
                     T* const total = totals.data() + tap * filters;
                     std::copy_n(from, filters, total);
                     for (int64_t part = 1; part < parts; ++part) table.add(filters, total, from + part * size, total);
                   }
                   // [taps, filters] to [filters, taps]
                   T* const to = dweight + (g * filters * channels + channel) * taps;
                   if (!accumulate) {
                     table.transpose(taps, filters, totals.data(), filters, to, depth);
                     continue;
                   }
                   for (int64_t f = 0; f < filters; ++f) {
                     for (int64_t tap = 0; tap < taps; ++tap) to[f * depth + tap] += totals[f + tap * filters];
                   }
                 }
               });
}

template void sum_weight_parts<float>(const Convolution&, int64_t, const float*, float*, bool);
template void sum_weight_parts<double>(const Convolution&, int64_t, const double*, double*, bool);

}  // namespace qing
