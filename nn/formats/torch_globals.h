// The globals that a pickle of PyTorch may name, and what calling them makes. No other is known.
#pragma once

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include <qing/nn/formats/pickle_values.h>
#include <qing/tensor/dtype.h>

namespace qing::nn {

/// A new value, or one that exists already.
using TorchResult = std::variant<PickleValue, PickleValue::Ref>;

/// The elements of a storage class ("torch.FloatStorage") or of a dtype ("torch.float8_e5m2"). They have no DType if
/// qing lacks it.
struct TorchElements {
  std::string_view name;
  std::optional<DType> dtype;
};
/// Null for any other name.
const TorchElements* torch_elements(std::string_view global);

/// The global. DataError, here and below, for everything that is not on the list.
PickleValue torch_global(std::string_view module, std::string_view name, const PicklePlace& place);
/// The result of calling a function of the list.
TorchResult torch_call(const PickleValues& values, std::string_view function,
                       const std::vector<PickleValue::Ref>& arguments, const PicklePlace& place);
/// The storage that the tuple ('storage', class, key, location, elements) of a persistent id names.
PickleValue torch_storage(const PickleValues& values, PickleValue::Ref id, const PicklePlace& place);

}  // namespace qing::nn
