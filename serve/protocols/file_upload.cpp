#include "file_upload.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <new>
#include <utility>

#include <fmt/format.h>

#include <qing/nn/text/normalizer.h>
#include <qing/nn/utf8.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/common/log.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/http/multipart.h>
#include <qing/serve/protocols/file_object.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/tensor/errors.h>

namespace qing::serve::protocols {
namespace {

constexpr size_t kFieldBytes = 256;     // of a field other than the file
constexpr size_t kFilenameBytes = 255;  // as most file systems have it
constexpr std::string_view kFile = "file", kPurpose = "purpose", kAnchor = "expires_after[anchor]",
                           kSeconds = "expires_after[seconds]";
// OpenAI's; qing itself uses files for fine-tuning and evaluation.
constexpr std::array<std::string_view, 6> kPurposes = {"fine-tune", "evals",      "batch",
                                                       "user_data", "assistants", "vision"};
constexpr std::int64_t kLeastLifetime = 3600, kMostLifetime = 30L * 86400;  // seconds, as OpenAI has it

HttpResponse storage_full(const StorageFull& error) { return error_response(413, "storage_full", error.what()); }

// The response to what an upload throws.
HttpResponse upload_failure(const std::exception& error) {
  if (const auto* refusal = dynamic_cast<const Refusal*>(&error)) return refusal->response();
  if (const auto* full = dynamic_cast<const StorageFull*>(&error)) return storage_full(*full);
  if (dynamic_cast<const MultipartError*>(&error) != nullptr)
    return error_response(400, "malformed_form", error.what());
  log_line("error", "upload_not_written", {{"error", error.what()}});
  return error_response(500, "not_written", "the file could not be stored; see the server's log");
}

void check_filename(const std::string& name) {
  if (name.empty()) refuse_field("file: has no filename; send one in its Content-Disposition");
  if (name.size() > kFilenameBytes) refuse_field(fmt::format("file: the filename exceeds {} bytes", kFilenameBytes));
  if (nn::find_invalid_utf8(name) || std::ranges::any_of(name, is_control) || name.find('\t') != name.npos) {
    refuse_field("file: the filename must be UTF-8 without control characters");
  }
}

}  // namespace

// What has come of the form. Used by one thread at a time.
class FileUpload::Form : public FormHandler {
 public:
  Form(Service& service, const std::string& boundary) : service_(service), parser_(boundary, *this) {}

  void set_owner(std::string project, std::string key) {
    file_.project = std::move(project);
    file_.key = std::move(key);
  }
  std::optional<HttpResponse> take(std::string_view piece) {
    try {
      parser_.feed(piece);
      return std::nullopt;
    } catch (const std::exception& error) { return upload_failure(error); }
  }
  HttpResponse store(Database& database) {
    try {
      parser_.finish();
      if (!upload_) refuse_field("file: is missing; send it as a part with a filename");
      if (!values_.contains(kPurpose)) refuse_field("purpose: is missing");
      file_.purpose = values_.find(kPurpose)->second;
      file_.lifetime = lifetime();
      FileStore store(database, *service_.state());
      const StoredFile stored = store.create(file_, *upload_, service_.limits().storage_bytes);
      upload_.reset();
      return {200, file_object(stored), {}};
    } catch (const std::exception& error) {
      upload_.reset();
      return upload_failure(error);
    }
  }

 private:
  void begin_part(const FormPart& part) override {
    name_ = part.name;
    if (name_ != kFile && name_ != kPurpose && name_ != kAnchor && name_ != kSeconds) {
      refuse_field("form: has a field that this route does not take; it takes file, purpose and expires_after");
    }
    if (upload_ ? name_ == kFile : false) refuse_field("file: stands twice in the form; send one file");
    if (name_ != kFile) {
      if (!values_.try_emplace(name_).second) refuse_field(fmt::format("{}: stands twice in the form", name_));
      return;
    }
    file_.name = part.filename.value_or("");
    check_filename(file_.name);
    open_upload();
  }
  void part_data(std::string_view bytes) override {
    if (name_ != kFile) {
      std::string& value = values_.find(name_)->second;
      if (value.size() + bytes.size() > kFieldBytes)
        refuse_field(fmt::format("{}: exceeds {} bytes", name_, kFieldBytes));
      value.append(bytes);
      return;
    }
    const Limits& limits = service_.limits();
    const std::uint64_t size = upload_->bytes() + bytes.size();
    if (size > limits.file_bytes) {
      throw Refusal(error_response(
          413, "body_too_large",
          fmt::format("the file exceeds the limit of {} bytes; send a smaller file", limits.file_bytes)));
    }
    if (size > limits.storage_bytes || used_ > limits.storage_bytes - size) {
      throw StorageFull(used_, size, limits.storage_bytes);
    }
    upload_->write(bytes);
  }
  void end_part() override {
    if (name_ != kPurpose) return;
    if (std::ranges::find(kPurposes, values_.find(name_)->second) != kPurposes.end()) return;
    refuse_field(fmt::format("purpose: must be one of {}", fmt::join(kPurposes, ", ")));
  }

  void open_upload() {
    Database database = service_.state()->open();  // makes the folder, too
    used_ = FileStore(database, *service_.state()).used(file_.project);
    upload_.emplace(service_.state()->files());
  }
  std::int64_t lifetime() const {
    const auto anchor = values_.find(kAnchor), seconds = values_.find(kSeconds);
    if (anchor == values_.end() && seconds == values_.end()) return 0;
    if (anchor == values_.end() || anchor->second != "created_at") {
      refuse_field("expires_after[anchor]: must be created_at");
    }
    std::int64_t value = 0;
    const std::string& text = seconds == values_.end() ? anchor->second : seconds->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < kLeastLifetime || value > kMostLifetime) {
      refuse_field(
          fmt::format("expires_after[seconds]: must be a whole number from {} to {}", kLeastLifetime, kMostLifetime));
    }
    return value;
  }

  Service& service_;
  MultipartParser parser_;
  NewFile file_;
  std::string name_;  // of the part in hand
  std::map<std::string, std::string, std::less<>> values_;
  std::optional<Upload> upload_;
  std::uint64_t used_ = 0;  // bytes that the project kept when the file began
};

FileUpload::FileUpload(Service& service, const std::string& boundary)
    : service_(service), form_(std::make_shared<Form>(service, boundary)) {}

// A file that is not finished is removed on the thread that may wait for the disk, which is its last owner.
FileUpload::~FileUpload() {
  if (!form_) return;
  try {
    service_.move_bytes([form = std::move(form_)](bool) {});
  } catch (const std::bad_alloc&) {
    // This thread removes it then.
  }
}

void FileUpload::open(const std::string& key) { form_->set_owner(service_.project(key), key); }

void FileUpload::write(std::string piece, std::function<void(std::optional<HttpResponse>)> next) {
  const HttpResponse stopping =
      unavailable("stopping", "the server is stopping", service_.limits().retry_after_seconds);
  const auto task = [form = form_, piece = std::move(piece), next, stopping](bool run) {
    next(run ? form->take(piece) : stopping);
  };
  if (!service_.move_bytes(task)) next(service_.busy());
}

void FileUpload::finish(Reply reply) {
  service_.store_file(std::move(reply),
                      [form = std::exchange(form_, nullptr)](Database& database) { return form->store(database); });
}

}  // namespace qing::serve::protocols
