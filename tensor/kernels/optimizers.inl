// Sweeps of the optimizers over one parameter, and bf16 storage of their states. Included by kernels.inl.

/// The states of a step at the elements from i on.
template <class T, class Part> struct StateLanes {
  T* const* states;
  int64_t i;
  Part part;
  bool has(size_t k) const { return states[k] != nullptr; }
  Vec<T> load(size_t k) const { return kernels::load(states[k] + i, part); }
  void store(size_t k, Vec<T> v) const { kernels::store(v, states[k] + i, part); }
};

template <class Step, class T = typename Step::T>
void sweep_kernel(int64_t n, T* w, const T* g, T* const* states, const Step& step) {
  // Copies, since the compiler cannot tell that the stores leave the originals alone.
  const Step numbers = step;
  T* own[Step::kStates];
  for (size_t k = 0; k < Step::kStates; ++k) own[k] = states[k];
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const StateLanes<T, decltype(part)> lanes{own, i, part};
    store(numbers.apply(load(w + i, part), load(g + i, part), lanes), w + i, part);
  });
}

template <class... Steps> constexpr typename StepList<Steps...>::Sweeps make_sweeps(StepList<Steps...>) {
  return {{sweep_kernel<Steps>}...};
}

template <class T> void widen_bf16_kernel(int64_t n, const uint16_t* x, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = T(__builtin_bit_cast(float, static_cast<uint32_t>(x[i]) << 16));
}

template <class T>
void round_bf16_kernel(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, const T* x, uint16_t* y) {
  constexpr int64_t kNumbers = int64_t{4} * kBlock;
  Lanes lanes;
  for (int64_t done = 0; done < n; done += kNumbers) {
    philox_block(seed, stream, (first + static_cast<uint64_t>(done)) / 4, lanes);
    uint32_t noise[kNumbers];
    for (int64_t i = 0; i < kBlock; ++i) {
      noise[4 * i] = lanes.x0[i];
      noise[4 * i + 1] = lanes.x1[i];
      noise[4 * i + 2] = lanes.x2[i];
      noise[4 * i + 3] = lanes.x3[i];
    }
    const int64_t left = n - done < kNumbers ? n - done : kNumbers;
    for (int64_t i = 0; i < left; ++i) {
      const uint32_t bits = __builtin_bit_cast(uint32_t, static_cast<float>(x[done + i]));
      const uint32_t magnitude = bits & 0x7fffffffU;
      // A carry moves to the next number of greater magnitude. Infinities stay, and a NaN must not lose its last set
      // bit.
      const uint32_t carry = magnitude < 0x7f800000U ? noise[i] >> 16 : 0;
      const uint32_t quiet = magnitude > 0x7f800000U ? 0x400000U : 0;
      y[done + i] = static_cast<uint16_t>(((bits + carry) | quiet) >> 16);
    }
  }
}
