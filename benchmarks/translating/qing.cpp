// qing's side of benchmarks/translation_vs_ctranslate2: translates token ids with a model in transformers' layout.
//   translating_qing FOLDER f32|bf16|i8 BEAM TOKENS ROUNDS < lines of token ids
// Writes one line of JSON: the seconds of each round, and the tokens of each translation.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/translation_decoder.h>
#include <qing/nn/models/translation_import.h>

using namespace qing;

namespace {

std::vector<nn::DecodingRequest> read_requests(const nn::DecodingOptions& options) {
  std::vector<nn::DecodingRequest> requests;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream numbers(line);
    nn::DecodingRequest request{.source = {}, .options = options};
    for (int32_t id = 0; numbers >> id;) request.source.push_back(id);
    requests.push_back(std::move(request));
  }
  return requests;
}

int run(char** argv) {
  nn::PretrainedTranslation loaded = nn::load_pretrained_translation(argv[1]);
  const std::string precision = argv[2];
  nn::pack_for_inference(*loaded.model, precision == "i8" ? DType::i8 : precision == "bf16" ? DType::bf16 : DType::f32);
  loaded.options.beam_size = std::atoll(argv[3]);
  loaded.options.max_tokens = loaded.options.min_tokens = std::atoll(argv[4]);
  const std::vector<nn::DecodingRequest> requests = read_requests(loaded.options);
  std::vector<nn::DecodingResult> results;
  std::cout << "{\"seconds\":[";
  for (int round = 0; round < std::atoi(argv[5]); ++round) {
    const auto begin = std::chrono::steady_clock::now();
    results = nn::decode(*loaded.model, requests);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    std::cout << (round > 0 ? "," : "") << time.count();
  }
  std::cout << "],\"tokens\":[";
  for (size_t i = 0; i < results.size(); ++i) {
    std::cout << (i > 0 ? ",[" : "[");
    const std::vector<int32_t>& tokens = results[i].sequences.at(0).tokens;
    for (size_t t = 0; t < tokens.size(); ++t) std::cout << (t > 0 ? "," : "") << tokens[t];
    std::cout << "]";
  }
  std::cout << "]}\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "usage: translating_qing FOLDER f32|bf16|i8 BEAM TOKENS ROUNDS\n";
    return 2;
  }
  try {
    return run(argv);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
