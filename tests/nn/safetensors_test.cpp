#include <qing/nn/formats/safetensors.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/module.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/warnings.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

class SafetensorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              (std::string("qing_safetensors_") + info->name() + "_" + std::to_string(std::random_device{}()));
    fs::create_directories(folder_);
    path_ = folder_ / "model.safetensors";
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write_raw(const std::string& bytes) const {
    std::ofstream out(path_, std::ios::binary);
    out << bytes;
  }
  void write_header(const std::string& header, const std::string& data) const {
    const uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    write_raw(bytes + header + data);
  }
  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // The error names the file and contains `what`.
  void expect_refused(const std::string& what) const {
    try {
      load_safetensors(path_);
      ADD_FAILURE() << "accepted, expected: " << what;
    } catch (const DataError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find(path_.string()), std::string::npos) << text;
      EXPECT_NE(text.find(what), std::string::npos) << text;
    }
  }
  void expect_refused(const std::string& header, size_t data, const std::string& what) const {
    SCOPED_TRACE(header);
    write_header(header, std::string(data, '\0'));
    expect_refused(what);
  }

  fs::path folder_, path_;
};

TEST_F(SafetensorsTest, AFileWithoutTensorsIsWrittenWithAWarning) {
  std::vector<std::string> given;
  forget_warnings();
  set_warning_handler([&given](std::string_view text) { given.emplace_back(text); });
  save_safetensors(path_, {.tensors = Module().state_dict(), .metadata = {}});
  set_warning_handler({});
  forget_warnings();
  EXPECT_TRUE(load_safetensors(path_).tensors.empty());
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0], "save_safetensors: there are no tensors; does the module report its parts in visit()?");
}

TEST_F(SafetensorsTest, RoundTripKeepsEveryDType) {
  SafetensorsFile file;
  file.metadata["note"] = "情感";
  file.tensors["f32"] = Tensor::from<float>({1.5f, -2.0f, 3.25f, 0.0f, 5.0f, 6.0f}, {2, 3});
  file.tensors["f64"] = Tensor::from<double>({0.1}, {1});
  file.tensors["i32"] = Tensor::from<int32_t>({-7, 8}, {2});
  file.tensors["i64"] = Tensor::from<int64_t>({int64_t{1} << 40}, {});
  file.tensors["u8"] = Tensor::from<uint8_t>({1, 2, 255}, {3});
  file.tensors["bool"] = Tensor::from<bool>({true, false}, {2});
  file.tensors["f16"] = Tensor::from<Half>({Half{0x3c00}}, {1});
  file.tensors["bf16"] = Tensor::from<BFloat16>({BFloat16{0x3f80}}, {1});
  file.tensors["i8"] = Tensor::from<int8_t>({-1}, {1});
  file.tensors["none"] = Tensor::empty({0, 4});
  save_safetensors(path_, file);

  const SafetensorsFile read = load_safetensors(path_);
  ASSERT_EQ(read.tensors.size(), file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(read.tensors.contains(name));
    EXPECT_EQ(read.tensors.at(name).dtype(), tensor.dtype());
    EXPECT_EQ(read.tensors.at(name).shape(), tensor.shape());
  }
  EXPECT_EQ(read.tensors.at("f32").span<float>()[2], 3.25f);
  EXPECT_EQ(read.tensors.at("f64").span<double>()[0], 0.1);
  EXPECT_EQ(read.tensors.at("i32").span<int32_t>()[0], -7);
  EXPECT_EQ(read.tensors.at("i64").span<int64_t>()[0], int64_t{1} << 40);
  EXPECT_EQ(read.tensors.at("u8").span<uint8_t>()[2], 255);
  EXPECT_TRUE(read.tensors.at("bool").span<bool>()[0]);
  EXPECT_EQ(read.tensors.at("f16").span<Half>()[0].bits, 0x3c00);
  EXPECT_EQ(read.tensors.at("bf16").span<BFloat16>()[0].bits, 0x3f80);
  EXPECT_EQ(read.tensors.at("i8").span<int8_t>()[0], -1);
  EXPECT_EQ(read.metadata.at("note"), "情感");
  EXPECT_EQ(read.metadata.at("format"), "pt");
}

TEST_F(SafetensorsTest, WritesAnAlignedHeaderAndTheSameBytesTwice) {
  SafetensorsFile file;
  file.tensors["b"] = Tensor::from<float>({1.0f}, {1});
  file.tensors["a"] = Tensor::from<uint8_t>({7}, {1});
  save_safetensors(path_, file);
  const std::string first = bytes();
  uint64_t length = 0;
  std::memcpy(&length, first.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(first.size(), 8 + length + 5);
  // The wider dtype comes first, so that each tensor is aligned to its element.
  EXPECT_EQ(first.back(), 7);
  save_safetensors(path_, load_safetensors(path_));
  EXPECT_EQ(bytes(), first);
}

TEST_F(SafetensorsTest, WritesAViewInItsOwnOrder) {
  SafetensorsFile file;
  file.tensors["t"] = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3}).transpose(0, 1);
  save_safetensors(path_, file);
  const SafetensorsFile read = load_safetensors(path_);
  EXPECT_EQ(read.tensors.at("t").shape(), (Shape{3, 2}));
  EXPECT_EQ(read.tensors.at("t").span<float>()[1], 4.0f);
}

TEST_F(SafetensorsTest, ReadsAFileWithoutTensors) {
  write_header("{}", "");
  EXPECT_TRUE(load_safetensors(path_).tensors.empty());
}

TEST_F(SafetensorsTest, AMissingFileIsAnIoError) { EXPECT_THROW(load_safetensors(folder_ / "none"), IoError); }

TEST_F(SafetensorsTest, RefusesToSaveWhatItCouldNotRead) {
  SafetensorsFile file;
  file.tensors["x"] = Tensor();
  EXPECT_THROW(save_safetensors(path_, file), ValueError);
  file.tensors = {{"__metadata__", Tensor::zeros({1})}};
  EXPECT_THROW(save_safetensors(path_, file), ValueError);
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(SafetensorsTest, RefusesInvalidHeaders) {
  write_raw("");
  expect_refused("shorter than the 8 bytes");
  write_raw(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10));
  expect_refused("more than the limit");
  write_raw(std::string("\x10\0\0\0\0\0\0\0{}", 10));
  expect_refused("but 2 follow");
  expect_refused("[]", 0, "does not begin with '{'");
  expect_refused("", 0, "does not begin with '{'");
  expect_refused("{\"a\":", 0, "not JSON");
  expect_refused("{} x", 0, "not JSON");
  expect_refused("{\"a\":\"\xff\"}", 0, "not JSON");
  expect_refused("{\"a\":" + std::string(100'000, '['), 0, "not JSON");
  expect_refused(R"({"__metadata__":{"a":1}})", 0, "__metadata__");
}

TEST_F(SafetensorsTest, RefusesInvalidDescriptions) {
  expect_refused(R"({"a":1})", 0, "tensor 'a': its description");
  expect_refused(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, "dtype is missing");
  expect_refused(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4, "unknown dtype 'F33'");
  expect_refused(R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4, "shape is missing");
  expect_refused(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "shape holds");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "shape holds");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "data_offsets");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,-4]}})", 4, "data_offsets holds");
  expect_refused(R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},"a":{}})", 1, "appears twice");
  expect_refused(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "appears twice");
  // The same name, once spelt with an escape.
  expect_refused(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{}})", 0, "appears twice");
}

TEST_F(SafetensorsTest, RefusesShapesThatOverflow) {
  expect_refused(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0, "overflows");
  expect_refused(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}})", 0, "overflows");
  expect_refused(R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,0]}})", 0, "overflows");
}

TEST_F(SafetensorsTest, RefusesOffsetsThatDoNotTileTheData) {
  const std::string f32 = R"("dtype":"F32","shape":[1],"data_offsets")";
  expect_refused("{\"a\":{" + f32 + ":[4,0]}}", 4, "end before they begin");
  expect_refused("{\"a\":{" + f32 + ":[0,4]}}", 3, "truncated");
  expect_refused("{\"a\":{" + f32 + ":[18446744073709551612,18446744073709551615]}}", 4, "reach beyond");
  expect_refused("{\"a\":{" + f32 + ":[0,8]}}", 8, "need 4");
  expect_refused("{\"a\":{" + f32 + ":[0,4]},\"b\":{" + f32 + ":[2,6]}}", 6, "overlap");
  expect_refused("{\"a\":{" + f32 + ":[0,4]},\"b\":{" + f32 + ":[0,4]}}", 4, "overlap");
  expect_refused("{\"a\":{" + f32 + ":[0,4]},\"b\":{" + f32 + ":[8,12]}}", 12, "hole");
  expect_refused("{\"a\":{" + f32 + ":[4,8]}}", 8, "hole");
  expect_refused("{\"a\":{" + f32 + ":[0,4]}}", 5, "the tensors end at 4");
}

TEST_F(SafetensorsTest, AnyByteButZeroIsTrue) {
  write_header(R"({"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", std::string("\x00\x02\xff", 3));
  const Tensor loaded = load_safetensors(path_).tensors.at("a");
  const auto* const bytes = reinterpret_cast<const unsigned char*>(loaded.data<bool>());
  EXPECT_EQ(bytes[0], 0);
  EXPECT_EQ(bytes[1], 1);
  EXPECT_EQ(bytes[2], 1);
}

TEST_F(SafetensorsTest, ValidFilesWithOtherDTypesAreReportedAsUnsupported) {
  const auto expect_unsupported = [&](const std::string& header, size_t data, const std::string& what) {
    expect_refused(header, data, what);
    EXPECT_EQ(test::message_of<DataError>([&] { load_safetensors(path_); }).find("not a valid"), std::string::npos);
  };
  const std::vector<std::pair<const char*, size_t>> formats = {
      {"F4", 4},      {"F6_E2M3", 6},     {"F6_E3M2", 6},     {"F8_E5M2", 8}, {"F8_E4M3", 8},
      {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},
      {"U32", 32},    {"C64", 64},        {"U64", 64}};
  for (const auto& [name, bits] : formats) {
    const auto header = [&, name = name](size_t bytes) {
      return fmt::format(R"({{"a":{{"dtype":"{}","shape":[2,4],"data_offsets":[0,{}]}}}})", name, bytes);
    };
    expect_unsupported(header(bits), bits, fmt::format("unsupported: tensor 'a' has the dtype {}", name));
    expect_refused(header(bits + 1), bits + 1, fmt::format("need {}", bits));
  }
  expect_refused(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2, "12 bits of F4");
  expect_refused(R"({"a":{"dtype":"F6_E2M3","shape":[2],"data_offsets":[0,2]}})", 2, "12 bits of F6_E2M3");
  std::string ones = "1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  expect_unsupported(R"({"a":{"dtype":"U8","shape":[)" + ones + R"(],"data_offsets":[0,1]}})", 1, "has 65 dimensions");
  expect_unsupported(R"({"a":{"dtype":"U8","shape":[18446744073709551615,0],"data_offsets":[0,0]}})", 0, "overflows");
  // The file as a whole is checked first.
  expect_refused(R"({"a":{"dtype":"U16","shape":[1],"data_offsets":[0,2]}})", 3, "not a valid safetensors file");
}

TEST_F(SafetensorsTest, ReadsWhatTheReferenceReads) {
  const std::string a = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2])";
  for (const std::string& header :
       {" \t\r\n" + a + "}}", a + "}} \n", a + R"(,"more":{"x":[1]}}})", a + R"(},"__metadata__":null})"}) {
    SCOPED_TRACE(header);
    write_header(header, "\x07\x08");
    EXPECT_TRUE(identical(load_safetensors(path_).tensors.at("a"), Tensor::of({7, 8}, DType::u8)));
  }
}

// The claimed size costs neither memory nor time.
TEST_F(SafetensorsTest, AHeaderBeyondTheLimitIsRefusedBeforeTheFileIsRead) {
  write_raw(std::string("\x01\xe1\xf5\x05\0\0\0\0{", 9));  // 100,000,001
  fs::resize_file(path_, uintmax_t{1} << 40);
  expect_refused("100000001 bytes long, more than the limit");
  write_header("[]", "");
  fs::resize_file(path_, uintmax_t{1} << 40);
  expect_refused("does not begin with '{'");
}

// Damaged files are either refused or read. This test is most effective in the builds with sanitizers.
TEST_F(SafetensorsTest, SurvivesDamage) {
  SafetensorsFile file;
  file.tensors["weight"] = Tensor::zeros({3, 4});
  file.tensors["ids"] = Tensor::arange(5);
  save_safetensors(path_, file);
  const std::string good = bytes();
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    std::string bad = good;
    if (round % 2 == 0) {
      bad.resize(random() % good.size());
    } else {
      for (int i = 0; i < 3; ++i) bad[random() % bad.size()] = static_cast<char>(random());
    }
    write_raw(bad);
    try {
      load_safetensors(path_);
      EXPECT_EQ(bad.size(), good.size());
    } catch (const DataError&) {}
  }
}

}  // namespace
}  // namespace qing::nn
