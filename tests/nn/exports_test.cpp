#include <qing/nn/exports/export_model.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include <qing/nn/exports/export_vocabulary.h>
#include <qing/nn/exports/protobuf_writer.h>

namespace qing::nn {
namespace {

using namespace std::string_view_literals;

TEST(ProtobufMessage, WritesTheBytesOfItsSpecification) {
  // The examples of https://protobuf.dev/programming-guides/encoding/.
  EXPECT_EQ(ProtobufMessage().integer(1, 150).encoded(), "\x08\x96\x01"sv);
  EXPECT_EQ(ProtobufMessage().bytes(2, "testing").encoded(), "\x12\x07testing"sv);
  EXPECT_EQ(ProtobufMessage().message(3, ProtobufMessage().integer(1, 150)).encoded(), "\x1a\x03\x08\x96\x01"sv);
  EXPECT_EQ(ProtobufMessage().integer(1, -2).encoded(), "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv);
  EXPECT_EQ(ProtobufMessage().integer(1, 0).encoded(), "\x08\x00"sv);
  EXPECT_EQ(ProtobufMessage().real(2, 1.5F).encoded(), "\x15\x00\x00\xc0\x3f"sv);
  EXPECT_EQ(ProtobufMessage().integer(16, 1).encoded(), "\x80\x01\x01"sv) << "a tag of two bytes";
}

TEST(ExportVocabulary, SpellsWordsThatTheModelDoesNotKnow) {
  std::vector<std::string> tokens(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  tokens.insert(tokens.end(), {"ab", "##c", "!", "好"});
  const Tokenizer tokenizer(tokens);
  const ExportVocabulary vocabulary = export_vocabulary(tokenizer);
  EXPECT_EQ(std::vector(vocabulary.tokens.begin(), vocabulary.tokens.begin() + 9), tokens);
  std::vector<std::string> extra(vocabulary.tokens.begin() + 9, vocabulary.tokens.end());
  // A word never has "!" or a Chinese character behind its first one.
  const std::string other = "\ue000";
  EXPECT_EQ(extra, (std::vector<std::string>{"a", "##a", "b", "##b", "c", other, "##" + other}));

  const auto flag = [&](size_t id) { return vocabulary.flags.data<uint8_t>()[id]; };
  EXPECT_EQ(flag(5), 0);
  EXPECT_EQ(flag(6), kPieceContinues);
  EXPECT_EQ(flag(9), kPieceExtra);
  EXPECT_EQ(flag(10), kPieceExtra | kPieceContinues);
  ASSERT_EQ(vocabulary.bytes.shape(), (Shape{16, 3}));
  const auto bytes = [&](size_t id) {
    return std::string_view(reinterpret_cast<const char*>(vocabulary.bytes.data<uint8_t>()) + 3 * id, 3);
  };
  EXPECT_EQ(bytes(5), "ab\0"sv);
  EXPECT_EQ(bytes(6), "c\0\0"sv);
  EXPECT_EQ(bytes(8), "好"sv);
  for (const size_t unreadable : {0, 1, 2, 3, 4, 14, 15}) EXPECT_EQ(bytes(unreadable), "\xff\0\0"sv) << unreadable;
}

TEST(ExportFormat, HasANameEach) {
  EXPECT_EQ(export_format_of("hf"), ExportFormat::hf);
  EXPECT_EQ(export_format_of("onnx-int8"), ExportFormat::onnx_int8);
  EXPECT_EQ(export_format_of("safetensors"), ExportFormat::safetensors);
  EXPECT_FALSE(export_format_of("pickle"));
}

}  // namespace
}  // namespace qing::nn
