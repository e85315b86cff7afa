#include <qing/serve/runs/held_out.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include <qing/serve/common/sha256.h>

namespace qing::serve::cli {
namespace {

// What is to be predicted, for the digest.
std::string answer_text(const nn::Example& example) {
  if (example.label >= 0) return std::to_string(example.label);
  if (example.labels.empty()) return fmt::format("{}", example.value);
  return fmt::format("{}", fmt::join(example.labels, ","));
}

}  // namespace

std::optional<LabelledFile> hold_out(std::span<LabelledFile> files, double share) {
  std::vector<nn::Split> splits;
  std::set<int32_t> trained;
  for (LabelledFile& file : files) {
    nn::Split& split = splits.emplace_back(nn::split_by_hash(std::move(file.examples), 100 * share));
    for (const nn::Example& example : split.train) {
      const auto labels = nn::labels_of(example);
      trained.insert(labels.begin(), labels.end());
    }
  }
  LabelledFile dev{"held out", {"held out", {}, {}, 0}, {}};
  std::string texts;
  for (size_t i = 0; i < files.size(); ++i) {
    auto& [train, held] = splits[i];
    const auto back = std::stable_partition(held.begin(), held.end(), [&](const nn::Example& example) {
      return std::ranges::all_of(nn::labels_of(example), [&](int32_t label) { return trained.contains(label); });
    });
    std::move(back, held.end(), std::back_inserter(train));
    held.erase(back, held.end());
    dev.file.label_texts.resize(files[i].file.label_texts.size());
    if (files[i].file.all) {
      *files[i].file.all -= std::ssize(held);
      dev.file.all = dev.file.all.value_or(0) + std::ssize(held);
    }
    for (nn::Example& example : held) {
      for (const int32_t label : nn::labels_of(example)) {
        --files[i].file.label_texts[static_cast<size_t>(label)];
        ++dev.file.label_texts[static_cast<size_t>(label)];
      }
      texts += answer_text(example) + "\t" + example.text + "\n";
      dev.examples.push_back(std::move(example));
    }
    files[i].examples = std::move(train);
  }
  if (dev.examples.empty()) return std::nullopt;
  dev.file.sha256 = sha256_of_bytes(texts);
  return dev;
}

}  // namespace qing::serve::cli
