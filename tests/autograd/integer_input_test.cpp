// When an operation on floating tensors gets integers, the error names it and not one of its inner operations.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <qing/autograd/ops.h>
#include <qing/tensor/creation.h>

#include "nn/temp_folder.h"

namespace qing {
namespace {

TEST(IntegerInput, IsRefusedInTheNameOfTheOperation) {
  const Tensor x = Tensor::of({{1, 2}, {3, 4}}, DType::i64), row = Tensor::of({1, 2}, DType::i64);
  const Tensor image = Tensor::of({{{{1, 2}, {3, 4}}}}, DType::i64), lane = image[0];
  const std::vector<std::pair<std::string, std::function<Tensor()>>> calls = {
      {"mean", [&] { return mean(x); }},
      {"mean", [&] { return mean(x, {1}); }},
      {"var", [&] { return var(x); }},
      {"std", [&] { return qing::std(x); }},
      {"norm", [&] { return norm(x); }},
      {"logsumexp", [&] { return logsumexp(x, {0}); }},
      {"softmax", [&] { return softmax(x); }},
      {"log_softmax", [&] { return log_softmax(x); }},
      {"normalize", [&] { return normalize(x); }},
      {"cosine_similarity", [&] { return cosine_similarity(x, x); }},
      {"pairwise_distance", [&] { return pairwise_distance(x, x); }},
      {"matmul", [&] { return matmul(x, x); }},
      {"linear", [&] { return linear(x, x); }},
      {"addmm", [&] { return addmm(x, x, x); }},
      {"addcmul", [&] { return addcmul(x, x, x); }},
      {"lerp", [&] { return lerp(x, x, 0.5); }},
      {"pow", [&] { return pow(x, 2); }},
      {"neg", [&] { return -x; }},
      {"abs", [&] { return abs(x); }},
      {"exp", [&] { return exp(x); }},
      {"relu6", [&] { return relu6(x); }},
      {"elu", [&] { return elu(x); }},
      {"logit", [&] { return logit(x, 0.1); }},
      {"glu", [&] { return glu(x); }},
      {"swiglu", [&] { return swiglu(x); }},
      {"clamp", [&] { return clamp(x, 0, 1); }},
      {"clamp_min", [&] { return clamp_min(x, 0); }},
      {"clamp_max", [&] { return clamp_max(x, 0); }},
      {"maximum", [&] { return maximum(x, x); }},
      {"nan_to_num", [&] { return nan_to_num(x); }},
      {"baddbmm", [&] { return baddbmm(lane, lane, lane); }},
      {"conv_transpose1d", [&] { return conv_transpose1d(lane, lane); }},
      {"adaptive_max_pool1d", [&] { return adaptive_max_pool1d(lane, 1); }},
      {"max_pool1d", [&] { return max_pool1d(lane, 2); }},
      {"avg_pool1d", [&] { return avg_pool1d(lane, 2); }},
      {"rms_norm", [&] { return rms_norm(x, row, 1e-5); }},
      {"conv2d", [&] { return conv2d(image, image); }},
      {"conv1d", [&] { return conv1d(lane, lane); }},
      {"max_pool2d", [&] { return max_pool2d(image, 2); }},
      {"avg_pool2d", [&] { return avg_pool2d(image, 2); }},
      {"adaptive_avg_pool1d", [&] { return adaptive_avg_pool1d(lane, 1); }},
      {"interpolate",
       [&] {
         return interpolate(image, {4, 4});
       }},
      {"mse_loss", [&] { return mse_loss(x, x); }},
      {"l1_loss", [&] { return l1_loss(x, x); }},
      {"margin_ranking_loss", [&] { return margin_ranking_loss(x, x, x); }},
      {"hinge_embedding_loss", [&] { return hinge_embedding_loss(x, x); }},
      {"cosine_embedding_loss", [&] { return cosine_embedding_loss(x, x, row); }},
      {"triplet_margin_loss", [&] { return triplet_margin_loss(x, x, x); }},
  };
  for (const auto& [name, call] : calls) {
    std::string message = "nothing was thrown";
    try {
      call();
    } catch (const DTypeError& error) { message = error.what(); } catch (const std::exception& error) {
      message = std::string("another type: ") + error.what();
    }
    EXPECT_EQ(message.rfind(name + ": ", 0), 0U) << name << " says: " << message;
  }
}

}  // namespace
}  // namespace qing
