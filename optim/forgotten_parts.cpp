#include <qing/optim/forgotten_parts.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include <qing/autograd/training_watch.h>
#include <qing/nn/forgotten_layers.h>
#include <qing/tensor/warnings.h>

namespace qing::optim {

void warn_of_forgotten_parts(const char* optimizer, std::span<const Tensor> parameters) {
  const std::vector<std::string> layers = nn::take_forgotten_layers();
  if (!layers.empty()) {
    warn_once("forgotten layers",
              fmt::format("{}: a layer took part in the forward pass that no module reports, so it is not trained: {}; "
                          "report it in visit() of the module that has it, or call freeze() on it if it is to stay",
                          optimizer, fmt::join(layers, ", ")));
  }
  std::vector<std::string> leaves;
  for (const Shape& shape : end_training_watch(parameters)) leaves.push_back(to_string(shape));
  if (!leaves.empty()) {
    warn_once("leaves without optimizer",
              fmt::format("{}: backward() gave gradients to tensors that no optimizer has, so they are not trained: "
                          "shapes {}; report them in visit() of their module, or call set_requires_grad(tensor, false) "
                          "if they are to stay",
                          optimizer, fmt::join(leaves, ", ")));
  }
}

}  // namespace qing::optim
