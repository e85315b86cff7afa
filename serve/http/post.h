// One outgoing request.
#pragma once

#include <chrono>
#include <string_view>

#include <qing/serve/http/message.h>
#include <qing/serve/http/url.h>

namespace qing::serve {

/// Sends a POST on a connection of its own and returns the status of the answer, whose body is not read. With TLS the
/// certificate must be valid for the host, by the system's authorities or those of SSL_CERT_FILE. IoError, which names
/// the host, when the peer cannot be reached, does not answer HTTP or takes longer than `timeout`; looking up a name
/// does not count.
int post(const Url& url, const HttpFields& fields, std::string_view body, std::chrono::milliseconds timeout);

}  // namespace qing::serve
