#include <gtest/gtest.h>

#include <cmath>

#include <algorithm>
#include <numeric>
#include <set>

#include <qing/nn/data/collate.h>
#include <qing/nn/data/data_loader.h>
#include <qing/nn/data/tensor_dataset.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;

template <class D> std::vector<typename D::value_type> all_of(const D& dataset) {
  std::vector<typename D::value_type> values;
  for (size_t i = 0; i < dataset.size(); ++i) values.push_back(dataset.get(i));
  return values;
}

using Numbers = std::vector<int>;

TEST(DataAdapters, ComposeByIndex) {
  const VectorDataset a(Numbers{1, 2, 3}), none(Numbers{}), b(Numbers{4, 5});
  const ConcatDataset joined(std::vector{none, a, none, b, none});
  EXPECT_EQ(all_of(joined), (Numbers{1, 2, 3, 4, 5}));
  const Subset some(joined, {4, 0, 0, 3});
  EXPECT_EQ(all_of(some), (Numbers{5, 1, 1, 4}));
  const MappedDataset texts(some, [](int i) { return std::to_string(i); });
  EXPECT_EQ(all_of(texts), (std::vector<std::string>{"5", "1", "1", "4"}));
  const Numbers kept = {7, 8};
  EXPECT_EQ(all_of(SpanDataset<int>(kept)), kept);
  EXPECT_THROW(joined.get(5), IndexError);
  EXPECT_THROW(a.get(3), IndexError);
  EXPECT_THROW(texts.get(4), IndexError);
  EXPECT_THROW(Subset(joined, {5}), IndexError);
  EXPECT_EQ(message_of<IndexError>([&] { a.get(3); }), "VectorDataset: index 3 is out of range; there are 3 examples");
}

TEST(DataAdapters, RandomSplitIsAPartition) {
  Numbers numbers(103);
  std::iota(numbers.begin(), numbers.end(), 0);
  const VectorDataset dataset(numbers);
  const auto sizes = [&](const std::vector<double>& lengths) {
    std::vector<size_t> sizes;
    Numbers together;
    for (const auto& part : random_split(dataset, lengths, 3)) {
      sizes.push_back(part.size());
      for (const int value : all_of(part)) together.push_back(value);
    }
    EXPECT_FALSE(std::is_sorted(together.begin(), together.end()));
    std::sort(together.begin(), together.end());
    EXPECT_EQ(together, numbers);
    return sizes;
  };
  EXPECT_EQ(sizes({0.5, 0.25, 0.25}), (std::vector<size_t>{52, 26, 25}));  // like PyTorch: 51, 25, 25 and two more
  EXPECT_EQ(sizes({100, 3, 0}), (std::vector<size_t>{100, 3, 0}));
  EXPECT_EQ(random_split(dataset, {0.5, 0.5}, 1)[0].indices(), random_split(dataset, {0.5, 0.5}, 1)[0].indices());
  EXPECT_NE(random_split(dataset, {0.5, 0.5}, 1)[0].indices(), random_split(dataset, {0.5, 0.5}, 2)[0].indices());
  EXPECT_THROW(random_split(dataset, {100, 2}), ValueError);
  EXPECT_THROW(random_split(dataset, {104, -1}), ValueError);
  EXPECT_THROW(random_split(dataset, {51.5, 51.5}), ValueError);
  EXPECT_THROW(random_split(dataset, {0.5, 0.4}), ValueError);
}

TEST(DataAdapters, TensorsAreStackedAgain) {
  const Tensor x = Tensor::arange(12, DType::f32).reshape({4, 3}), y = Tensor::arange(4);
  DataLoader loader(TensorDataset({x, y}), default_collate, {.batch_size = 2, .num_workers = 2});
  const auto first = loader.next(), second = loader.next();
  ASSERT_EQ(second->size(), 2u);
  EXPECT_EQ((*second)[0].shape(), (Shape{2, 3}));
  EXPECT_EQ((*second)[0].data<float>()[0], 6);
  EXPECT_EQ((*second)[0].data<float>()[5], 11);
  EXPECT_EQ((*second)[1].shape(), (Shape{2}));
  EXPECT_EQ((*second)[1].data<int64_t>()[1], 3);
  EXPECT_THROW(TensorDataset({}), ShapeError);
  EXPECT_THROW(TensorDataset({x, Tensor::arange(3)}), ShapeError);
  EXPECT_THROW(TensorDataset({Tensor::full({}, 1)}), ShapeError);
  EXPECT_THROW(TensorDataset({x}).get(4), IndexError);
}

TEST(DataAdapters, ImagesAreNormalisedByChannel) {
  Tensor images = Tensor::zeros({2, 2, 1, 2}, DType::u8);
  images.data<uint8_t>()[5] = 255;  // image 1, channel 0, second pixel
  images.data<uint8_t>()[7] = 51;   // image 1, channel 1, second pixel
  const ImageDataset dataset(images, Tensor::from<int32_t>({3, 4}, {2}), {0.5f, 0}, {0.5f, 0.1f});
  DataLoader loader(dataset, default_collate, {.batch_size = 2});
  const auto batch = loader.next();
  EXPECT_EQ(batch->first.shape(), (Shape{2, 2, 1, 2}));
  const float expected[] = {-1, -1, 0, 0, -1, 1, 0, 2};
  for (int i = 0; i < 8; ++i) EXPECT_FLOAT_EQ(batch->first.data<float>()[i], expected[i]) << i;
  EXPECT_EQ(batch->second.dtype(), DType::i64);
  EXPECT_EQ(batch->second.data<int64_t>()[1], 4);
  const Tensor gray = Tensor::zeros({2, 5, 4}, DType::u8), labels = Tensor::arange(2);
  EXPECT_EQ(ImageDataset(gray, labels).get(1).first.shape(), (Shape{1, 5, 4}));
  EXPECT_THROW(ImageDataset(gray.to(DType::f32), labels), DTypeError);
  EXPECT_THROW(ImageDataset(gray, labels.to(DType::f32)), DTypeError);
  EXPECT_THROW(ImageDataset(gray, Tensor::arange(3)), ShapeError);
  EXPECT_THROW(ImageDataset(gray, labels, {0, 0}), ShapeError);
  EXPECT_THROW(ImageDataset(gray, labels, {0}, {0}), ValueError);
  EXPECT_THROW(ImageDataset(gray, labels, {0}, {INFINITY}), ValueError);  // every pixel would be 0
  EXPECT_THROW(ImageDataset(gray, labels, {NAN}, {1}), ValueError);
}

TEST(Collate, RefusesWhatDoesNotFit) {
  const Tensor a = Tensor::zeros({2}), b = Tensor::zeros({3});
  EXPECT_EQ(message_of<ShapeError>([&] {
              default_collate(std::vector{a, a, b});
            }),
            "stack_examples: example 2 of the batch is [3], the first one [2]; pad or crop them");
  EXPECT_THROW(default_collate(std::vector{a, a.to(DType::f64)}), DTypeError);
  EXPECT_THROW(default_collate(std::vector<Tensor>{}), ShapeError);
  EXPECT_THROW(default_collate(std::vector<std::vector<Tensor>>{{a}, {a, a}}), ShapeError);
}

TEST(Collate, RaggedAndPaddedIds) {
  const std::vector<std::vector<int32_t>> sequences = {{5, 6, 7}, {8}};
  const RaggedBatch ragged = collate_ragged(sequences);
  EXPECT_EQ(ragged.offsets, (Offsets{0, 3, 4}));
  EXPECT_EQ(ragged.ids.data<int32_t>()[3], 8);
  const PaddedBatch padded = collate_padded(sequences, -1);
  EXPECT_EQ(padded.ids.shape(), (Shape{2, 3}));
  const int32_t expected[] = {5, 6, 7, 8, -1, -1};
  EXPECT_TRUE(std::equal(expected, expected + 6, padded.ids.data<int32_t>()));
  EXPECT_EQ(padded.lengths.data<int64_t>()[0], 3);
  EXPECT_EQ(padded.lengths.data<int64_t>()[1], 1);
  const LabelledBatch labelled = collate_labelled(std::vector<LabelledIds>{{{1, 2}, 2}, {{3}, 0}});
  EXPECT_EQ(labelled.sequences.tokens(), 3);
  EXPECT_EQ(labelled.labels.data<int32_t>()[0], 2);
  EXPECT_THROW(collate_ragged(std::vector<std::vector<int32_t>>{{}}), ValueError);
}

}  // namespace
}  // namespace qing::nn
