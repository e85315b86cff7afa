#include "request_id.h"

#include <atomic>
#include <cstdint>
#include <random>

#include <fmt/format.h>

#include <qing/serve/common/characters.h>

namespace qing::serve {
namespace {

bool is_hex_number(std::string_view text) { return has_only(text, is_lower_hex); }
bool is_zero(std::string_view text) { return text.find_first_not_of('0') == text.npos; }

}  // namespace

std::string request_id(std::string_view from_client) {
  const bool usable = !from_client.empty() && from_client.size() <= 64 && has_only(from_client, is_alphanumeric, "._-");
  if (usable) return std::string(from_client);
  // An odd multiple of a counter with a random start does not repeat and does not reveal the number of requests.
  static std::atomic<std::uint64_t> next{std::random_device{}() * 0x100000001ULL};
  return fmt::format("{:016x}", next.fetch_add(1, std::memory_order_relaxed) * 0x9E3779B97F4A7C15ULL);
}

std::string checked_traceparent(std::string_view header) {
  const bool well_formed = header.size() == 55 && header.substr(0, 3) == "00-" && header[35] == '-' &&
                           header[52] == '-' && is_hex_number(header.substr(3, 32)) &&
                           is_hex_number(header.substr(36, 16)) && is_hex_number(header.substr(53)) &&
                           !is_zero(header.substr(3, 32)) && !is_zero(header.substr(36, 16));
  return well_formed ? std::string(header) : std::string();
}

}  // namespace qing::serve
