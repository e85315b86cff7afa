#include <qing/serve/runs/data_files.h>

#include <fmt/format.h>

#include <numeric>

#include <qing/nn/data/unlabelled_texts.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/runs/evaluation.h>

namespace qing::serve::cli {

int64_t DataFile::texts() const {
  return all ? *all : std::accumulate(label_texts.begin(), label_texts.end(), unlabelled);
}

std::vector<LabelledFile> read_labelled(std::span<const std::filesystem::path> files,
                                        std::span<const std::filesystem::path> among,
                                        const nn::DatasetOptions& reading) {
  check_distinct(files);
  const std::vector<std::string> names = names_of(files, among);
  std::vector<LabelledFile> all;
  for (size_t i = 0; i < files.size(); ++i) {
    LabelledFile one{names[i], {files[i].string(), sha256_of(files[i]), {}, 0}, {}};
    one.examples = nn::read_dataset(files[i], reading);
    name_sources(one.examples, one.name);
    if (reading.problem != nn::Problem::regression) one.file.label_texts.resize(reading.labels.size());
    if (reading.problem == nn::Problem::multi_label || reading.problem == nn::Problem::regression) {
      one.file.all = std::ssize(one.examples);
    }
    for (const nn::Example& example : one.examples) {
      for (const int32_t label : nn::labels_of(example)) ++one.file.label_texts[static_cast<size_t>(label)];
    }
    all.push_back(std::move(one));
  }
  return all;
}

std::vector<LabelledFile> read_unlabelled_files(std::span<const std::filesystem::path> files,
                                                std::span<const std::filesystem::path> among,
                                                const nn::DatasetOptions& options) {
  check_distinct(files);
  const std::vector<std::string> names = names_of(files, among);
  std::vector<LabelledFile> all;
  for (size_t i = 0; i < files.size(); ++i) {
    LabelledFile one{names[i], {files[i].string(), sha256_of(files[i]), {}, 0}, {}};
    one.examples = nn::read_unlabelled(files[i], options);
    name_sources(one.examples, one.name);
    one.file.unlabelled = std::ssize(one.examples);
    all.push_back(std::move(one));
  }
  return all;
}

std::vector<nn::Example> take_examples(std::vector<LabelledFile>& files) {
  std::vector<nn::Example> all;
  for (size_t i = 0; i < files.size(); ++i) {
    LabelledFile& file = files[i];
    for (nn::Example& example : file.examples) example.group = static_cast<int32_t>(i);
    all.insert(all.end(), std::make_move_iterator(file.examples.begin()), std::make_move_iterator(file.examples.end()));
    file.examples.clear();
  }
  return all;
}

}  // namespace qing::serve::cli
