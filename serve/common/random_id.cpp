#include "random_id.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <qing/tensor/errors.h>

namespace qing::serve {

std::string random_characters(size_t count) {
  constexpr std::string_view kCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  constexpr unsigned kFair = 256 - 256 % kCharacters.size();  // a larger byte would favour the first characters
  std::string text;
  while (text.size() < count) {
    std::array<unsigned char, 64> bytes{};
    const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0 && errno != EINTR) throw IoError(std::string("random numbers: ") + std::strerror(errno));
    for (ssize_t i = 0; i < got && text.size() < count; ++i) {
      const unsigned byte = bytes[static_cast<size_t>(i)];
      if (byte < kFair) text += kCharacters[byte % kCharacters.size()];
    }
  }
  return text;
}

}  // namespace qing::serve
