// The contestant qing. It also measures the machine: `peak` returns f32 FMA operations per second on registers, and
// `bandwidth READS UPDATES WRITES BYTES` returns bytes per second. It has these jobs beside the common ones:
//   attention_fused, attention_composed, attention_unfused sequences length heads size: forward and backward
#include <algorithm>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/machine.h>
#include <qing/tensor/ops/convolve.h>
#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/ops/pixel_rows.h>
#include <qing/tensor/threads.h>

#include "../composed_attention.h"
#include "gemm_task.h"

namespace qing::bench {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread takes at a time

void multiply(bool transposed, int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  gemm<float>(Trans::no, transposed ? Trans::yes : Trans::no, m, n, k, a, k, b, transposed ? k : n, c, n);
}

struct Memory {
  Floats x, y;
};

Task elementwise(int64_t n, kernels::Unary f) {
  auto memory = std::make_shared<Memory>(Memory{Floats(n, 1), Floats(n)});
  return {.run =
              [=] {
                parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
                  kernels::apply(f, end - begin, memory->x.data() + begin, memory->y.data() + begin);
                });
              },
          .result = [memory] { return memory->y.span(); }};
}

template <class Kernel> Task rowwise(int64_t rows, int64_t columns, Kernel kernel) {
  auto memory = std::make_shared<Memory>(Memory{Floats(rows * columns, 1), Floats(rows * columns)});
  return {.run =
              [=] {
                parallel_for(rows, std::max<int64_t>(1, kGrain / columns), [&](int64_t begin, int64_t end) {
                  for (int64_t r = begin; r < end; ++r) {
                    kernel(columns, memory->x.data() + r * columns, memory->y.data() + r * columns);
                  }
                });
              },
          .result = [memory] { return memory->y.span(); }};
}

Task layer_norm_task(int64_t rows, int64_t columns) {
  auto weight = std::make_shared<Floats>(columns, 3), bias = std::make_shared<Floats>(columns, 4);
  return rowwise(rows, columns, [=](int64_t n, const float* x, float* y) {
    kernels::RowStatistics<float> statistics{};
    kernels::kernels<float>().layer_norm(n, x, weight->data(), bias->data(), 1e-5F, y, &statistics);
  });
}

Task adamw(int64_t n) {
  struct State {
    Floats w, g, m, v;
  };
  auto s = std::make_shared<State>(State{Floats(n, 1), Floats(n, 2), Floats(n), Floats(n)});
  std::fill(s->m.data(), s->m.data() + n, 0.F);
  std::fill(s->v.data(), s->v.data() + n, 0.F);
  kernels::AdamStep<float> step{};
  step.size = 1e-2F, step.sign = 1, step.keep = 1 - 1e-5F, step.eps = 1e-8F, step.inverse_root_c2 = 31.622776F;
  step.beta1 = 0.9F, step.one_minus_beta1 = 0.1F, step.beta2 = 0.999F, step.one_minus_beta2 = 0.001F;
  return {.run =
              [=] {
                parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
                  float* const states[] = {s->m.data() + begin, s->v.data() + begin, nullptr};
                  kernels::sweep(kernels::kernels<float>(), end - begin, s->w.data() + begin, s->g.data() + begin,
                                 states, step);
                });
              },
          .result = [s] { return s->w.span(); }};
}

Convolution shape_of(const Job& job) {
  const int64_t side = job.size(2), kernel = job.size(4), stride = job.size(5), padding = kernel / 2;
  const Window window{side, (side + 2 * padding - kernel) / stride + 1, kernel, stride, padding, 1};
  return {job.size(0), job.size(1), job.size(3), 1, window, window};
}

// The operation of autograd: it packs the weight in each run.
Task convolution_task(const Job& job) {
  struct State {
    Convolution c;
    Floats x, weight, y;
  };
  const Convolution c = shape_of(job);
  auto s =
      std::make_shared<State>(State{c, Floats(c.images * c.channels * c.in_pixels(), 1),
                                    Floats(c.filters * c.depth(), 2), Floats(c.images * c.filters * c.out_pixels())});
  return {.run = [s] { convolve<float>(s->c, s->x.data(), s->weight.data(), nullptr, s->y.data()); },
          .result = [s] { return s->y.span(); }};
}

// As inference computes it: pixels with a border, packed filters.
Task pixels_task(const Job& job) {
  struct State {
    Convolution c;
    int64_t in_step, out_step, side;  // of a padded image
    Floats x, y, result;
    PackedFilters<float> filters;
  };
  const Convolution c = shape_of(job);
  const int64_t in_step = pixel_step<float>(c.channels), out_step = pixel_step<float>(c.filters);
  const int64_t side = c.h.in + 2 * c.h.padding;
  const Floats x(c.images * c.channels * c.in_pixels(), 1), weight(c.filters * c.depth(), 2);
  auto s = std::make_shared<State>(State{c, in_step, out_step, side, Floats(c.images * side * side * in_step),
                                         Floats(c.images * c.out_pixels() * out_step),
                                         Floats(c.images * c.filters * c.out_pixels()),
                                         PackedFilters<float>({weight.data(),
                                                               c.filters,
                                                               c.channels,
                                                               c.depth(),
                                                               c.h.kernel * c.w.kernel,
                                                               c.w.kernel,
                                                               {0, 1, c.h.kernel},
                                                               {0, 1, c.w.kernel}})});
  for (int64_t n = 0; n < c.images; ++n) {
    load_pixels(x.data() + n * c.channels * c.in_pixels(), c.channels, c.h.in, c.w.in, c.in_pixels(), -c.h.padding,
                side, -c.w.padding, side,
                Pixels<float>{s->x.data() + n * side * side * in_step, side * in_step, in_step});
  }
  return {.run =
              [s] {
                const Convolution& c = s->c;
                parallel_for(c.images, 1, [&](int64_t begin, int64_t end) {
                  for (int64_t n = begin; n < end; ++n) {
                    convolve_pixels<float>(
                        {.rows = c.h.out,
                         .columns = c.w.out,
                         .x = {s->x.data() + n * s->side * s->side * s->in_step, s->side * s->in_step, s->in_step},
                         .stride_h = c.h.stride,
                         .stride_w = c.w.stride,
                         .dilation_h = 1,
                         .dilation_w = 1,
                         .y = {s->y.data() + n * c.out_pixels() * s->out_step, c.w.out * s->out_step, s->out_step}},
                        s->filters, 0, c.filters);
                  }
                });
              },
          .result = [s]() -> std::span<const float> {
            const Convolution& c = s->c;
            for (int64_t n = 0; n < c.images; ++n) {
              kernels::kernels<float>().transpose(c.out_pixels(), c.filters,
                                                  s->y.data() + n * c.out_pixels() * s->out_step, s->out_step,
                                                  s->result.data() + n * c.filters * c.out_pixels(), c.out_pixels());
            }
            return s->result.span();
          }};
}

// A composition of attention, or null for the fused operation.
using Composition = Tensor (*)(const Tensor& q, const Tensor& k, const Tensor& v, int64_t length, int64_t heads);

Task attention_task(const Job& job, Composition composition) {
  struct State {
    Tensor q, k, v, dy, y, dq;
    Offsets offsets;
  };
  const int64_t sequences = job.size(0), length = job.size(1), heads = job.size(2), width = heads * job.size(3);
  auto s = std::make_shared<State>();
  uint32_t seed = 0;
  for (Tensor* x : {&s->q, &s->k, &s->v, &s->dy}) {
    *x = Tensor::from(Floats(sequences * length * width, ++seed).span(), {sequences * length, width});
    if (x != &s->dy) set_requires_grad(*x);
  }
  for (int64_t i = 0; i <= sequences; ++i) s->offsets.push_back(i * length);
  return {.run =
              [=] {
                for (const Tensor* x : {&s->q, &s->k, &s->v}) zero_grad(*x);
                s->y = composition == nullptr ? attention(s->q, s->k, s->v, s->offsets, heads)
                                              : composition(s->q, s->k, s->v, length, heads);
                backward(s->y, {.gradient = s->dy});
                s->dq = grad(s->q);
              },
          .result = [s]() -> std::span<const float> { return s->dq.span<float>(); }};
}

}  // namespace

std::string describe() {
  return std::string("qing, kernels ") + kernels::name_of(kernels::active_isa()) + ", compiled by g++ " + __VERSION__;
}

std::optional<Task> prepare(const Job& job, const std::string&) {
  using kernels::Unary;
  const std::string& kind = job.kind;
  if (kind == "exp") return elementwise(job.size(0), Unary::exp);
  if (kind == "tanh") return elementwise(job.size(0), Unary::tanh);
  if (kind == "gelu") return elementwise(job.size(0), Unary::gelu);
  if (kind == "silu") return elementwise(job.size(0), Unary::silu);
  if (kind == "softmax") {
    return rowwise(job.size(0), job.size(1),
                   [](int64_t n, const float* x, float* y) { kernels::kernels<float>().softmax(n, 1, x, y); });
  }
  if (kind == "layer_norm") return layer_norm_task(job.size(0), job.size(1));
  if (kind == "adamw") return adamw(job.size(0));
  if (kind == "conv") return convolution_task(job);
  if (kind == "conv_own") return pixels_task(job);
  if (kind == "attention_fused") return attention_task(job, nullptr);
  if (kind == "attention_composed") return attention_task(job, composed_attention);
  if (kind == "attention_unfused") return attention_task(job, unfused_attention);
  return gemm_task(job, multiply);
}

std::optional<std::string> answer(const Job& question) {
  if (question.kind == "peak") return std::to_string(fma_peak(kernels::active_isa()));
  if (question.kind != "bandwidth") return std::nullopt;
  const Streams streams{.reads = static_cast<int>(question.size(0)),
                        .updates = static_cast<int>(question.size(1)),
                        .writes = static_cast<int>(question.size(2))};
  return std::to_string(memory_bandwidth(streams, question.size(3)));
}

}  // namespace qing::bench
