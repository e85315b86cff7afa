#include <qing/nn/layers/rnn.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <qing/autograd/ops.h>
#include <qing/nn/forgotten_layers.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/training_mode.h>

namespace qing::nn {

// The schedule of the input rows. Sequences are sorted by decreasing length, so that the unfinished ones are always the
// first ones.
struct Recurrent::Schedule {
  std::vector<int64_t> order;           // the batch's sequences, longest first
  std::vector<int64_t> first, lengths;  // first row and number of steps of each sequence of the batch
  int64_t stride;                       // between the rows of a sequence
  int64_t rows = 0;

  Schedule(std::vector<int64_t> first_rows, std::vector<int64_t> steps, int64_t row_stride)
      : order(first_rows.size()), first(std::move(first_rows)), lengths(std::move(steps)), stride(row_stride) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
    rows = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  }

  int64_t batch() const { return static_cast<int64_t>(order.size()); }
  int64_t steps() const { return order.empty() ? 0 : lengths[order[0]]; }
  /// Number of sequences with a step t.
  int64_t active(int64_t t) const {
    return std::partition_point(order.begin(), order.end(), [&](int64_t s) { return lengths[s] > t; }) - order.begin();
  }
  /// scale·row + shift for the rows of step t, in the order of the sequences.
  Tensor rows_of(int64_t t, bool reverse, int64_t scale, int64_t shift) const {
    Tensor found = Tensor::empty({active(t)}, DType::i64);
    int64_t* out = found.data<int64_t>();
    for (int64_t i = 0; i < found.numel(); ++i) {
      const int64_t s = order[i], at = reverse ? lengths[s] - 1 - t : t;
      out[i] = scale * (first[s] + at * stride) + shift;
    }
    return found;
  }
  /// shift + the sequences at positions [begin, end) of the order.
  Tensor sequences(int64_t begin, int64_t end, int64_t shift) const {
    Tensor found = Tensor::empty({end - begin}, DType::i64);
    for (int64_t i = begin; i < end; ++i) found.data<int64_t>()[i - begin] = shift + order[i];
    return found;
  }
};

// The results of the steps of all directions and their rows.
struct Recurrent::Track {
  std::vector<Tensor> outputs, output_rows;  // of one layer
  std::vector<Tensor> h, c, state_rows;      // final states of all layers
};

Recurrent::Recurrent(const char* name, Cell cell, int64_t input_size, int64_t hidden_size, Generator& rng,
                     RecurrentOptions options)
    : name_(name), cell_(cell), input_size_(input_size), hidden_size_(hidden_size), options_(options) {
  check_at_least(name, "input_size", input_size, 1);
  check_at_least(name, "hidden_size", hidden_size, 1);
  check_at_least(name, "num_layers", options.num_layers, 1);
  check_probability(name, options.dropout);
  const int64_t gates = cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1;
  const int64_t directions = options.bidirectional ? 2 : 1;
  const double bound = 1 / std::sqrt(static_cast<double>(hidden_size));
  const auto draw = [&](Shape shape) {
    Tensor tensor = Tensor::empty(std::move(shape));
    init::uniform(tensor, rng, -bound, bound);
    return tensor;
  };
  for (int64_t layer = 0; layer < options.num_layers; ++layer) {
    const int64_t in = layer == 0 ? input_size : directions * hidden_size;
    for (int64_t d = 0; d < directions; ++d) {
      Weights w{.suffix = fmt::format("_l{}{}", layer, d == 1 ? "_reverse" : ""),
                .ih = draw({gates * hidden_size, in}),
                .hh = draw({gates * hidden_size, hidden_size}),
                .bias_ih = {},
                .bias_hh = {}};
      if (options.bias) w.bias_ih = draw({gates * hidden_size}), w.bias_hh = draw({gates * hidden_size});
      weights_.push_back(std::move(w));
    }
  }
}

void Recurrent::visit(Visitor& visitor) {
  for (Weights& w : weights_) {
    visitor.parameter("weight_ih" + w.suffix, w.ih);
    visitor.parameter("weight_hh" + w.suffix, w.hh);
    visitor.parameter("bias_ih" + w.suffix, w.bias_ih);
    visitor.parameter("bias_hh" + w.suffix, w.bias_hh);
  }
}

RecurrentState Recurrent::step(const Tensor& x_gates, const Tensor& h_gates, const RecurrentState& before) const {
  switch (cell_) {
    case Cell::rnn_tanh: return {tanh(x_gates + h_gates), {}};
    case Cell::rnn_relu: return {relu(x_gates + h_gates), {}};
    case Cell::gru: return {gru_cell(x_gates, h_gates, before.h), {}};
    case Cell::lstm: break;
  }
  const Tensor both = lstm_cell(x_gates, h_gates, before.c);
  return {select(both, 0, 0), select(both, 0, 1)};
}

void Recurrent::run_direction(const Tensor& x, size_t index, const Schedule& schedule, const RecurrentState& initial,
                              Track& track) const {
  const Weights& w = weights_[index];
  const int64_t directions = options_.bidirectional ? 2 : 1, at = static_cast<int64_t>(index);
  const bool reverse = at % directions == 1;
  note_use(*this, w.ih);
  const Tensor x_gates = linear(x, w.ih, w.bias_ih);
  const Tensor order = schedule.sequences(0, schedule.batch(), 0);
  const auto begin_with = [&](const Tensor& given) {
    if (!given.defined()) return Tensor::zeros({schedule.batch(), hidden_size_}, x.dtype());
    return index_select(select(given, 0, at), 0, order);
  };
  RecurrentState now{begin_with(initial.h), cell_ == Cell::lstm ? begin_with(initial.c) : Tensor()};
  const auto finish = [&](int64_t from) {  // the sequences from `from` on have made their last step
    const int64_t count = now.h.size(0);
    if (from == count) return;
    track.state_rows.push_back(schedule.sequences(from, count, at * schedule.batch()));
    track.h.push_back(slice(now.h, 0, from, count));
    now.h = slice(now.h, 0, 0, from);
    if (cell_ != Cell::lstm) return;
    track.c.push_back(slice(now.c, 0, from, count));
    now.c = slice(now.c, 0, 0, from);
  };
  for (int64_t t = 0; t < schedule.steps(); ++t) {
    finish(schedule.active(t));
    const Tensor h_gates = linear(now.h, w.hh, w.bias_hh);
    now = step(index_select(x_gates, 0, schedule.rows_of(t, reverse, 1, 0)), h_gates, now);
    track.outputs.push_back(now.h);
    track.output_rows.push_back(schedule.rows_of(t, reverse, directions, at % directions));
  }
  finish(0);
}

RecurrentResult Recurrent::run(const Tensor& rows, const Schedule& schedule, const RecurrentState& initial,
                               Generator* rng) const {
  check_state(initial.h, "h", schedule.batch());
  check_state(initial.c, "c", schedule.batch());
  const auto directions = static_cast<size_t>(options_.bidirectional ? 2 : 1);
  const auto width = static_cast<int64_t>(directions) * hidden_size_;
  const bool dropping = training() && options_.dropout > 0;
  if (options_.dropout > 0) note_mode(*this, rows);
  if (dropping) check_generator(name_, rng);
  Track track;
  Tensor x = rows;
  for (size_t index = 0; index < weights_.size(); index += directions) {
    if (dropping && index > 0) x = dropout(x, options_.dropout, *rng);
    track.outputs.clear();
    track.output_rows.clear();
    for (size_t d = 0; d < directions; ++d) run_direction(x, index + d, schedule, initial, track);
    if (schedule.rows == 0) {
      x = Tensor::zeros({0, width}, rows.dtype());
      continue;
    }
    x = reshape(merge_rows(track.outputs, track.output_rows, schedule.rows * static_cast<int64_t>(directions)),
                {schedule.rows, width});
  }
  const auto layers = static_cast<int64_t>(weights_.size());
  const auto merged = [&](const std::vector<Tensor>& parts) {
    const Shape shape = {layers, schedule.batch(), hidden_size_};
    if (parts.empty()) return Tensor::zeros(shape, rows.dtype());
    return reshape(merge_rows(parts, track.state_rows, layers * schedule.batch()), shape);
  };
  return {x, {merged(track.h), cell_ == Cell::lstm ? merged(track.c) : Tensor()}};
}

RecurrentResult Recurrent::forward(const Tensor& x, const RecurrentState& initial, Generator* rng) const {
  if (x.dim() != 3 || x.size(2) != input_size_) {
    throw ShapeError(fmt::format("{}: x {}; needs [{}, {}]", name_, to_string(x.shape()),
                                 options_.batch_first ? "batch, time" : "time, batch", input_size_));
  }
  const int64_t batch = x.size(options_.batch_first ? 0 : 1), steps = x.size(options_.batch_first ? 1 : 0);
  std::vector<int64_t> first(static_cast<size_t>(batch));
  for (int64_t s = 0; s < batch; ++s) first[static_cast<size_t>(s)] = options_.batch_first ? s * steps : s;
  const Schedule schedule(std::move(first), std::vector<int64_t>(static_cast<size_t>(batch), steps),
                          options_.batch_first ? 1 : batch);
  RecurrentResult result = run(reshape(x, {batch * steps, input_size_}), schedule, initial, rng);
  result.output = reshape(result.output, {x.size(0), x.size(1), result.output.size(1)});
  return result;
}

RecurrentResult Recurrent::forward(const Tensor& x, const Offsets& offsets, const RecurrentState& initial,
                                   Generator* rng) const {
  if (x.dim() != 2 || x.size(1) != input_size_) {
    throw ShapeError(fmt::format("{}: x {}; needs [tokens, {}]", name_, to_string(x.shape()), input_size_));
  }
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != x.size(0) ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    throw ValueError(fmt::format("{}: offsets must rise from 0 to the {} tokens; got {} of them, last {}", name_,
                                 x.size(0), offsets.size(), offsets.empty() ? -1 : offsets.back()));
  }
  std::vector<int64_t> lengths;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) lengths.push_back(offsets[s + 1] - offsets[s]);
  return run(x, Schedule({offsets.begin(), offsets.end() - 1}, std::move(lengths), 1), initial, rng);
}

void Recurrent::check_state(const Tensor& state, const char* which, int64_t batch) const {
  const Shape needed = {static_cast<int64_t>(weights_.size()), batch, hidden_size_};
  if (!state.defined() || state.shape() == needed) return;
  throw ShapeError(
      fmt::format("{}: initial {} is {}, needs {}", name_, which, to_string(state.shape()), to_string(needed)));
}

RNN::RNN(int64_t input_size, int64_t hidden_size, Generator& rng, RecurrentOptions options,
         RnnNonlinearity nonlinearity)
    : Recurrent("RNN", nonlinearity == RnnNonlinearity::tanh ? Cell::rnn_tanh : Cell::rnn_relu, input_size, hidden_size,
                rng, options) {}
LSTM::LSTM(int64_t input_size, int64_t hidden_size, Generator& rng, RecurrentOptions options)
    : Recurrent("LSTM", Cell::lstm, input_size, hidden_size, rng, options) {}
GRU::GRU(int64_t input_size, int64_t hidden_size, Generator& rng, RecurrentOptions options)
    : Recurrent("GRU", Cell::gru, input_size, hidden_size, rng, options) {}

}  // namespace qing::nn
