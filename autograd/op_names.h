// The names of all differentiable operations. An operation that is not listed here cannot be recorded: it does not
// compile. The gradient test does not compile while a listed operation has no sample.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include <qing/tensor/kernels/unary_functions.h>

namespace qing {

/// How often an operation can be differentiated. `second`: when GradSink::create_graph() asks for it, the backward
/// itself consists of differentiable operations.
enum class Order : uint8_t { first, second };

struct OpInfo {
  std::string_view name;
  Order order;
};

inline constexpr Order kFirst = Order::first, kSecond = Order::second;

inline constexpr auto kOtherOps = std::to_array<OpInfo>({
    // elementwise
    {"add", kSecond},
    {"sub", kSecond},
    {"mul", kSecond},
    {"div", kSecond},
    {"addcmul", kSecond},
    {"addcdiv", kSecond},
    {"lerp", kSecond},
    {"exp2", kSecond},
    {"log2", kSecond},
    {"log10", kSecond},
    {"log1p", kSecond},
    {"sin", kSecond},
    {"cos", kSecond},
    {"tan", kSecond},
    {"asin", kSecond},
    {"acos", kSecond},
    {"atan", kSecond},
    {"sinh", kSecond},
    {"cosh", kSecond},
    {"asinh", kSecond},
    {"acosh", kSecond},
    {"atanh", kSecond},
    {"erf", kSecond},
    {"erfc", kSecond},
    {"sinc", kSecond},
    {"logit", kSecond},
    {"selu", kSecond},
    {"celu", kSecond},
    {"pow", kSecond},
    {"fmod", kSecond},
    {"remainder", kSecond},
    {"floor_divide", kSecond},
    {"atan2", kSecond},
    {"hypot", kSecond},
    {"logaddexp", kSecond},
    {"copysign", kSecond},
    {"xlogy", kSecond},
    {"where", kSecond},
    {"maximum", kSecond},
    {"minimum", kSecond},
    {"fmax", kSecond},
    {"fmin", kSecond},
    {"nan_to_num", kSecond},
    {"heaviside", kSecond},
    {"dropout", kSecond},
    // views and copies
    {"reshape", kSecond},
    {"transpose", kSecond},
    {"permute", kSecond},
    {"expand", kSecond},
    {"slice", kSecond},
    {"select", kSecond},
    {"view", kSecond},
    {"clone", kSecond},
    {"to", kSecond},
    // in-place writes; those of arithmetic have the names of the functions
    {"copy_from", kSecond},
    {"fill", kSecond},
    {"masked_fill", kSecond},
    {"view_write", kSecond},
    // reductions
    {"sum", kSecond},
    {"mean", kSecond},
    {"var", kSecond},
    {"std", kSecond},
    {"amax", kSecond},
    {"amin", kSecond},
    {"logsumexp", kSecond},
    {"norm", kSecond},
    // scans and softmax
    {"cumsum", kSecond},
    {"cumprod", kSecond},
    {"softmax", kSecond},
    {"log_softmax", kSecond},
    // joining and arranging
    {"cat", kSecond},
    {"pad", kSecond},
    {"tril", kSecond},
    {"triu", kSecond},
    {"diag_embed", kSecond},
    // indexing
    {"index_select", kSecond},
    {"index_add", kSecond},
    {"gather", kSecond},
    {"scatter", kSecond},
    {"scatter_add", kSecond},
    {"scatter_reduce", kSecond},
    {"embedding", kSecond},
    // sorting
    {"sort", kSecond},
    {"topk", kSecond},
    {"kthvalue", kSecond},
    {"median", kSecond},
    {"max", kSecond},
    {"min", kSecond},
    {"cummax", kSecond},
    {"cummin", kSecond},
    // rows
    {"layer_norm", kSecond},
    {"rms_norm", kSecond},
    {"batch_norm", kSecond},
    {"dropout_add_layer_norm", kFirst},
    {"embedding_layer_norm", kFirst},
    // losses
    {"cross_entropy", kSecond},
    {"linear_cross_entropy", kFirst},
    {"nll_loss", kSecond},
    {"mse_loss", kSecond},
    {"l1_loss", kSecond},
    {"smooth_l1_loss", kSecond},
    {"huber_loss", kSecond},
    {"binary_cross_entropy", kSecond},
    {"binary_cross_entropy_with_logits", kSecond},
    {"kl_div", kSecond},
    {"ctc_loss", kFirst},
    // products
    {"matmul", kSecond},
    {"linear", kSecond},
    {"linear_gelu", kFirst},
    {"linear_joined", kSecond},
    {"attention", kSecond},
    {"scaled_dot_product_attention", kSecond},
    {"rotary_embedding", kSecond},
    // convolutions and pooling
    {"conv2d", kSecond},
    {"conv_transpose2d", kSecond},
    {"max_pool2d", kSecond},
    {"avg_pool2d", kSecond},
    {"adaptive_avg_pool2d", kSecond},
    {"adaptive_max_pool2d", kSecond},
    {"interpolate", kSecond},
    // linear algebra
    {"inv", kSecond},
    {"solve", kSecond},
    {"solve_triangular", kSecond},
    {"det", kSecond},
    {"slogdet", kSecond},
    {"cholesky", kSecond},
    {"qr", kFirst},
    {"eigh", kFirst},
    {"svd", kFirst},
    {"fft", kSecond},
    // recurrent networks
    {"lstm_cell", kFirst},
    {"gru_cell", kFirst},
    {"merge_rows", kFirst},
    // others
    {"checkpoint", kFirst},
});

/// The functions with a vector form, by their own names; see unary_functions.h.
template <size_t... op> constexpr auto unary_ops(std::index_sequence<op...>) {
  return std::to_array<OpInfo>({{kernels::Function<static_cast<kernels::Unary>(op)>::name, kSecond}...});
}

/// All of them.
inline constexpr auto kOps = [] {
  constexpr auto functions = unary_ops(std::make_index_sequence<static_cast<size_t>(kernels::Unary::count)>());
  std::array<OpInfo, functions.size() + kOtherOps.size()> all = {};
  std::copy(functions.begin(), functions.end(), all.begin());
  std::copy(kOtherOps.begin(), kOtherOps.end(), all.begin() + functions.size());
  return all;
}();

/// The name of an operation. The compiler checks a literal against kOps. Operations defined outside qing use
/// OpName::custom.
class OpName {
 public:
  consteval OpName(const char* name) : name_(name) {  // NOLINT(google-explicit-constructor): reads as a literal
    for (const OpInfo& known : kOps) {
      if (known.name == name) {
        order_ = known.order;
        return;
      }
    }
    throw "no operation of qing; name your own by OpName::custom(name, order), and list one of qing in kOps";
  }
  /// `name` must outlive every graph: a string literal.
  static OpName custom(const char* name, Order order = Order::first) { return OpName(name, order); }
  const char* c_str() const { return name_; }
  Order order() const { return order_; }

 private:
  OpName(const char* name, Order order) : name_(name), order_(order) {}
  const char* name_;
  Order order_ = Order::first;
};

}  // namespace qing
