#include <qing/nn/formats/onnx_model.h>

#include <fmt/format.h>

#include <cstring>

#include <qing/nn/formats/byte_cursor.h>
#include <qing/nn/formats/protobuf_cursor.h>

namespace qing::nn {
namespace {

using Field = ProtobufField;
using Message = ProtobufCursor;
using enum WireType;

class OnnxReader {
 public:
  explicit OnnxReader(const std::shared_ptr<const MappedFile>& file) : faults_(file->path(), "ONNX") {
    model_.file = file;
  }

  OnnxModel read() {
    Message message(model_.file->bytes(), 0, faults_);
    bool has_graph = false;
    for (Field field{}; message.next(field);) {
      if (field.number == 2) model_.producer = text(field);
      if (field.number == 8) read_opset(field);
      if (field.number == 7) {
        if (std::exchange(has_graph, true)) faults_.invalid(fmt::format("byte {}: a second graph", field.place));
        read_graph(field);
      }
    }
    if (!has_graph) faults_.invalid("it has no graph");
    return std::move(model_);
  }

 private:
  void count_part() {
    if (++parts_ > kMaxOnnxParts) faults_.unsupported(fmt::format("a model of more than {} parts", kMaxOnnxParts));
  }
  void count_number() {
    if (++numbers_ > kMaxOnnxNumbers) {
      faults_.unsupported(
          fmt::format("more than {} numbers outside raw data; store tensors as raw data", kMaxOnnxNumbers));
    }
  }
  [[noreturn]] void fail(const Field& field, std::string_view what) const {
    faults_.invalid(fmt::format("byte {}: {}", field.place, what));
  }
  std::string_view text(const Field& field) {
    count_part();
    if (field.type != length) fail(field, fmt::format("field {} is no text", field.number));
    return field.bytes;
  }
  Message inside(const Field& field) {
    count_part();
    if (field.type != length) fail(field, fmt::format("field {} is no message", field.number));
    return Message(field.bytes, field.place, faults_);
  }
  // A repeated number, one by one or packed; `take` gets the bits of each.
  template <class Take> void numbers(const Field& field, WireType width, const Take& take) {
    if (field.type == width) {
      count_number();
      return take(field.value);
    }
    if (field.type != length) fail(field, fmt::format("field {} is no number", field.number));
    if (width == varint) {
      for (Message packed(field.bytes, field.place, faults_); !packed.done();) {
        count_number();
        take(packed.read_varint());
      }
      return;
    }
    ByteCursor packed(field.bytes, faults_, field.place);
    while (packed.left() > 0) {
      count_number();
      take(width == fixed32 ? packed.number<uint32_t>("a number") : packed.number<uint64_t>("a number"));
    }
  }

  void read_opset(const Field& outer) {
    Message message = inside(outer);
    std::string_view domain;
    int64_t version = 0;
    for (Field field{}; message.next(field);) {
      if (field.number == 1) domain = text(field);
      if (field.number == 2) version = static_cast<int64_t>(field.value);
    }
    model_.opsets[domain] = version;
  }

  std::string_view read_name(const Field& outer) {  // of a ValueInfoProto
    Message message = inside(outer);
    std::string_view name;
    for (Field field{}; message.next(field);) {
      if (field.number == 1) name = text(field);
    }
    return name;
  }

  void read_graph(const Field& outer) {
    Message message = inside(outer);
    for (Field field{}; message.next(field);) {
      switch (field.number) {
        case 1:
          if (model_.nodes.size() == kMaxOnnxNodes) {
            faults_.unsupported(fmt::format("a graph of more than {} nodes", kMaxOnnxNodes));
          }
          model_.nodes.push_back(read_node(field));
          break;
        case 5: model_.initializers.push_back(read_tensor(field)); break;
        case 11: model_.inputs.push_back(read_name(field)); break;
        case 12: model_.outputs.push_back(read_name(field)); break;
        case 15: faults_.unsupported("a sparse initializer; export the model with dense ones");
        default: break;
      }
    }
  }

  OnnxNode read_node(const Field& outer) {
    Message message = inside(outer);
    OnnxNode node{};
    for (Field field{}; message.next(field);) {
      switch (field.number) {
        case 1: node.inputs.push_back(text(field)); break;
        case 2: node.outputs.push_back(text(field)); break;
        case 3: node.name = text(field); break;
        case 4: node.operation = text(field); break;
        case 5: read_attribute(field, node); break;
        case 7: node.domain = text(field); break;
        default: break;
      }
    }
    return node;
  }

  void read_attribute(const Field& outer, OnnxNode& node) {
    Message message = inside(outer);
    OnnxAttribute attribute;
    std::string_view name;
    for (Field field{}; message.next(field);) {
      switch (field.number) {
        case 1: name = text(field); break;
        case 2: {
          const auto bits = static_cast<uint32_t>(field.value);
          float number = 0;
          std::memcpy(&number, &bits, sizeof number);
          attribute.number = number;
          break;
        }
        case 3: attribute.integer = static_cast<int64_t>(field.value); break;
        case 4: attribute.text = text(field); break;
        case 5: attribute.tensor = read_tensor(field); break;
        case 6:
        case 11: attribute.is_graph = true; break;
        case 8:
          numbers(field, varint, [&](uint64_t bits) { attribute.integers.push_back(static_cast<int64_t>(bits)); });
          break;
        default: break;
      }
    }
    if (!node.attributes.emplace(name, std::move(attribute)).second) {
      fail(outer, fmt::format("the attribute '{}' is there twice", printable(name)));
    }
  }

  OnnxTensor read_tensor(const Field& outer) {
    constexpr size_t kMaxDims = 64;
    Message message = inside(outer);
    OnnxTensor tensor{};
    for (Field field{}; message.next(field);) {
      const auto take = [&](uint64_t bits) { tensor.numbers.push_back(bits); };
      switch (field.number) {
        case 1:
          numbers(field, varint, [&](uint64_t bits) {
            if (tensor.dims.size() == kMaxDims) fail(field, "more than 64 dimensions");
            tensor.dims.push_back(static_cast<int64_t>(bits));
          });
          break;
        case 2: tensor.type = static_cast<int32_t>(field.value); break;
        case 3: faults_.unsupported("a tensor in segments");
        case 4:  // packed floats in one piece lie as in memory
          if (field.type == length && !tensor.raw && tensor.numbers.empty()) {
            set_raw(field, tensor);
          } else {
            if (tensor.raw) fail(field, "the elements of a tensor in several pieces");
            numbers(field, fixed32, take);
          }
          break;
        case 5:
        case 7:
        case 11: numbers(field, varint, take); break;
        case 6: faults_.unsupported("a tensor of texts");
        case 8: tensor.name = text(field); break;
        case 9: set_raw(field, tensor); break;
        case 10: numbers(field, fixed64, take); break;
        case 13: read_external(field, tensor); break;
        case 14: tensor.is_external = field.value == 1; break;
        default: break;
      }
    }
    if (tensor.raw && !tensor.numbers.empty()) fail(outer, "the elements of a tensor in two fields");
    return tensor;
  }

  void set_raw(const Field& field, OnnxTensor& tensor) {
    if (field.type != length) fail(field, "the data of a tensor are no bytes");
    if (tensor.raw) fail(field, "the elements of a tensor in several pieces");
    tensor.raw = field.bytes;
    tensor.place = field.place;
  }

  void read_external(const Field& outer, OnnxTensor& tensor) {
    Message message = inside(outer);
    std::string_view key, value;
    for (Field field{}; message.next(field);) {
      if (field.number == 1) key = text(field);
      if (field.number == 2) value = text(field);
    }
    if (!tensor.external.emplace(key, value).second) {
      fail(outer, fmt::format("external data with two values of '{}'", printable(key)));
    }
  }

  const FileFaults faults_;
  OnnxModel model_{};
  uint64_t parts_ = 0, numbers_ = 0;
};

}  // namespace

bool is_onnx(std::string_view bytes) {
  constexpr char kIrVersion = 0x08;  // field 1, a varint
  return bytes.size() > 2 && bytes[0] == kIrVersion && bytes[1] > 0 && bytes[1] < 32;
}

OnnxModel read_onnx(const std::shared_ptr<const MappedFile>& file) { return OnnxReader(file).read(); }

}  // namespace qing::nn
