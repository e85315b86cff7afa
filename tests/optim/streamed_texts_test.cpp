// Token files, and classifiers that train from them.
#include <gtest/gtest.h>
#include <qing/optim/classifier/starting_model.h>
#include <qing/optim/classifier/streamed_texts.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/optim/parallel/thread_ranks.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "nn/temp_folder.h"
#include "optim/labelled_things.h"

namespace qing::optim {
namespace {

namespace fs = std::filesystem;
using test::content_of;
using test::message_of;

using Row = std::tuple<std::vector<int32_t>, int32_t, int32_t>;  // ids, label, group

std::vector<Row> rows_of(const TokenFile& file) {
  std::vector<Row> rows;
  for (size_t block = 0; block < file.blocks().size(); ++block) {
    for (size_t row = 0; row < file.blocks()[block].texts; ++row) {
      const TokenFile::Text text = file.text(block, row);
      rows.emplace_back(text.ids, text.label, text.group);
    }
  }
  return rows;
}

void write_rows(const fs::path& path, const std::vector<Row>& rows, int64_t vocab) {
  TokenFileWriter writer(path, vocab);
  for (const auto& [ids, label, group] : rows) writer.add(ids, label, group);
  writer.finish();
}

std::vector<Row> some_rows(int32_t vocab) {
  std::vector<Row> rows;
  Generator rng(3);
  for (int i = 0; i < 9000; ++i) {
    std::vector<int32_t> ids(rng.below(5));
    for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab)));
    rows.emplace_back(std::move(ids), i % 3, i / 5000);
  }
  return rows;
}

TEST(TokenFile, KeepsTextsInBlocksOfTheirGroups) {
  const test::TempFolder folder;
  for (const int32_t vocab : {100, 65536, 65537, 1 << 20}) {
    const std::vector<Row> rows = some_rows(vocab);
    write_rows(folder.path() / "t", rows, vocab);
    const auto file = TokenFile::open(folder.path() / "t");
    EXPECT_EQ(file->texts(), rows.size());
    EXPECT_EQ(rows_of(*file), rows) << vocab;
    std::vector<uint32_t> sizes;
    for (const TokenBlock& block : file->blocks()) sizes.push_back(block.texts);
    EXPECT_EQ(sizes, (std::vector<uint32_t>{4096, 904, 4000}));
  }
}

TEST(TokenFile, ABlockEndsBehindSoManyIds) {
  const test::TempFolder folder;
  const std::vector<int32_t> longs(100'000, 7);
  write_rows(folder.path() / "t", {{longs, 0, 0}, {longs, 1, 0}, {longs, 2, 0}, {longs, 0, 0}}, 10);
  const auto file = TokenFile::open(folder.path() / "t");
  ASSERT_EQ(file->blocks().size(), 2u);
  EXPECT_EQ(file->blocks()[0].texts, 3u);
}

TEST(TokenFile, EveryCutAndEveryChangedByteIsFound) {
  const test::TempFolder folder;
  const std::vector<Row> rows = {{{1, 2, 3}, 0, 0}, {{4}, 1, 0}, {{5, 6}, 0, 1}};
  write_rows(folder.path() / "t", rows, 10);
  const std::string whole = content_of(folder.path() / "t");
  for (size_t size = 0; size < whole.size(); ++size) {
    const fs::path cut = folder.write("cut", std::string_view(whole).substr(0, size));
    EXPECT_THROW(TokenFile::open(cut), DataError) << size;
  }
  int opened = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const fs::path path = folder.write("changed", changed);
    try {
      const auto file = TokenFile::open(path);
      ++opened;
      EXPECT_EQ(rows_of(*file), rows) << i;  // only the padding between blocks means nothing
    } catch (const DataError&) {}
  }
  EXPECT_GT(opened, 0);
}

TEST(TokenFile, SaysWhatIsWrong) {
  const test::TempFolder folder;
  write_rows(folder.path() / "t", {{{1}, 0, 0}}, 10);
  std::string bytes = content_of(folder.path() / "t");
  const auto error = [&](const std::string& content) {
    const fs::path path = folder.write("bad", content);
    return message_of<DataError>([&] { rows_of(*TokenFile::open(path)); });
  };
  EXPECT_NE(error(std::string(100, 'x')).find("is no file of tokenized texts"), std::string::npos);
  EXPECT_NE(error(bytes.substr(0, bytes.size() - 8) + "        ").find("its end is missing"), std::string::npos);
  std::string newer = bytes;
  newer[8] = 2;
  EXPECT_NE(error(newer).find("has version 2; this program reads 1"), std::string::npos);
  bytes[16] ^= 1;
  EXPECT_NE(error(bytes).find("the checksum of block 0 is wrong"), std::string::npos);
  EXPECT_THROW(TokenFile::open(folder.path() / "absent"), IoError);
  TokenFileWriter writer(folder.path() / "t", 10);
  EXPECT_THROW(writer.add(std::vector<int32_t>{10}, 0, 0), ValueError);
  EXPECT_THROW(TokenFileWriter(folder.path() / "no/where", 10), IoError);
}

class StreamedTraining : public ::testing::Test {
 protected:
  StreamedTraining() {
    std::vector<std::string> texts;
    for (int i = 0; i < 90; ++i)
      texts.push_back(test::labelled_thing(i) + std::string(static_cast<size_t>(i) % 9, 'x'));
    options_ = {.layers = 1, .width = 32, .batch = 16, .vocab = 200, .epochs = 2, .lr = 5e-3};
    options_.chunks = 4;
    fs::create_directory(folder_.path() / "tokenizer");
    new_tokenizer(texts, options_).save(folder_.path() / "tokenizer");
    const nn::Tokenizer tokenizer = tokenizer_of(folder_.path() / "tokenizer", options_);
    TokenFileWriter writer(folder_.path() / "tokens", tokenizer.vocab_size());
    streamed_.counts.assign(2, std::vector<int64_t>(3));
    for (int i = 0; i < 90; ++i) {
      writer.add(tokenizer.encode(texts[static_cast<size_t>(i)]).ids, i % 3, i / 50);
      ++streamed_.counts[static_cast<size_t>(i / 50)][static_cast<size_t>(i % 3)];
      examples_.push_back({texts[static_cast<size_t>(i)], i % 3, "", i / 50});
    }
    writer.finish();
    streamed_.tokens = TokenFile::open(folder_.path() / "tokens");
    streamed_.tokenizer = folder_.path() / "tokenizer";
  }

  std::string train(int ranks, RunOptions run = {}, int64_t last_step = 1000) {
    const fs::path out = folder_.path() / ("m" + std::to_string(trainings_++));
    run_thread_ranks(ranks, [&](Communicator& rank) {
      RunOptions own = run;
      own.ranks = &rank;
      if (!rank.is_first()) own.checkpoints.clear();
      result_steps_ = train_streamed_classifier(
                          streamed_, options_, out, [&](const Progress& now) { return now.step < last_step; }, {}, own)
                          .steps;
    });
    return read_file(out / "model.safetensors");
  }

  test::TempFolder folder_;
  TrainOptions options_;
  StreamedTexts streamed_;
  std::vector<nn::Example> examples_;
  std::atomic<int64_t> result_steps_ = 0;
  int trainings_ = 0;
};

TEST_F(StreamedTraining, EpochsHaveAllTextsAndBatchesAreReachedAnywhere) {
  const ClassifierCollate collate(streamed_.counts, options_, 4);
  StreamedBatches batches(streamed_.tokens, collate, options_);
  batches.start(1, 0);
  std::vector<std::vector<int32_t>> labels;
  while (const auto task = batches.next()) {
    const ClassifierBatch batch = task();
    const auto values = batch.targets.span<int32_t>();
    labels.emplace_back(values.begin(), values.end());
  }
  ASSERT_EQ(labels.size(), 6u);
  EXPECT_EQ(labels.back().size(), 90u - 5 * 16);
  EXPECT_EQ(batches.batches(), 6u);
  std::vector<int32_t> all;
  for (const auto& some : labels) all.insert(all.end(), some.begin(), some.end());
  EXPECT_EQ(std::ranges::count(all, 2), 30);
  batches.start(1, 4);
  const ClassifierBatch again = batches.next()();
  const auto values = again.targets.span<int32_t>();
  EXPECT_EQ(std::vector<int32_t>(values.begin(), values.end()), labels[4]);
}

TEST_F(StreamedTraining, AnyNumberOfRanksAndAResumedEpochGiveTheSameBits) {
  options_.word_dropout = 0.1;
  options_.balance = 1;
  options_.ema = 0.9;
  const std::string expected = train(1);
  EXPECT_EQ(train(3), expected);
  RunOptions run;
  run.checkpoints = folder_.path() / "checkpoints";
  run.checkpoint_every = 1;
  train(2, run, 8);  // in the middle of the second epoch
  EXPECT_EQ(result_steps_, 8);
  EXPECT_EQ(train(3, run), expected);
}

TEST_F(StreamedTraining, LearnsAsMuchAsFromMemory) {
  options_.epochs = 30;
  options_.chunks = 0;
  const fs::path memory = folder_.path() / "memory", disk = folder_.path() / "disk";
  EXPECT_LT(train_classifier(examples_, options_, memory).loss, 0.2);
  EXPECT_LT(train_streamed_classifier(streamed_, options_, disk).loss, 0.2);
  EXPECT_EQ(content_of(disk / "vocab.txt"), content_of(memory / "vocab.txt"));
}

TEST_F(StreamedTraining, ADamagedBlockEndsTheTrainingWithItsName) {
  std::string bytes = content_of(folder_.path() / "tokens");
  bytes[20] ^= 1;
  streamed_.tokens = TokenFile::open(folder_.write("damaged", bytes));
  const std::string error = message_of<DataError>([&] { train(1); });
  EXPECT_NE(error.find("damaged: is damaged: the checksum of block 0 is wrong"), std::string::npos) << error;
}

TEST_F(StreamedTraining, OptionsThatNeedAllTextsAreRefusedByName) {
  const TrainOptions plain = options_;
  const auto refused = [&](const std::string& name) {
    const std::string error =
        message_of<ValueError>([&] { train_streamed_classifier(streamed_, options_, folder_.path() / "no"); });
    EXPECT_NE(error.find(name), std::string::npos) << error;
    options_ = plain;
  };
  options_.ngram_min_texts = 2;
  refused("ngram_min_texts");
  options_.from = "x", options_.prune_vocab = 1;
  refused("prune_vocab");
  options_.teachers = {"teacher"};
  refused("teachers");
  options_.extra_groups = {1};
  refused("extra_groups");
  options_.multi_label = 1;
  refused("multi_label");
  options_.regression = 1, options_.labels = {"value"};
  refused("regression");
  EXPECT_FALSE(fs::exists(folder_.path() / "no"));
}

}  // namespace
}  // namespace qing::optim
