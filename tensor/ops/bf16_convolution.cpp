#include <qing/tensor/ops/bf16_convolution.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include <qing/tensor/denormals.h>
#include <qing/tensor/kernels/low_precision_strips.h>
#include <qing/tensor/ops/bf16_words.h>
#include <qing/tensor/ops/convolve.h>
#include <qing/tensor/ops/flat_planes.h>
#include <qing/tensor/ops/gemm_blocks.h>
#include <qing/tensor/ops/pixel_rows.h>
#include <qing/tensor/ops/transposed_phases.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// One product takes at most this many words of windows, a part of the second cache.
constexpr int64_t kWindowWords = 1 << 18;
// A block of the depth has at most kMostPairs words, so that a panel stays in the first cache. It is a multiple of
// kPairUnit, which suits the tiles of AMX.
constexpr int64_t kMostPairs = 256, kPairUnit = 16;
// gather_words() copies runs of this many windows.
constexpr int64_t kUnit = 8;
// to[k·step] = from[k], or += if accumulate.
void put_run(const float* from, int64_t count, int64_t step, bool accumulate, float* to) {
  if (step > 1) {
    for (int64_t k = 0; k < count; ++k) to[k * step] = accumulate ? to[k * step] + from[k] : from[k];
  } else if (accumulate) {
    for (int64_t k = 0; k < count; ++k) to[k] += from[k];
  } else {
    std::copy_n(from, count, to);
  }
}

// A weight in bf16.
Tensor rounded_weight(const Convolution& c, const float* weight) {
  constexpr int64_t kGrain = 1 << 14;
  const int64_t count = c.filters * c.depth();
  Tensor rounded = word_memory(pairs_of(count));
  uint16_t* const out = halves_of(rounded);
  parallel_for(divided_up(count, kGrain), 1, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kGrain;
    kernels::low_precision().round_to_bf16(std::min(count, end * kGrain) - first, weight + first, out + first);
  });
  return rounded;
}

// Filters as the left operand, in blocks of the depth. Word g of a filter has tap (i, j) of two channels:
// g = (pair of channels · rows + i)·columns + j.
class WordFilters {
 public:
  explicit WordFilters(const FilterView<uint16_t>& view)
      : filters_(view.filters),
        channels_(view.channels),
        taps_(view.h.count * view.w.count),
        block_(round_up(divided_up(depth(), divided_up(depth(), kMostPairs)), kPairUnit)),
        words_(word_memory(divided_up(depth(), block_) * filters_ * line_step(block_))) {
    std::vector<int64_t> taps;
    for (int64_t i = 0; i < view.h.count; ++i) {
      for (int64_t j = 0; j < view.w.count; ++j) {
        taps.push_back((view.h.first + i * view.h.step) * view.kernel_width + view.w.first + j * view.w.step);
      }
    }
    uint32_t* const out = words_of(words_);
    parallel_for(pairs_of(channels_), std::max<int64_t>(1, (1 << 14) / (filters_ * taps_)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t pair = begin; pair < end; ++pair) {
                     const uint16_t* const from = view.data + 2 * pair * view.channel_step;
                     const bool both = 2 * pair + 1 < channels_;
                     int64_t g = pair * taps_;
                     for (const int64_t tap : taps) {
                       uint32_t* const to = out + g / block_ * filters_ * step() + g % block_;
                       for (int64_t f = 0; f < filters_; ++f) {
                         const uint16_t* const low = from + f * view.filter_step + tap;
                         to[f * step()] = *low | (both ? static_cast<uint32_t>(low[view.channel_step]) << 16 : 0);
                       }
                       ++g;
                     }
                   }
                 });
  }

  int64_t filters() const { return filters_; }
  int64_t channels() const { return channels_; }
  int64_t depth() const { return pairs_of(channels_) * taps_; }  // in words
  int64_t block() const { return block_; }                       // likewise; a multiple of kPairUnit
  int64_t step() const { return line_step(block_); }
  // The block that begins at word p: word p + g of filter f is at f·step() + g.
  const uint32_t* data(int64_t p) const { return words_of(words_) + p / block_ * filters_ * step(); }

 private:
  int64_t filters_, channels_, taps_, block_;
  Tensor words_;
};

// The windows of one product: all windows of some images, or some rows of one image. The cut does not change the bits.
struct WindowBlocks {
  int64_t images, rows, row_blocks, count;

  WindowBlocks(const Window& h, const FlatPlanes& whole, int64_t all_images, int64_t depth) {
    const int64_t windows = std::max<int64_t>(1, kWindowWords / depth), threads = num_threads();
    images = std::clamp<int64_t>(windows / whole.run(), 1, std::max<int64_t>(1, all_images / threads));
    row_blocks = 1;
    if (images == 1) {
      const int64_t wanted = std::max(divided_up(whole.run(), windows), divided_up(threads, all_images));
      row_blocks = std::clamp<int64_t>(wanted, 1, h.out);
    }
    rows = divided_up(h.out, row_blocks);
    row_blocks = divided_up(h.out, rows);
    count = divided_up(all_images, images) * row_blocks;
  }
};

// The results of a product for image n, rows first to first + rows − 1 of its windows. Window (i, j) of filter f is
// data[f·step + (i − first)·pitch + j].
struct WindowResults {
  int64_t n, first, rows;
  const float* data;
  int64_t step, pitch;
};

// One thread's share of the products of filters and windows.
class WindowProducts {
 public:
  WindowProducts(const WordFilters& filters, const Window& h, const Window& w, const WindowBlocks& blocks)
      : filters_(filters), h_(h), w_(w), nr_(kernels::low_precision().nr) {
    const FlatPlanes most(part_of(h, 0, blocks.rows), w, blocks.rows == h.out);
    const int64_t columns = round_up(blocks.images * round_up(most.run(), kUnit), nr_);
    planes_ = Tensor::zeros({blocks.images * image_words(most) + most.overhang() + kUnit}, DType::i32);
    if (w.stride > 1) pixels_ = word_memory(h.in * w.in);
    panels_ = word_memory(columns * filters.depth());
    results_ = Tensor::empty({filters.filters() * columns});
  }

  // Calls store(results) for each of the images n to n + images − 1. x is the first one.
  template <class Store>
  void compute(const float* x, int64_t n, int64_t images, int64_t first, int64_t rows, const Store& store) {
    const FlatPlanes planes(part_of(h_, first, rows), w_, rows == h_.out);
    // The padding around whole images stays where it is.
    if (rows < h_.out) std::memset(words_of(planes_), 0, static_cast<size_t>(planes_.numel()) * sizeof(uint32_t));
    for (int64_t image = 0; image < images; ++image) {
      load(planes, x + image * filters_.channels() * h_.in * w_.in, words_of(planes_) + image * image_words(planes));
    }
    const int64_t run = round_up(planes.run(), kUnit), padded = round_up(images * run, nr_);
    offsets_.clear();
    for (int64_t image = 0; image < images; ++image) {
      for (int64_t at = 0; at < run; at += kUnit) offsets_.push_back(image * image_words(planes) + at);
    }
    // Columns behind the last window fill up the last panel. Their results are not stored.
    while (static_cast<int64_t>(offsets_.size()) * kUnit < padded) offsets_.push_back(0);
    gather(planes, padded);
    const int64_t depth = filters_.depth(), block = filters_.block();
    float* const results = results_.data<float>();
    for (int64_t p = 0; p < depth; p += block) {
      multiply_words({.rows = filters_.filters(),
                      .columns = images * run,
                      .pairs = std::min(block, depth - p),
                      .a = filters_.data(p),
                      .a_row = filters_.step(),
                      .b = words_of(panels_) + p * padded,
                      .c = results,
                      .ldc = padded,
                      .accumulate = p > 0});
    }
    for (int64_t image = 0; image < images; ++image) {
      store(WindowResults{n + image, first, rows, results + image * run, padded, planes.pitch});
    }
  }

 private:
  int64_t image_words(const FlatPlanes& planes) const {
    return pairs_of(filters_.channels()) * planes.phases() * planes.plane();
  }

  // An image's planes of pairs of channels.
  void load(const FlatPlanes& planes, const float* image, uint32_t* to) {
    const SeenRows seen(planes.h);
    const int64_t channels = filters_.channels(), pixels = h_.in * w_.in;
    const auto pair_bf16 = kernels::low_precision().pair_bf16;
    for (int64_t c = 0; c < channels; c += 2, to += planes.phases() * planes.plane()) {
      if (w_.stride == 1) {
        const float *const low = image + c * pixels, *const high = c + 1 < channels ? low + pixels : nullptr;
        planes.for_each_run([&](const FlatPlanes::Run& run) {
          if (run.y >= seen.end) return;  // no window meets it
          const int64_t from = run.y * w_.in + run.x;
          pair_bf16(run.count, low + from, high != nullptr ? high + from : nullptr,
                    to + run.phase * planes.plane() + run.at);
        });
        continue;
      }
      uint32_t* const rounded = words_of(pixels_);
      round_across(seen.count() * w_.in, std::min<int64_t>(2, channels - c), image + c * pixels + seen.begin * w_.in,
                   pixels, rounded, 0);
      planes.for_each_run([&](const FlatPlanes::Run& run) {
        if (run.y >= seen.end) return;  // no window meets it, and it was not rounded
        copy_strided(rounded + (run.y - seen.begin) * w_.in + run.x, w_.stride, run.count,
                     to + run.phase * planes.plane() + run.at);
      });
    }
  }

  // Copies the windows into panels, block by block along the depth.
  void gather(const FlatPlanes& planes, int64_t padded) {
    const int64_t depth = filters_.depth(), block = filters_.block(), taps = h_.kernel * w_.kernel;
    for (int64_t g = 0; g < depth; ++g) {
      const int64_t i = g % taps / w_.kernel, j = g % w_.kernel, p = g / block * block;
      const uint32_t* const from =
          words_of(planes_) + (g / taps * planes.phases() + planes.phase(i, j)) * planes.plane() + planes.place(i, j);
      uint32_t* const to = words_of(panels_) + p * padded + (g - p) * nr_;
      const int64_t panel = std::min(block, depth - p) * nr_;
      kernels::low_precision().gather_words(static_cast<int64_t>(offsets_.size()), offsets_.data(), from, panel, to);
    }
  }

  const WordFilters& filters_;
  const Window &h_, &w_;
  const int64_t nr_;
  Tensor planes_, pixels_, panels_, results_;
  std::vector<int64_t> offsets_;  // where each unit of columns begins in the planes, before the offset of the tap
};

// Multiplies filters by the windows of the images x. Each thread calls store(results) for its part.
template <class Store>
void multiply_windows(const WordFilters& filters, const Window& h, const Window& w, int64_t images, const float* x,
                      const Store& store) {
  if (images == 0 || filters.filters() == 0 || h.out <= 0 || w.out <= 0) return;
  const WindowBlocks blocks(h, FlatPlanes(h, w, true), images, filters.depth());
  const int64_t pixels = h.in * w.in;
  parallel_for(blocks.count, 1, [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    WindowProducts products(filters, h, w, blocks);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / blocks.row_blocks * blocks.images, first = task % blocks.row_blocks * blocks.rows;
      products.compute(x + n * filters.channels() * pixels, n, std::min(blocks.images, images - n), first,
                       std::min(blocks.rows, h.out - first), store);
    }
  });
}

}  // namespace

void convolve_bf16(const Convolution& c, const float* x, const float* weight, const float* bias, float* y) {
  if (c.groups > 1) return convolve<float>(c, x, weight, bias, y);
  const Tensor rounded = rounded_weight(c, weight);
  const WordFilters filters({halves_of(rounded),
                             c.filters,
                             c.channels,
                             c.depth(),
                             c.h.kernel * c.w.kernel,
                             c.w.kernel,
                             {0, 1, c.h.kernel},
                             {0, 1, c.w.kernel}});
  multiply_windows(filters, c.h, c.w, c.images, x, [&](const WindowResults& results) {
    for (int64_t f = 0; f < c.filters; ++f) {
      const float* from = results.data + f * results.step;
      float* to = y + (results.n * c.filters + f) * c.out_pixels() + results.first * c.w.out;
      for (int64_t i = 0; i < results.rows; ++i, from += results.pitch, to += c.w.out) {
        if (bias == nullptr) {
          std::copy_n(from, c.w.out, to);
        } else {
          for (int64_t j = 0; j < c.w.out; ++j) to[j] = from[j] + bias[f];
        }
      }
    }
  });
}

void convolve_transposed_bf16(const Convolution& c, const float* weight, const float* dy, float* dx, bool accumulate) {
  const bool undilated = c.h.dilation == 1 && c.w.dilation == 1;
  if (c.groups > 1 || (!undilated && (c.h.stride > 1 || c.w.stride > 1))) {
    return convolve_transposed<float>(c, weight, dy, dx, accumulate);
  }
  const std::vector<Phase> tall = phases_of(c.h), wide = phases_of(c.w);
  const Tensor rounded = rounded_weight(c, weight);
  // Pixels that no window meets.
  if (!accumulate && (c.h.stride > 1 || c.w.stride > 1)) std::fill_n(dx, c.images * c.channels * c.in_pixels(), 0.0F);
  for (int64_t row = 0; row < c.h.stride; ++row) {
    for (int64_t column = 0; column < c.w.stride; ++column) {
      const Phase &i = tall[static_cast<size_t>(row)], &j = wide[static_cast<size_t>(column)];
      if (i.taps.count == 0 || j.taps.count == 0) continue;
      const WordFilters filters(
          {halves_of(rounded), c.channels, c.filters, c.h.kernel * c.w.kernel, c.depth(), c.w.kernel, i.taps, j.taps});
      const Window h{c.h.out, divided_up(c.h.in - row, c.h.stride), i.taps.count, 1, -i.shift, c.h.dilation},
          w{c.w.out, divided_up(c.w.in - column, c.w.stride), j.taps.count, 1, -j.shift, c.w.dilation};
      multiply_windows(filters, h, w, c.images, dy, [&](const WindowResults& results) {
        for (int64_t channel = 0; channel < c.channels; ++channel) {
          const float* from = results.data + channel * results.step;
          float* to = dx + (results.n * c.channels + channel) * c.in_pixels() +
                      (results.first * c.h.stride + row) * c.w.in + column;
          for (int64_t r = 0; r < results.rows; ++r, from += results.pitch, to += c.h.stride * c.w.in) {
            put_run(from, w.out, c.w.stride, accumulate, to);
          }
        }
      });
    }
  }
}

}  // namespace qing
