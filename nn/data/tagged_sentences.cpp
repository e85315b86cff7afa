#include <qing/nn/data/tagged_sentences.h>

#include <fmt/format.h>

#include <boost/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include <qing/nn/data/json_objects.h>
#include <qing/nn/data/record_reader.h>
#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr size_t kMostLineBytes = 1 << 20;
constexpr std::string_view kColumnGaps = " \t";
constexpr std::string_view kDocumentStart = "-DOCSTART-";

void check_word_count(const LineReader& lines, const TaggedSentence& sentence, size_t most_words) {
  if (sentence.words.size() <= most_words) return;
  lines.fail(fmt::format("a sentence of more than {} words; end sentences with a blank line", most_words),
             sentence.line);
}

// The column that begins at or behind `at`, which moves to its end.
std::string_view next_column(std::string_view line, size_t& at) {
  const size_t begin = line.find_first_not_of(kColumnGaps, at);
  if (begin == line.npos) return {};
  at = std::min(line.find_first_of(kColumnGaps, begin), line.size());
  return line.substr(begin, at - begin);
}

std::vector<TaggedSentence> read_columns(LineReader& lines, size_t most_words) {
  std::vector<TaggedSentence> sentences;
  TaggedSentence sentence;
  const auto finish = [&] {
    if (!sentence.words.empty()) sentences.push_back(std::exchange(sentence, {}));
  };
  while (std::optional<std::string_view> next = lines.next()) {
    std::string_view line = *next;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find('\0') != line.npos) lines.fail("holds a NUL byte; save the file as a text", lines.line());
    size_t at = 0;
    const std::string_view word = next_column(line, at);
    if (word.empty() || word == kDocumentStart) {
      finish();
      continue;
    }
    std::string_view tag;
    for (std::string_view column = next_column(line, at); !column.empty(); column = next_column(line, at)) tag = column;
    if (tag.empty()) {
      lines.fail("has a word without a tag; write the word, a tab and its tag, and a blank line after each sentence",
                 lines.line());
    }
    if (sentence.words.empty()) sentence.line = lines.line();
    sentence.words.emplace_back(word);
    sentence.tags.emplace_back(tag);
    check_word_count(lines, sentence, most_words);
  }
  finish();
  return sentences;
}

std::vector<std::string> texts_in(const LineReader& lines, const boost::json::object& object, std::string_view name,
                                  std::string_view other) {
  const boost::json::value* value = object.if_contains(name);
  if (value == nullptr) value = object.if_contains(other);
  if (value == nullptr || !value->is_array()) {
    lines.fail(fmt::format(R"(needs a list of texts "{}"; write {{"tokens": [...], "tags": [...]}})", name),
               lines.line());
  }
  std::vector<std::string> texts;
  for (const boost::json::value& one : value->get_array()) {
    if (!one.is_string() || is_blank(std::string_view(one.get_string()))) {
      lines.fail(fmt::format("\"{}\" has an element that is no text, or blank; correct it", name), lines.line());
    }
    texts.emplace_back(one.get_string());
  }
  return texts;
}

std::vector<TaggedSentence> read_objects(LineReader& lines, size_t most_words) {
  std::vector<TaggedSentence> sentences;
  while (const std::optional<boost::json::object> object = next_json_object(lines)) {
    TaggedSentence sentence{.words = texts_in(lines, *object, "tokens", "words"),
                            .tags = texts_in(lines, *object, "tags", "ner_tags"),
                            .line = lines.line(),
                            .on_one_line = true};
    if (sentence.words.size() != sentence.tags.size()) {
      lines.fail(fmt::format("has {} tokens and {} tags; give each token one tag", sentence.words.size(),
                             sentence.tags.size()),
                 lines.line());
    }
    check_word_count(lines, sentence, most_words);
    if (!sentence.words.empty()) sentences.push_back(std::move(sentence));
  }
  return sentences;
}

}  // namespace

std::vector<TaggedSentence> read_tagged_sentences(const std::string& name, ByteInput input, bool json_lines,
                                                  size_t most_words) {
  LineReader lines(name, std::move(input), kMostLineBytes);
  std::vector<TaggedSentence> sentences =
      json_lines ? read_objects(lines, most_words) : read_columns(lines, most_words);
  if (sentences.empty()) throw DataError(fmt::format("{}: has no sentences", name));
  return sentences;
}

std::vector<TaggedSentence> read_tagged_sentences(const std::filesystem::path& path, size_t most_words) {
  return read_tagged_sentences(path.string(), input_of(path), path.extension() == ".jsonl", most_words);
}

}  // namespace qing::nn
