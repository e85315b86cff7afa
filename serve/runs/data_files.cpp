#include <qing/serve/runs/data_files.h>

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <memory>
#include <numeric>

#include <qing/nn/data/unlabelled_texts.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {

int64_t DataFile::texts() const { return std::accumulate(label_texts.begin(), label_texts.end(), unlabelled); }

std::vector<LabelledFile> read_labelled(std::span<const std::filesystem::path> files,
                                        std::span<const std::filesystem::path> among,
                                        const std::vector<std::string>& labels) {
  nn::DatasetOptions options;
  options.labels = labels;
  check_distinct(files);
  const std::vector<std::string> names = names_of(files, among);
  std::vector<LabelledFile> all;
  for (size_t i = 0; i < files.size(); ++i) {
    LabelledFile one{names[i], {files[i].string(), sha256_of(files[i]), {}, 0}, {}};
    one.examples = nn::read_dataset(files[i], options);
    name_sources(one.examples, one.name);
    one.file.label_texts.resize(labels.size());
    for (const nn::Example& example : one.examples) ++one.file.label_texts[static_cast<size_t>(example.label)];
    all.push_back(std::move(one));
  }
  return all;
}

std::vector<LabelledFile> read_unlabelled_files(std::span<const std::filesystem::path> files,
                                                std::span<const std::filesystem::path> among) {
  check_distinct(files);
  const std::vector<std::string> names = names_of(files, among);
  std::vector<LabelledFile> all;
  for (size_t i = 0; i < files.size(); ++i) {
    LabelledFile one{names[i], {files[i].string(), sha256_of(files[i]), {}, 0}, {}};
    one.examples = nn::read_unlabelled(files[i]);
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

std::string sha256_of(const std::filesystem::path& file) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const auto need = [](int good) {
    if (good != 1) throw IoError("SHA-256: OpenSSL does not compute it; check its configuration");
  };
  need(digest != nullptr && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1);
  FileReader reader(file);
  std::vector<char> buffer(1 << 16);
  while (const size_t count = reader.read(buffer)) need(EVP_DigestUpdate(digest.get(), buffer.data(), count));
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned length = 0;
  need(EVP_DigestFinal_ex(digest.get(), bytes.data(), &length));
  std::string hex;
  for (unsigned i = 0; i < length; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

}  // namespace qing::serve::cli
