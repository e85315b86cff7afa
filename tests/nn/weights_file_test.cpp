#include <qing/nn/formats/open_weights.h>

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>

#include <qing/nn/formats/charsmap.h>
#include <qing/nn/formats/sharded_safetensors.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/ops/compare.h>

#include "nn/process_memory.h"
#include "nn/temp_folder.h"
#include "nn/weights_bytes.h"

namespace qing::nn {
namespace {

using test::clean_bytes;
using test::message_of;
using test::own_bytes;
using test::TempFolder;

TEST(WeightsFile, TensorsLieOnThePagesOfTheFile) {
  TempFolder folder;
  constexpr int64_t kRows = 4096, kWidth = 1024;  // 16 MiB
  save_safetensors(folder.path() / "model.safetensors",
                   {.tensors = {{"w", Tensor::full({kRows, kWidth}, 1)}}, .metadata = {}});
  release_cached_memory();
  const size_t before = memory_stats().current_bytes;
  const int64_t own_before = own_bytes();
  const WeightsFile weights = open_weights(folder.path());
  const Tensor first = weights.tensor("w"), second = open_weights(folder.path()).tensor("w");
  double sum = 0;
  for (int64_t i = 0; i < kRows; ++i) sum += first.data<float>()[i * kWidth] + second.data<float>()[i * kWidth];
  EXPECT_EQ(sum, 2.0 * kRows);
  EXPECT_EQ(memory_stats().current_bytes, before);  // nothing from the allocator
  if (own_before > 0) { EXPECT_LT(own_bytes() - own_before, int64_t{4} << 20); }
}

TEST(MappedFile, ForgetsThePagesOfATensorThatNobodyWroteTo) {
  TempFolder folder;
  constexpr int64_t kElements = 4 << 20;  // 16 MiB
  const auto path = folder.path() / "model.safetensors";
  save_safetensors(path, {.tensors = {{"w", Tensor::arange(kElements, DType::f32)}}, .metadata = {}});
  Tensor tensor = open_weights(path).tensor("w");
  const auto touch = [&] {
    double sum = 0;
    for (int64_t i = 0; i < kElements; i += 512) sum += tensor.data<float>()[i];
    return sum;
  };
  const int64_t before = clean_bytes();
  const double sum = touch();
  const int64_t touched = clean_bytes();
  MappedFile::forget(tensor);
  if (touched - before > (kElements * 4) / 2) {  // else the system does not tell
    EXPECT_LT(clean_bytes() - before, int64_t{1} << 20);
  }
  EXPECT_EQ(touch(), sum);
  tensor.fill(7);
  MappedFile::forget(tensor);  // must not lose what was written
  EXPECT_EQ(touch(), 7.0 * kElements / 512);
  const Tensor elsewhere = Tensor::full({1 << 20}, 3);
  MappedFile::forget(elsewhere);  // nor memory that is no file's
  EXPECT_EQ(elsewhere.at({(1 << 20) - 1}), 3);
}

TEST(WeightsFile, WritingToATensorDoesNotReachTheFile) {
  TempFolder folder;
  const auto path = folder.path() / "model.safetensors";
  save_safetensors(path, {.tensors = {{"w", Tensor::of({1, 2, 3})}}, .metadata = {}});
  Tensor written = open_weights(path).tensor("w");
  written.fill(9);
  EXPECT_TRUE(identical(open_weights(path).tensor("w"), Tensor::of({1, 2, 3})));
  EXPECT_TRUE(identical(written, Tensor::of({9, 9, 9})));
}

TEST(WeightsFile, TensorsOutliveTheFileAndItsName) {
  TempFolder folder;
  const auto path = folder.path() / "model.safetensors";
  save_safetensors(path, {.tensors = {{"w", Tensor::of({1, 2, 3})}}, .metadata = {}});
  const Tensor kept = open_weights(path).tensor("w");
  save_safetensors(path, {.tensors = {{"w", Tensor::of({4, 5, 6})}}, .metadata = {}});  // another file by a rename
  EXPECT_TRUE(identical(kept, Tensor::of({1, 2, 3})));
  std::filesystem::remove(path);
  EXPECT_TRUE(identical(kept, Tensor::of({1, 2, 3})));
}

// Forgetting pages must not lose what was written to a tensor on them.
TEST(WeightsFile, ConvertingATensorKeepsWhatWasWrittenToAnother) {
  TempFolder folder;
  const auto path = folder.path() / "model.safetensors";
  const Tensor wide = Tensor::full({64, 1024}, 3, DType::f16);
  save_safetensors(path, {.tensors = {{"w", wide}}, .metadata = {}});
  const WeightsFile weights = open_weights(path);
  EXPECT_TRUE(identical(weights.tensor("w", DType::f32), Tensor::full({64, 1024}, 3)));
  Tensor written = weights.tensor("w");
  written.fill(7);
  EXPECT_TRUE(identical(weights.tensor("w", DType::f32), Tensor::full({64, 1024}, 7)));  // the same pages
  EXPECT_TRUE(identical(written, Tensor::full({64, 1024}, 7, DType::f16)));
}

TEST(WeightsFile, ListsAndConverts) {
  TempFolder folder;
  const SafetensorsFile file{.tensors = {{"b", Tensor::of({1, 2}, DType::f16)}, {"a", Tensor::arange(3)}},
                             .metadata = {{"from", "a test"}}};
  save_safetensors(folder.path() / "model.safetensors", file);
  const WeightsFile weights = open_weights(folder.path());
  EXPECT_EQ(weights.format(), "safetensors");
  EXPECT_EQ(weights.metadata().at("from"), "a test");
  ASSERT_EQ(weights.tensors().size(), 2U);
  EXPECT_EQ(weights.tensors()[0].name, "a");
  EXPECT_EQ(weights.tensors()[1].format, "F16");
  EXPECT_EQ(weights.tensors()[1].shape, (Shape{2}));
  EXPECT_TRUE(identical(weights.tensor("b", DType::f32), Tensor::of({1, 2})));
  EXPECT_EQ(weights.find("c"), nullptr);
  EXPECT_NE(message_of<DataError>([&] { weights.tensor("c"); }).find("holds no tensor 'c'"), std::string::npos);
}

TEST(WeightsFile, ShardsAreOneFile) {
  TempFolder folder;
  SafetensorsFile file;
  for (int i = 0; i < 5; ++i) file.tensors["t" + std::to_string(i)] = Tensor::full({10}, i);
  save_sharded_safetensors(folder.path(), file, 80);
  ASSERT_FALSE(std::filesystem::exists(folder.path() / "model.safetensors"));
  const WeightsFile weights = open_weights(folder.path());
  EXPECT_EQ(weights.tensors().size(), 5U);
  EXPECT_TRUE(identical(weights.tensor("t4"), Tensor::full({10}, 4)));
  std::filesystem::remove(folder.path() / "model-00002-of-00003.safetensors");
  EXPECT_THROW(open_weights(folder.path()), IoError);
}

TEST(WeightsFile, BlocksAreUnpacked) {
  TempFolder folder;
  // Scale 0.5 (f16 0x3800); of Q4_0 the byte 0x2f is 15 - 8 in its low and 2 - 8 in its high half.

  test::GgufBytes gguf{
      .tensors = {{.name = "q4", .dims = {32}, .type = 2}, {.name = "q8", .dims = {32}, .type = 8, .offset = 32}},
      .data = 0};
  std::string bytes = gguf.str();
  bytes += std::string("\x00\x38", 2) + std::string(16, '\x2f') + std::string(14, '\0');
  bytes += std::string("\x00\x38", 2) + std::string(32, '\xfe');
  const WeightsFile weights = open_weights(folder.write("blocks.gguf", bytes));
  Tensor expected = Tensor::full({32}, 3.5);
  expected.slice(0, 16, 32).fill(-3);
  EXPECT_TRUE(identical(weights.tensor("q4"), expected));
  EXPECT_TRUE(identical(weights.tensor("q8"), Tensor::full({32}, -1)));
}

// What Darts-clone's search finds: from the unit of a node its offset leads to its children.
std::u32string replaced(const std::string& map, const std::string& key) {
  uint32_t bytes = 0;
  std::memcpy(&bytes, map.data(), sizeof bytes);
  std::vector<uint32_t> units(bytes / 4);
  std::memcpy(units.data(), map.data() + 4, bytes);
  const auto offset = [&](uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); };
  uint32_t at = offset(units[0]);
  for (const char& c : key) {
    at ^= static_cast<uint8_t>(c);
    if (at >= units.size() || (units[at] & 0x800000ff) != static_cast<uint8_t>(c)) return U"(none)";
    const uint32_t unit = units[at];
    at ^= offset(unit);
    if (&c == &key.back()) {
      if ((unit & 0x100) == 0) return U"(none)";
      const char* text = map.data() + 4 + bytes + (units[at] & 0x7fffffff);
      return std::u32string(text, text + std::strlen(text));
    }
  }
  return U"(none)";
}

TEST(Charsmap, FindsEveryKeyAndNoOther) {
  std::vector<std::pair<char32_t, std::u32string>> replacements;
  for (char32_t c = 1; c < 0x3000; c += 3) replacements.emplace_back(c, std::u32string(c % 5, U'a' + c % 26));
  for (char32_t c = 0x1f000; c < 0x1f200; c += 2) replacements.emplace_back(c, U"z");
  const std::string map = compile_charsmap(replacements);
  size_t i = 0;
  for (char32_t c = 1; c < 0x1f200; ++c) {
    if (c >= 0xd800 && c < 0xe000) continue;
    std::string key;
    append_utf8(key, c);
    const bool known = i < replacements.size() && replacements[i].first == c;
    ASSERT_EQ(replaced(map, key), known ? replacements[i].second : U"(none)") << static_cast<uint32_t>(c);
    if (known) ++i;
  }
  EXPECT_EQ(i, replacements.size());
  EXPECT_EQ(replaced(compile_charsmap({}), "a"), U"(none)");
}

}  // namespace
}  // namespace qing::nn
