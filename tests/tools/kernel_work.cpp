// Runs the main kernels, each once to warm up and once for tests/instructions/count.py, which counts the instructions
// in qing_measured() under callgrind. Prints the names of the cases, one per line, in the order of execution.
#include <cstdio>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/ops/low_precision.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

// Has a name for callgrind's options, and is never inlined.
extern "C" [[gnu::noinline]] void qing_measured(const std::function<void()>* work) {
  (*work)();
  asm volatile("" : : : "memory");
}

namespace {

using namespace qing;

Tensor random(const Shape& shape, uint64_t seed = 1, DType dtype = DType::f32) {
  Generator rng(seed);
  Tensor x = Tensor::empty(shape, dtype);
  rng.fill_uniform(x, -1, 1);
  return x;
}
Tensor parameter(const Shape& shape, uint64_t seed = 1) {
  Tensor x = random(shape, seed);
  set_requires_grad(x);
  return x;
}
Tensor integers(int64_t n, int64_t below) {
  Tensor x = Tensor::empty({n}, DType::i64);
  Generator(1).fill_integers(x, 0, below);
  return x;
}

void measure(const std::string& name, const std::function<void()>& work) {
  std::printf("%s\n", name.c_str());
  work();
  qing_measured(&work);
}

template <class T> void product(const char* name, Trans trans_b, int64_t m, int64_t n, int64_t k) {
  const Tensor a = random({m, k}, 1, dtype_of<T>), b = random({k, n}, 2, dtype_of<T>),
               c = random({m, n}, 3, dtype_of<T>);
  measure(std::string(name) + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k), [&] {
    gemm<T>(Trans::no, trans_b, m, n, k, a.data<T>(), k, b.data<T>(), trans_b == Trans::no ? n : k, c.data<T>(), n);
  });
}

template <class Weights> void packed_product(const char* name, int64_t m, int64_t n, int64_t k) {
  const Tensor a = random({m, k}), b = random({n, k}, 2), c = random({m, n}, 3);
  const Weights weights(Trans::yes, k, n, b.data<float>(), k);
  measure(std::string(name) + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k), [&] {
    if constexpr (std::is_same_v<Weights, PackedMatrix<float>>) {
      gemm(Trans::no, m, a.data<float>(), k, weights, c.data<float>(), n);
    } else {
      gemm(m, a.data<float>(), k, weights, c.data<float>(), n);
    }
  });
}

void products() {
  product<float>("gemm f32 nn", Trans::no, 256, 256, 256);
  product<float>("gemm f32 nt", Trans::yes, 256, 128, 512);
  product<float>("gemm f32 nn", Trans::no, 1, 384, 384);
  product<float>("gemm f32 nt", Trans::yes, 8, 384, 384);
  product<float>("gemm f32 nn", Trans::no, 36, 32, 36);
  product<float>("gemm f32 nn", Trans::no, 257, 129, 65);
  product<double>("gemm f64 nn", Trans::no, 128, 128, 128);
  packed_product<PackedMatrix<float>>("gemm f32 packed", 8, 384, 384);
  packed_product<Bf16Matrix>("gemm bf16", 8, 384, 384);
  packed_product<Int8Matrix>("gemm int8", 8, 384, 384);
}

// A function's forward, and forward with backward.
void differentiable(const std::string& name, const std::vector<Tensor>& leaves,
                    const std::function<Tensor()>& forward) {
  measure(name, [&] {
    const NoGradGuard no_grad;
    forward();
  });
  Tensor gradient;
  {
    const NoGradGuard no_grad;
    gradient = Tensor::full(forward().shape(), 1);
  }
  measure(name + " with backward", [&] {
    for (const Tensor& leaf : leaves) zero_grad(leaf);
    backward(forward(), {.gradient = gradient});
  });
}

void elementwise() {
  const Tensor x = parameter({65536});
  differentiable("exp", {x}, [&] { return exp(x); });
  differentiable("tanh", {x}, [&] { return tanh(x); });
  differentiable("gelu", {x}, [&] { return gelu(x); });
  differentiable("silu", {x}, [&] { return silu(x); });
  differentiable("add", {x}, [&] { return x + x; });
  Generator rng(1);
  differentiable("dropout", {x}, [&] { return dropout(x, 0.1, rng); });
}

void rows() {
  const Tensor x = parameter({512, 128}), weight = parameter({128}, 2), bias = parameter({128}, 3);
  differentiable("softmax", {x}, [&] { return softmax(x); });
  differentiable("logsumexp", {x}, [&] { return logsumexp(x, {-1}); });
  differentiable("layer_norm", {x, weight, bias}, [&] { return layer_norm(x, weight, bias, 1e-5); });
  differentiable("rms_norm", {x, weight}, [&] { return rms_norm(x, weight, 1e-5); });
  const Tensor targets = integers(512, 128);
  differentiable("cross_entropy", {x}, [&] { return cross_entropy(x, targets); });
  differentiable("sum", {x}, [&] { return sum(x); });
  measure("sum over rows", [&] { sum(detach(x), {0}); });
}

void movement() {
  const Tensor table = parameter({2000, 128}), ids = integers(512, 2000);
  differentiable("embedding", {table}, [&] { return embedding(table, ids); });
  const Tensor x = random({256, 384});
  measure("transposed copy", [&] { x.transpose(0, 1).contiguous(); });
}

void attentions() {
  const Tensor q = parameter({4 * 36, 128}, 1), k = parameter(q.shape(), 2), v = parameter(q.shape(), 3);
  const Offsets offsets = {0, 36, 72, 108, 144};
  differentiable("attention", {q, k, v}, [&] { return attention(q, k, v, offsets, 4); });
}

// The ways in which convolutions are computed, and what stands between them in a residual network.
void convolutions() {
  const Tensor x = parameter({2, 32, 14, 14}), bias = parameter({32}, 3);
  const auto convolve = [&](const std::string& name, const Shape& filters, const Conv2dOptions& options) {
    const Tensor weight = parameter(filters, 2);
    differentiable(name, {x, weight}, [&] { return conv2d(x, weight, {}, options); });
  };
  convolve("conv2d 3x3", {32, 32, 3, 3}, {.padding = 1});
  convolve("conv2d 3x3, stride 2", {32, 32, 3, 3}, {.stride = 2, .padding = 1});
  convolve("conv2d 1x1", {64, 32, 1, 1}, {});
  convolve("conv2d 3x3, five filters", {5, 32, 3, 3}, {.padding = 1});
  convolve("conv2d 3x3, depthwise", {32, 1, 3, 3}, {.padding = 1, .groups = 32});
  {
    const AutocastGuard guard;
    convolve("conv2d 3x3 in bf16", {32, 32, 3, 3}, {.padding = 1});
  }
  const Tensor weight = parameter({32}, 4), mean = Tensor::zeros({32}), variance = Tensor::full({32}, 1);
  differentiable("batch_norm_relu", {x, weight, bias},
                 [&] { return batch_norm_relu(x, {}, mean, variance, weight, bias, true, 0.1, 1e-5); });
  differentiable("max_pool2d 3x3, stride 2", {x}, [&] { return max_pool2d(x, 3, {.stride = 2, .padding = 1}); });
  differentiable("avg_pool2d 2x2", {x}, [&] { return avg_pool2d(x, 2); });
}

template <class Optimizer, class Options> void sweep(const char* name, const Options& options) {
  const Tensor weight = parameter({65536});
  backward(weight, {.gradient = random(weight.shape(), 2)});
  Optimizer optimizer({weight}, options);
  measure(name, [&] { optimizer.step(); });
}

}  // namespace

int main() {
  std::printf("isa %s\ncompiler %s\n", kernels::name_of(kernels::active_isa()), __VERSION__);
  products();
  elementwise();
  rows();
  movement();
  attentions();
  convolutions();
  sweep<optim::AdamW>("adamw", optim::AdamWOptions{});
  sweep<optim::Sgd>("sgd", optim::SgdOptions{});
  sweep<optim::Sgd>("sgd with momentum", optim::SgdOptions{.momentum = 0.9});
}
