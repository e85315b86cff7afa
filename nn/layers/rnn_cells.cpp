#include <qing/nn/layers/rnn_cells.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/autograd/ops.h>
#include <qing/nn/forgotten_layers.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

RecurrentCell::RecurrentCell(const char* name, int64_t gates, int64_t input_size, int64_t hidden_size, Generator& rng,
                             bool bias)
    : name_(name), input_size_(input_size), hidden_size_(hidden_size) {
  check_at_least(name, "input_size", input_size, 1);
  check_at_least(name, "hidden_size", hidden_size, 1);
  const double bound = 1 / std::sqrt(static_cast<double>(hidden_size));
  const auto drawn = [&](Shape shape) {
    Tensor tensor = Tensor::empty(std::move(shape));
    init::uniform(tensor, rng, -bound, bound);
    return tensor;
  };
  weight_ih_ = drawn({gates * hidden_size, input_size});
  weight_hh_ = drawn({gates * hidden_size, hidden_size});
  if (bias) bias_ih_ = drawn({gates * hidden_size}), bias_hh_ = drawn({gates * hidden_size});
}

void RecurrentCell::visit(Visitor& visitor) {
  visitor.parameter("weight_ih", weight_ih_);
  visitor.parameter("weight_hh", weight_hh_);
  visitor.parameter("bias_ih", bias_ih_);
  visitor.parameter("bias_hh", bias_hh_);
}

// As a matrix with a row for each row of x, also a matrix.
Tensor RecurrentCell::state_of(const Tensor& state, const Tensor& x, const char* which) const {
  if (!state.defined()) return Tensor::zeros({x.size(0), hidden_size_}, x.dtype());
  Tensor rows = state.dim() == 1 ? unsqueeze(state, 0) : state;
  if (rows.shape() == Shape{x.size(0), hidden_size_}) return rows;
  throw ShapeError(fmt::format("{}: the state {} is {}, needs [{}, {}]", name_, which, to_string(state.shape()),
                               x.size(0), hidden_size_));
}

RecurrentCell::Step RecurrentCell::begin(const Tensor& input, const Tensor& hidden) const {
  if ((input.dim() != 1 && input.dim() != 2) || input.size(-1) != input_size_) {
    throw ShapeError(
        fmt::format("{}: x {}; needs [batch, {}] or [{}]", name_, to_string(input.shape()), input_size_, input_size_));
  }
  const Tensor x = input.dim() == 1 ? unsqueeze(input, 0) : input;
  const Tensor h = state_of(hidden, x, "h");
  note_use(*this, weight_ih_);
  return {x, h, linear(x, weight_ih_, bias_ih_), linear(h, weight_hh_, bias_hh_)};
}

namespace {

// A result for x: without a batch if x has none.
Tensor like_input(const Tensor& rows, const Tensor& x) { return x.dim() == 1 ? squeeze(rows, 0) : rows; }

}  // namespace

RNNCell::RNNCell(int64_t input_size, int64_t hidden_size, Generator& rng, bool bias, RnnNonlinearity nonlinearity)
    : RecurrentCell("RNNCell", 1, input_size, hidden_size, rng, bias), nonlinearity_(nonlinearity) {}

Tensor RNNCell::forward(const Tensor& x, const Tensor& h) const {
  const Step step = begin(x, h);
  const Tensor sum = step.x_gates + step.h_gates;
  return like_input(nonlinearity_ == RnnNonlinearity::tanh ? tanh(sum) : relu(sum), x);
}

LSTMCell::LSTMCell(int64_t input_size, int64_t hidden_size, Generator& rng, bool bias)
    : RecurrentCell("LSTMCell", 4, input_size, hidden_size, rng, bias) {}

RecurrentState LSTMCell::forward(const Tensor& x, const RecurrentState& state) const {
  const Step step = begin(x, state.h);
  const Tensor both = lstm_cell(step.x_gates, step.h_gates, state_of(state.c, step.x, "c"));
  return {like_input(select(both, 0, 0), x), like_input(select(both, 0, 1), x)};
}

GRUCell::GRUCell(int64_t input_size, int64_t hidden_size, Generator& rng, bool bias)
    : RecurrentCell("GRUCell", 3, input_size, hidden_size, rng, bias) {}

Tensor GRUCell::forward(const Tensor& x, const Tensor& h) const {
  const Step step = begin(x, h);
  return like_input(gru_cell(step.x_gates, step.h_gates, step.h), x);
}

}  // namespace qing::nn
