// Who may do what: what the routes ask before they answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <qing/serve/http/router.h>

namespace qing::serve {

class Gatekeeper {
 public:
  virtual ~Gatekeeper() = default;

  /// Lets a request in: the id of its key, which is no secret. Refusal: 401 for a key that is none, 403 for one without
  /// the scope, 429 with Retry-After over a quota. Called on the I/O thread only; does not block.
  virtual std::string admit(std::string_view key, Scope scope) = 0;
  /// Books tokens that were computed for a key. Any thread; does not block.
  virtual void charge_tokens(const std::string& id, std::int64_t tokens) = 0;

 protected:
  /// The same for every way in which a key can be no good, so that it tells nothing of what there is.
  [[noreturn]] static void refuse_unknown() {
    HttpResponse response =
        error_response(401, "unauthorized", "no valid API key; send Authorization: Bearer KEY, or X-API-Key: KEY");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    throw Refusal(std::move(response));
  }
};

}  // namespace qing::serve
