#include "client.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/http/exchange_detail.h>
#include <qing/serve/http/retry_after.h>
#include <qing/serve/registry/registry.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

constexpr std::chrono::seconds kLongestWait{60};

std::string text_of(const json::value& value) { return {value.as_string().data(), value.as_string().size()}; }

ServiceError refusal(const ClientAnswer& answer) {
  boost::system::error_code error;
  const json::value body = json::parse(answer.body, error);
  const json::object* object = error ? nullptr : body.if_object();
  // Of OpenAI's routes, {"error": {"message", "code"}}; of the service's own, {"error", "code"}.
  const json::value* inner = object == nullptr ? nullptr : object->if_contains("error");
  const bool nested = inner != nullptr && inner->is_object();
  if (nested) object = &inner->get_object();
  const auto member = [&](std::string_view name) -> std::string {
    const json::value* value = object == nullptr ? nullptr : object->if_contains({name.data(), name.size()});
    return value != nullptr && value->is_string() ? text_of(*value) : std::string();
  };
  return {answer.status, member("code"),
          fmt::format("Client: {} (HTTP {})", member(nested ? "message" : "error"), answer.status)};
}

std::vector<Emotion> emotions_of(const std::string& body, size_t count) {
  std::vector<Emotion> emotions;
  try {
    const json::value document = json::parse(body);
    for (const json::value& item : document.as_object().at("predictions").as_array()) {
      const json::object& object = item.as_object();
      Emotion emotion{text_of(object.at("label")),
                      object.at("score").to_number<float>(),
                      {},
                      object.at("truncated").as_bool(),
                      false};
      const json::value* blank = object.if_contains("blank");
      emotion.blank = blank != nullptr && blank->as_bool();
      for (const auto& [label, score] : object.at("scores").as_object()) {
        emotion.scores.emplace(std::string(label.data(), label.size()), score.to_number<float>());
      }
      emotions.push_back(std::move(emotion));
    }
  } catch (const std::exception&) {
    throw IoError("Client: the answer is not a list of predictions; check that a qing service runs there");
  }
  if (emotions.size() != count) {
    throw IoError(fmt::format("Client: {} predictions for {} texts", emotions.size(), count));
  }
  return emotions;
}

std::optional<std::chrono::seconds> asked_wait(const ClientAnswer& answer) {
  return retry_after(answer.retry_after, std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

std::chrono::milliseconds wait_before(int attempt, const std::optional<std::chrono::seconds>& asked) {
  if (asked) return *asked;
  return std::min(std::chrono::milliseconds(250) * (1 << std::min(attempt, 10)), std::chrono::milliseconds(8'000));
}

HttpPeer peer_of(const ClientOptions& options) {
  return {.host = options.host,
          .port = options.port,
          .tls = options.tls,
          .certificate_authority = options.certificate_authority,
          .bearer = options.api_key,
          .timeout = options.timeout};
}

// The body of the answer of status 200. `again`: whether a lost answer may be asked for once more.
std::string send(const ClientOptions& options, const ClientRequest& request, bool again,
                 const std::function<void(std::string_view)>& sink = {}) {
  for (int attempt = 0;; ++attempt) {
    std::optional<ClientAnswer> answer;
    try {
      answer = exchange(peer_of(options), request, sink);
    } catch (const FinalError&) { throw; } catch (const IoError&) {
      if (!again || attempt >= options.max_retries) throw;
    }
    if (answer && answer->status == 200) return std::move(answer->body);
    const bool busy = answer && (answer->status == 429 || answer->status == 503);
    const auto asked = answer ? asked_wait(*answer) : std::nullopt;
    // A wait longer than kLongestWait, such as for the next day's quota, is reported at once.
    const bool hopeless = asked && *asked > kLongestWait;
    if (answer && (!busy || hopeless || attempt >= options.max_retries)) throw refusal(*answer);
    std::this_thread::sleep_for(wait_before(attempt, asked));
  }
}

// The name as a parameter of a header, with the escapes of the WHATWG's form encoding.
std::string form_name(const std::string& name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '"' || c == '\r' || c == '\n') {
      escaped += fmt::format("%{:02X}", static_cast<unsigned>(c));
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// No other text is likely to hold it.
std::string new_boundary() {
  std::random_device random;
  return fmt::format("qing-{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

}  // namespace

Client::Client(ClientOptions options) : options_(std::move(options)) {
  if (options_.batch_size == 0 || options_.timeout.count() <= 0 || options_.max_retries < 0) {
    throw ValueError(
        fmt::format("Client: batch_size {}, timeout {} ms, max_retries {}; the first two must be positive, "
                    "the last not negative",
                    options_.batch_size, options_.timeout.count(), options_.max_retries));
  }
  const auto printable = [](char c) { return c > ' ' && c < 127; };
  if (!std::all_of(options_.api_key.begin(), options_.api_key.end(), printable)) {
    throw ValueError("Client: api_key contains spaces or characters that are not printable ASCII; copy it again");
  }
}

std::vector<Emotion> Client::predict(const std::string& model, std::span<const std::string> texts) const {
  if (!is_model_name(model)) throw ValueError("Client: model is not a valid model name, such as emotion_analysis");
  std::vector<Emotion> emotions;
  for (size_t begin = 0; begin < texts.size(); begin += options_.batch_size) {
    const auto batch = texts.subspan(begin, std::min(options_.batch_size, texts.size() - begin));
    JsonWriter request;
    request.begin_object().member("texts", batch).end();
    const std::string body =
        send(options_,
             {.target = "/v1/models/" + model + "/predict", .content_type = "application/json", .body = request.take()},
             true);
    std::ranges::move(emotions_of(body, batch.size()), std::back_inserter(emotions));
  }
  return emotions;
}

std::string Client::request(const std::string& method, const std::string& path, const std::string& body) const {
  return send(options_,
              {.method = method,
               .target = path,
               .content_type = body.empty() ? std::string() : "application/json",
               .body = body},
              method != "POST");
}

std::string Client::upload_file(const std::filesystem::path& file, const std::string& purpose) const {
  const std::string boundary = new_boundary();
  const auto part = [&](const std::string& parameters) {
    return fmt::format("--{}\r\nContent-Disposition: form-data; {}\r\n\r\n", boundary, parameters);
  };
  return send(options_,
              {.target = "/v1/files",
               .content_type = "multipart/form-data; boundary=" + boundary,
               .body = part("name=\"purpose\"") + purpose + "\r\n" +
                       part(fmt::format("name=\"file\"; filename=\"{}\"", form_name(file.filename().string()))),
               .file = file,
               .end = "\r\n--" + boundary + "--\r\n"},
              false);
}

void Client::download(const std::string& path, const std::function<void(std::string_view)>& sink) const {
  send(options_, {.method = "GET", .target = path}, false, sink);
}

}  // namespace qing::serve
