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
#include <qing/tensor/ops/weight_parts.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The most words of windows that are multiplied at a time: a part of the second cache.
constexpr int64_t kWindowWords = 1 << 18;
// The most words of the depth that are multiplied at a time, so that a panel stays in the first cache, and the multiple
// that suits the tiles of AMX.
constexpr int64_t kMostPairs = 256, kPairUnit = 16;
// Windows are copied so many at a time.
constexpr int64_t kUnit = 8;
// The most elements of the depth in a product of the gradient of a weight, as long as an image has no more, and the most
// sums in all its parts: they are written and read in memory.
constexpr int64_t kWeightDepth = 1024, kWeightSums = 5 << 19;

int64_t divided_up(int64_t n, int64_t d) { return (n + d - 1) / d; }

uint32_t* words_of(const Tensor& x) { return reinterpret_cast<uint32_t*>(x.data<int32_t>()); }
Tensor words(int64_t count) { return Tensor::empty({count}, DType::i32); }

// The rows of an image that windows see.
struct SeenRows {
  int64_t begin, end;

  explicit SeenRows(const Window& h)
      : begin(std::clamp<int64_t>(-h.padding, 0, h.in)),
        end(std::clamp<int64_t>(h.at(h.out - 1, h.kernel - 1) + 1, begin, h.in)) {}
  int64_t count() const { return end - begin; }
};

template <class E> void copy_run(const E* from, int64_t step, int64_t count, E* to) {
  if (step == 1) {
    std::copy_n(from, count, to);
  } else {
    for (int64_t k = 0; k < count; ++k) to[k] = from[k * step];
  }
}

// Filters as the left operand, in blocks of the depth: word g of a filter's depth holds the taps of two channels, where
// g is (pair of channels · rows + i)·columns + j.
class WordFilters {
 public:
  explicit WordFilters(const FilterView<float>& view)
      : filters_(view.filters),
        channels_(view.channels),
        taps_(view.h.count * view.w.count),
        block_(round_up(divided_up(depth(), divided_up(depth(), kMostPairs)), kPairUnit)),
        words_(words(divided_up(depth(), block_) * filters_ * line_step(block_))) {
    parallel_for(pairs_of(channels_), std::max<int64_t>(1, (1 << 12) / (filters_ * taps_)),
                 [&](int64_t begin, int64_t end) {
                   std::vector<float> taps(static_cast<size_t>(2 * taps_));
                   std::vector<uint32_t> pairs(static_cast<size_t>(taps_));
                   for (int64_t pair = begin; pair < end; ++pair) {
                     for (int64_t f = 0; f < filters_; ++f) {
                       const bool both = 2 * pair + 1 < channels_;
                       read(view, f, 2 * pair, taps.data());
                       if (both) read(view, f, 2 * pair + 1, taps.data() + taps_);
                       kernels::low_precision().pair_bf16(taps_, taps.data(), both ? taps.data() + taps_ : nullptr,
                                                          pairs.data());
                       put(f, pair * taps_, pairs);
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
  static void read(const FilterView<float>& view, int64_t f, int64_t channel, float* taps) {
    const float* const from = view.data + f * view.filter_step + channel * view.channel_step;
    for (int64_t i = 0; i < view.h.count; ++i) {
      const float* const row = from + (view.h.first + i * view.h.step) * view.kernel_width + view.w.first;
      for (int64_t j = 0; j < view.w.count; ++j) *taps++ = row[j * view.w.step];
    }
  }

  void put(int64_t f, int64_t g, const std::vector<uint32_t>& pairs) {
    uint32_t* const out = words_of(words_) + f * step();
    for (const uint32_t pair : pairs) {
      out[g / block_ * filters_ * step() + g % block_] = pair;
      ++g;
    }
  }

  int64_t filters_, channels_, taps_, block_;
  Tensor words_;
};

// The windows that are multiplied at a time: all those of some images, or some rows of one. How they are cut does not
// change the bits.
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

// A product's results for rows first to first + rows − 1 of the windows of image n: filter f's window (i, j) is
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
    pixels_ = words(h.in * w.in);
    panels_ = words(columns * filters.depth());
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
    // Columns that fill the last panel up have anyone's numbers. They are not stored.
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
    for (int64_t c = 0; c < channels; c += 2, to += planes.phases() * planes.plane()) {
      round_across(seen.count() * w_.in, std::min<int64_t>(2, channels - c), image + c * pixels + seen.begin * w_.in,
                   pixels, words_of(pixels_), 0);
      planes.for_each_run([&](const FlatPlanes::Run& run) {
        copy_run(words_of(pixels_) + (run.y - seen.begin) * w_.in + run.x, w_.stride, run.count,
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
      uint32_t* to = words_of(panels_) + p * padded + (g - p) * nr_;
      const int64_t panel = std::min(block, depth - p) * nr_;
      if (nr_ % kUnit == 0) {
        for (size_t unit = 0; unit < offsets_.size(); to += panel) {
          for (int64_t k = 0; k < nr_; k += kUnit, ++unit) {
            std::memcpy(to + k, from + offsets_[unit], kUnit * sizeof(uint32_t));
          }
        }
      } else {
        for (const int64_t offset : offsets_) {
          for (int64_t k = 0; k < kUnit; k += nr_, to += panel) std::copy_n(from + offset + k, nr_, to);
        }
      }
    }
  }

  const WordFilters& filters_;
  const Window &h_, &w_;
  const int64_t nr_;
  Tensor planes_, pixels_, panels_, results_;
  std::vector<int64_t> offsets_;  // where each unit of columns begins in the planes, before the offset of the tap
};

// Multiplies filters by the windows of images x, and calls store(results) from the threads.
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

// One thread's share of the gradient of a weight. A product's depth runs over the pixels of several images: over those
// of a plane, where dy is 0 between rows of windows and in padding.
class WeightProducts {
 public:
  // The images or rows of one that a product takes.
  struct Blocks {
    int64_t images, rows;

    Blocks(const Convolution& c, int64_t part) {
      const FlatPlanes whole(c.h, c.w, true);
      const int64_t most = std::max<int64_t>(1, kWeightDepth / whole.plane());
      images = divided_up(part, divided_up(part, most));
      const int64_t blocks = divided_up(whole.plane(), kWeightDepth);
      rows = divided_up(c.h.out, std::min(blocks, c.h.out));
    }
  };

  // Columns of the weight's gradient: the filters column to column + columns − 1.
  WeightProducts(const Convolution& c, const Blocks& blocks)
      : c_(c), nr_(kernels::low_precision().nr), most_(part_of(c.h, 0, blocks.rows), c.w, blocks.rows == c.h.out) {
    depth_ = depth(most_, blocks.images);
    // Rows that lie an even number of cache lines apart would share sets of the first cache.
    line_ = round_up(depth_ + most_.place(c.h.kernel - 1, c.w.kernel - 1) + 1, 2 * kPairUnit);
    if (line_ / (2 * kPairUnit) % 2 == 0) line_ += 2 * kPairUnit;
    lines_ = Tensor::zeros({c.channels * most_.phases() * 2 * line_ / 2}, DType::i32);
    pixels_ = words(pairs_of(std::max(c.in_pixels(), c.out_pixels())));
    upstream_ = words(round_up(c.filters, nr_) * pairs_of(depth_));
    panels_ = words(round_up(c.filters, nr_) * pairs_of(depth_));
  }

  // Adds the products of rows of images n to n + images − 1 to `sums` [taps, channels, filters], in columns column to
  // column + columns − 1. `column` is a multiple of nr.
  void add(const float* x, const float* dy, int64_t n, int64_t images, int64_t first, int64_t rows, int64_t column,
           int64_t columns, float* sums) {
    const FlatPlanes planes(part_of(c_.h, first, rows), c_.w, rows == c_.h.out);
    if (rows < c_.h.out) std::memset(words_of(lines_), 0, static_cast<size_t>(lines_.numel()) * sizeof(uint32_t));
    depth_ = depth(planes, images);
    for (int64_t channel = 0; channel < c_.channels; ++channel) load_line(planes, x, n, images, channel);
    load_upstream(planes, dy, n, images, first, rows, column, columns);
    for (int64_t i = 0; i < c_.h.kernel; ++i) {
      for (int64_t j = 0; j < c_.w.kernel; ++j, sums += c_.channels * c_.filters) {
        // A word begins at an even element: odd taps read the copy that is moved by one.
        const int64_t place = planes.place(i, j);
        multiply_words(
            {.rows = c_.channels,
             .columns = columns,
             .pairs = pairs_of(depth_),
             .a = words_of(lines_) + (planes.phase(i, j) * 2 + place % 2) * (line_ / 2) + place / 2,
             .a_row = planes.phases() * line_,
             .b = words_of(panels_),
             .c = sums + column,
             .ldc = c_.filters,
             .accumulate = true});
      }
    }
  }

 private:
  // The elements of these images, up to a whole number of tiles.
  static int64_t depth(const FlatPlanes& planes, int64_t images) {
    return round_up(images * planes.plane(), 2 * kPairUnit);
  }
  static uint16_t* halves(const Tensor& x) { return reinterpret_cast<uint16_t*>(x.data<int32_t>()); }

  // The planes of a channel of all images, one image after the other, and behind each line the line moved by an element.
  void load_line(const FlatPlanes& planes, const float* x, int64_t n, int64_t images, int64_t channel) {
    const SeenRows seen(planes.h);
    uint16_t *const pixels = halves(pixels_), *const lines = halves(lines_) + channel * planes.phases() * 2 * line_;
    for (int64_t image = 0; image < images; ++image) {
      kernels::low_precision().round_to_bf16(
          seen.count() * c_.w.in,
          x + ((n + image) * c_.channels + channel) * c_.in_pixels() + seen.begin * c_.w.in, pixels);
      planes.for_each_run([&](const FlatPlanes::Run& run) {
        copy_run(pixels + (run.y - seen.begin) * c_.w.in + run.x, c_.w.stride, run.count,
                 lines + run.phase * 2 * line_ + image * planes.plane() + run.at);
      });
    }
    for (int64_t phase = 0; phase < planes.phases(); ++phase) {
      const uint16_t* const line = lines + phase * 2 * line_;
      std::copy_n(line + 1, line_ - 1, lines + (phase * 2 + 1) * line_);
    }
  }

  // The panels of dy.
  void load_upstream(const FlatPlanes& planes, const float* dy, int64_t n, int64_t images, int64_t first, int64_t rows,
                     int64_t column, int64_t columns) {
    const int64_t pairs = pairs_of(depth_), padded = round_up(columns, nr_);
    std::memset(words_of(upstream_), 0, static_cast<size_t>(padded * pairs) * sizeof(uint32_t));
    uint16_t* const pixels = halves(pixels_);
    for (int64_t f = 0; f < columns; ++f) {
      uint16_t* const line = halves(upstream_) + f * depth_;
      for (int64_t image = 0; image < images; ++image) {
        const float* const from = dy + ((n + image) * c_.filters + column + f) * c_.out_pixels() + first * c_.w.out;
        kernels::low_precision().round_to_bf16(rows * c_.w.out, from, pixels);
        for (int64_t i = 0; i < rows; ++i) {
          std::copy_n(pixels + i * c_.w.out, c_.w.out, line + image * planes.plane() + i * planes.pitch);
        }
      }
    }
    for (int64_t j = 0; j < padded; j += nr_) {
      transpose_words(nr_, pairs, words_of(upstream_) + j * pairs, pairs, words_of(panels_) + j * pairs, nr_);
    }
  }

  const Convolution& c_;
  const int64_t nr_;
  const FlatPlanes most_;
  int64_t depth_, line_;  // in elements: of the product, and of a channel's phase
  Tensor lines_, pixels_, upstream_, panels_;
};

}  // namespace

void convolve_bf16(const Convolution& c, const float* x, const float* weight, const float* bias, float* y) {
  if (c.groups > 1) return convolve<float>(c, x, weight, bias, y);
  const WordFilters filters({weight,
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
  // Pixels that no window meets.
  if (!accumulate && (c.h.stride > 1 || c.w.stride > 1)) std::fill_n(dx, c.images * c.channels * c.in_pixels(), 0.0F);
  for (int64_t row = 0; row < c.h.stride; ++row) {
    for (int64_t column = 0; column < c.w.stride; ++column) {
      const Phase &i = tall[static_cast<size_t>(row)], &j = wide[static_cast<size_t>(column)];
      if (i.taps.count == 0 || j.taps.count == 0) continue;
      const WordFilters filters({weight, c.channels, c.filters, c.h.kernel * c.w.kernel, c.depth(), c.w.kernel, i.taps,
                                 j.taps});
      const Window h{c.h.out, divided_up(c.h.in - row, c.h.stride), i.taps.count, 1, -i.shift, c.h.dilation},
          w{c.w.out, divided_up(c.w.in - column, c.w.stride), j.taps.count, 1, -j.shift, c.w.dilation};
      multiply_windows(filters, h, w, c.images, dy, [&](const WindowResults& results) {
        for (int64_t channel = 0; channel < c.channels; ++channel) {
          const float* from = results.data + channel * results.step;
          float* to = dx + (results.n * c.channels + channel) * c.in_pixels() +
                      (results.first * c.h.stride + row) * c.w.in + column;
          for (int64_t r = 0; r < results.rows; ++r, from += results.pitch, to += c.h.stride * c.w.in) {
            if (accumulate) {
              for (int64_t k = 0; k < w.out; ++k) to[k * c.w.stride] += from[k];
            } else {
              for (int64_t k = 0; k < w.out; ++k) to[k * c.w.stride] = from[k];
            }
          }
        }
      });
    }
  }
}

void convolve_weight_bf16(const Convolution& c, const float* x, const float* dy, float* dweight, bool accumulate) {
  if (c.groups > 1) return convolve_weight<float>(c, x, dy, dweight, accumulate);
  const auto [part_images, parts] = weight_parts(c, kWeightSums);
  const WeightProducts::Blocks blocks(c, part_images);
  const int64_t size = c.filters * c.depth(), images = part_images, nr = kernels::low_precision().nr;
  // Parts that are fewer than the threads are split by filters.
  const int64_t columns = round_up(divided_up(c.filters, divided_up(num_threads(), parts)), nr),
                strips = divided_up(c.filters, columns);
  const Tensor sums = Tensor::zeros({parts * size});
  parallel_for(parts * strips, 1, [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    WeightProducts products(c, blocks);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / strips, column = task % strips * columns;
      const int64_t last = std::min(c.images, (part + 1) * images);
      for (int64_t n = part * images; n < last; n += blocks.images) {
        for (int64_t first = 0; first < c.h.out; first += blocks.rows) {
          products.add(x, dy, n, std::min(blocks.images, last - n), first, std::min(blocks.rows, c.h.out - first),
                       column, std::min(columns, c.filters - column), sums.data<float>() + part * size);
        }
      }
    }
  });
  sum_weight_parts(c, parts, sums.data<float>(), dweight, accumulate);
}

}  // namespace qing
