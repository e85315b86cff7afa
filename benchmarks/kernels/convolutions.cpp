// Convolutions and what stands between them, at the shapes of ResNet-18 on images of 224 x 224 and of small networks on
// images of 28 x 28.
#include <qing/autograd/autocast.h>
#include <qing/autograd/ops.h>

#include "bench.h"

namespace qing::bench {
namespace {

// images, channels, side, filters, kernel, stride, groups; padded to the same side at stride 1.
struct Convolved {
  explicit Convolved(const benchmark::State& state)
      : images(state.range(0)),
        channels(state.range(1)),
        side(state.range(2)),
        filters(state.range(3)),
        kernel(state.range(4)),
        options{.stride = state.range(5), .padding = kernel / 2, .groups = state.range(6)} {}
  Shape image_shape() const { return {images, channels, side, side}; }
  Shape weight_shape() const { return {filters, channels / options.groups, kernel, kernel}; }
  double flops(const Shape& result) const {
    return 2.0 * static_cast<double>(numel_of(result) * (channels / options.groups) * kernel * kernel);
  }
  int64_t images, channels, side, filters, kernel;
  Conv2dOptions options;
};

void convolution_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"images", "channels", "side", "filters", "kernel", "stride", "groups"});
  b->UseRealTime()->Unit(benchmark::kMicrosecond);
  b->Args({4, 3, 224, 64, 7, 2, 1});
  b->Args({4, 64, 56, 64, 3, 1, 1});
  b->Args({4, 128, 28, 256, 3, 2, 1});
  b->Args({4, 64, 56, 256, 1, 1, 1});
  b->Args({64, 1, 28, 32, 3, 1, 1});
  b->Args({64, 32, 28, 64, 3, 2, 1});
  b->Args({64, 128, 7, 128, 3, 1, 1});
  b->Args({64, 256, 4, 256, 3, 1, 1});
  b->Args({4, 128, 28, 128, 3, 1, 128});  // depthwise
  b->Args({4, 128, 28, 4, 3, 1, 1});      // too few filters for vectors: columns and GEMM
}

void conv2d_forward(benchmark::State& state) {
  const Convolved c(state);
  const Tensor x = random(c.image_shape()), weight = random(c.weight_shape(), DType::f32, 2);
  measure(state, [&] { return conv2d(x, weight, {}, c.options); });
  count_flops(state, c.flops(conv2d(x, weight, {}, c.options).shape()));
}
void conv2d_backward(benchmark::State& state) {
  const Convolved c(state);
  const Tensor x = parameter(c.image_shape()), weight = parameter(c.weight_shape(), 2);
  measure_backward(state, {x, weight}, [&] { return conv2d(x, weight, {}, c.options); });
  const NoGradGuard no_grad;
  count_flops(state, 3 * c.flops(conv2d(x, weight, {}, c.options).shape()));
}
BENCHMARK(conv2d_forward)->Name("conv2d")->Apply(convolution_sizes);
BENCHMARK(conv2d_backward)->Apply(convolution_sizes);

// The same with operands rounded to bf16, but for groups, which are computed in f32.
void conv2d_bf16_forward(benchmark::State& state) {
  const AutocastGuard guard;
  conv2d_forward(state);
}
void conv2d_bf16_backward(benchmark::State& state) {
  const AutocastGuard guard;
  conv2d_backward(state);
}
BENCHMARK(conv2d_bf16_forward)->Name("conv2d_bf16")->Apply(convolution_sizes);
BENCHMARK(conv2d_bf16_backward)->Apply(convolution_sizes);

void image_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"images", "channels", "side"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  b->Args({4, 64, 56})->Args({64, 32, 28})->Args({64, 128, 7});
}
Shape images_of(const benchmark::State& state) {
  return {state.range(0), state.range(1), state.range(2), state.range(2)};
}

void batch_norm_relu_backward(benchmark::State& state) {
  const Tensor x = parameter(images_of(state)), weight = parameter({state.range(1)}, 2);
  const Tensor mean = Tensor::zeros({state.range(1)}), variance = Tensor::full({state.range(1)}, 1);
  measure_backward(state, {x, weight},
                   [&] { return batch_norm_relu(x, {}, mean, variance, weight, weight, true, 0.1, 1e-5); });
  count_bytes(state, 6 * 4 * x.numel());
}
BENCHMARK(batch_norm_relu_backward)->Apply(image_sizes);

void max_pool2d_forward(benchmark::State& state) {
  const Tensor x = random(images_of(state));
  measure(state, [&] { return max_pool2d(x, 3, {.stride = 2, .padding = 1}); });
  count_bytes(state, 5 * x.numel());
}
void avg_pool2d_forward(benchmark::State& state) {
  const Tensor x = random(images_of(state));
  measure(state, [&] { return avg_pool2d(x, 2); });
  count_bytes(state, 5 * x.numel());
}
BENCHMARK(max_pool2d_forward)->Name("max_pool2d")->Apply(image_sizes);
BENCHMARK(avg_pool2d_forward)->Name("avg_pool2d")->Apply(image_sizes);

}  // namespace
}  // namespace qing::bench
