// The recipe of a tagger: an encoder with a label for each word, trained on sentences with tags.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/tagged_sentences.h>
#include <qing/nn/models/tag_scheme.h>
#include <qing/nn/models/tagger.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/optim/training/training_run.h>

namespace qing::optim {

/// The labels that the tags of sentences call for: their types, sorted, with E- and S- if any tag has one. ValueError
/// without an entity, and for a tag that nn::normal_tag() refuses.
nn::TagScheme learn_tag_scheme(std::span<const nn::TaggedSentence> sentences);

/// Trains a vocabulary and an encoder of the options' size with a head for the labels of learn_tag_scheme(), or begins
/// with the encoder and the tokenizer in `from`, of any EncoderFamily and with any head or none, and writes the model
/// directory `out` (nn::save_tagger()). Of the options those of OptionUse::tagging count. Each word, cut as
/// nn::tag_input() cuts it, has one label, at its first token; longer sentences than max_length are computed in
/// windows. The loss is the mean cross-entropy of these labels. `run` and the callbacks are as train_classifier() has
/// them. The same sentences, options and kind of CPU give the same weights to the bit, for any number of threads, and
/// whether or not training was resumed. ValueError without sentences or entities and for options out of range;
/// DataError for a tag or a word that cannot be read, a model that cannot be read, or a checkpoint of another training;
/// IoError.
TrainResult train_tagger(std::span<const nn::TaggedSentence> sentences, const TrainOptions& options,
                         const std::filesystem::path& out, const OnProgress& on_progress = {},
                         const RunOptions& run = {});

/// Entities that were found, of those that are there and those that were predicted.
struct EntityCounts {
  std::int64_t right = 0, predicted = 0, expected = 0;
  double precision() const;
  double recall() const;
  double f1() const;  ///< 0 where precision and recall are
};

/// The scores that `seqeval` has by default: an entity is right if its type and its words are. They are over all
/// entities together (micro).
struct TagScores {
  EntityCounts all;
  std::map<std::string, EntityCounts> types;
  std::int64_t words = 0, right_words = 0;  ///< a word is right if its tag is
  double accuracy() const;
};
/// ValueError unless both have the same sentences with the same numbers of tags.
TagScores score_tags(std::span<const std::vector<std::string>> expected,
                     std::span<const std::vector<std::string>> predicted);
/// Of a model on sentences. Errors of Tagger::tag_words(); ValueError for a tag that nn::normal_tag() refuses.
TagScores evaluate_tagger(const nn::Tagger& model, std::span<const nn::TaggedSentence> sentences);

}  // namespace qing::optim
