// How the history of a view follows the writes to its base. Private to this folder.
#pragma once

#include <memory>
#include <span>

#include <qing/autograd/node.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Makes y, a view of x's elements whether recorded or not, follow the writes to x's base. Does nothing if y is a copy.
void link_view(Tensor& y, const Tensor& x);

/// hang() for the result of an operation that is no view. If it shares memory with an input all the same, it counts as
/// a view of that one whose history is fixed.
void hang_result(Tensor& output, std::span<const Tensor> inputs, std::shared_ptr<Node> node);

/// Records that the part of base's memory that `part` describes has the elements, and the history, of `written`, which
/// is contiguous or not, of the shape of `part`. The memory itself is the caller's to write.
void record_view_write(Tensor base, const Layout& part, const Tensor& written);

/// Whether x takes part in a graph. AutogradError naming `op` if it must not be written where gradients are recorded: a
/// leaf that requires a gradient, a view of one, a view whose history is fixed.
bool check_target(const Tensor& x, const char* op);

}  // namespace qing
