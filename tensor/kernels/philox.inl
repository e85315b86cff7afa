// Random masks and dropout. Included by kernels.inl.

// Philox4x32-10 (see tensor/random.h) for one block of counters at a time.
constexpr int kBlock = 16;
constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

struct Lanes {
  uint32_t x0[kBlock], x1[kBlock], x2[kBlock], x3[kBlock];
};

void philox_block(uint64_t seed, uint64_t stream, uint64_t counter, Lanes& s) {
  for (int i = 0; i < kBlock; ++i) {
    s.x0[i] = static_cast<uint32_t>(counter + i);
    s.x1[i] = static_cast<uint32_t>((counter + i) >> 32);
    s.x2[i] = static_cast<uint32_t>(stream);
    s.x3[i] = static_cast<uint32_t>(stream >> 32);
  }
  const Words multiplier0 = Words::set1(kMultiplier0), multiplier1 = Words::set1(kMultiplier1);
  for (int i = 0; i < kBlock; i += Words::width) {
    Words x0 = Words::load(s.x0 + i), x1 = Words::load(s.x1 + i), x2 = Words::load(s.x2 + i),
          x3 = Words::load(s.x3 + i);
    auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const WideProduct a = wide_product(x0, multiplier0), b = wide_product(x2, multiplier1);
      x0 = b.high ^ x1 ^ Words::set1(key0);
      x2 = a.high ^ x3 ^ Words::set1(key1);
      x1 = b.low;
      x3 = a.low;
      key0 += kWeyl0;
      key1 += kWeyl1;
    }
    x0.store(s.x0 + i);
    x1.store(s.x1 + i);
    x2.store(s.x2 + i);
    x3.store(s.x3 + i);
  }
}

template <class T>
void keep_mask_kernel(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, uint32_t threshold, uint8_t* keep) {
  constexpr int64_t kNumbers = int64_t{4} * kBlock;
  Lanes lanes;
  for (int64_t done = 0; done < n; done += kNumbers) {
    philox_block(seed, stream, (first + static_cast<uint64_t>(done)) / 4, lanes);
    uint8_t block[kNumbers];
    for (int64_t i = 0; i < kBlock; ++i) {
      block[4 * i] = lanes.x0[i] >= threshold;
      block[4 * i + 1] = lanes.x1[i] >= threshold;
      block[4 * i + 2] = lanes.x2[i] >= threshold;
      block[4 * i + 3] = lanes.x3[i] >= threshold;
    }
    const int64_t left = n - done < kNumbers ? n - done : kNumbers;
    __builtin_memcpy(keep + done, block, static_cast<uint64_t>(left));
  }
}

template <class T> void drop_kernel(int64_t n, const uint8_t* keep, T factor, const T* x, const T* base, T* y) {
  using V = Vec<T>;
  constexpr int64_t kFactors = 64;  // a multiple of a vector's width
  const V zero = V::set1(0);
  for (int64_t done = 0; done < n; done += kFactors) {
    const int64_t left = n - done < kFactors ? n - done : kFactors;
    T factors[kFactors];
    for (int64_t i = 0; i < left; ++i) factors[i] = keep[done + i] ? factor : T(0);
    for_lanes<T>(left, [&](int64_t i, auto part) {
      // Dropped elements are 0 even if x is not finite.
      const V f = load(factors + i, part), kept = select(less(zero, f), load(x + done + i, part) * f, zero);
      store(base == nullptr ? kept : load(base + done + i, part) + kept, y + done + i, part);
    });
  }
}
