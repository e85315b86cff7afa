// What clients of text-embeddings-inference look for in an error.
#pragma once

#include <qing/serve/http/message.h>
#include <qing/serve/http/router.h>

namespace qing::serve::protocols {

/// An error of the service with the member "error_type" as well: "validation", "overloaded" or "backend". Other
/// responses as they are.
HttpResponse tei_error(HttpResponse response);
/// tei_error() for routes.
extern const ErrorForm kTeiErrors;

}  // namespace qing::serve::protocols
