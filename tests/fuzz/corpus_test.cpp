// Runs every stored input of the fuzzers again, without a fuzzer.
#include <gtest/gtest.h>

#include <filesystem>

#include <qing/tensor/files.h>

#include "fuzz/targets.h"

namespace qing::fuzz {
namespace {

class Corpus : public ::testing::TestWithParam<Target> {};

TEST_P(Corpus, InputsAreReadOrRefused) {
  const auto folder = std::filesystem::path(QING_FUZZ_CORPUS) / GetParam().name;
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    GetParam().run(read_file(entry.path()));
    ++inputs;
  }
  EXPECT_GE(inputs, 3);
  GetParam().run("");
}

INSTANTIATE_TEST_SUITE_P(All, Corpus, ::testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace qing::fuzz
