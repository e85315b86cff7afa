// Which leaves receive gradients although no optimizer has them: for a warning of optimizers. A watch begins with an
// optimizer and ends with the first gradients that an optimizer finds. Outside of it, this costs one load for each
// backward(). Thread-safe.
#pragma once

#include <span>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

struct Node;

/// For an optimizer that trains these leaves: begins a watch.
void watch_training(std::span<const Tensor> leaves);
bool watching_training();
/// For backward(): the nodes of a walk, whose inputs receive gradients.
void note_walk(std::span<Node* const> nodes);
/// Ends the watch for an optimizer that trains these leaves. Returns the shapes of the leaves that received gradients
/// in it and that no optimizer has.
std::vector<Shape> end_training_watch(std::span<const Tensor> leaves);

}  // namespace qing
