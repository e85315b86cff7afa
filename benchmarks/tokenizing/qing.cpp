// qing's side of benchmarks/tokenize_vs_tokenizers.
//   tokenizing_qing TOKENIZER.json TEXTS ROUNDS
// TEXTS holds a JSON string a line. Prints {"seconds": [...], "tokens": N, "load": S}: seconds of each round over all
// texts.
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <qing/nn/text/tokenizer.h>

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  namespace json = boost::json;
  if (argc != 4) {
    std::fputs("usage: tokenizing_qing TOKENIZER.json TEXTS ROUNDS\n", stderr);
    return 2;
  }
  try {
    const auto since = [](Clock::time_point begin) {
      return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    const Clock::time_point start = Clock::now();
    const auto tokenizer = qing::nn::Tokenizer::load_file(argv[1]);
    const double load = since(start);
    std::ifstream file(argv[2]);
    std::vector<std::string> texts;
    for (std::string line; std::getline(file, line);) texts.emplace_back(json::parse(line).as_string());
    json::array seconds;
    size_t tokens = 0;
    for (int round = 0; round < std::stoi(argv[3]); ++round) {
      // As encode_batch() does, all encodings are kept to the end.
      std::vector<qing::nn::Encoding> encodings;
      encodings.reserve(texts.size());
      const Clock::time_point begin = Clock::now();
      for (const std::string& text : texts) encodings.push_back(tokenizer.encode(text));
      seconds.emplace_back(since(begin));
      tokens = 0;
      for (const auto& encoding : encodings) tokens += encoding.ids.size();
    }
    std::cout << json::serialize(json::object{{"seconds", seconds}, {"tokens", tokens}, {"load", load}}) << "\n";
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
