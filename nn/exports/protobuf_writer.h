// Messages of Protocol Buffers, written field by field (https://protobuf.dev/programming-guides/encoding/).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qing::nn {

/// One message. Fields appear in the order of the calls; calls with the same number make a repeated field.
class ProtobufMessage {
 public:
  ProtobufMessage& integer(uint32_t field, int64_t value);         ///< int32, int64, bool or an enumeration
  ProtobufMessage& real(uint32_t field, float value);              ///< float
  ProtobufMessage& bytes(uint32_t field, std::string_view value);  ///< string or bytes
  ProtobufMessage& message(uint32_t field, const ProtobufMessage& value) { return bytes(field, value.encoded_); }
  const std::string& encoded() const { return encoded_; }

 private:
  void varint(uint64_t value);
  void tag(uint32_t field, uint32_t wire_type) { varint(uint64_t{field} << 3 | wire_type); }

  std::string encoded_;
};

}  // namespace qing::nn
