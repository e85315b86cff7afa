#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <qing/nn/models/tagger.h>
#include <qing/optim/parallel/thread_ranks.h>
#include <qing/optim/tagging/train_tagger.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

#include "nn/temp_folder.h"
#include "optim/seqeval_rows.h"

namespace qing::optim {
namespace {

using Tags = std::vector<std::string>;

std::vector<Tags> sentences_of(const std::string& text) {
  std::vector<Tags> sentences(1);
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == "|") {
      sentences.emplace_back();
    } else {
      sentences.back().push_back(word);
    }
  }
  return sentences;
}

TEST(TagScores, AreThoseOfSeqeval) {
  for (const SeqevalRow& row : kSeqevalRows) {
    const TagScores scores = score_tags(sentences_of(row.expected), sentences_of(row.predicted));
    EXPECT_NEAR(scores.all.f1(), row.f1, 1e-12) << row.expected;
    EXPECT_NEAR(scores.all.precision(), row.precision, 1e-12) << row.expected;
    EXPECT_NEAR(scores.all.recall(), row.recall, 1e-12) << row.expected;
    EXPECT_NEAR(scores.accuracy(), row.accuracy, 1e-12) << row.expected;
  }
  EXPECT_THROW(score_tags(std::vector<Tags>{{"O"}}, std::vector<Tags>{}), ValueError);
  EXPECT_THROW(score_tags(std::vector<Tags>{{"O"}}, std::vector<Tags>{{"O", "O"}}), ValueError);
}

std::vector<nn::TaggedSentence> people_and_places() {
  std::vector<nn::TaggedSentence> sentences;
  for (const char* person : {"Anna", "Bruno", "Carla", "David"}) {
    for (const char* city : {"Oslo", "Cairo", "Lagos"}) {
      sentences.push_back({{person, "Meyer", "lives", "in", city, "."}, {"B-PER", "I-PER", "O", "O", "B-LOC", "O"}});
      sentences.push_back({{"In", city, ",", person, "slept"}, {"O", "B-LOC", "O", "B-PER", "O"}});
    }
  }
  return sentences;
}

TrainOptions small_options() {
  TrainOptions options;
  options.layers = 1;
  options.width = 32;
  options.vocab = 200;
  options.max_length = 32;
  options.epochs = 30;
  options.batch = 6;
  options.lr = 5e-3;
  return options;
}

std::string weights_of(const std::filesystem::path& folder) { return read_file(folder / "model.safetensors"); }

TEST(TrainTagger, LearnsAndTagsRawTexts) {
  const test::TempFolder folder;
  const auto sentences = people_and_places();
  train_tagger(sentences, small_options(), folder.path());
  const auto model = nn::Tagger::load(folder.path());
  EXPECT_EQ(model->task(), "tagging");
  EXPECT_EQ(nn::task_of(folder.path()), "tagging");
  EXPECT_EQ(model->labels(), (Tags{"O", "B-LOC", "I-LOC", "B-PER", "I-PER"}));
  EXPECT_EQ(evaluate_tagger(*model, sentences).all.f1(), 1);
  // Without a space before the full stop, and with more between the words.
  const std::string text = "Anna  Meyer lives in Oslo.";
  const nn::TaggedText tagged = model->tag(std::span(&text, 1)).front();
  ASSERT_EQ(tagged.entities.size(), 2u);
  EXPECT_EQ(tagged.entities[0].type, "PER");
  EXPECT_EQ(text.substr(tagged.entities[0].begin, tagged.entities[0].end - tagged.entities[0].begin), "Anna  Meyer");
  EXPECT_EQ(tagged.entities[1].type, "LOC");
  EXPECT_EQ(text.substr(tagged.entities[1].begin, tagged.entities[1].end - tagged.entities[1].begin), "Oslo");
  EXPECT_GT(tagged.entities[0].score, 0.8F);
}

TEST(TrainTagger, ByteLevelVocabulariesSeeTextsAsPeopleWriteThem) {
  const test::TempFolder folder;
  std::vector<std::uint32_t> begins;
  const std::vector<std::string> words = {"(", "Anna", "'s", "cat", ")", ",", "中", "国", "。", "5", "%", "'", "x"};
  EXPECT_EQ(nn::join_words(words, begins), "(Anna's cat), 中国。 5% ' x");
  EXPECT_EQ(begins, (std::vector<std::uint32_t>{0, 1, 5, 8, 11, 12, 14, 17, 20, 24, 25, 27, 29}));
  TrainOptions options = small_options();
  options.byte_level = 1;
  options.vocab = 400;
  train_tagger(people_and_places(), options, folder.path());
  const std::string text = "In Oslo, Anna slept";
  const nn::TaggedText tagged = nn::Tagger::load(folder.path())->tag(std::span(&text, 1)).front();
  ASSERT_EQ(tagged.entities.size(), 2u);
  EXPECT_EQ(text.substr(tagged.entities[0].begin, tagged.entities[0].end - tagged.entities[0].begin), "Oslo");
  EXPECT_EQ(text.substr(tagged.entities[1].begin, tagged.entities[1].end - tagged.entities[1].begin), "Anna");
}

TEST(TrainTagger, ATextDoesNotDependOnTheBatch) {
  const test::TempFolder folder;
  TrainOptions options = small_options();
  options.epochs = 3;
  train_tagger(people_and_places(), options, folder.path());
  const auto model = nn::Tagger::load(folder.path());
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i) {
    texts.push_back("In Oslo, Carla slept");
    texts.push_back(std::string(static_cast<size_t>(i * 7), 'x') + " Anna Meyer 中国 lives in Lagos .");
  }
  const std::vector<nn::TaggedText> together = model->tag(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    const nn::TaggedText alone = model->tag(std::span(texts).subspan(i, 1)).front();
    ASSERT_EQ(alone.entities.size(), together[i].entities.size()) << i;
    for (size_t k = 0; k < alone.entities.size(); ++k) {
      EXPECT_EQ(alone.entities[k].score, together[i].entities[k].score);
      EXPECT_EQ(alone.entities[k].begin, together[i].entities[k].begin);
    }
  }
}

TEST(TrainTagger, BitsAreEqualForThreadsAndResumedTrainings) {
  const auto sentences = people_and_places();
  TrainOptions options = small_options();
  options.epochs = 2;
  options.label_smoothing = 0.1;
  const test::TempFolder one, two, resumed;
  const int threads = num_threads();
  set_num_threads(1);
  train_tagger(sentences, options, one.path());
  set_num_threads(2);
  train_tagger(sentences, options, two.path());
  EXPECT_EQ(weights_of(one.path()), weights_of(two.path()));
  const RunOptions run{.checkpoints = resumed.path() / "checkpoints", .checkpoint_every = 2};
  train_tagger(
      sentences, options, resumed.path(), [](const Progress& now) { return now.step < 3; }, run);
  const TrainResult result = train_tagger(sentences, options, resumed.path(), {}, run);
  set_num_threads(threads);
  EXPECT_EQ(result.resumed_from, 3);
  EXPECT_EQ(weights_of(one.path()), weights_of(resumed.path()));
}

TEST(TrainTagger, BitsAreEqualForAnyNumberOfRanks) {
  const auto sentences = people_and_places();
  TrainOptions options = small_options();
  options.epochs = 2;
  options.chunks = 4;
  const test::TempFolder alone, together;
  train_tagger(sentences, options, alone.path());
  run_thread_ranks(
      2, [&](Communicator& ranks) { train_tagger(sentences, options, together.path(), {}, {.ranks = &ranks}); });
  EXPECT_EQ(weights_of(alone.path()), weights_of(together.path()));
}

TEST(TrainTagger, LongSentencesAreComputedInWindows) {
  const test::TempFolder folder;
  auto sentences = people_and_places();
  nn::TaggedSentence& longest = sentences.emplace_back();
  for (int i = 0; i < 60; ++i) {
    longest.words.push_back(i % 10 == 5 ? "Oslo" : "slept");
    longest.tags.push_back(i % 10 == 5 ? "S-LOC" : "O");  // BIOES among BIO: the model has both
  }
  TrainOptions options = small_options();
  options.max_length = 16;
  train_tagger(sentences, options, folder.path());
  const auto model = nn::Tagger::load(folder.path());
  EXPECT_EQ(model->labels().size(), 9u);
  const std::vector<Tags> tags = model->tag_words(std::vector<Tags>{longest.words});
  EXPECT_EQ(tags.front(), longest.tags);
}

TEST(TrainTagger, BeginsFromAnotherModelAndKeepsItsHead) {
  const test::TempFolder first, second;
  const auto sentences = people_and_places();
  train_tagger(sentences, small_options(), first.path());
  TrainOptions options = small_options();
  options.from = first.path();
  options.max_steps = 1;
  options.lr = 1e-9;
  train_tagger(sentences, options, second.path());
  EXPECT_EQ(evaluate_tagger(*nn::Tagger::load(second.path()), sentences).all.f1(), 1) << "the head is taken over";
}

TEST(TrainTagger, WhatCannotBeTrainedIsRefused) {
  const test::TempFolder folder;
  const TrainOptions options = small_options();
  EXPECT_THROW(train_tagger({}, options, folder.path()), ValueError);
  const std::vector<nn::TaggedSentence> plain = {{{"a"}, {"O"}}};
  EXPECT_NE(test::message_of<ValueError>([&] { train_tagger(plain, options, folder.path()); }).find("B-PER"),
            std::string::npos);
  const std::vector<nn::TaggedSentence> wrong = {{{"a"}, {"NOUN"}}};
  EXPECT_THROW(train_tagger(wrong, options, folder.path()), ValueError);
}

}  // namespace
}  // namespace qing::optim
