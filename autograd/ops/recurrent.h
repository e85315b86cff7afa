// The pointwise part of one step of a recurrent network, in one pass over memory. Gates are the sums of PyTorch's
// cells: x_gates from the input and h_gates from the last hidden state, both [batch, gates·hidden].
#pragma once

#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000). i, f, g, o are the quarters of x_gates +
/// h_gates, in this order. c' = σ(f)·c + σ(i)·tanh(g) and h' = σ(o)·tanh(c'). c is [batch, hidden]; the result is [2,
/// batch, hidden]: h', then c'. ShapeError, DTypeError.
Tensor lstm_cell(const Tensor& x_gates, const Tensor& h_gates, const Tensor& c);

/// Gated recurrent unit (Cho et al. 2014), with the reset gate after the product, as in cuDNN and PyTorch. r, z, n are
/// the thirds of the gates, in this order. n = tanh(xₙ + σ(r)·hₙ) and h' = (1 − σ(z))·n + σ(z)·h. h and the result are
/// [batch, hidden]. ShapeError, DTypeError.
Tensor gru_cell(const Tensor& x_gates, const Tensor& h_gates, const Tensor& h);

/// Merges the results of all steps: row i of parts[t] becomes row rows[t][i] of the result [count, width]. rows[t] is
/// i64 [parts[t].size(0)]; together the rows name each of 0 to count − 1 once (ValueError). Each part is a matrix of
/// the same width (ShapeError). The inverse of index_select at every step.
Tensor merge_rows(const std::vector<Tensor>& parts, const std::vector<Tensor>& rows, int64_t count);

}  // namespace qing
