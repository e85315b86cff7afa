// Reads the fields of a protobuf message (https://protobuf.dev/programming-guides/encoding) from memory; every read is
// checked first. Private to nn/.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include <qing/nn/formats/byte_cursor.h>

namespace qing::nn {

enum class WireType : uint8_t { varint = 0, fixed64 = 1, length = 2, fixed32 = 5 };

struct ProtobufField {
  uint32_t number;
  WireType type;
  uint64_t value;          ///< of a varint or fixed number
  std::string_view bytes;  ///< of a length
  uint64_t place;          ///< of the bytes in the file
};

/// The fields of one message, in order. Its members throw the DataError of FileFaults::invalid() with the place.
class ProtobufCursor {
 public:
  ProtobufCursor(std::string_view bytes, uint64_t place, const FileFaults& faults) : cursor_(bytes, faults, place) {}

  /// False behind the last field.
  bool next(ProtobufField& field) {
    if (done()) return false;
    const uint64_t place = cursor_.place(), tag = read_varint();
    field = {.number = static_cast<uint32_t>(tag >> 3),
             .type = static_cast<WireType>(tag & 7),
             .value = 0,
             .bytes = {},
             .place = place};
    if (tag >> 32 != 0 || field.number == 0) fail(place, "a field without a number");
    switch (field.type) {
      case WireType::varint: field.value = read_varint(); break;
      case WireType::fixed64: field.value = cursor_.number<uint64_t>("a number"); break;
      case WireType::fixed32: field.value = cursor_.number<uint32_t>("a number"); break;
      case WireType::length: {
        const uint64_t size = read_varint();
        field.place = cursor_.place();
        field.bytes = cursor_.take(size, "a field");
        break;
      }
      default: fail(place, fmt::format("a field of the wire type {}", tag & 7));
    }
    return true;
  }

  uint64_t read_varint() {
    const uint64_t place = cursor_.place();
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = cursor_.number<uint8_t>("a number");
      if (shift == 63 && byte > 1) break;
      value |= uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    fail(place, "a number of more than 10 bytes or 64 bits");
  }
  bool done() const { return cursor_.left() == 0; }

 private:
  [[noreturn]] void fail(uint64_t place, std::string_view what) const {
    cursor_.faults().invalid(fmt::format("byte {}: {}", place, what));
  }
  ByteCursor cursor_;
};

}  // namespace qing::nn
