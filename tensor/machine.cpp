#include <qing/tensor/machine.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

using kernels::Isa;

constexpr int kRuns = 9;
constexpr int64_t kIterations = 1'000'000;
constexpr int64_t kStreamBlock = 4096;  // bytes of one stream that the loop handles before the next stream

// The highest rate of work per second of `pass` over several runs, after one run that touches all memory.
template <class Pass> double best_rate(double work, const Pass& pass) {
  double best = 0;
  for (int run = 0; run <= kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    pass();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (run > 0) best = std::max(best, work / seconds);
  }
  return best;
}

constexpr int kChains = 12;  // independent sums: more than latency times throughput of any FMA unit

// The loops below are assembly: they fix exactly which instructions are counted, and need no compiler flags. Sums avoid
// denormal numbers, which would be slow.
#if defined(__x86_64__)
#define QING_FMA_CHAINS(r)                                                                                      \
  const float x = 0.999F, y = 0.001F;                                                                           \
  int64_t n = kIterations;                                                                                      \
  asm volatile("vbroadcastss %1, %%" r "12\n\tvbroadcastss %2, %%" r                                            \
               "13\n\t"                                                                                         \
               "vmovaps %%" r "13, %%" r "0\n\tvmovaps %%" r "13, %%" r "1\n\tvmovaps %%" r "13, %%" r          \
               "2\n\t"                                                                                          \
               "vmovaps %%" r "13, %%" r "3\n\tvmovaps %%" r "13, %%" r "4\n\tvmovaps %%" r "13, %%" r          \
               "5\n\t"                                                                                          \
               "vmovaps %%" r "13, %%" r "6\n\tvmovaps %%" r "13, %%" r "7\n\tvmovaps %%" r "13, %%" r          \
               "8\n\t"                                                                                          \
               "vmovaps %%" r "13, %%" r "9\n\tvmovaps %%" r "13, %%" r "10\n\tvmovaps %%" r "13, %%" r         \
               "11\n\t"                                                                                         \
               ".p2align 4\n1:\n\t"                                                                             \
               "vfmadd213ps %%" r "13, %%" r "12, %%" r "0\n\tvfmadd213ps %%" r "13, %%" r "12, %%" r           \
               "1\n\t"                                                                                          \
               "vfmadd213ps %%" r "13, %%" r "12, %%" r "2\n\tvfmadd213ps %%" r "13, %%" r "12, %%" r           \
               "3\n\t"                                                                                          \
               "vfmadd213ps %%" r "13, %%" r "12, %%" r "4\n\tvfmadd213ps %%" r "13, %%" r "12, %%" r           \
               "5\n\t"                                                                                          \
               "vfmadd213ps %%" r "13, %%" r "12, %%" r "6\n\tvfmadd213ps %%" r "13, %%" r "12, %%" r           \
               "7\n\t"                                                                                          \
               "vfmadd213ps %%" r "13, %%" r "12, %%" r "8\n\tvfmadd213ps %%" r "13, %%" r "12, %%" r           \
               "9\n\t"                                                                                          \
               "vfmadd213ps %%" r "13, %%" r "12, %%" r "10\n\tvfmadd213ps %%" r "13, %%" r "12, %%" r          \
               "11\n\t"                                                                                         \
               "decq %0\n\tjnz 1b\n\tvzeroupper\n\t"                                                            \
               : "+r"(n)                                                                                        \
               : "m"(x), "m"(y)                                                                                 \
               : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
                 "xmm11", "xmm12", "xmm13")

void chains_avx2() { QING_FMA_CHAINS("ymm"); }
void chains_avx512() { QING_FMA_CHAINS("zmm"); }
#undef QING_FMA_CHAINS

// One instruction per 32 bytes; per 64 bytes with AVX-512.
struct Avx2 {
  static constexpr int64_t width = 32;
  static void read(const std::byte* p) { asm volatile("vmovaps (%0), %%ymm0" : : "r"(p) : "xmm0", "memory"); }
  static void write(std::byte* p) { asm volatile("vmovaps %%ymm1, (%0)" : : "r"(p) : "memory"); }
  static void write_around(std::byte* p) { asm volatile("vmovntps %%ymm1, (%0)" : : "r"(p) : "memory"); }
  static void update(std::byte* p) {
    asm volatile("vmovaps (%0), %%ymm0\n\tvmovaps %%ymm0, (%0)" : : "r"(p) : "xmm0", "memory");
  }
  static void finish() { asm volatile("sfence\n\tvzeroupper" : : : "memory"); }
};
struct Avx512 {
  static constexpr int64_t width = 64;
  static void read(const std::byte* p) { asm volatile("vmovaps (%0), %%zmm0" : : "r"(p) : "xmm0", "memory"); }
  static void write(std::byte* p) { asm volatile("vmovaps %%zmm1, (%0)" : : "r"(p) : "memory"); }
  static void write_around(std::byte* p) { asm volatile("vmovntps %%zmm1, (%0)" : : "r"(p) : "memory"); }
  static void update(std::byte* p) {
    asm volatile("vmovaps (%0), %%zmm0\n\tvmovaps %%zmm0, (%0)" : : "r"(p) : "xmm0", "memory");
  }
  static void finish() { Avx2::finish(); }
};
#endif

#if defined(__aarch64__)
void chains_neon() {
  int64_t n = kIterations;
  asm volatile(
      "movi v0.4s, 0\n\tmovi v1.4s, 0\n\tmovi v2.4s, 0\n\tmovi v3.4s, 0\n\tmovi v4.4s, 0\n\tmovi v5.4s, 0\n\t"
      "movi v6.4s, 0\n\tmovi v7.4s, 0\n\tmovi v16.4s, 0\n\tmovi v17.4s, 0\n\tmovi v18.4s, 0\n\tmovi v19.4s, 0\n\t"
      "fmov v20.4s, 1.0\n\tfmov v21.4s, 0.125\n\t"
      "1:\n\t"
      "fmla v0.4s, v20.4s, v21.4s\n\tfmla v1.4s, v20.4s, v21.4s\n\tfmla v2.4s, v20.4s, v21.4s\n\t"
      "fmla v3.4s, v20.4s, v21.4s\n\tfmla v4.4s, v20.4s, v21.4s\n\tfmla v5.4s, v20.4s, v21.4s\n\t"
      "fmla v6.4s, v20.4s, v21.4s\n\tfmla v7.4s, v20.4s, v21.4s\n\tfmla v16.4s, v20.4s, v21.4s\n\t"
      "fmla v17.4s, v20.4s, v21.4s\n\tfmla v18.4s, v20.4s, v21.4s\n\tfmla v19.4s, v20.4s, v21.4s\n\t"
      "subs %0, %0, #1\n\tb.ne 1b\n\t"
      : "+r"(n)
      :
      : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21");
}
#endif

void chains_plain() {
  float sum[kChains * 4];
  std::fill(std::begin(sum), std::end(sum), 0.001F);
  for (int64_t n = 0; n < kIterations; ++n) {
    for (float& s : sum) s = s * 0.999F + 0.001F;
  }
  asm volatile("" : : "r"(sum) : "memory");
}

// Eight bytes in plain C++.
struct Plain {
  static constexpr int64_t width = 8;
  static void read(const std::byte* p) { asm volatile("" : : "r"(load(p))); }
  static void write(std::byte* p) { std::memset(p, 0, width); }
  static void write_around(std::byte* p) { write(p); }
  static void update(std::byte* p) {
    const uint64_t value = load(p);
    asm volatile("" : : "r"(value) : "memory");
    std::memcpy(p, &value, width);
  }
  static void finish() {}

 private:
  static uint64_t load(const std::byte* p) {
    uint64_t value;
    std::memcpy(&value, p, width);
    return value;
  }
};

template <class Machine, void (*touch)(std::byte*)> void over_block(std::byte* block) {
#pragma GCC unroll 8
  for (int64_t i = 0; i < kStreamBlock; i += Machine::width) touch(block + i);
}
template <class Machine> void read(std::byte* p) { Machine::read(p); }

using BlockLoop = void (*)(std::byte*);

// Processes blocks [begin, end) of every array, one array after the other.
template <class Machine>
void pass_over(const std::vector<std::pair<std::byte*, BlockLoop>>& arrays, int64_t begin, int64_t end) {
  for (int64_t block = begin; block < end; ++block) {
    for (const auto& [data, loop] : arrays) loop(data + block * kStreamBlock);
  }
  Machine::finish();
}

template <class Machine> double bandwidth(const Streams& s, std::byte* memory, int64_t blocks, bool around) {
  std::vector<std::pair<std::byte*, BlockLoop>> arrays;
  const auto add = [&](int count, BlockLoop loop) {
    for (int i = 0; i < count; ++i) {
      arrays.emplace_back(memory + static_cast<int64_t>(arrays.size()) * blocks * kStreamBlock, loop);
    }
  };
  add(s.reads, over_block<Machine, read<Machine>>);
  add(s.updates, over_block<Machine, Machine::update>);
  add(s.writes, around ? over_block<Machine, Machine::write_around> : over_block<Machine, Machine::write>);
  // Data that fits into caches is passed over many times per run; otherwise the clock would dominate.
  const int64_t passes =
      std::max<int64_t>(1, (16 << 20) / (blocks * kStreamBlock * static_cast<int64_t>(arrays.size())));
  const int64_t threads = std::min<int64_t>(num_threads(), blocks);
  const double moved = static_cast<double>((s.reads + 2 * s.updates + s.writes) * blocks * kStreamBlock * passes);
  return best_rate(moved, [&] {
    parallel_for(threads, 1, [&](int64_t first, int64_t last) {
      for (int64_t n = 0; n < passes; ++n) {
        pass_over<Machine>(arrays, blocks * first / threads, blocks * last / threads);
      }
    });
  });
}

template <class Machine> double best_bandwidth(const Streams& s, std::byte* memory, int64_t blocks) {
  const double through = bandwidth<Machine>(s, memory, blocks, false);
  return s.writes == 0 ? through : std::max(through, bandwidth<Machine>(s, memory, blocks, true));
}

}  // namespace

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

double fma_peak(Isa isa) {
  if (!kernels::supported(isa)) { throw ValueError(std::string("fma_peak: this CPU has no ") + kernels::name_of(isa)); }
  int lanes = 4;
  void (*chains)() = chains_plain;
#if defined(__x86_64__)
  if (isa == Isa::avx2) {
    lanes = 8;
    chains = chains_avx2;
  } else if (isa != Isa::scalar) {
    lanes = 16;
    chains = chains_avx512;
  }
#elif defined(__aarch64__)
  if (isa != Isa::scalar) chains = chains_neon;
#endif
  const int64_t threads = num_threads();
  return best_rate(2.0 * lanes * kChains * kIterations * static_cast<double>(threads), [&] {
    parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) chains();
    });
  });
}

double memory_bandwidth(const Streams& s, int64_t bytes) {
  const int64_t arrays = int64_t{s.reads} + s.updates + s.writes;
  if (s.reads < 0 || s.updates < 0 || s.writes < 0 || arrays == 0) {
    throw ValueError("memory_bandwidth: needs at least one stream and no negative number of them");
  }
  const int64_t blocks = bytes / (arrays * kStreamBlock);
  if (blocks < num_threads()) {
    throw ValueError("memory_bandwidth: " + std::to_string(bytes) + " bytes are too few for " + std::to_string(arrays) +
                     " streams on " + std::to_string(num_threads()) + " threads; give a block of 4096 to each");
  }
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  const auto size = static_cast<size_t>(arrays * blocks * kStreamBlock);
  const std::unique_ptr<std::byte, Free> memory(static_cast<std::byte*>(std::aligned_alloc(kStreamBlock, size)));
  if (memory == nullptr) throw std::bad_alloc();
  // All pages that were never written are the same one. Each thread writes what it will use.
  parallel_for(static_cast<int64_t>(size), kStreamBlock, [&](int64_t begin, int64_t end) {
    std::memset(memory.get() + begin, 0, static_cast<size_t>(end - begin));
  });
#if defined(__x86_64__)
  if (kernels::active_isa() == Isa::avx2) return best_bandwidth<Avx2>(s, memory.get(), blocks);
  if (kernels::active_isa() != Isa::scalar) return best_bandwidth<Avx512>(s, memory.get(), blocks);
#endif
  return best_bandwidth<Plain>(s, memory.get(), blocks);
}

}  // namespace qing
