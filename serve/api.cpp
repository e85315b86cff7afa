#include "api.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include <qing/serve/http/request_id.h>
#include <qing/serve/protocols/openai.h>
#include <qing/serve/protocols/openapi.h>
#include <qing/serve/protocols/protocols.h>

namespace qing::serve {
namespace {

// The key from Authorization: Bearer KEY or from X-API-Key. Empty if there is none.
std::string_view key_of(const HttpHead& head) {
  constexpr std::string_view kBearer = "bearer ";
  std::string_view key = head.header("Authorization");
  if (!same_name(key.substr(0, kBearer.size()), kBearer)) return head.header("X-API-Key");
  key.remove_prefix(kBearer.size());
  key.remove_prefix(std::min(key.find_first_not_of(' '), key.size()));
  return key;
}

// A path may have one extra '/' at its end, since clients often join addresses so.
void drop_last_slash(HttpHead& head) {
  if (head.path.size() > 1 && head.path.ends_with('/') && !head.path.ends_with("//")) head.path.remove_suffix(1);
}

// What a form adds to its file: boundaries, headers and small fields.
constexpr std::uint64_t kFormBytes = 64UL * 1024;

}  // namespace

Api::Api(std::shared_ptr<Registry> registry, Batcher& batcher, std::unique_ptr<Gatekeeper> keys, const Limits& limits,
         const SiteOptions& site, std::shared_ptr<const State> state, JobRunner* jobs, bool loopback)
    : cors_(site.cors_origins),
      base_path_(site.base_path, site.trust_forwarded_prefix),
      keys_(std::move(keys)),
      pages_(cors_, keys_ != nullptr, loopback),
      service_(std::move(registry), batcher, limits, keys_.get(), std::move(state), jobs),
      router_(all_routes()),
      openapi_(openapi_json(router_.routes(), base_path_.prefix())) {}

std::vector<Route> Api::all_routes() {
  std::vector<Route> all = protocols::all_routes(service_);
  all.push_back({.method = "GET",
                 .pattern = "/openapi.json",
                 .scope = Scope::kOpen,
                 .operation = {"observability", "This description", {}, R"({"type":"object"})"},
                 .open = [this](const Call& call) {
                   std::string_view base = call.head.base;
                   if (base.empty()) return answer({200, openapi_, {}});
                   base.remove_suffix(1);
                   return answer({200, openapi_json(router_.routes(), base), {}});
                 }});
  return all;
}

Routed Api::route(const HttpHead& given) {
  HttpHead head = given;
  std::string base;
  Routed routed;
  if (auto refusal = base_path_.enter(head, base)) {
    routed.name = "unknown";
    routed.refusal = std::move(refusal);
  } else if (auto redirect = base_path_.redirect(given.path, head)) {
    routed.name = "/";
    routed.run = answer(std::move(*redirect));
  } else {
    drop_last_slash(head);
    routed = cors_.enabled() && CorsPolicy::is_preflight(head) ? preflight(head) : routed_below(head);
  }
  routed.caller = head.header("X-Caller-Id");
  routed.request_id = request_id(head.header("X-Request-Id"));
  routed.traceparent = checked_traceparent(head.header("traceparent"));
  routed.fields = cors_.fields(head.header("Origin"));
  // The response depends on this header, so caches must store the responses separately.
  if (base_path_.trusts_forwarded()) routed.fields.emplace_back("Vary", "X-Forwarded-Prefix");
  return routed;
}

std::optional<std::uint64_t> Api::streamed_body_limit(const HttpHead& given) {
  HttpHead head = given;
  std::string base;
  if (base_path_.enter(head, base)) return std::nullopt;
  drop_last_slash(head);
  if (!router_.streams(head)) return std::nullopt;
  return service_.limits().file_bytes + kFormBytes;
}

Routed Api::routed_below(const HttpHead& head) {
  Routed routed = router_.route(head, [&](const Route& route) {
    std::string key = keys_ && route.scope != Scope::kOpen ? keys_->admit(key_of(head), route.scope) : std::string();
    try {
      pages_.check(head, route);
    } catch (const Refusal& refusal) { throw Refusal(refusal.response(), std::move(key)); }
    return key;
  });
  if (routed.refusal && protocols::asks_as_openai(head)) {
    routed.refusal = protocols::openai_error(std::move(*routed.refusal));
  }
  return routed;
}

// Browsers send preflights without an API key.
Routed Api::preflight(const HttpHead& head) const {
  const auto allowed = router_.allowed(head.path);
  Routed routed;
  routed.name = allowed ? allowed->pattern : "unknown";
  if (!allowed) {
    routed.refusal = error_response(404, "unknown_route", "no such route; /openapi.json lists them");
  } else if (!cors_.allows(head.header("Origin"))) {
    routed.refusal = error_response(403, "origin_not_allowed", "pages of this origin may not call the service");
  } else if (allowed->scope == Scope::kAdmin) {
    routed.refusal = error_response(403, "from_a_page", "web pages may not change models; use another client");
  } else {
    routed.run = answer(CorsPolicy::preflight(allowed->methods));
  }
  return routed;
}

void Api::answered(const Routed& routed, int status, std::chrono::steady_clock::duration time) {
  RouteStatistics& route = service_.statistics().route(routed.name.empty() ? "none" : routed.name);
  route.by_status[static_cast<size_t>(status) - 100].fetch_add(1, std::memory_order_relaxed);
  route.seconds.observe(std::chrono::duration<double>(time).count());
}

}  // namespace qing::serve
