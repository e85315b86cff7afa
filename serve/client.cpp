#include "client.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/http/lines.h>
#include <qing/serve/http/message.h>
#include <qing/serve/http/retry_after.h>
#include <qing/serve/registry/registry.h>

namespace qing::serve {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace json = boost::json;
namespace {

constexpr std::chrono::seconds kLongestWait{60};
using Response = http::response<http::string_body>;

// A failure that is not retried. After a timeout the service may still be computing, and a peer that sends malformed
// HTTP will send it again.
class Final : public IoError {
 public:
  using IoError::IoError;
};

// Maximum size of a response's status line and header. Beast's default is 8 KiB.
constexpr size_t kHeaderBytes = 16 * 1024;
constexpr size_t kResponseReadBytes = 16 * 1024;

std::string host_field(const ClientOptions& options) {
  const bool ipv6 = options.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", options.host, ipv6 ? "]" : "", options.port);
}

// One request on its own connection. It is asynchronous only so that one timeout covers connecting, sending and
// reading.
class Exchange {
 public:
  Exchange(const ClientOptions& options, const std::string& path, std::string body) : options_(options) {
    request_.method(http::verb::post);
    request_.target(path);
    request_.version(11);
    request_.set(http::field::host, host_field(options));
    request_.set(http::field::content_type, "application/json");
    if (!options.api_key.empty()) request_.set(http::field::authorization, "Bearer " + options.api_key);
    request_.keep_alive(false);
    request_.body() = std::move(body);
    request_.prepare_payload();
  }

  Response run() {
    boost::system::error_code error;
    const auto found = asio::ip::tcp::resolver(io_).resolve(options_.host, std::to_string(options_.port), error);
    if (error) fail(error);
    stream_.expires_after(options_.timeout);
    wait([&](auto done) { stream_.async_connect(found, [done](auto error, const auto&) { done(error); }); });
    wait([&](auto done) { http::async_write(stream_, request_, [done](auto error, size_t) { done(error); }); });
    beast::flat_buffer buffer;
    for (;;) {
      read_header(buffer);
      http::response_parser<http::string_body> parser;
      parser.header_limit(kHeaderBytes);
      auto look_at_chunk = [](std::uint64_t, beast::string_view extensions, boost::system::error_code& wrong) {
        if (!chunk_extensions_fault({extensions.data(), extensions.size()}).empty()) {
          wrong = http::error::bad_chunk_extension;
        }
      };
      parser.on_chunk_header(look_at_chunk);
      wait([&](auto done) { http::async_read(stream_, buffer, parser, [done](auto error, size_t) { done(error); }); });
      // Interim responses may precede the final response (RFC 9110, 15.2).
      if (http::to_status_class(parser.get().result_int()) != http::status_class::informational)
        return parser.release();
    }
  }

 private:
  // Reads until the whole header is in the buffer. Its lines are checked before Beast joins folded lines.
  void read_header(beast::flat_buffer& buffer) {
    HeaderLines lines(HeaderLines::Fold::kRefusedInFraming);
    for (;;) {
      const auto data = buffer.data();
      const HeaderLines::Look look =
          lines.look(std::string_view(static_cast<const char*>(data.data()), std::min(data.size(), kHeaderBytes)));
      if (!look.wrong.empty()) throw Final(message("malformed answer: " + std::string(look.wrong), kOtherProgram));
      if (look.whole) return;
      if (data.size() >= kHeaderBytes) throw Final(message("the answer's header is too long", kOtherProgram));
      wait([&](auto done) {
        stream_.async_read_some(buffer.prepare(kResponseReadBytes), [&buffer, done](auto error, size_t size) {
          buffer.commit(size);
          done(error);
        });
      });
    }
  }
  template <typename Start> void wait(Start start) {
    boost::system::error_code result;
    start([&result](boost::system::error_code error) { result = error; });
    io_.restart();
    io_.run();
    if (result) fail(result);
  }
  static constexpr const char* kOtherProgram = "check that a qing service runs there";
  std::string message(const std::string& what, const char* remedy) const {
    return fmt::format("Client: {} port {}: {}; {}", options_.host, options_.port, what, remedy);
  }
  [[noreturn]] void fail(const boost::system::error_code& error) const {
    if (error == beast::error::timeout) {
      throw Final(message(fmt::format("no answer in {} ms", options_.timeout.count()),
                          "raise the timeout or send fewer texts"));
    }
    // Beast's own errors mean malformed HTTP, except an end of the stream within a message.
    const bool cut = error == http::error::end_of_stream || error == http::error::partial_message;
    if (error.category() == make_error_code(http::error::bad_value).category() && !cut) {
      throw Final(message("malformed answer: " + error.message(), kOtherProgram));
    }
    throw IoError(message(error.message(), "check that the service runs there"));
  }

  const ClientOptions& options_;
  asio::io_context io_{1};
  beast::tcp_stream stream_{io_};
  http::request<http::string_body> request_;
};

std::string text_of(const json::value& value) { return {value.as_string().data(), value.as_string().size()}; }

ServiceError refusal(const Response& response) {
  const auto status = static_cast<int>(response.result_int());
  boost::system::error_code error;
  const json::value body = json::parse(response.body(), error);
  const json::object* object = error ? nullptr : body.if_object();
  const auto member = [&](std::string_view name) -> std::string {
    const json::value* value = object == nullptr ? nullptr : object->if_contains({name.data(), name.size()});
    return value != nullptr && value->is_string() ? text_of(*value) : std::string();
  };
  return {status, member("code"), fmt::format("Client: {} (HTTP {})", member("error"), status)};
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

std::optional<std::chrono::seconds> asked_wait(const Response& response) {
  const auto header = response[http::field::retry_after];
  return retry_after({header.data(), header.size()},
                     std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

std::chrono::milliseconds wait_before(int attempt, const std::optional<std::chrono::seconds>& asked) {
  if (asked) return *asked;
  return std::min(std::chrono::milliseconds(250) * (1 << std::min(attempt, 10)), std::chrono::milliseconds(8'000));
}

std::string send(const ClientOptions& options, const std::string& path, const std::string& body) {
  for (int attempt = 0;; ++attempt) {
    std::optional<Response> response;
    try {
      response = Exchange(options, path, body).run();
    } catch (const Final&) { throw; } catch (const IoError&) {
      if (attempt >= options.max_retries) throw;
    }
    if (response && response->result_int() == 200) return std::move(response->body());
    const bool busy = response && (response->result_int() == 429 || response->result_int() == 503);
    const auto asked = response ? asked_wait(*response) : std::nullopt;
    // A wait longer than kLongestWait, such as for the next day's quota, is reported at once.
    const bool hopeless = asked && *asked > kLongestWait;
    if (response && (!busy || hopeless || attempt >= options.max_retries)) throw refusal(*response);
    std::this_thread::sleep_for(wait_before(attempt, asked));
  }
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
  if (!Registry::valid_name(model))
    throw ValueError("Client: model is not a valid model name, such as emotion_analysis");
  std::vector<Emotion> emotions;
  for (size_t begin = 0; begin < texts.size(); begin += options_.batch_size) {
    const auto batch = texts.subspan(begin, std::min(options_.batch_size, texts.size() - begin));
    JsonWriter request;
    request.begin_object().member("texts", batch).end();
    const std::string body = send(options_, "/v1/models/" + model + "/predict", request.take());
    std::ranges::move(emotions_of(body, batch.size()), std::back_inserter(emotions));
  }
  return emotions;
}

}  // namespace qing::serve
