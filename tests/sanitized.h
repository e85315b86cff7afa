#pragma once

namespace qing::test {

/// Whether a sanitizer is compiled in. It keeps freed memory aside, so the memory of the process says nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace qing::test
