// Recurrent networks, with PyTorch's parameter names and gate order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <qing/autograd/ops/attention.h>
#include <qing/nn/module.h>

namespace qing::nn {

struct RecurrentOptions {
  int64_t num_layers = 1;
  bool bias = true;
  bool batch_first = false;  ///< dense inputs are [batch, time, ...] instead of [time, batch, ...]
  double dropout = 0;        ///< dropout of the output of every layer except the last, in training mode
  bool bidirectional = false;
};

/// States, [num_layers·directions, batch, hidden]: layer after layer, forward before reverse.
struct RecurrentState {
  Tensor h = {}, c = {};  ///< only LSTM has c. Undefined: zeros.
};

/// output [..., directions·hidden] in the layout of the input, and the state after each sequence's last step.
struct RecurrentResult {
  Tensor output;
  RecurrentState state;
};

/// The base of RNN, LSTM and GRU. Parameters of layer k are weight_ih_lk [gates·hidden, input], weight_hh_lk
/// [gates·hidden, hidden], bias_ih_lk and bias_hh_lk. Those of the reverse direction end in _reverse. All are
/// initialised uniformly in ±1/sqrt(hidden). The input projection of all steps is one product.
class Recurrent : public Module {
 public:
  void visit(Visitor& visitor) override;
  /// x is [time, batch, input], or [batch, time, input] with batch_first. In training mode `rng` feeds the dropout
  /// (ValueError if null then). ShapeError for an input or a state that does not fit.
  RecurrentResult forward(const Tensor& x, const RecurrentState& initial = {}, Generator* rng = nullptr) const;
  RecurrentResult operator()(const Tensor& x, const RecurrentState& initial = {}, Generator* rng = nullptr) const {
    return forward(x, initial, rng);
  }
  /// A ragged batch: x is [tokens, input], and sequence s has the rows offsets[s] to offsets[s+1], without padding. A
  /// sequence without rows keeps its initial state. ValueError for offsets that do not cover x.
  RecurrentResult forward(const Tensor& x, const Offsets& offsets, const RecurrentState& initial = {},
                          Generator* rng = nullptr) const;
  RecurrentResult operator()(const Tensor& x, const Offsets& offsets, const RecurrentState& initial = {},
                             Generator* rng = nullptr) const {
    return forward(x, offsets, initial, rng);
  }

 protected:
  enum class Cell { rnn_tanh, rnn_relu, lstm, gru };
  Recurrent(const char* name, Cell cell, int64_t input_size, int64_t hidden_size, Generator& rng,
            RecurrentOptions options);

 private:
  struct Weights {
    std::string suffix;  // "_l0", "_l0_reverse", ...
    Tensor ih, hh, bias_ih, bias_hh;
  };
  struct Schedule;
  struct Track;
  RecurrentState step(const Tensor& x_gates, const Tensor& h_gates, const RecurrentState& before) const;
  void run_direction(const Tensor& x, size_t index, const Schedule& schedule, const RecurrentState& initial,
                     Track& track) const;
  RecurrentResult run(const Tensor& rows, const Schedule& schedule, const RecurrentState& initial,
                      Generator* rng) const;
  void check_state(const Tensor& state, const char* which, int64_t batch) const;

  const char* name_;
  Cell cell_;
  int64_t input_size_, hidden_size_;
  RecurrentOptions options_;
  std::vector<Weights> weights_;  // layer after layer, forward before reverse
};

enum class RnnNonlinearity { tanh, relu };
/// h' = tanh(W_ih·x + b_ih + W_hh·h + b_hh), or relu (Elman 1990).
class RNN : public Recurrent {
 public:
  RNN(int64_t input_size, int64_t hidden_size, Generator& rng, RecurrentOptions options = {},
      RnnNonlinearity nonlinearity = RnnNonlinearity::tanh);
};

/// See lstm_cell. Gates are i, f, g, o.
class LSTM : public Recurrent {
 public:
  LSTM(int64_t input_size, int64_t hidden_size, Generator& rng, RecurrentOptions options = {});
};

/// See gru_cell. Gates are r, z, n.
class GRU : public Recurrent {
 public:
  GRU(int64_t input_size, int64_t hidden_size, Generator& rng, RecurrentOptions options = {});
};

}  // namespace qing::nn
