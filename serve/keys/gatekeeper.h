// Authorization of requests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <qing/serve/http/router.h>

namespace qing::serve {

class Gatekeeper {
 public:
  /// The project of requests without a key, and of keys that name none.
  static constexpr std::string_view kDefaultProject = "default";

  virtual ~Gatekeeper() = default;

  /// Authorizes a request and returns the id of its key, which is not secret. Refusal: 401 for an invalid key, 403 for
  /// a missing scope, 429 with Retry-After over a quota. A refusal has the id of a key that is in the store. Called on
  /// the I/O thread only; does not block.
  virtual std::string admit(std::string_view key, Scope scope) = 0;
  /// Whether the key of this id has the scope now; false for an unknown id. Thread-safe; does not block.
  virtual bool allows(const std::string& id, Scope scope) const = 0;
  /// The project of an admitted key, which owns the files, jobs and private models made with it. Thread-safe; does not
  /// block.
  virtual std::string project([[maybe_unused]] const std::string& id) const { return std::string(kDefaultProject); }
  /// Charges computed tokens to a key. Thread-safe; does not block.
  virtual void charge_tokens(const std::string& id, std::int64_t tokens) = 0;

 protected:
  /// The same response for every kind of invalid key, so that it reveals nothing about the existing keys. `id` is for
  /// the log.
  [[noreturn]] static void refuse_unknown(std::string id = {}) {
    HttpResponse response =
        error_response(401, "unauthorized", "no valid API key; send Authorization: Bearer KEY, or X-API-Key: KEY");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    throw Refusal(std::move(response), std::move(id));
  }
};

}  // namespace qing::serve
