#include "request_log.h"

#include <algorithm>

#include <boost/asio/ip/address.hpp>

#include <qing/serve/common/log.h>

namespace qing::serve {
namespace {

namespace ip = boost::asio::ip;

// What follows the last comma, without spaces and a port.
std::string_view last_entry(std::string_view forwarded) {
  if (const size_t comma = forwarded.rfind(','); comma != forwarded.npos) forwarded.remove_prefix(comma + 1);
  forwarded.remove_prefix(std::min(forwarded.find_first_not_of(" \t"), forwarded.size()));
  forwarded = forwarded.substr(0, forwarded.find_last_not_of(" \t") + 1);
  // "[2001:db8::1]:4711" and "192.0.2.1:4711", as some proxies write it.
  if (forwarded.starts_with('[')) return forwarded.substr(1, forwarded.find(']') - 1);
  const size_t colon = forwarded.find(':');
  return colon != forwarded.npos && forwarded.find(':', colon + 1) == forwarded.npos ? forwarded.substr(0, colon)
                                                                                     : forwarded;
}

template <class Bytes> void keep_first(Bytes& bytes, size_t count) {
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(count), bytes.end(), 0);
}

std::string truncated(const ip::address& address) {
  if (address.is_v4()) {
    auto bytes = address.to_v4().to_bytes();
    keep_first(bytes, 3);
    return ip::address_v4(bytes).to_string();
  }
  auto bytes = address.to_v6().to_bytes();
  keep_first(bytes, 6);
  return ip::address_v6(bytes).to_string();  // without the scope, which names an interface of this machine
}

}  // namespace

std::string shown_client(const RequestLogOptions& options, std::string_view address, std::string_view forwarded) {
  if (options.client == ClientAddress::kOff) return {};
  boost::system::error_code error;
  ip::address client;
  if (options.trust_forwarded_for) client = ip::make_address(last_entry(forwarded), error);
  if (!options.trust_forwarded_for || error) client = ip::make_address(address, error);
  if (error) return {};
  if (client.is_v6() && client.to_v6().is_v4_mapped()) client = ip::make_address_v4(ip::v4_mapped, client.to_v6());
  return options.client == ClientAddress::kFull ? client.to_string() : truncated(client);
}

void log_request(const Routed& routed, int status, std::chrono::steady_clock::duration time) {
  static const RequestNote kNothing;
  const RequestNote& note = routed.note ? *routed.note : kNothing;
  log_line("info", "request",
           {{"route", routed.name.empty() ? "none" : routed.name},
            {"status", std::int64_t{status}},
            {"milliseconds", std::chrono::duration<double, std::milli>(time).count()},
            {"model", note.model},
            {"version", note.version},
            {"texts", static_cast<std::int64_t>(note.texts)},
            {"key", routed.key},
            {"client", routed.client},
            {"request_id", routed.request_id},
            {"traceparent", routed.traceparent}});
}

}  // namespace qing::serve
