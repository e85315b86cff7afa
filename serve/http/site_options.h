// Options for browsers: CORS and the path prefix.
#pragma once

#include <string>
#include <vector>

namespace qing::serve {

struct SiteOptions {
  /// Origins whose pages may call the service from a browser; see CorsPolicy. Empty: no other site.
  std::vector<std::string> cors_origins = {};
  /// All paths are below this prefix, such as /qing; see BasePath. Empty: none.
  std::string base_path = {};
  /// Whether a proxy in front sets X-Forwarded-Prefix, and replaces what clients send in it.
  bool trust_forwarded_prefix = false;
};

}  // namespace qing::serve
