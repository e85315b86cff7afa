// The pointwise part of a step of a recurrent network, each in one pass over memory. Gates are the sums that PyTorch's
// cells compute: x_gates from the input and h_gates from the last hidden state, both [batch, gates·hidden].
#pragma once

#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000): with i, f, g, o the quarters of
/// x_gates + h_gates in that order, c' = σ(f)·c + σ(i)·tanh(g) and h' = σ(o)·tanh(c'). c is [batch, hidden]; the result
/// [2, batch, hidden] is h', c'. ShapeError, DTypeError.
Tensor lstm_cell(const Tensor& x_gates, const Tensor& h_gates, const Tensor& c);

/// Gated recurrent unit (Cho et al. 2014, with the reset gate after the product, as cuDNN and PyTorch): with r, z, n
/// the thirds of the gates in that order, n = tanh(xₙ + σ(r)·hₙ) and h' = (1 − σ(z))·n + σ(z)·h. ShapeError,
/// DTypeError.
Tensor gru_cell(const Tensor& x_gates, const Tensor& h_gates, const Tensor& h);

/// What the steps gave, in its place: a tensor [count, width] whose row rows[t][i] is row i of parts[t]. The rows, i64
/// [parts[t].size(0)], are all of 0 to count − 1, each once (ValueError). The undoing of index_select, step by step.
Tensor merge_rows(const std::vector<Tensor>& parts, const std::vector<Tensor>& rows, int64_t count);

}  // namespace qing
