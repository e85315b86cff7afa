// What OpenAI's clients look for in an error. Their list of models is part of GET /v1/models (native.cpp).
#pragma once

#include <qing/serve/http/message.h>
#include <qing/serve/http/router.h>

namespace qing::serve::protocols {

/// Whether a request is for one of OpenAI's routes and from one of its clients: anything below /v1 that no other
/// protocol has, or /v1/models with the headers by which OpenAI's generated clients are known.
bool asks_as_openai(const HttpHead& head);
/// An error of the service in OpenAI's form, {"error": {"message", "type", "param", "code"}}; other responses as they
/// are. https://platform.openai.com/docs/guides/error-codes
HttpResponse openai_error(HttpResponse response);
/// openai_error() for routes.
extern const ErrorForm kOpenAiErrors;

}  // namespace qing::serve::protocols
