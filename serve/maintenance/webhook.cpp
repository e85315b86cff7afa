#include "webhook.h"

#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include <fmt/chrono.h>

#include <qing/nn/base64.h>
#include <qing/serve/common/hmac.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/log.h>
#include <qing/serve/common/random_id.h>
#include <qing/serve/http/post.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

namespace qing::serve {
namespace {

constexpr size_t kMostWaiting = 1000;
constexpr int kAttempts = 8;
constexpr std::chrono::seconds kFirstWait{5}, kTimeout{10};
constexpr std::string_view kSecretPrefix = "whsec_";

std::string read_secret(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && (info.st_mode & S_IRWXO) != 0) {
    throw IoError(
        fmt::format("{}: everybody on this machine can read or write it; run chmod 600 on it", file.string()));
  }
  std::string text = read_file(file, 4096);
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  try {
    std::string secret =
        nn::decode_base64(std::string_view(text).substr(text.starts_with(kSecretPrefix) ? kSecretPrefix.size() : 0));
    if (text.starts_with(kSecretPrefix) && secret.size() >= 24 && secret.size() <= 64) return secret;
  } catch (const DataError&) {
    // The remedy is the same, and the message must not show the secret.
  }
  throw DataError(
      fmt::format("{}: is no webhook's secret; write {} and the Base64 of 24 to 64 random bytes, as in: "
                  "echo {}$(openssl rand -base64 32)",
                  file.string(), kSecretPrefix, kSecretPrefix));
}

Url checked_url(const std::string& text) {
  const std::optional<Url> url = Url::parse(text);
  if (url && (url->tls || url->loopback())) return *url;
  // The URL may hold a secret, so the message does not repeat it.
  throw ValueError("webhook: give an https URL, or an http URL on this machine such as http://127.0.0.1:9000/alarms");
}

}  // namespace

Webhook::Webhook(const WebhookOptions& options)
    : url_(checked_url(options.url)), secret_(read_secret(options.secret_file)) {
  thread_ = start_thread([this] { work(); });
}

Webhook::~Webhook() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Webhook::send(std::string_view type, std::string_view data) {
  Message message{"msg_" + random_characters(24), {}, 0, std::chrono::steady_clock::now()};
  JsonWriter json;
  json.begin_object().member("type", type);
  json.member("timestamp", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))));
  json.key("data").raw(data).end();
  message.body = json.take();
  {
    const std::lock_guard lock(mutex_);
    if (messages_.size() >= kMostWaiting) {
      log_line("error", "webhook_lost", {{"id", messages_.front().id}, {"error", "too many messages wait"}});
      messages_.pop_front();
    }
    messages_.push_back(std::move(message));
  }
  wake_.notify_all();
}

std::string Webhook::signature(std::string_view secret, std::string_view id, std::int64_t timestamp,
                               std::string_view body) {
  const std::string text = fmt::format("{}.{}.{}", id, timestamp, body);
  const auto digest = hmac_sha256({reinterpret_cast<const unsigned char*>(secret.data()), secret.size()}, text);
  return "v1," + nn::encode_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

bool Webhook::deliver(const Message& message) const {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  try {
    const int status = post(url_,
                            {{"Content-Type", "application/json"},
                             {"webhook-id", message.id},
                             {"webhook-timestamp", std::to_string(now)},
                             {"webhook-signature", signature(secret_, message.id, now, message.body)}},
                            message.body, kTimeout);
    if (status >= 200 && status < 300) return true;
    log_line("warning", "webhook_refused", {{"id", message.id}, {"status", std::int64_t{status}}});
  } catch (const std::exception& error) {
    log_line("warning", "webhook_failed", {{"id", message.id}, {"error", error.what()}});
  }
  return false;
}

void Webhook::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto first = std::ranges::min_element(messages_, {}, &Message::due);
    if (first == messages_.end()) {
      wake_.wait(lock);
      continue;
    }
    if (first->due > std::chrono::steady_clock::now()) {
      wake_.wait_until(lock, first->due);
      continue;
    }
    Message message = std::move(*first);
    messages_.erase(first);
    lock.unlock();
    const bool delivered = deliver(message);
    lock.lock();
    if (delivered) continue;
    if (++message.attempts >= kAttempts) {
      log_line("error", "webhook_lost", {{"id", message.id}, {"attempts", std::int64_t{message.attempts}}});
      continue;
    }
    message.due = std::chrono::steady_clock::now() + kFirstWait * (1 << (message.attempts - 1));
    messages_.push_back(std::move(message));
  }
  if (!messages_.empty()) {
    log_line("warning", "webhooks_not_sent", {{"messages", static_cast<std::int64_t>(messages_.size())}});
  }
}

}  // namespace qing::serve
