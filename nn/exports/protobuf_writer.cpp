#include <qing/nn/exports/protobuf_writer.h>

#include <bit>

namespace qing::nn {
namespace {

constexpr uint32_t kVarint = 0, kLengthDelimited = 2, kFixed32 = 5;

}  // namespace

void ProtobufMessage::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) encoded_ += static_cast<char>((value & 0x7F) | 0x80);
  encoded_ += static_cast<char>(value);
}

ProtobufMessage& ProtobufMessage::integer(uint32_t field, int64_t value) {
  tag(field, kVarint);
  varint(static_cast<uint64_t>(value));
  return *this;
}

ProtobufMessage& ProtobufMessage::real(uint32_t field, float value) {
  tag(field, kFixed32);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) encoded_ += static_cast<char>(bits >> shift & 0xFF);
  return *this;
}

ProtobufMessage& ProtobufMessage::bytes(uint32_t field, std::string_view value) {
  tag(field, kLengthDelimited);
  varint(value.size());
  encoded_ += value;
  return *this;
}

}  // namespace qing::nn
