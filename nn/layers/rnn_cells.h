// One step of a recurrent network, for loops of one's own. Parameters, gates and formulas are those of RNN, LSTM and
// GRU (rnn.h): weight_ih, weight_hh, bias_ih and bias_hh. x is [batch, input] or [input]; states are [batch, hidden] or
// [hidden], and an undefined one is zeros. ShapeError for an input or a state that does not fit, DTypeError for other
// dtypes than the weights'. Constructors throw ValueError for sizes below 1. forward is const: it may be called from
// many threads.
#pragma once

#include <cstdint>

#include <qing/nn/layers/rnn.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// The weights of a step.
class RecurrentCell : public Module {
 public:
  void visit(Visitor& visitor) override;

 protected:
  RecurrentCell(const char* name, int64_t gates, int64_t input_size, int64_t hidden_size, Generator& rng, bool bias);
  /// [batch, input] and [batch, hidden] of what was given, and both products.
  struct Step {
    Tensor x, h, x_gates, h_gates;
  };
  Step begin(const Tensor& x, const Tensor& h) const;
  Tensor state_of(const Tensor& state, const Tensor& x, const char* which) const;

 private:
  const char* name_;
  int64_t input_size_, hidden_size_;
  Tensor weight_ih_, weight_hh_, bias_ih_, bias_hh_;
};

/// The next hidden state.
class RNNCell final : public RecurrentCell {
 public:
  RNNCell(int64_t input_size, int64_t hidden_size, Generator& rng, bool bias = true,
          RnnNonlinearity nonlinearity = RnnNonlinearity::tanh);
  Tensor forward(const Tensor& x, const Tensor& h = {}) const;
  Tensor operator()(const Tensor& x, const Tensor& h = {}) const { return forward(x, h); }

 private:
  RnnNonlinearity nonlinearity_;
};

/// The next states h and c.
class LSTMCell final : public RecurrentCell {
 public:
  LSTMCell(int64_t input_size, int64_t hidden_size, Generator& rng, bool bias = true);
  RecurrentState forward(const Tensor& x, const RecurrentState& state = {}) const;
  RecurrentState operator()(const Tensor& x, const RecurrentState& state = {}) const { return forward(x, state); }
};

/// The next hidden state.
class GRUCell final : public RecurrentCell {
 public:
  GRUCell(int64_t input_size, int64_t hidden_size, Generator& rng, bool bias = true);
  Tensor forward(const Tensor& x, const Tensor& h = {}) const;
  Tensor operator()(const Tensor& x, const Tensor& h = {}) const { return forward(x, h); }
};

}  // namespace qing::nn
