// The body of POST /v1/files on its way to the store.
#pragma once

#include <memory>
#include <string>

#include <qing/serve/http/message.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

/// A form with the fields "file" and "purpose" and, if the file is to be removed after a time, expires_after[anchor]
/// and expires_after[seconds], in any order. Bytes are written on the thread of Service::move_bytes(), and the file is
/// examined on that of Service::store_file().
class FileUpload : public BodySink {
 public:
  /// `boundary` is that of the form. The service must outlive it, and keep a state.
  FileUpload(Service& service, const std::string& boundary);
  ~FileUpload() override;
  FileUpload(const FileUpload&) = delete;
  FileUpload& operator=(const FileUpload&) = delete;

  void open(const std::string& key) override;
  void write(std::string piece, std::function<void(std::optional<HttpResponse>)> next) override;
  void finish(Reply reply) override;

 private:
  class Form;
  Service& service_;
  std::shared_ptr<Form> form_;
};

}  // namespace qing::serve::protocols
