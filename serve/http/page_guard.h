// Refuses the requests of foreign web pages to routes that such pages must not use.
#pragma once

#include <qing/serve/http/cors.h>
#include <qing/serve/http/message.h>
#include <qing/serve/http/router.h>

namespace qing::serve {

/// Holds web pages off the routes of administrators and of a project's things. A browser of this machine reaches a
/// server that other machines do not reach, so a page of any site could use it there.
///
/// The server's own page may use these routes. It is known by what the browser says of it. Without keys the client must
/// also have named the server in a way that no page can claim. A page can make a DNS name of its own point to this
/// server and is then of the same origin for the browser (DNS rebinding).
///
/// Immutable once made, so it is thread-safe.
class PageGuard {
 public:
  /// `keys`: whether requests need a key. `loopback`: whether only this machine reaches the server. `cors` must outlive
  /// the guard.
  PageGuard(const CorsPolicy& cors, bool keys, bool loopback) : cors_(cors), keys_(keys), loopback_(loopback) {}

  /// Refusal with 403 for a request that may be that of another page. Pages that `cors` allows may use a project's
  /// things. With keys a page needs a key for these, and only the routes that take a body in pieces are guarded.
  void check(const HttpHead& head, const Route& route) const;

 private:
  const CorsPolicy& cors_;
  const bool keys_, loopback_;
};

}  // namespace qing::serve
