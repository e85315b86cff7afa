// Benchmarks of every family of kernels, for example `kernel_bench --benchmark_filter=softmax`. QING_THREADS sets the
// number of threads, and QING_ISA the instruction set.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <exception>
#include <string>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/machine.h>
#include <qing/tensor/threads.h>

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  try {
    benchmark::AddCustomContext("qing_isa", qing::kernels::name_of(qing::kernels::active_isa()));
    benchmark::AddCustomContext("qing_threads", std::to_string(qing::num_threads()));
    benchmark::AddCustomContext("cpu", qing::cpu_name());
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", error.what());
    return 1;
  }
}
