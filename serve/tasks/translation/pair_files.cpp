#include <qing/serve/tasks/translation/pair_files.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <utility>

#include <qing/serve/common/how_many.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/tensor/errors.h>

namespace qing::serve::translation {
namespace {

namespace fs = std::filesystem;

std::string shown(const std::vector<nn::TranslationDirection>& directions) {
  std::vector<std::string> names;
  names.reserve(directions.size());
  for (const nn::TranslationDirection& direction : directions) names.push_back(name_of(direction));
  return fmt::format("{}", fmt::join(names, ","));
}

// The languages of the source and the target.
nn::TranslationDirection languages_of(const nn::ParallelTexts& texts, const PairReading& reading,
                                      const fs::path& file) {
  nn::TranslationDirection languages{nn::language_of_column(texts.source_column),
                                     nn::language_of_column(texts.target_column)};
  if (!languages.from.empty() && !languages.to.empty() && languages.from != languages.to) return languages;
  if (!reading.directions.empty()) return reading.directions.front();
  throw cli::UsageError(fmt::format(
      "--directions: {} does not name its languages (the texts are in '{}' and '{}'); give them, such as --directions "
      "en-zh",
      file.string(), texts.source_column, texts.target_column));
}

// The directions of the file, among those that are wanted.
std::vector<nn::TranslationDirection> directions_in(const nn::TranslationDirection& languages,
                                                    const PairReading& reading, const fs::path& file) {
  if (reading.directions.empty()) return {languages};
  const nn::TranslationDirection back{languages.to, languages.from};
  std::vector<nn::TranslationDirection> directions;
  std::ranges::copy_if(reading.directions, std::back_inserter(directions),
                       [&](const auto& direction) { return direction == languages || direction == back; });
  if (!directions.empty()) return directions;
  throw cli::UsageError(fmt::format("--directions: {} has {} and {}, none of {}", file.string(), languages.from,
                                    languages.to, shown(reading.directions)));
}

nn::ParallelTexts texts_of(const fs::path& file, const fs::path* target, const PairReading& reading) {
  nn::ParallelOptions options{.source_column = reading.source_column, .target_column = reading.target_column};
  if (reading.speaks) {
    options.on_guess = [](const fs::path& path, const std::string& guesses) {
      fmt::print(stderr, "qing: reading {} as {}\n", path.string(), guesses);
    };
  }
  return target == nullptr ? nn::read_parallel(file, options) : nn::read_parallel(file, *target, options);
}

cli::DataFile record_of(const fs::path& file, size_t pairs) {
  return {
      .path = file.string(), .sha256 = sha256_of(file), .label_texts = {}, .unlabelled = static_cast<int64_t>(pairs)};
}

}  // namespace

std::vector<nn::TranslationDirection> directions_of(const std::string& text) {
  std::vector<nn::TranslationDirection> directions;
  for (size_t begin = 0; !text.empty() && begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    try {
      directions.push_back(nn::direction_named(text.substr(begin, end - begin)));
    } catch (const ValueError& error) { throw cli::UsageError(fmt::format("--directions: {}", error.what())); }
    if (std::ranges::count(directions, directions.back()) > 1) {
      throw cli::UsageError(fmt::format("--directions: {} stands twice", name_of(directions.back())));
    }
    begin = end + 1;
  }
  return directions;
}

std::vector<PairFile> read_pairs(const std::vector<fs::path>& files, const std::vector<fs::path>& targets,
                                 const std::vector<fs::path>& among, const PairReading& reading) {
  cli::check_distinct(files);
  if (!targets.empty() && targets.size() != files.size()) {
    throw cli::UsageError(fmt::format("there are {} files of sources and {} of targets; give one of targets for each",
                                      files.size(), targets.size()));
  }
  const std::vector<std::string> names = cli::names_of(files, among);
  std::vector<PairFile> read;
  for (size_t i = 0; i < files.size(); ++i) {
    const fs::path* target = targets.empty() ? nullptr : &targets[i];
    nn::ParallelTexts texts = texts_of(files[i], target, reading);
    if (texts.blank > 0 && reading.speaks) {
      fmt::print(stderr, "qing: {}: {} left out\n", names[i],
                 how_many(texts.blank, "pair with a blank text is", "pairs with a blank text are"));
    }
    const nn::TranslationDirection languages = languages_of(texts, reading, files[i]);
    PairFile file{.files = {record_of(files[i], texts.pairs.size())}, .name = names[i], .pairs = {}};
    if (target != nullptr) file.files.push_back(record_of(*target, texts.pairs.size()));
    for (const nn::TranslationDirection& direction : directions_in(languages, reading, files[i])) {
      const bool forward = direction == languages;
      for (const nn::TextPair& pair : texts.pairs) {
        const std::string& source = forward ? pair.source : pair.target;
        const std::string& to = forward ? pair.target : pair.source;
        file.pairs.push_back(
            {{source, to, direction.from, direction.to},
             pair.document.empty() ? pair.source + "\t" + pair.target : pair.origin + "\t" + pair.document});
      }
    }
    read.push_back(std::move(file));
  }
  return read;
}

std::vector<optim::TranslationPair> take_pairs(std::vector<PairFile>& files) {
  std::vector<optim::TranslationPair> pairs;
  for (PairFile& file : files) {
    for (DirectedPair& one : file.pairs) pairs.push_back(std::move(one.pair));
    file.pairs.clear();
  }
  return pairs;
}

std::vector<std::pair<nn::TranslationDirection, std::vector<optim::TranslationPair>>> by_direction(
    const std::vector<DirectedPair>& pairs) {
  std::map<nn::TranslationDirection, std::vector<optim::TranslationPair>> sorted;
  for (const DirectedPair& one : pairs) sorted[{one.pair.from, one.pair.to}].push_back(one.pair);
  return {std::make_move_iterator(sorted.begin()), std::make_move_iterator(sorted.end())};
}

}  // namespace qing::serve::translation
