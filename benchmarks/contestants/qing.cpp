// The contestant qing. It also measures the machine: `peak` returns f32 FMA operations per second on registers, and
// `bandwidth READS UPDATES WRITES BYTES` returns bytes per second. It has these jobs beside the common ones:
//   attention_fused, attention_composed, attention_unfused sequences length heads size: forward and backward
#include <algorithm>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/machine.h>
#include <qing/tensor/ops/gemm.h>
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
