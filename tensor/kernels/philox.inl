// Random masks. Included by kernels.inl.

// Philox4x32-10 (see tensor/random.h), on a block of counters at a time so that the compiler makes vectors of it.
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
  auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kBlock; ++i) {
      const uint64_t a = static_cast<uint64_t>(kMultiplier0) * s.x0[i];
      const uint64_t b = static_cast<uint64_t>(kMultiplier1) * s.x2[i];
      s.x0[i] = static_cast<uint32_t>(b >> 32) ^ s.x1[i] ^ key0;
      s.x2[i] = static_cast<uint32_t>(a >> 32) ^ s.x3[i] ^ key1;
      s.x1[i] = static_cast<uint32_t>(b);
      s.x3[i] = static_cast<uint32_t>(a);
    }
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
}

template <class T>
void keep_mask_kernel(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, uint32_t threshold, uint8_t* keep) {
  Lanes lanes;
  for (int64_t done = 0; done < n; done += 4 * kBlock) {
    philox_block(seed, stream, (first + static_cast<uint64_t>(done)) / 4, lanes);
    uint8_t block[4 * kBlock];
    for (int i = 0; i < kBlock; ++i) {
      block[4 * i] = lanes.x0[i] >= threshold;
      block[4 * i + 1] = lanes.x1[i] >= threshold;
      block[4 * i + 2] = lanes.x2[i] >= threshold;
      block[4 * i + 3] = lanes.x3[i] >= threshold;
    }
    const int64_t left = n - done < 4 * kBlock ? n - done : 4 * kBlock;
    __builtin_memcpy(keep + done, block, static_cast<uint64_t>(left));
  }
}
