#include <qing/nn/formats/torch_globals.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include <qing/nn/formats/file_faults.h>

namespace qing::nn {
namespace {

using Ref = PickleValue::Ref;
using Kind = PickleKind;

// torch/storage.py and torch/_utils.py of PyTorch 2.15.
constexpr std::string_view kOrderedDict = "collections.OrderedDict", kSize = "torch.Size",
                           kRebuildTensor = "torch._utils._rebuild_tensor",
                           kRebuildTensor2 = "torch._utils._rebuild_tensor_v2",
                           kRebuildTensor3 = "torch._utils._rebuild_tensor_v3",
                           kRebuildParameter = "torch._utils._rebuild_parameter",
                           kUntyped = "torch.storage.UntypedStorage";
constexpr std::string_view kFunctions[] = {kOrderedDict,      kSize,   kRebuildTensor, kRebuildTensor2, kRebuildTensor3,
                                           kRebuildParameter, kUntyped};

constexpr TorchElements kElements[] = {
    {"torch.FloatStorage", DType::f32},
    {"torch.DoubleStorage", DType::f64},
    {"torch.HalfStorage", DType::f16},
    {"torch.BFloat16Storage", DType::bf16},
    {"torch.LongStorage", DType::i64},
    {"torch.IntStorage", DType::i32},
    {"torch.ShortStorage", std::nullopt},
    {"torch.CharStorage", DType::i8},
    {"torch.ByteStorage", DType::u8},
    {"torch.BoolStorage", DType::boolean},
    {"torch.ComplexFloatStorage", std::nullopt},
    {"torch.ComplexDoubleStorage", std::nullopt},
    {"torch.QInt8Storage", std::nullopt},
    {"torch.QInt32Storage", std::nullopt},
    {"torch.QUInt8Storage", std::nullopt},
    {"torch.QUInt4x2Storage", std::nullopt},
    {"torch.QUInt2x4Storage", std::nullopt},
    {"torch.float32", DType::f32},
    {"torch.float64", DType::f64},
    {"torch.float16", DType::f16},
    {"torch.bfloat16", DType::bf16},
    {"torch.int64", DType::i64},
    {"torch.int32", DType::i32},
    {"torch.int16", std::nullopt},
    {"torch.int8", DType::i8},
    {"torch.uint8", DType::u8},
    {"torch.uint16", std::nullopt},
    {"torch.uint32", std::nullopt},
    {"torch.uint64", std::nullopt},
    {"torch.bool", DType::boolean},
    {"torch.complex32", std::nullopt},
    {"torch.complex64", std::nullopt},
    {"torch.complex128", std::nullopt},
    {"torch.float8_e4m3fn", std::nullopt},
    {"torch.float8_e4m3fnuz", std::nullopt},
    {"torch.float8_e5m2", std::nullopt},
    {"torch.float8_e5m2fnuz", std::nullopt},
    {"torch.float8_e8m0fnu", std::nullopt},
    {"torch.float4_e2m1fn_x2", std::nullopt},
};

// The arguments that the functions share: (storage, offset, sizes, strides, ...).
void check_rebuild(const PickleValues& values, const std::vector<Ref>& arguments, size_t least, size_t most,
                   const PicklePlace& place) {
  if (arguments.size() < least || arguments.size() > most) {
    place.fail(fmt::format("a tensor of {} arguments; {} to {} are known", arguments.size(), least, most));
  }
  const auto need = [&](size_t i, Kind kind, const char* what) {
    const Kind given = values[arguments[i]].kind;
    if (given != kind) place.fail(fmt::format("{} of a tensor is a {}, not a {}", what, name_of(given), name_of(kind)));
  };
  need(0, Kind::storage, "the storage");
  need(1, Kind::integer, "the offset");
  need(2, Kind::tuple, "the shape");
  need(3, Kind::tuple, "the strides");
  for (const size_t list : {2, 3}) {
    for (const Ref number : values[arguments[list]].items) {
      if (values[number].kind != Kind::integer) {
        place.fail(fmt::format("a {} in a tensor's {}", name_of(values[number].kind), list == 2 ? "shape" : "strides"));
      }
    }
  }
}

}  // namespace

const TorchElements* torch_elements(std::string_view global) {
  const auto* const found = std::ranges::find(kElements, global, &TorchElements::name);
  return found == std::end(kElements) ? nullptr : found;
}

PickleValue torch_global(std::string_view module, std::string_view name, const PicklePlace& place) {
  const std::string full = fmt::format("{}.{}", module, name);
  for (const std::string_view known : kFunctions) {
    if (known == full) return {.kind = Kind::global, .text = known};
  }
  if (const TorchElements* elements = torch_elements(full)) return {.kind = Kind::global, .text = elements->name};
  place.fail(
      fmt::format("the global '{}' is not one that a file of weights needs; it is not looked up", printable(full)));
}

TorchResult torch_call(const PickleValues& values, std::string_view function, const std::vector<Ref>& arguments,
                       const PicklePlace& place) {
  if (function == kOrderedDict) {
    if (!arguments.empty()) place.fail("an OrderedDict with arguments, as Python 2 writes it; save it with Python 3");
    return PickleValue{.kind = Kind::dict};
  }
  if (function == kSize) {
    if (arguments.size() != 1 || values[arguments[0]].kind != Kind::tuple) place.fail("a torch.Size without a tuple");
    return arguments[0];
  }
  if (function == kRebuildParameter) {  // (tensor, requires_grad, hooks)
    if (arguments.size() != 3 || values[arguments[0]].kind != Kind::tensor) place.fail("a parameter without a tensor");
    return arguments[0];
  }
  if (function == kRebuildTensor) {
    check_rebuild(values, arguments, 4, 4, place);
  } else if (function == kRebuildTensor2) {  // ..., requires_grad, hooks, metadata
    check_rebuild(values, arguments, 6, 7, place);
    if (arguments.size() == 7 && !values[arguments[6]].items.empty()) {
      place.fail("a tensor that is marked as a conjugate or negative; call resolve_conj() and resolve_neg() first");
    }
  } else if (function == kRebuildTensor3) {  // ..., requires_grad, hooks, dtype, metadata
    check_rebuild(values, arguments, 7, 8, place);
    if (values[arguments[6]].kind != Kind::global) place.fail("the dtype of a tensor is no dtype");
  } else {
    place.fail(fmt::format("'{}' is no function that makes a tensor", function));
  }
  return PickleValue{.kind = Kind::tensor, .items = arguments};
}

PickleValue torch_storage(const PickleValues& values, Ref id, const PicklePlace& place) {
  const PickleValue& tuple = values[id];
  constexpr size_t kFields = 5, kFieldsWithView = 6;
  if (tuple.kind != Kind::tuple || tuple.items.size() < kFields || tuple.items.size() > kFieldsWithView) {
    place.fail("a persistent id that is not ('storage', class, key, location, elements)");
  }
  const auto field = [&](size_t i) -> const PickleValue& { return values[tuple.items[i]]; };
  if (field(0).kind != Kind::text || field(0).text != "storage") place.fail("a persistent id of no storage");
  const bool is_class = field(1).kind == Kind::global && (field(1).text == kUntyped || torch_elements(field(1).text));
  if (!is_class) place.fail("a storage of an unknown class");
  if (field(2).kind != Kind::text) place.fail("the key of a storage is no text");
  if (field(4).kind != Kind::integer || field(4).integer < 0) place.fail("a storage without a number of elements");
  if (tuple.items.size() == kFieldsWithView && field(5).kind != Kind::none) {
    place.fail("a storage that is a view of another, as PyTorch before 0.4 wrote; save it with a newer one");
  }
  return {.kind = Kind::storage, .items = tuple.items};
}

}  // namespace qing::nn
