// Sentences whose words have tags, such as those of CoNLL-2003 (Tjong Kim Sang & De Meulder 2003).
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <qing/nn/data/line_reader.h>

namespace qing::nn {

struct TaggedSentence {
  std::vector<std::string> words;  ///< none is empty
  std::vector<std::string> tags;   ///< one for each word, as the file has them
  size_t line = 0;                 ///< of the first word, from 1
  bool on_one_line = false;        ///< of a .jsonl file; elsewhere each word has a line
  size_t line_of(size_t word) const { return on_one_line ? line : line + word; }
};

/// Reads a file. A name that ends with .jsonl has a line {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]} for each
/// sentence; "words" and "ner_tags" are read as other names. In any other file a line is a word and its tag, with
/// spaces or tabs between and other columns in the middle, and a blank line ends a sentence. Lines that begin with
/// -DOCSTART- are skipped. IoError; LineError for a line without a tag, a word or a tag that is no text, lists of
/// different lengths, invalid UTF-8, a NUL byte, a sentence of more than `most_words`, and a line of more than 1 MiB;
/// DataError for a file without sentences.
std::vector<TaggedSentence> read_tagged_sentences(const std::filesystem::path& path, size_t most_words = 1 << 16);
/// The same for text that is there. `name` identifies it in messages; `json_lines` says which form it has.
std::vector<TaggedSentence> read_tagged_sentences(const std::string& name, ByteInput input, bool json_lines,
                                                  size_t most_words = 1 << 16);

}  // namespace qing::nn
