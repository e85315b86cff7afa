// Tags of words that mark entities: B-PER, I-PER, O, and with E- and S- where entities end (BIO, Ramshaw & Marcus 1995;
// BIOES, Ratinov & Roth 2009).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qing::nn {

/// An entity among the words of a sentence: the words first to last.
struct TagSpan {
  std::string type;
  size_t first, last;
  auto operator<=>(const TagSpan&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// The entities of a sequence of tags, in order, by the rules of conlleval that `seqeval` has by default: an entity
/// also begins where the type changes or where I- follows O. A tag without "-" has the type "_".
std::vector<TagSpan> spans_of_tags(std::span<const std::string> tags);

/// The tags of `count` words with these entities, which do not overlap: B- and I-, and with `bioes` E- and S-.
std::vector<std::string> tags_of_spans(std::span<const TagSpan> spans, size_t count, bool bioes);

/// A tag as B-, I-, E-, S- and a type, or O. Also reads L- (last), U- (unit) and M- (middle) of the schemes BILOU and
/// BMES. ValueError for a tag that is neither O nor such a prefix with "-" and a type.
std::string normal_tag(std::string_view tag);

/// The labels of a model that tags words, and which may follow which. Immutable; thread-safe.
class TagScheme {
 public:
  /// A model's rows of scores have so many numbers for each word.
  static constexpr size_t kMostLabels = 1024;
  /// ValueError for a label that is no tag, and for more than kMostLabels.
  explicit TagScheme(std::vector<std::string> labels);
  /// "O", then for each type B- and I-, and with `bioes` E- and S-. ValueError for more than kMostLabels of these.
  static TagScheme of_types(std::span<const std::string> types, bool bioes);

  const std::vector<std::string>& labels() const { return labels_; }
  /// Whether a label marks the end of an entity.
  bool bioes() const;
  /// Whether label `after` may follow `before`: entities begin with B- or S-, and where the labels have E- they end
  /// with E- or S-. A type without B- begins with I-.
  bool may_follow(size_t before, size_t after) const;
  bool may_begin(size_t label) const { return parts_[label].begins; }
  bool may_end(size_t label) const { return parts_[label].ends; }

  /// The label of each of `count` words with these entities, which do not overlap. Words of types that the labels lack
  /// are O.
  std::vector<std::int32_t> encode(std::span<const TagSpan> spans, size_t count) const;
  /// The sequence of labels with the greatest sum of scores among those that the rules allow (Viterbi 1967). `scores`
  /// has one row of labels().size() for each word. Of equal sums the one with the smaller label at the last word where
  /// they differ.
  std::vector<std::int32_t> best(std::span<const float> scores) const;
  /// The entities that a sequence of labels marks, as spans_of_tags() has them.
  std::vector<TagSpan> spans(std::span<const std::int32_t> labels) const;

 private:
  struct Part {
    char prefix;
    std::string type;
    bool begins, ends;  // an entity, or outside of any
  };
  std::int32_t find(char prefix, std::string_view type) const;

  std::vector<std::string> labels_;
  std::vector<Part> parts_;
  std::vector<std::vector<std::int32_t>> inside_;  // of each label, those that it continues, ascending
};

}  // namespace qing::nn
