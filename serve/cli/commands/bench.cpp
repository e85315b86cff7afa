// `qing bench`.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <qing/serve/bench/bench_report.h>
#include <qing/serve/bench/inference_bench.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/common/version.h>
#include <qing/tensor/files.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/machine.h>
#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

struct BenchArguments {
  BenchOptions options;
  std::filesystem::path texts, chart;
  std::string column = "text";
  int64_t most = 500;
  bool alone = false, json = false;
};

struct Product {
  int64_t m, n, k;
};
// Square products of three sizes, then linear layers for many tokens, for 16 tokens and for one token.
constexpr Product kProducts[] = {{64, 64, 64},     {256, 256, 256}, {1024, 1024, 1024},
                                 {1024, 512, 128}, {16, 384, 384},  {1, 384, 384}};
constexpr int64_t kStreamed = 256 << 20;  // bytes; larger than the caches of most machines
constexpr double kSecondsAProduct = 0.3;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// FLOP/s of C = A·B in f32: the median over batches. A batch takes about a fifteenth of the measuring time.
double rate_of(const Product& p) {
  Generator rng(1);
  Tensor a = Tensor::empty({p.m, p.k}), b = Tensor::empty({p.k, p.n}), c = Tensor::empty({p.m, p.n});
  rng.fill_uniform(a, -1, 1);
  rng.fill_uniform(b, -1, 1);
  const auto multiply = [&] {
    gemm<float>(Trans::no, Trans::no, p.m, p.n, p.k, a.data<float>(), p.k, b.data<float>(), p.n, c.data<float>(), p.n);
  };
  multiply();
  const auto begin = std::chrono::steady_clock::now();
  multiply();
  const double once = std::max(seconds_since(begin), 1e-9);
  const int64_t batch = std::clamp<int64_t>(static_cast<int64_t>(kSecondsAProduct / 15 / once), 1, 1'000'000);
  std::vector<double> rates;
  while (rates.size() < 3 || seconds_since(begin) < kSecondsAProduct) {
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < batch; ++i) multiply();
    rates.push_back(static_cast<double>(2 * p.m * p.n * p.k * batch) / seconds_since(start));
  }
  std::nth_element(rates.begin(), rates.begin() + static_cast<ptrdiff_t>(rates.size() / 2), rates.end());
  return rates[rates.size() / 2];
}

// Measures this machine's limits and f32 matrix products, in a few seconds.
void run_bench(bool as_json) {
  const kernels::Isa isa = kernels::active_isa();
  const double peak = fma_peak(isa);
  const double read = memory_bandwidth({.reads = 1}, kStreamed);
  const double copy = memory_bandwidth({.reads = 1, .writes = 1}, kStreamed);
  const double triad = memory_bandwidth({.reads = 2, .writes = 1}, kStreamed);
  std::string text = fmt::format(
      "cpu        {}\nisa        {} (QING_ISA changes it)\nthreads    {} (QING_THREADS changes it)\n"
      "FMA peak   {:.1f} GFLOP/s of f32\nmemory     {:.1f} GB/s read, {:.1f} copy, {:.1f} triad",
      cpu_name(), kernels::name_of(isa), num_threads(), peak / 1e9, read / 1e9, copy / 1e9, triad / 1e9);
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("version", kVersion).member("cpu", cpu_name()).member("isa", kernels::name_of(isa));
  json.member("threads", num_threads()).member("fma_peak_gflops", peak / 1e9).member("read_gbps", read / 1e9);
  json.member("copy_gbps", copy / 1e9).member("triad_gbps", triad / 1e9).key("gemm").begin_array();
  for (const Product& p : kProducts) {
    const double rate = rate_of(p);
    text += fmt::format("\n{:<18} {:8.1f} GFLOP/s {:5.1f}% of the peak", fmt::format("{}x{}x{}", p.m, p.n, p.k),
                        rate / 1e9, 100 * rate / peak);
    json.begin_object().member("m", p.m).member("n", p.n).member("k", p.k);
    json.member("gflops", rate / 1e9).member("of_peak", rate / peak).end();
  }
  json.end().end();
  print_line(as_json ? json.take() : text);
}

// Measures a model on a user's texts, beside other engines.
void run_inference(const BenchArguments& arguments) {
  BenchOptions options = arguments.options;
  options.texts = read_texts(arguments.texts, arguments.column, arguments.most);
  const BenchResult result = bench_inference(options);
  if (!arguments.chart.empty()) write_file_atomically(arguments.chart, bench_chart(result));
  print_line(arguments.json ? bench_json(result) : bench_table(result));
}

}  // namespace

void add_bench(CommandLine& line) {
  CLI::App* command = line.app.add_subcommand(
      "bench",
      "Benchmark inference of a model on your texts, beside onnxruntime, OpenVINO and PyTorch where Python has them. "
      "Without a model: this machine's peak arithmetic and memory throughput, and matrix products as a fraction of "
      "them");
  const auto a = std::make_shared<BenchArguments>();
  a->options.threads = num_threads();
  command->add_option("model", a->options.model, "Model folder")->type_name("MODEL");
  command->add_option("texts", a->texts, "Texts: one a line, or a .tsv, .csv or .jsonl file")->type_name("TEXTS");
  command->add_option("--column", a->column, "Column of the texts")->capture_default_str()->type_name("NAME");
  command->add_option("--limit", a->most, "Number of texts at most; 0 for all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--precision", a->options.precisions, "Precision of matrix products. Repeat it for several")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  command->add_option("--batch", a->options.batches, "Texts of a call. Repeat it for several")
      ->allow_extra_args(false)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--rounds", a->options.rounds, "Rounds, in which the engines take turns")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--threads", a->options.threads, "Threads of each engine")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--engine", a->options.engines, "Engine to compare with. Repeat it for several")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"onnxruntime", "openvino", "torch"}))
      ->capture_default_str();
  command->add_flag("--alone", a->alone, "Measure qing alone");
  command->add_option("--python", a->options.python, "Python that has the other engines")
      ->capture_default_str()
      ->type_name("PATH");
  command->add_option("--chart", a->chart, "Chart of the speeds: output file (SVG)")->type_name("FILE");
  command->add_flag("--json", a->json, "Print a JSON object");
  command->callback([&line, a] {
    if (!a->options.model.empty() && a->texts.empty()) {
      throw UsageError("qing bench MODEL needs TEXTS, a file of texts to measure with");
    }
    if (a->alone) a->options.engines.clear();
    line.run = [a] { a->options.model.empty() ? run_bench(a->json) : run_inference(*a); };
  });
}

}  // namespace qing::serve::cli
