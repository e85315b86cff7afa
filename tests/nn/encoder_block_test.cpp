#include <gtest/gtest.h>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/gradcheck.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/tensor/ops/compare.h>

#include "nn/normal_tensor.h"

namespace qing::nn {
namespace {

using Activation = FeedForwardActivation;

Tensor normal(Shape shape, Generator& rng) { return test::normal(std::move(shape), rng).to(DType::f64); }

Tensor activated(const Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::relu: return relu(x);
    case Activation::gelu: return gelu(x);
    case Activation::gelu_tanh: return gelu(x, Approximation::tanh);
    case Activation::silu: return silu(x);
  }
  return {};
}

// The layer composed of single operations, without fused or packed ones.
Tensor composed(TransformerEncoderLayer& layer, const TransformerOptions& options, const Tensor& x,
                const Offsets& offsets) {
  const StateDict w = layer.state_dict();
  const auto norm = [&](const Tensor& rows, const std::string& name) {
    const Tensor& weight = w.at(name + ".weight");
    return options.norm == NormKind::rms_norm ? rms_norm(rows, weight.shape(), weight, options.layer_norm_eps)
                                              : layer_norm(rows, weight, w.at(name + ".bias"), options.layer_norm_eps);
  };
  const auto product = [&](const Tensor& rows, const std::string& name) {
    return linear(rows, w.at(name + ".weight"), w.at(name + ".bias"));
  };
  const auto attend = [&](const Tensor& rows) {
    const auto part = [&](int64_t i) {
      return linear(rows, slice(w.at("self_attn.in_proj_weight"), 0, 8 * i, 8 * i + 8),
                    slice(w.at("self_attn.in_proj_bias"), 0, 8 * i, 8 * i + 8));
    };
    return product(attention(part(0), part(1), part(2), offsets, 2), "self_attn.out_proj");
  };
  const auto feed = [&](const Tensor& rows) {
    return product(activated(product(rows, "linear1"), options.activation), "linear2");
  };
  if (options.norm_first) {
    const Tensor h = x + attend(norm(x, "norm1"));
    return h + feed(norm(h, "norm2"));
  }
  const Tensor h = norm(x + attend(x), "norm1");
  return norm(h + feed(h), "norm2");
}

class EncoderBlockOf : public ::testing::TestWithParam<std::tuple<bool, Activation, NormKind>> {
 protected:
  EncoderBlockOf() {
    layer_.to(DType::f64);
    for (const Tensor& parameter : layer_.parameters()) parameter.alias().copy_from(normal(parameter.shape(), rng_));
  }
  Generator rng_{3};
  TransformerOptions options_{.dim_feedforward = 12,
                              .activation = std::get<1>(GetParam()),
                              .norm_first = std::get<0>(GetParam()),
                              .norm = std::get<2>(GetParam())};
  TransformerEncoderLayer layer_{8, 2, rng_, options_};
  Offsets offsets_{0, 3, 3, 4, 9};
  Tensor x_ = normal({9, 8}, rng_);
};

TEST_P(EncoderBlockOf, EqualsItsComposition) {
  EXPECT_TRUE(allclose(layer_.forward(x_, offsets_), composed(layer_, options_, x_, offsets_), 1e-11, 1e-11));
}

TEST_P(EncoderBlockOf, ReturnsTheWantedRows) {
  const Tensor rows = Tensor::of({0, 3, 8}, DType::i64);
  const Tensor wanted = layer_.forward_rows(index_select(x_, 0, rows), {0, 1, 1, 2, 3}, x_, offsets_);
  EXPECT_TRUE(allclose(wanted, index_select(layer_.forward(x_, offsets_), 0, rows), 1e-11, 1e-11));
}

TEST_P(EncoderBlockOf, HasTheGradientsOfDifferences) {
  set_requires_grad(x_);
  const auto result = gradcheck([&](const auto& in) { return layer_.forward(in[0], offsets_); }, {x_});
  EXPECT_TRUE(result.ok) << result.message;
}

INSTANTIATE_TEST_SUITE_P(Options, EncoderBlockOf,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(Activation::relu, Activation::gelu, Activation::gelu_tanh,
                                                              Activation::silu),
                                            ::testing::Values(NormKind::layer_norm, NormKind::rms_norm)));

}  // namespace
}  // namespace qing::nn
