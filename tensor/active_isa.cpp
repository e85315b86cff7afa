#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdlib>
#include <string>
#include <string_view>

#include <qing/tensor/errors.h>
#include <qing/tensor/kernels/kernels.h>

#include <qing/tensor/kernels/tables.h>

namespace qing::kernels {
namespace {

constexpr Isa kBestFirst[] = {Isa::amx,  Isa::avx512bf16, Isa::avx512vnni, Isa::avx512,
                              Isa::avx2, Isa::neon,       Isa::scalar};

Isa choose() {
  const char* wanted = std::getenv("QING_ISA");
  for (const Isa isa : kBestFirst) {
    if (wanted == nullptr || *wanted == '\0') {
      if (supported(isa)) return isa;
    } else if (std::string_view(wanted) == name_of(isa)) {
      if (supported(isa)) return isa;
      throw ValueError("QING_ISA: this CPU has no " + std::string(wanted) + "; unset it to use the best available one");
    }
  }
  throw ValueError("QING_ISA: '" + std::string(wanted) +
                   "' is not one of scalar, avx2, avx512, avx512vnni, avx512bf16, amx, neon");
}

// If this binary has no kernels for an ISA, its table does not matter: the ISA is not supported.
template <class T>
const Table<T>& table_of(Isa isa, const Table<T>& scalar, const Table<T>& avx2, const Table<T>& avx512,
                         const Table<T>& neon) {
  if (!supported(isa)) throw ValueError(std::string("kernels: this CPU has no ") + name_of(isa));
  switch (isa) {
    case Isa::avx2: return avx2;
    case Isa::avx512:
    case Isa::avx512vnni:
    case Isa::avx512bf16:
    case Isa::amx: return avx512;
    case Isa::neon: return neon;
    case Isa::scalar: break;
  }
  return scalar;
}

#if defined(__x86_64__)
// Whether the CPU has the tiles of AMX and Linux lets this process use them, for which a process has to ask once
// (Documentation/arch/x86/xstate.rst). Linux refuses when a thread's stack for signals is too small for the tiles.
bool may_use_tiles() {
  static const bool granted = [] {
    constexpr unsigned kBf16 = 1U << 22, kTile = 1U << 24, kInt8 = 1U << 25, kAll = kBf16 | kTile | kInt8;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kAll) != kAll) return false;
#if defined(__linux__)
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
    return false;
#endif
  }();
  return granted;
}
#endif

}  // namespace

bool supported(Isa isa) {
#if defined(__x86_64__)
  // These also ask whether the operating system saves the registers.
  switch (isa) {
    case Isa::scalar: return true;
    case Isa::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && supported(Isa::avx2);
    case Isa::avx512vnni: return __builtin_cpu_supports("avx512vnni") && supported(Isa::avx512);
    case Isa::avx512bf16: return __builtin_cpu_supports("avx512bf16") && supported(Isa::avx512vnni);
    case Isa::amx: return supported(Isa::avx512bf16) && may_use_tiles();
    case Isa::neon: return false;
  }
#elif defined(__aarch64__)
  if (isa == Isa::neon) return true;  // part of the base architecture
#endif
  return isa == Isa::scalar;
}

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::scalar: return "scalar";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::avx512vnni: return "avx512vnni";
    case Isa::avx512bf16: return "avx512bf16";
    case Isa::amx: return "amx";
    case Isa::neon: return "neon";
  }
  return "unknown";
}

Isa active_isa() {
  static const Isa chosen = choose();
  return chosen;
}

template <> const Table<float>& table<float>(Isa isa) {
#if defined(__x86_64__)
  return table_of(isa, kScalar_f32, kAvx2_f32, kAvx512_f32, kScalar_f32);
#elif defined(__aarch64__)
  return table_of(isa, kScalar_f32, kScalar_f32, kScalar_f32, kNeon_f32);
#else
  return table_of(isa, kScalar_f32, kScalar_f32, kScalar_f32, kScalar_f32);
#endif
}

template <> const Table<double>& table<double>(Isa isa) {
#if defined(__x86_64__)
  return table_of(isa, kScalar_f64, kAvx2_f64, kAvx512_f64, kScalar_f64);
#elif defined(__aarch64__)
  return table_of(isa, kScalar_f64, kScalar_f64, kScalar_f64, kNeon_f64);
#else
  return table_of(isa, kScalar_f64, kScalar_f64, kScalar_f64, kScalar_f64);
#endif
}

template <class T> const Table<T>& kernels() {
  static const Table<T>& chosen = table<T>(active_isa());
  return chosen;
}

const LowPrecision& low_precision() {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::amx: return kAmx_low;
    case Isa::avx512bf16: return kAvx512Bf16_low;
    case Isa::avx512vnni: return kAvx512Vnni_low;
    case Isa::avx512: return kAvx512_low;
    case Isa::avx2: return kAvx2_low;
    case Isa::neon:
    case Isa::scalar: break;
  }
#endif
  return kScalar_low;
}

template const Table<float>& kernels<float>();
template const Table<double>& kernels<double>();

}  // namespace qing::kernels
