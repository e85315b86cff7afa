// The names of every differentiable operation, in one list. Recording an operation that is not listed does not compile,
// and neither does the gradient test while a listed one has no sample.
#pragma once

#include <array>
#include <string_view>

namespace qing {

inline constexpr std::array kOpNames = {
    // elementwise
    "add", "sub", "mul", "div", "scale", "neg", "exp", "log", "sqrt", "tanh", "sigmoid", "relu", "gelu", "dropout",
    // views
    "reshape", "transpose", "permute", "expand", "slice", "select",
    // reductions and rows
    "sum", "mean", "softmax", "layer_norm", "index_rows", "embedding", "cross_entropy",
    // products
    "matmul", "linear", "linear_gelu", "attention", "dropout_add_layer_norm"};

/// The name of an operation. A literal is checked against kOpNames by the compiler; operations defined outside qing use
/// OpName::custom.
class OpName {
 public:
  consteval OpName(const char* name) : name_(name) {  // NOLINT(google-explicit-constructor): reads as a literal
    for (const std::string_view known : kOpNames) {
      if (known == name) return;
    }
    throw "not in kOpNames: add the operation there and a sample to its gradient test";
  }
  /// `name` must outlive every graph: a string literal.
  static OpName custom(const char* name) { return OpName(name, Custom{}); }
  const char* c_str() const { return name_; }

 private:
  struct Custom {};
  OpName(const char* name, Custom) : name_(name) {}
  const char* name_;
};

}  // namespace qing
