// FNV-1a of 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): a stable hash, the same on every machine and in every
// version.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace qing::nn {

inline constexpr uint64_t kFnvOffsetBasis = 0xcbf29ce484222325;

/// `hash` is the fingerprint of what comes before the bytes.
inline uint64_t fingerprint(std::string_view bytes, uint64_t hash = kFnvOffsetBasis) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

template <class T> uint64_t fingerprint(std::span<const T> values) {
  return fingerprint(std::string_view(reinterpret_cast<const char*>(values.data()), values.size_bytes()));
}

}  // namespace qing::nn
