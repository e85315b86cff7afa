#include "router.h"

#include <algorithm>

#include <fmt/format.h>

#include <qing/serve/common/characters.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

// Whether it is application/json, with or without parameters. JSON is UTF-8, so any other charset is refused.
bool is_json(std::string_view content_type) {
  if (content_type == kJsonType) return true;
  const std::string type = lower(content_type);
  std::string media = type.substr(0, type.find(';'));
  media.erase(media.find_last_not_of(" \t") + 1);
  if (media != kJsonType) return false;
  const size_t charset = type.find("charset=");
  return charset == std::string::npos || type.find("utf-8", charset) != std::string::npos;
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char small = static_cast<char>(c | 0x20);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

bool takes(const Route& route, std::string_view method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

void check_body(BodyKind kind, const HttpHead& head) {
  if (kind == BodyKind::kJson) require_json_body(head);
}

// Of a route with an error form.
HttpResponse in_form(const Route& route, HttpResponse response) {
  return response.status < 400 ? std::move(response) : route.error_form->apply(std::move(response));
}

// A handler that throws a Refusal after the body has arrived replies with it. The route outlives its requests.
Routed::Run guarded(const Route& route, Routed::Run run) {
  return [&route, run = std::move(run)](std::string body, const Routed::Reply& given) {
    const auto answer = [&](const Routed::Reply& reply) {
      try {
        run(std::move(body), reply);
      } catch (const Refusal& refusal) { reply(refusal.response()); }
    };
    if (route.error_form == nullptr) return answer(given);
    answer(given.through([&route, given](HttpResponse response) { given(in_form(route, std::move(response))); }));
  };
}

// Puts the refusals of a sink into the form of its route. The route outlives its requests.
class FormedSink : public BodySink {
 public:
  FormedSink(const Route& route, std::shared_ptr<BodySink> sink) : route_(route), sink_(std::move(sink)) {}
  void open(const std::string& key) override { sink_->open(key); }
  void write(std::string piece, std::function<void(std::optional<HttpResponse>)> next) override {
    sink_->write(std::move(piece), [&route = route_, next = std::move(next)](std::optional<HttpResponse> refusal) {
      if (refusal) refusal = in_form(route, std::move(*refusal));
      next(std::move(refusal));
    });
  }
  void finish(Reply reply) override { sink_->finish(std::move(reply)); }

 private:
  const Route& route_;
  const std::shared_ptr<BodySink> sink_;
};

}  // namespace

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    out += low < 0 ? text[i] : static_cast<char>(high * 16 + low);
    if (low >= 0) i += 2;
  }
  return out;
}

void require_plain_body(const HttpHead& head) {
  if (!head.has_length) {
    throw Refusal(error_response(411, "length_required", "send Content-Length, or a chunked body"));
  }
  if (const auto coding = head.header("Content-Encoding"); !coding.empty() && lower(coding) != "identity") {
    throw Refusal(error_response(415, "unsupported_coding", "Content-Encoding: send the body uncompressed"));
  }
}

void require_json_body(const HttpHead& head) {
  require_plain_body(head);
  if (!is_json(head.header("Content-Type"))) {
    throw Refusal(error_response(415, "unsupported_media_type", "send Content-Type: application/json"));
  }
}

std::string_view Call::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return {};
}

std::vector<Router::Segment> Router::compile(std::string_view pattern) {
  const auto malformed = [&] {
    return ValueError(
        fmt::format("Router: pattern '{}'; write segments such as /v1/{{name}}:predict, with at most {} "
                    "parameters, each at the beginning of its segment",
                    pattern, kMostParameters));
  };
  std::vector<Segment> segments;
  size_t parameters = 0;
  if (pattern.empty() || pattern.front() != '/') throw malformed();
  for (size_t begin = 1; begin <= pattern.size();) {
    const size_t end = std::min(pattern.find('/', begin), pattern.size());
    const std::string_view text = pattern.substr(begin, end - begin);
    const size_t close = text.find('}');
    if (text.starts_with('{') && close != text.npos && close > 1) {
      segments.push_back({text.substr(1, close - 1), text.substr(close + 1)});
      ++parameters;
    } else {
      segments.push_back({{}, text});
    }
    if (segments.back().literal.find_first_of("{}") != text.npos || parameters > kMostParameters) throw malformed();
    begin = end + 1;
  }
  return segments;
}

bool Router::matches(const std::vector<Segment>& segments, std::string_view path, Matched& matched) {
  matched.count = 0;
  for (const Segment& segment : segments) {
    if (path.empty() || path.front() != '/') return false;
    path.remove_prefix(1);
    std::string_view text = path.substr(0, path.find('/'));
    path.remove_prefix(text.size());
    if (segment.name.empty()) {
      if (text != segment.literal) return false;
      continue;
    }
    if (text.find('%') != text.npos) text = matched.decoded[matched.count] = percent_decoded(text);
    if (text.size() <= segment.literal.size() || !text.ends_with(segment.literal)) return false;
    matched.parameters[matched.count++] = {segment.name, text.substr(0, text.size() - segment.literal.size())};
  }
  return path.empty();
}

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)) {
  // The more specific of two matching patterns comes first: fewer parameters, then the longer pattern.
  const auto rank = [](const Route& route) {
    return std::pair(std::ranges::count(route.pattern, '{'), -static_cast<std::ptrdiff_t>(route.pattern.size()));
  };
  std::ranges::stable_sort(routes_, {}, rank);
  for (size_t i = 0; i < routes_.size(); ++i) {
    compiled_.push_back(compile(routes_[i].pattern));
    for (size_t j = 0; j < i; ++j) {
      if (routes_[i].pattern == routes_[j].pattern && routes_[i].method == routes_[j].method) {
        throw ValueError(fmt::format("Router: {} {} appears twice", routes_[i].method, routes_[i].pattern));
      }
    }
  }
}

// The route of the first matching pattern with this method. Without one, any route of the pattern.
const Route* Router::find(std::string_view method, std::string_view path, Matched& matched) const {
  const Route* chosen = nullptr;
  for (size_t i = 0; i < routes_.size(); ++i) {
    if (chosen != nullptr && routes_[i].pattern != chosen->pattern) continue;
    if (!matches(compiled_[i], path, matched)) continue;
    chosen = &routes_[i];
    if (takes(*chosen, method)) break;
  }
  return chosen;
}

std::string Router::methods_of(const Route& chosen) const {
  std::string methods;
  for (const Route& route : routes_) {
    if (route.pattern != chosen.pattern) continue;
    methods += fmt::format("{}{}{}", methods.empty() ? "" : ", ", route.method, route.method == "GET" ? ", HEAD" : "");
  }
  return methods;
}

bool Router::streams(const HttpHead& head) const {
  Matched matched;
  const Route* const chosen = find(head.method, head.path, matched);
  return chosen != nullptr && chosen->stream && takes(*chosen, head.method);
}

std::optional<Router::Allowed> Router::allowed(std::string_view path) const {
  Matched matched;
  const Route* const chosen = find({}, path, matched);
  if (chosen == nullptr) return std::nullopt;
  return Allowed{methods_of(*chosen), chosen->scope, chosen->pattern};
}

Routed Router::route(const HttpHead& head, const std::function<std::string(const Route&)>& authorize) const {
  Matched matched;
  const Route* const chosen = find(head.method, head.path, matched);
  Routed routed;
  routed.name = chosen == nullptr ? "unknown" : chosen->pattern;
  try {
    if (chosen == nullptr) {
      throw Refusal(error_response(404, "unknown_route", "no such route; /openapi.json lists them"));
    }
    if (!takes(*chosen, head.method)) {
      const std::string allow = methods_of(*chosen);
      HttpResponse response =
          error_response(405, "method_not_allowed", fmt::format("{} takes {}", chosen->pattern, allow));
      response.headers.emplace_back("Allow", allow);
      throw Refusal(std::move(response));
    }
    routed.key = authorize(*chosen);
    check_body(chosen->body, head);
    const Call call{head, {matched.parameters, matched.count}, routed.key};
    if (chosen->stream) {
      require_plain_body(head);
      const std::shared_ptr<BodySink> sink = chosen->stream(call);
      routed.sink = chosen->error_form == nullptr ? sink : std::make_shared<FormedSink>(*chosen, sink);
      routed.run = guarded(*chosen, [sink](const std::string&, const Reply& reply) { sink->finish(reply); });
    } else {
      routed.run = guarded(*chosen, chosen->open(call));
    }
  } catch (const Refusal& refusal) {
    const bool formed = chosen != nullptr && chosen->error_form != nullptr;
    routed.refusal = formed ? in_form(*chosen, refusal.response()) : refusal.response();
    if (routed.key.empty()) routed.key = refusal.key();
  }
  return routed;
}

Routed::Run answer(HttpResponse response) {
  return [response = std::move(response)](const std::string&, const Routed::Reply& reply) { reply(response); };
}

}  // namespace qing::serve
