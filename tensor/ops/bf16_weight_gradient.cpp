#include <algorithm>
#include <cstring>

#include <qing/tensor/denormals.h>
#include <qing/tensor/kernels/low_precision_strips.h>
#include <qing/tensor/ops/bf16_convolution.h>
#include <qing/tensor/ops/bf16_words.h>
#include <qing/tensor/ops/convolve.h>
#include <qing/tensor/ops/flat_planes.h>
#include <qing/tensor/ops/gemm_blocks.h>
#include <qing/tensor/ops/weight_parts.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// A product has a depth of at most kWeightDepth elements, or one image if that has more. All parts together have at
// most kWeightSums sums, because these are written to memory and read again.
constexpr int64_t kWeightDepth = 1024, kWeightSums = 5 << 19;
// Depths are multiples of this number of elements, which suits the tiles of AMX.
constexpr int64_t kDepthUnit = 32;

// One thread's share of the gradient of a weight. The depth of a product runs over the planes of several images. dy is
// 0 between rows of windows and in padding.
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
    line_ = 2 * line_step(pairs_of(depth_ + most_.place(c.h.kernel - 1, c.w.kernel - 1) + 1));
    lines_ = Tensor::zeros({c.channels * most_.phases() * 2 * line_ / 2}, DType::i32);
    if (c.w.stride > 1) pixels_ = word_memory(pairs_of(c.in_pixels()));
    upstream_ = word_memory(round_up(c.filters, nr_) * pairs_of(depth_));
    panels_ = word_memory(round_up(c.filters, nr_) * pairs_of(depth_));
  }

  // The products of rows of images n to n + images − 1 become `sums` [taps, channels, filters], or are added to them,
  // in columns column to column + columns − 1. `column` is a multiple of nr.
  void compute(const float* x, const float* dy, int64_t n, int64_t images, int64_t first, int64_t rows, int64_t column,
               int64_t columns, float* sums, bool accumulate) {
    const FlatPlanes planes(part_of(c_.h, first, rows), c_.w, rows == c_.h.out);
    if (rows < c_.h.out) std::memset(words_of(lines_), 0, static_cast<size_t>(lines_.numel()) * sizeof(uint32_t));
    depth_ = depth(planes, images);
    for (int64_t channel = 0; channel < c_.channels; ++channel) load_line(planes, x, n, images, channel);
    load_upstream(planes, dy, n, images, first, rows, column, columns);
    for (int64_t i = 0; i < c_.h.kernel; ++i) {
      for (int64_t j = 0; j < c_.w.kernel; ++j, sums += c_.channels * c_.filters) {
        // A word begins at an even element: odd taps read the copy that is moved by one.
        const int64_t place = planes.place(i, j);
        multiply_words({.rows = c_.channels,
                        .columns = columns,
                        .pairs = pairs_of(depth_),
                        .a = words_of(lines_) + (planes.phase(i, j) * 2 + place % 2) * (line_ / 2) + place / 2,
                        .a_row = planes.phases() * line_,
                        .b = words_of(panels_),
                        .c = sums + column,
                        .ldc = c_.filters,
                        .accumulate = accumulate});
      }
    }
  }

 private:
  // The elements of these images, up to a whole number of tiles.
  static int64_t depth(const FlatPlanes& planes, int64_t images) {
    return round_up(images * planes.plane(), kDepthUnit);
  }
  // The planes of a channel of all images, one image after the other, and behind each line the line moved by an
  // element.
  void load_line(const FlatPlanes& planes, const float* x, int64_t n, int64_t images, int64_t channel) {
    const SeenRows seen(planes.h);
    uint16_t* const lines = halves_of(lines_) + channel * planes.phases() * 2 * line_;
    const auto round_to_bf16 = kernels::low_precision().round_to_bf16;
    for (int64_t image = 0; image < images; ++image) {
      const float* const from = x + ((n + image) * c_.channels + channel) * c_.in_pixels();
      if (c_.w.stride == 1) {
        planes.for_each_run([&](const FlatPlanes::Run& run) {
          if (run.y >= seen.end) return;  // no window meets it
          round_to_bf16(run.count, from + run.y * c_.w.in + run.x,
                        lines + run.phase * 2 * line_ + image * planes.plane() + run.at);
        });
        continue;
      }
      uint16_t* const pixels = halves_of(pixels_);
      round_to_bf16(seen.count() * c_.w.in, from + seen.begin * c_.w.in, pixels);
      planes.for_each_run([&](const FlatPlanes::Run& run) {
        if (run.y >= seen.end) return;  // no window meets it, and it was not rounded
        copy_strided(pixels + (run.y - seen.begin) * c_.w.in + run.x, c_.w.stride, run.count,
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
    const auto round_to_bf16 = kernels::low_precision().round_to_bf16;
    for (int64_t f = 0; f < columns; ++f) {
      uint16_t* const line = halves_of(upstream_) + f * depth_;
      for (int64_t image = 0; image < images; ++image) {
        const float* const from = dy + ((n + image) * c_.filters + column + f) * c_.out_pixels() + first * c_.w.out;
        for (int64_t i = 0; i < rows; ++i) {
          round_to_bf16(c_.w.out, from + i * c_.w.out, line + image * planes.plane() + i * planes.pitch);
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

void convolve_weight_bf16(const Convolution& c, const float* x, const float* dy, float* dweight, bool accumulate) {
  if (c.groups > 1) return convolve_weight<float>(c, x, dy, dweight, accumulate);
  const auto [part_images, parts] = weight_parts(c, kWeightSums);
  const WeightProducts::Blocks blocks(c, part_images);
  const int64_t size = c.filters * c.depth(), images = part_images, nr = kernels::low_precision().nr;
  // Parts that are fewer than the threads are split by filters.
  const int64_t columns = round_up(divided_up(c.filters, divided_up(num_threads(), parts)), nr),
                strips = divided_up(c.filters, columns);
  const Tensor sums = c.images > 0 ? Tensor::empty({parts * size}) : Tensor::zeros({parts * size});
  parallel_for(parts * strips, 1, [&](int64_t begin, int64_t end) {
    const FlushDenormals flush;
    WeightProducts products(c, blocks);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / strips, column = task % strips * columns;
      const int64_t last = std::min(c.images, (part + 1) * images);
      for (int64_t n = part * images; n < last; n += blocks.images) {
        for (int64_t first = 0; first < c.h.out; first += blocks.rows) {
          products.compute(x, dy, n, std::min(blocks.images, last - n), first, std::min(blocks.rows, c.h.out - first),
                           column, std::min(columns, c.filters - column), sums.data<float>() + part * size,
                           n > part * images || first > 0);
        }
      }
    }
  });
  sum_weight_parts(c, parts, sums.data<float>(), dweight, accumulate);
}

}  // namespace qing
