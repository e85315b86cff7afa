#include "api.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <qing/serve/protocols/protocols.h>
#include <qing/serve/request_id.h>

namespace qing::serve {
namespace {

std::vector<Route> all_routes(Service& service) {
  std::vector<Route> all;
  for (auto* protocol : {protocols::health, protocols::native, protocols::kserve_v1, protocols::open_inference,
                         protocols::hugging_face, protocols::text_embeddings_inference}) {
    std::ranges::move(protocol(service), std::back_inserter(all));
  }
  return all;
}

// The key of Authorization: Bearer KEY, or of X-API-Key; empty without one.
std::string_view key_of(const HttpHead& head) {
  constexpr std::string_view kBearer = "bearer ";
  std::string_view key = head.header("Authorization");
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
  if (key.size() < kBearer.size() || !std::equal(kBearer.begin(), kBearer.end(), key.begin(), [&](char b, char a) {
        return same(a, b);
      })) {
    return head.header("X-API-Key");
  }
  key.remove_prefix(kBearer.size());
  key.remove_prefix(std::min(key.find_first_not_of(' '), key.size()));
  return key;
}

}  // namespace

Api::Api(std::shared_ptr<Registry> registry, Batcher& batcher, std::optional<ApiKeys> keys, const Limits& limits)
    : service_(std::move(registry), batcher, limits), keys_(std::move(keys)), router_(all_routes(service_)) {}

void Api::authorize(const HttpHead& head, Scope scope) const {
  if (!keys_ || scope == Scope::kOpen || keys_->accepts(key_of(head))) return;
  HttpResponse response =
      error_response(401, "unauthorized", "no valid API key; send Authorization: Bearer KEY, or X-API-Key: KEY");
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  throw Refusal(std::move(response));
}

Routed Api::route(const HttpHead& head) {
  Routed routed = router_.route(head, [&](Scope scope) { authorize(head, scope); });
  routed.request_id = request_id(head.header("X-Request-Id"));
  routed.traceparent = checked_traceparent(head.header("traceparent"));
  return routed;
}

}  // namespace qing::serve
