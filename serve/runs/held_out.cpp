#include <qing/serve/runs/held_out.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include <qing/serve/common/sha256.h>

namespace qing::serve::cli {

std::optional<LabelledFile> hold_out(std::span<LabelledFile> files, double share) {
  std::vector<nn::Split> splits;
  std::set<int32_t> trained;
  for (LabelledFile& file : files) {
    nn::Split& split = splits.emplace_back(nn::split_by_hash(std::move(file.examples), 100 * share));
    for (const nn::Example& example : split.train) trained.insert(example.label);
  }
  LabelledFile dev{"held out", {"held out", {}, {}, 0}, {}};
  std::string texts;
  for (size_t i = 0; i < files.size(); ++i) {
    auto& [train, held] = splits[i];
    const auto back = std::stable_partition(held.begin(), held.end(),
                                            [&](const nn::Example& e) { return trained.contains(e.label); });
    std::move(back, held.end(), std::back_inserter(train));
    held.erase(back, held.end());
    dev.file.label_texts.resize(files[i].file.label_texts.size());
    for (nn::Example& example : held) {
      const auto label = static_cast<size_t>(example.label);
      --files[i].file.label_texts[label];
      ++dev.file.label_texts[label];
      texts += std::to_string(example.label) + "\t" + example.text + "\n";
      dev.examples.push_back(std::move(example));
    }
    files[i].examples = std::move(train);
  }
  if (dev.examples.empty()) return std::nullopt;
  dev.file.sha256 = sha256_of_bytes(texts);
  return dev;
}

}  // namespace qing::serve::cli
