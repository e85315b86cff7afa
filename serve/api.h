// All routes behind one HttpHandler: keys, request ids, the protocols.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <qing/serve/batching/batcher.h>
#include <qing/serve/common/limits.h>
#include <qing/serve/common/statistics.h>
#include <qing/serve/http/base_path.h>
#include <qing/serve/http/cors.h>
#include <qing/serve/http/message.h>
#include <qing/serve/http/page_guard.h>
#include <qing/serve/http/router.h>
#include <qing/serve/http/site_options.h>
#include <qing/serve/keys/gatekeeper.h>
#include <qing/serve/registry/registry.h>
#include <qing/serve/service/service.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

/// Answers the protocols of serve/protocols/. With keys, every route whose scope is not kOpen requires one. route(),
/// fields() and answered() are for the I/O thread, as in HttpHandler. The other functions are thread-safe.
class Api : public HttpHandler {
 public:
  /// `batcher` must outlive the Api. Null `keys` allows every request. Null `state` keeps
  /// no files and jobs. `jobs` is as the Service takes it. `loopback`: whether only this machine reaches the server.
  /// ValueError for an invalid site option.
  Api(std::shared_ptr<Registry> registry, Batcher& batcher, std::unique_ptr<Gatekeeper> keys, const Limits& limits,
      const SiteOptions& site = {}, std::shared_ptr<const State> state = nullptr, JobRunner* jobs = nullptr,
      bool loopback = true);

  Routed route(const HttpHead& head) override;
  std::optional<std::uint64_t> streamed_body_limit(const HttpHead& head) override;
  HttpFields fields(std::string_view origin) const override { return cors_.fields(origin); }
  void answered(const Routed& routed, int status, std::chrono::steady_clock::duration time) override;
  /// Makes /health/ready answer 503.
  void begin_drain() { service_.begin_drain(); }
  void stop_changes() { service_.stop_changes(); }
  void rescan() { service_.rescan(); }
  void start_care(std::unique_ptr<Webhook> webhook) { service_.start_care(std::move(webhook)); }
  const std::vector<Route>& routes() const { return router_.routes(); }
  Statistics& statistics() { return service_.statistics(); }

 private:
  std::vector<Route> all_routes();
  Routed routed_below(const HttpHead& head);
  Routed preflight(const HttpHead& head) const;

  const CorsPolicy cors_;
  const BasePath base_path_;
  const std::unique_ptr<Gatekeeper> keys_;
  const PageGuard pages_;
  Service service_;
  Router router_;
  const std::string openapi_;  // made from the routes of router_
};

}  // namespace qing::serve
