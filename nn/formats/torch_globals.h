// The globals that a pickle of PyTorch may name, and what calling them makes. No other is known.
#pragma once

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include <qing/nn/formats/pickle_values.h>
#include <qing/tensor/dtype.h>

namespace qing::nn {

/// A new value, or one that was there.
using TorchResult = std::variant<PickleValue, PickleValue::Ref>;

/// A kind of elements by the name of a storage class ("torch.FloatStorage") or a dtype ("torch.float8_e5m2"). Without
/// a DType it is one that qing does not have.
struct TorchElements {
  std::string_view name;
  std::optional<DType> dtype;
};
/// Null when the name is of neither.
const TorchElements* torch_elements(std::string_view global);

/// The global, if it is on the list. DataError, here and below, for what is not.
PickleValue torch_global(std::string_view module, std::string_view name, const PicklePlace& place);
/// What the function, a global of the list, gives for these arguments.
TorchResult torch_call(const PickleValues& values, std::string_view function,
                       const std::vector<PickleValue::Ref>& arguments, const PicklePlace& place);
/// The storage that the tuple ('storage', class, key, location, elements) of a persistent id names.
PickleValue torch_storage(const PickleValues& values, PickleValue::Ref id, const PicklePlace& place);

}  // namespace qing::nn
