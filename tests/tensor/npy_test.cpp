#include <qing/tensor/npy.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include <qing/tensor/creation.h>
#include <qing/tensor/ops/compare.h>

#include "small_disk.h"

namespace qing {
namespace {

using namespace std::string_literals;
using test::content_of;
using test::message_of;
using test::names_in;
using test::SmallDisk;
using test::TempFolder;

// A version 1 file with this header and data.
std::string npy(const std::string& header, const std::string& data = "") {
  return "\x93NUMPY\x01\x00"s + static_cast<char>(header.size() & 0xff) + static_cast<char>(header.size() >> 8) +
         header + data;
}

std::string refusal(const std::string& content) {
  const TempFolder folder;
  const auto path = folder.write("x.npy", content);
  return message_of<DataError>([&] { load_npy(path); });
}

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Npy, WritesWhatNumPyWrites) {
  const TempFolder folder;
  save_npy(folder.path() / "x.npy", Tensor::of({{1, 2}, {3, 4}}, DType::u8).transpose(0, 1));
  const std::string content = content_of(folder.path() / "x.npy");
  EXPECT_EQ(content.substr(0, 10), "\x93NUMPY\x01\x00\x76\x00"s);
  EXPECT_EQ(content.substr(10, 57), "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2)}"s.substr(0, 56) + ",");
  EXPECT_EQ(content.size(), 128u + 4);
  EXPECT_EQ(content.substr(127), "\n\x01\x03\x02\x04");
}

TEST(Npy, EveryDTypeComesBack) {
  const TempFolder folder;
  for (const DType dtype :
       {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8, DType::boolean, DType::f16, DType::i8}) {
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{2, 3}, Shape{0, 4}, Shape{1, 2, 1, 2}}) {
      const Tensor x = Tensor::arange(numel_of(shape)).reshape(shape).to(dtype);
      save_npy(folder.path() / "x.npy", x);
      EXPECT_TRUE(identical(load_npy(folder.path() / "x.npy"), x)) << name_of(dtype) << " " << to_string(shape);
    }
  }
}

TEST(Npy, FortranOrderAndOtherSpellings) {
  const TempFolder folder;
  const auto path = folder.write(
      "x.npy", npy("{\"shape\":(2,3),  'fortran_order' : True,\n'descr':\"|i1\"}", "\x01\x02\x03\x04\x05\x06"));
  EXPECT_TRUE(equal(load_npy(path), Tensor::of({{1, 3, 5}, {2, 4, 6}}, DType::i8)));
  EXPECT_TRUE(load_npy(path).is_contiguous());
  folder.write("b.npy", npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", "\x00\x01\x07"s));
  EXPECT_TRUE(equal(load_npy(folder.path() / "b.npy"), Tensor::of({0, 1, 1}, DType::boolean)));
}

TEST(Npy, EverySpellingOfADType) {
  const TempFolder folder;
  const auto load = [&](const std::string& descr, const std::string& data) {
    return load_npy(
        folder.write("x.npy", npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (1,)}", data)));
  };
  for (const char* descr : {"<f4", "f4", "|f4", "=f4", "f", "<f", "float32", "single"}) {
    EXPECT_TRUE(identical(load(descr, "\x00\x00\xc0\x3f"s), Tensor::of({1.5}, DType::f32))) << descr;
  }
  EXPECT_TRUE(identical(load(">f4", "\x3f\xc0\x00\x00"s), Tensor::of({1.5}, DType::f32)));
  for (const char* descr : {"|u1", "<u1", ">u1", "=u1", "u1", "B", "uint8"}) {
    EXPECT_TRUE(identical(load(descr, "\xc8"), Tensor::of({200}, DType::u8))) << descr;
  }
  for (const char* descr : {"|b1", "<b1", ">b1", "b1", "?", "bool"}) {
    EXPECT_TRUE(identical(load(descr, "\x02"), Tensor::of({1}, DType::boolean))) << descr;
  }
}

// The claimed size costs neither memory nor time.
TEST(Npy, TheHeaderIsCheckedBeforeTheDataAreRead) {
  const TempFolder folder;
  const auto path = folder.write("x.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}"));
  std::filesystem::resize_file(path, uintmax_t{1} << 40);
  expect_has(message_of<DataError>([&] { load_npy(path); }), "shape [3] of f32 needs 12");
}

TEST(Npy, HostileFilesAreRefused) {
  const auto with = [](const std::string& descr, const std::string& shape, const std::string& data = "") {
    return npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n", data);
  };
  expect_has(refusal(""), "not an .npy file");
  expect_has(refusal("PK\x03\x04 a zip of arrays"), "not an .npy file");
  expect_has(refusal("\x93NUMPY\x04\x00\x10\x00"s), "version 4.0");
  expect_has(refusal("\x93NUMPY\x01\x01\x10\x00"s), "version 1.1");
  expect_has(refusal("\x93NUMPY\x02\x00\x10\x00"s), "truncated within the .npy header's length");
  expect_has(refusal("\x93NUMPY\x02\x00\xff\xff\xff\xff"s), "header of 4294967295 bytes");
  expect_has(refusal("\x93NUMPY\x01\x00\xff\x00{"s), "truncated within the .npy header");
  expect_has(refusal(with("<c8", "(1,)", "abcdefgh")), "dtype <c8 is not supported");
  expect_has(refusal(with("<f4", "(1,)", "abc")), "3 bytes of data where shape [1] of f32 needs 4");
  expect_has(refusal(with("<f4", "(1,)", "abcde")), "more than one array");
  expect_has(refusal(with("<f4", "(4611686018427387904,)")), "more bytes than 64 bits count");
  expect_has(refusal(with("<f4", "(4294967296, 4294967296)")), "more bytes than 64 bits count");
  expect_has(refusal(with("<f4", "(99999999999999999999,)")), "a size in the shape");
  expect_has(refusal(with("<f4", "(-1,)")), "a size in the shape");
  expect_has(refusal(with("<f4", "(2 3)")), "expected");
  expect_has(refusal(with("<f4", "(1,")), "a size in the shape");
  expect_has(refusal(with("<f4", "(1)", "abcd")), "the shape (1) is not a tuple; write (1,)");
  expect_has(refusal(with("<f4", "(01,)", "abcd")), "begins with 0");
  expect_has(refusal(with("<f4", "(0, 4294967296, 4294967296)")), "more bytes than 64 bits count");
  std::string many = "(";
  for (int i = 0; i < 65; ++i) many += "1,";
  expect_has(refusal(with("<f4", many + ")", "abcd")), "more than 64 dimensions");
  expect_has(refusal(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}")), "records");
  expect_has(refusal(npy("{'descr': '<f4', 'shape': ()}")), "is missing");
  expect_has(refusal(npy("{'descr': '<f4', 'descr': '<f4'}")), "twice");
  expect_has(refusal(npy("{'other': '<f4'}")), "unknown");
  expect_has(refusal(npy("{'descr: }")), "not closed");
  expect_has(refusal(npy("{'descr': '<f4', 'fortran_order': false, 'shape': ()}")), "neither True nor False");
  expect_has(refusal(npy("{'descr': '|u1', 'fortran_order': False, 'shape': ()} x", "a")), "follows");
}

// A damaged file is either read or refused.
TEST(NpyProperty, ADamagedFileIsReadOrRefused) {
  const TempFolder folder;
  save_npy(folder.path() / "good.npy", Tensor::arange(6).reshape({2, 3}));
  const std::string good = content_of(folder.path() / "good.npy");
  EXPECT_TRUE(rc::check([&] {
    std::string content = good;
    for (int changes = *rc::gen::inRange(1, 4); changes > 0; --changes) {
      content[*rc::gen::inRange<size_t>(0, 90)] = *rc::gen::arbitrary<char>();
    }
    content.resize(*rc::gen::inRange<size_t>(content.size() - 20, content.size() + 2));
    const auto path = folder.write("bad.npy", content);
    try {
      load_npy(path);
    } catch (const DataError& error) { RC_ASSERT(std::string(error.what()).find("bad.npy") != std::string::npos); }
  }));
}

TEST(Npy, RefusesToWriteUnsupportedDTypes) {
  const TempFolder folder;
  EXPECT_THROW(save_npy(folder.path() / "x.npy", Tensor::zeros({2}, DType::bf16)), DTypeError);
  EXPECT_THROW(save_npy(folder.path() / "x.npy", Tensor::zeros(Shape(65, 1))), ShapeError);
  EXPECT_THROW(save_npy(folder.path() / "no" / "x.npy", Tensor::zeros({2})), IoError);
  EXPECT_THROW(load_npy(folder.path() / "x.npy"), IoError);
}

using NpyOnASmallDisk = SmallDisk;
TEST_F(NpyOnASmallDisk, AFullOneLeavesTheOldFile) {
  const auto path = folder_.path() / "x.npy";
  save_npy(path, Tensor::arange(3));
  EXPECT_THROW(save_npy(path, Tensor::zeros({100000})), IoError);
  EXPECT_TRUE(equal(load_npy(path), Tensor::arange(3)));
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{"x.npy"}));
}

}  // namespace
}  // namespace qing
