#include <gtest/gtest.h>
#include <qing/nn/formats/sharded_safetensors.h>
#include <qing/tensor/errors.h>

#include <cstring>
#include <set>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

namespace fs = std::filesystem;
using test::message_of;

SafetensorsFile five_tensors() {
  SafetensorsFile file;
  file.metadata["note"] = "n";
  for (int i = 0; i < 5; ++i) file.tensors[std::string(1, static_cast<char>('a' + i))] = Tensor::full({4, i + 1}, i);
  return file;
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

void expect_equal(const SafetensorsFile& a, const SafetensorsFile& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    const Tensor& other = b.tensors.at(name);
    ASSERT_EQ(tensor.shape(), other.shape());
    EXPECT_EQ(std::memcmp(tensor.data<float>(), other.data<float>(), tensor.numel() * sizeof(float)), 0) << name;
  }
  EXPECT_EQ(b.metadata.at("note"), "n");
}

TEST(ShardedSafetensors, SmallOnesAreOneFile) {
  const test::TempFolder folder;
  save_sharded_safetensors(folder.path(), five_tensors());
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"model.safetensors"});
  expect_equal(five_tensors(), load_sharded_safetensors(folder.path()));
}

TEST(ShardedSafetensors, ShardsKeepTheirMaximumSize) {
  const test::TempFolder folder;
  // 16, 32, 48, 64 and 80 bytes: a and b share a shard, and each of the others has its own. e exceeds the limit.
  save_sharded_safetensors(folder.path(), five_tensors(), 64);
  const std::set<std::string> expected = {"model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
                                          "model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors",
                                          "model.safetensors.index.json"};
  EXPECT_EQ(names_in(folder.path()), expected);
  expect_equal(five_tensors(), load_sharded_safetensors(folder.path()));
  const std::string index = test::content_of(folder.path() / "model.safetensors.index.json");
  EXPECT_NE(index.find(R"("metadata":{"total_size":240})"), std::string::npos) << index;
  EXPECT_NE(index.find(R"("b":"model-00001-of-00004.safetensors")"), std::string::npos) << index;
}

TEST(ShardedSafetensors, TheNewFormReplacesTheOldOne) {
  const test::TempFolder folder;
  folder.write("other.txt", "stays");
  for (const int64_t most : {64, 1000, 100, 16}) {
    save_sharded_safetensors(folder.path(), five_tensors(), most);
    expect_equal(five_tensors(), load_sharded_safetensors(folder.path()));
  }
  EXPECT_EQ(names_in(folder.path()).size(), 5 + 2u);
  EXPECT_THROW(save_sharded_safetensors(folder.path(), five_tensors(), 0), ValueError);
}

TEST(ShardedSafetensors, RemovesItsOwnOldShardsOnly) {
  const test::TempFolder folder;
  const std::set<std::string> others = {"model-ema-00001-of-00002.safetensors",
                                        "model-00001-of-00002-of-00003.safetensors",
                                        "model-1-of-2.safetensors",
                                        "model-00001-of-00002.safetensors.bak",
                                        "model-0001-of-00002.safetensors",
                                        "model-00001-of-0000x.safetensors",
                                        "model--of-.safetensors",
                                        "model-ema.safetensors.index.json",
                                        "other-00001-of-00002.safetensors"};
  for (const std::string& name : others) folder.write(name, "another's");
  folder.write("model-00001-of-00009.safetensors", "old");
  folder.write("model-123456-of-123457.safetensors", "old");
  save_sharded_safetensors(folder.path(), five_tensors());
  std::set<std::string> expected = others;
  expected.insert("model.safetensors");
  EXPECT_EQ(names_in(folder.path()), expected);
}

TEST(ShardedSafetensors, AnUnreadablePathIsAnIoError) {
  const test::TempFolder folder;
  const std::string endless(5000, 'x');
  const std::string text = message_of<IoError>([&] { load_sharded_safetensors(folder.path(), endless); });
  EXPECT_NE(text.find("too long"), std::string::npos) << text;
  EXPECT_THROW(save_sharded_safetensors(folder.path() / "absent", five_tensors()), IoError);
}

TEST(ShardedSafetensors, RefusesHostileIndices) {
  const test::TempFolder folder;
  EXPECT_THROW(load_sharded_safetensors(folder.path()), IoError);
  save_sharded_safetensors(folder.path(), five_tensors(), 64);
  const std::string good = test::content_of(folder.path() / "model.safetensors.index.json");
  const auto refusal = [&](const std::string& index) {
    folder.write("model.safetensors.index.json", index);
    return message_of<DataError>([&] { load_sharded_safetensors(folder.path()); });
  };
  const auto expect = [&](const std::string& index, const std::string& what) {
    const std::string text = refusal(index);
    EXPECT_NE(text.find(what), std::string::npos) << text;
  };
  const auto map = [](const std::string& content) { return "{\"weight_map\":{" + content + "}}"; };
  expect("", "is not JSON");
  expect("[1]", "has no object weight_map");
  expect("{\"weight_map\":3}", "has no object weight_map");
  expect(map("\"a\":3"), "the shard of 'a' is not a string");
  expect(map("\"a\":\"../model-00001-of-00004.safetensors\""), "not a .safetensors file of this folder");
  expect(map("\"a\":\"/etc/x.safetensors\""), "not a .safetensors file of this folder");
  expect(map("\"a\":\".safetensors\""), "not a .safetensors file of this folder");
  expect(map("\"a\":\"other.txt\""), "not a .safetensors file of this folder");
  expect(map(R"("a":"x.safetensors","a":"y.safetensors")"), "'a' appears twice");
  expect(map(R"("a":"model-00001-of-00004.safetensors")"),
         "holds tensor 'b', which model.safetensors.index.json puts nowhere");
  std::string moved = good;
  moved.replace(moved.find("\"b\":\"model-00001"), 16, "\"b\":\"model-00002");
  expect(moved, "holds tensor 'b'");
  std::string more = good;
  more.replace(more.find("\"a\":"), 4, R"("z":"model-00001-of-00004.safetensors","a":)");
  expect(more, "puts tensor 'z' into model-00001-of-00004.safetensors, which does not hold it");
  // The same tensor in two shards.
  folder.write("model.safetensors.index.json", good);
  save_safetensors(folder.path() / "model-00002-of-00004.safetensors",
                   {.tensors = {{"a", Tensor::zeros({1})}, {"c", Tensor::zeros({4, 3})}}, .metadata = {}});
  expect(good, "holds tensor 'a', which");
  fs::remove(folder.path() / "model-00003-of-00004.safetensors");
  save_safetensors(folder.path() / "model-00002-of-00004.safetensors",
                   {.tensors = {{"c", Tensor::zeros({4, 3})}}, .metadata = {}});
  EXPECT_NE(message_of<IoError>([&] { load_sharded_safetensors(folder.path()); }).find("model-00003"),
            std::string::npos);
}

}  // namespace
}  // namespace qing::nn
