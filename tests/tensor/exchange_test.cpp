// Foreign memory: Tensor::wrap, Eigen, DLPack.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include <qing/tensor/creation.h>
#include <qing/tensor/dlpack.h>
#include <qing/tensor/eigen.h>
#include <qing/tensor/ops/compare.h>

#include "nn/temp_folder.h"

namespace qing {
namespace {

using test::message_of;

TEST(Wrap, SharesMemoryAndReleasesItOnce) {
  std::vector<float> memory = {0, 1, 2, 3, 4, 5};
  int released = 0;
  {
    Tensor view;
    {
      Tensor x = Tensor::wrap(memory.data(), {2, 3}, std::nullopt, [&] { ++released; });
      EXPECT_EQ(x.data<float>(), memory.data());
      x.set({1, 2}, 50);
      view = x.transpose(0, 1);
    }
    EXPECT_EQ(released, 0);
    EXPECT_EQ(view.at({2, 1}), 50);
  }
  EXPECT_EQ(released, 1);
  EXPECT_EQ(memory[5], 50);
}

TEST(Wrap, TakesAnyStrides) {
  std::vector<int32_t> memory = {0, 1, 2, 3, 4, 5};
  const Tensor backwards = Tensor::wrap(memory.data() + 5, {2, 3}, Strides{-3, -1});
  EXPECT_TRUE(equal(backwards, Tensor::of({{5, 4, 3}, {2, 1, 0}}, DType::i32)));
  EXPECT_TRUE(equal(backwards[{Slice(), 1}], Tensor::of({4, 1}, DType::i32)));
  Tensor same = Tensor::wrap(memory.data(), {4}, Strides{0});
  EXPECT_THROW(same.fill(1), ValueError);
  // Two independent tensors on the same memory.
  Tensor left = Tensor::wrap(memory.data(), {5}), right = Tensor::wrap(memory.data() + 1, {5});
  EXPECT_TRUE(left.may_overlap(right));
  right.copy_from(left);
  EXPECT_EQ(memory, (std::vector<int32_t>{0, 0, 1, 2, 3, 4}));
}

TEST(Wrap, RefusesWithTypedErrors) {
  alignas(8) char bytes[32] = {};
  int released = 0;
  const auto release = [&] { ++released; };
  auto* const odd = reinterpret_cast<float*>(bytes + 1);
  EXPECT_THROW(Tensor::wrap(odd, {2}, std::nullopt, release), ValueError);
  EXPECT_THROW(Tensor::wrap<float>(nullptr, {2}, std::nullopt, release), ValueError);
  EXPECT_NO_THROW(Tensor::wrap<float>(nullptr, {0}));
  auto* const floats = reinterpret_cast<float*>(bytes);
  EXPECT_THROW(Tensor::wrap(floats, {2}, Strides{1, 1}, release), ShapeError);
  EXPECT_THROW(Tensor::wrap(floats, {3}, Strides{std::numeric_limits<int64_t>::max()}, release), ValueError);
  EXPECT_THROW(Tensor::wrap(floats, {2}, Strides{std::numeric_limits<int64_t>::min()}, release), ValueError);
  EXPECT_THROW(Tensor::wrap(floats, {-1}, std::nullopt, release), ValueError);
  EXPECT_EQ(released, 0);
}

TEST(EigenExchange, ATensorOfAnyStridesIsAMatrix) {
  const Tensor x = Tensor::arange(12, DType::f64).reshape({3, 4});
  auto matrix = as_eigen<double>(x.transpose(0, 1)[{Slice(0, 4, 2)}]);
  ASSERT_EQ(matrix.rows(), 2);
  ASSERT_EQ(matrix.cols(), 3);
  EXPECT_EQ(matrix(1, 2), 10);
  matrix(0, 1) = -1;
  EXPECT_EQ(x.at({1, 0}), -1);
  EXPECT_EQ((as_eigen<double>(x) * as_eigen<double>(x).transpose())(0, 0), 0 + 1 + 4 + 9);
  EXPECT_EQ(as_eigen_vector<double>(x[{Slice(), 3}]).sum(), 3 + 7 + 11);
  EXPECT_EQ(as_eigen<double>(x[0]).rows(), 4);
  EXPECT_THROW(as_eigen<double>(Tensor::full({}, 1, DType::f64)), ShapeError);
  EXPECT_THROW(as_eigen_vector<double>(x), ShapeError);
  EXPECT_THROW(as_eigen<float>(x), DTypeError);
}

TEST(EigenExchange, AMatrixIsATensor) {
  Eigen::MatrixXf columns(2, 3);
  columns << 1, 2, 3, 4, 5, 6;
  Tensor x = from_eigen(columns);
  EXPECT_EQ(x.data<float>(), columns.data());
  EXPECT_TRUE(equal(x, Tensor::of({{1, 2, 3}, {4, 5, 6}})));
  x.set({0, 2}, 30);
  EXPECT_EQ(columns(0, 2), 30);
  Tensor block = from_eigen(columns.block(0, 1, 2, 2));
  EXPECT_TRUE(equal(block, Tensor::of({{2, 30}, {5, 6}})));
  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows(1, 2);
  rows << 7, 8;
  EXPECT_EQ(from_eigen(rows).strides(), (Strides{2, 1}));
  Eigen::VectorXi vector(2);
  vector << 1, 2;
  EXPECT_EQ(from_eigen(vector).shape(), Shape{2});
  EXPECT_EQ(from_eigen(columns.row(1)).strides(), Strides{2});
}

TEST(EigenExchange, AMatrixMovedInIsKept) {
  Tensor x;
  {
    Eigen::MatrixXd matrix = Eigen::MatrixXd::Constant(50, 50, 3);
    const double* const data = matrix.data();
    x = from_eigen(std::move(matrix));
    EXPECT_EQ(x.data<double>(), data);
  }
  EXPECT_EQ(x.at({49, 49}), 3);
}

// A struct as another library would export it.
struct Foreign {
  explicit Foreign(dlpack::TypeCode code = dlpack::TypeCode::floating, uint8_t bits = 32) {
    managed.tensor = {memory, {dlpack::kCpu, 0}, 2, {static_cast<uint8_t>(code), bits, 1}, shape, strides, 4};
    managed.manager_context = this;
    managed.deleter = [](dlpack::ManagedTensor* self) { ++static_cast<Foreign*>(self->manager_context)->deleted; };
  }
  alignas(8) float memory[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  int64_t shape[2] = {2, 3};
  int64_t strides[2] = {1, 2};
  dlpack::ManagedTensor managed{};
  int deleted = 0;
};

TEST(DLPack, ImportsWithoutACopyAndDeletesAtTheEnd) {
  Foreign foreign;
  {
    const Tensor x = dlpack::from_dlpack(&foreign.managed);
    EXPECT_EQ(x.data<float>(), foreign.memory + 1);  // byte_offset
    EXPECT_TRUE(equal(x, Tensor::of({{1, 3, 5}, {2, 4, 6}})));
    EXPECT_EQ(foreign.deleted, 0);
  }
  EXPECT_EQ(foreign.deleted, 1);
  foreign.managed.tensor.strides = nullptr;
  foreign.managed.deleter = nullptr;
  EXPECT_TRUE(equal(dlpack::from_dlpack(&foreign.managed), Tensor::of({{1, 2, 3}, {4, 5, 6}})));
}

TEST(DLPack, RefusesUnsupportedTensorsAndLeavesThemToTheCaller) {
  using dlpack::TypeCode;
  const auto refused = [](auto change) {
    Foreign foreign;
    change(foreign.managed.tensor);
    try {
      dlpack::from_dlpack(&foreign.managed);
    } catch (const Error& error) {
      EXPECT_EQ(foreign.deleted, 0);
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_NE(refused([](auto& t) { t.device.type = 2; }).find("device type 2"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.dtype.lanes = 4; }).find("4 lanes"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.dtype.code = 5; }).find("type code 5"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.dtype.bits = 8; }).find("of 8 bits"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.data = nullptr; }).find("null"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.byte_offset = 2; }).find("multiple of the 4 bytes"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.ndim = -1; }).find("-1 dimensions"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.shape = nullptr; }).find("without sizes"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.shape[0] = -2; }).find("negative size"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.strides[1] = std::numeric_limits<int64_t>::max(); }).find("64 bits"),
            std::string::npos);
  EXPECT_THROW(dlpack::from_dlpack(static_cast<dlpack::ManagedTensor*>(nullptr)), ValueError);
  EXPECT_THROW(dlpack::from_dlpack(static_cast<dlpack::ManagedTensorVersioned*>(nullptr)), ValueError);
  Foreign bools(TypeCode::boolean, 8);
  EXPECT_THROW(dlpack::from_dlpack(&bools.managed), ValueError);  // the byte 0x80 of 1.0F is not a bool
}

TEST(DLPack, EveryDTypeComesBackByBothStructs) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8, DType::boolean, DType::f16,
                            DType::bf16, DType::i8}) {
    const Tensor x = Tensor::of({{0, 1, 1}, {1, 0, 1}}, dtype).transpose(0, 1);
    const Tensor plain = dlpack::from_dlpack(dlpack::to_dlpack(x));
    const Tensor versioned = dlpack::from_dlpack(dlpack::to_dlpack_versioned(x));
    for (const Tensor& back : {plain, versioned}) {
      EXPECT_EQ(back.dtype(), dtype);
      EXPECT_EQ(back.strides(), x.strides());
      EXPECT_TRUE(identical(back, x)) << name_of(dtype);
      EXPECT_TRUE(back.may_overlap(x));
    }
  }
}

TEST(DLPack, AnExportOutlivesItsTensor) {
  dlpack::ManagedTensor* managed = nullptr;
  {
    const Tensor x = Tensor::full({1000}, 2.5);
    managed = dlpack::to_dlpack(x);
  }
  EXPECT_EQ(static_cast<float*>(managed->tensor.data)[999], 2.5F);
  EXPECT_EQ(managed->tensor.shape[0], 1000);
  managed->deleter(managed);
}

TEST(DLPack, ReadOnlyMemoryIsCopied) {
  Tensor x = Tensor::full({2}, 1);
  auto* const managed = dlpack::to_dlpack_versioned(x);
  managed->flags = dlpack::kReadOnly;
  Tensor y = dlpack::from_dlpack(managed);
  EXPECT_FALSE(y.may_overlap(x));
  EXPECT_TRUE(equal(x, y));
}

TEST(DLPack, AnotherMajorVersionIsRefused) {
  auto* const managed = dlpack::to_dlpack_versioned(Tensor::full({2}, 1));
  managed->version = {2, 0};
  EXPECT_EQ(message_of<ValueError>([&] { dlpack::from_dlpack(managed); }).substr(0, 23), "from_dlpack: DLPack 2.0");
  managed->deleter(managed);
}

}  // namespace
}  // namespace qing
