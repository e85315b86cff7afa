// What bench_inference() found, for readers and programs.
#pragma once

#include <string>

#include <qing/serve/bench/inference_bench.h>

namespace qing::serve::cli {

/// A table with a line for each engine, precision and number of texts in a call.
std::string bench_table(const BenchResult& result);
std::string bench_json(const BenchResult& result);
/// SVG: a bar for each line of the table, as long as its texts per second.
std::string bench_chart(const BenchResult& result);

}  // namespace qing::serve::cli
