// Automatic differentiation from scratch, for single numbers: each remembers what it was computed from. The gradients
// of a small network are compared with qing's.
#include <qing/qing.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace small {

// A number of the graph. d(value)/d(input) is known when the value is computed.
struct Node {
  double value = 0, gradient = 0;
  int order = 0;
  std::vector<std::shared_ptr<Node>> inputs = {};
  std::vector<double> slopes = {};
};

class Number {
 public:
  Number(double value) : Number(value, {}, {}) {}
  double value() const { return node_->value; }
  double gradient() const { return node_->gradient; }

  // Adds d(this)/d(node) to the gradient of every node below.
  void backward() const {
    std::set<Node*> found;
    std::vector<Node*> open = {node_.get()};
    while (!open.empty()) {
      Node* const node = open.back();
      open.pop_back();
      if (!found.insert(node).second) continue;
      for (const auto& input : node->inputs) open.push_back(input.get());
    }
    // Inputs are older than results. From the newest on, a node's gradient is complete when its turn comes.
    std::vector<Node*> nodes(found.begin(), found.end());
    std::sort(nodes.begin(), nodes.end(), [](const Node* a, const Node* b) { return a->order > b->order; });
    node_->gradient = 1;
    for (const Node* node : nodes) {
      for (size_t i = 0; i < node->inputs.size(); ++i) node->inputs[i]->gradient += node->gradient * node->slopes[i];
    }
  }

  // The chain rule needs nothing but the slopes of each operation.
  friend Number operator+(const Number& a, const Number& b) { return {a.value() + b.value(), {a, b}, {1, 1}}; }
  friend Number operator-(const Number& a, const Number& b) { return {a.value() - b.value(), {a, b}, {1, -1}}; }
  friend Number operator*(const Number& a, const Number& b) {
    return {a.value() * b.value(), {a, b}, {b.value(), a.value()}};
  }
  friend Number tanh(const Number& x) {
    const double y = std::tanh(x.value());
    return {y, {x}, {1 - y * y}};
  }

 private:
  Number(double value, const std::vector<Number>& inputs, std::vector<double> slopes)
      : node_(std::make_shared<Node>(Node{.value = value, .order = ++created, .slopes = std::move(slopes)})) {
    for (const Number& input : inputs) node_->inputs.push_back(input.node_);
  }

  static inline int created = 0;
  std::shared_ptr<Node> node_;
};

}  // namespace small

// A network with two hidden values, on one example: the same text for both kinds of numbers.
template <class T> T loss_of(const std::vector<T>& w) {
  const T x = w[6], target = w[7];
  const T first = tanh(w[0] * x + w[1]), second = tanh(w[2] * x + w[3]);
  const T error = first * w[4] + second * w[5] - target;
  return error * error;
}

int main() try {
  const std::vector<double> values = {0.5, -0.2, -1.0, 0.3, 0.8, -0.6, /* x */ 1.5, /* target */ 0.25};
  std::vector<small::Number> ours(values.begin(), values.end());
  std::vector<qing::Tensor> theirs;
  for (const double value : values) {
    theirs.push_back(qing::Tensor::full({}, value, qing::DType::f64));
    qing::set_requires_grad(theirs.back());
  }
  const small::Number ours_loss = loss_of(ours);
  const qing::Tensor theirs_loss = loss_of(theirs);
  ours_loss.backward();
  qing::backward(theirs_loss);
  std::printf("loss %.6f and qing's %.6f\n", ours_loss.value(), theirs_loss.item());
  for (size_t i = 0; i < 6; ++i) {
    std::printf("dJ/dw%zu %9.6f and qing's %9.6f\n", i, ours[i].gradient(), qing::grad(theirs[i]).item());
  }
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
