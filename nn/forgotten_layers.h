// Layers that take part in a training although no walk of a model reaches them, since a visit() forgets them: for a
// warning of optimizers. A module is known by the address of its complete object. Without module.h, which uses it too.
// Thread-safe.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing::nn {

/// For a walk that has reached these modules.
void note_reached(std::span<const void* const> modules);

/// Whether a layer with this weight, which is used now, is forgotten: an optimizer waits for its first gradients
/// (autograd/training_watch.h), gradients are on, the weight requires none, and no walk has reached the layer.
bool is_forgotten(const void* layer, const Tensor& weight);
void note_forgotten(const std::string& type_name, const Tensor& weight);

/// For the forward pass of a layer, a Module, with this weight.
template <class Layer> void note_use(const Layer& layer, const Tensor& weight) {
  if (is_forgotten(dynamic_cast<const void*>(&layer), weight)) note_forgotten(layer.type_name(), weight);
}

/// "Linear with a weight of shape [4, 2]", ... for the forgotten layers that were used since the last call.
std::vector<std::string> take_forgotten_layers();

}  // namespace qing::nn
