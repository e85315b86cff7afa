// OpenAI's files: /v1/files. https://platform.openai.com/docs/api-reference/files
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <qing/serve/common/characters.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/log.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/http/multipart.h>
#include <qing/serve/protocols/file_object.h>
#include <qing/serve/protocols/file_upload.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/openai.h>
#include <qing/serve/protocols/query.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::protocols {
namespace {

constexpr std::string_view kForm = R"({"type":"object","required":["file","purpose"],"properties":{
"file":{"type":"string","format":"binary"},"purpose":{"enum":["fine-tune","evals","batch","user_data","assistants",
"vision"]},"expires_after[anchor]":{"const":"created_at"},"expires_after[seconds]":{"type":"integer","minimum":3600,
"maximum":2592000}},"dependentRequired":{"expires_after[anchor]":["expires_after[seconds]"],
"expires_after[seconds]":["expires_after[anchor]"]},"additionalProperties":false})";
constexpr std::string_view kList = R"({"type":"object","required":["object","data","first_id","last_id","has_more"],
"properties":{"object":{"const":"list"},"data":{"type":"array","items":{"type":"object"}},
"first_id":{"type":["string","null"]},"last_id":{"type":["string","null"]},"has_more":{"type":"boolean"}}})";
constexpr std::string_view kDeleted = R"({"type":"object","required":["id","object","deleted"],"properties":{
"id":{"type":"string"},"object":{"const":"file"},"deleted":{"const":true}}})";
constexpr std::string_view kQuery = R"({"name":"after","in":"query","schema":{"type":"string"}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":10000,"default":10000}},
{"name":"order","in":"query","schema":{"enum":["asc","desc"],"default":"desc"}},
{"name":"purpose","in":"query","schema":{"type":"string"}})";
constexpr std::string_view kTag = "OpenAI files";

constexpr size_t kPage = 10'000;                  // files, OpenAI's limit and default
constexpr size_t kPageBytes = 4UL * 1024 * 1024;  // a page ends at the file that reaches it
constexpr size_t kPieceBytes = 64UL * 1024;       // of a download

// Says the same of a file of another project.
HttpResponse no_file(std::string_view id) {
  const bool plain = id.size() <= 64 && has_only(id, is_alphanumeric, "-_");
  return error_response(
      404, "file_not_found",
      plain ? fmt::format("no file {}; GET /v1/files lists them", id) : "no such file; GET /v1/files lists them");
}

void require_state(const Service& service) {
  if (service.state() != nullptr) return;
  throw Refusal(error_response(404, "no_state", "this server keeps no files and jobs; start it with a state folder"));
}

std::shared_ptr<BodySink> upload(Service& service, const Call& call) {
  require_state(service);
  std::optional<std::string> boundary;
  try {
    boundary = MultipartParser::boundary_of(call.head.header("Content-Type"));
  } catch (const MultipartError& error) { throw Refusal(error_response(400, "malformed_form", error.what())); }
  if (!boundary) {
    throw Refusal(
        error_response(415, "unsupported_media_type", "send Content-Type: multipart/form-data; boundary=..."));
  }
  return std::make_shared<FileUpload>(service, *boundary);
}

FileStore::ListOptions list_options(const Query& query) {
  check_query(query, {"after", "limit", "order", "purpose"});
  FileStore::ListOptions options{.after = std::string(value_of(query, "after")),
                                 .purpose = std::string(value_of(query, "purpose")),
                                 .limit = integer_of(query, "limit", 1, kPage, kPage)};
  const std::string_view order = value_of(query, "order");
  if (!order.empty() && order != "asc" && order != "desc") refuse_field("order: must be asc or desc");
  options.newest_first = order != "asc";
  return options;
}

HttpResponse page_response(FileStore& store, const std::string& project, FileStore::ListOptions options) {
  constexpr size_t kAtOnce = 100;  // files whose reports are in memory
  JsonWriter out;
  out.begin_object().member("object", "list").key("data").begin_array();
  std::string first, last;
  bool more = true;
  size_t left = options.limit, bytes = 0;
  while (more && left > 0 && bytes < kPageBytes) {
    options.limit = std::min(left, kAtOnce);
    const FileStore::Page page = store.list(project, options);
    for (const StoredFile& file : page.files) {
      const std::string object = file_object(file);
      bytes += object.size();
      out.raw(object);
      if (first.empty()) first = file.id;
      last = file.id;
    }
    left -= page.files.size();
    options.after = last;
    more = page.has_more;
  }
  out.end().key("first_id");
  first.empty() ? out.raw("null") : out.value(first);
  out.key("last_id");
  last.empty() ? out.raw("null") : out.value(last);
  out.member("has_more", more).end();
  return {200, out.take(), {}};
}

// The bytes of a file, read on the thread that may wait for the disk. A file that is removed meanwhile stays readable.
class FileSource : public BodySource {
 public:
  FileSource(Service& service, const std::filesystem::path& path)
      : service_(service), reader_(std::make_shared<FileReader>(path)) {}
  std::uint64_t size() const override { return reader_->size(); }
  void read(std::function<void(std::string)> next) override {
    const auto task = [reader = reader_, next](bool run) {
      std::string piece(run ? kPieceBytes : 0, '\0');
      try {
        piece.resize(run ? reader->read(piece) : 0);
      } catch (const IoError& error) {
        log_line("error", "file_not_read", {{"error", error.what()}});
        piece.clear();
      }
      next(std::move(piece));
    };
    if (!service_.move_bytes(task)) next({});
  }

 private:
  Service& service_;
  const std::shared_ptr<FileReader> reader_;
};

HttpResponse content_response(Service& service, FileStore& store, const std::string& project, const std::string& id) {
  const std::optional<StoredFile> file = store.get(project, id);
  if (!file) return no_file(id);
  HttpResponse response{200, {}, {}, "application/octet-stream"};
  response.source = std::make_shared<FileSource>(service, store.content(id));
  return response;
}

// Who asks.
struct Caller {
  std::string project, key;
};

HttpResponse deleted_response(FileStore& store, const Caller& caller, const std::string& id) {
  if (!store.remove(caller.project, id, caller.key)) return no_file(id);
  JsonWriter out;
  out.begin_object().member("id", id).member("object", "file").member("deleted", true).end();
  return {200, out.take(), {}};
}

// `act` runs with the store on the thread for the disk.
Route route(Service& service, std::string_view method, std::string_view pattern, Operation operation,
            std::function<HttpResponse(FileStore&, const Caller&, const std::string& id)> act) {
  return {.method = method,
          .pattern = pattern,
          .operation = operation,
          .open =
              [&service, act = std::move(act)](const Call& call) {
                const std::string id(call.parameter("file_id"));
                return [&service, act, id](const std::string&, Routed::Reply reply) {
                  Caller caller{service.project(reply.key), reply.key};
                  service.with_state(std::move(reply), [&service, act, id, caller](Database& database) {
                    FileStore store(database, *service.state());
                    return act(store, caller, id);
                  });
                };
              },
          .error_form = &kOpenAiErrors,
          .of_project = true};
}

Route list_route(Service& service) {
  Operation operation{kTag, "Lists files by pages", {}, kList};
  operation.query = kQuery;
  return {.method = "GET",
          .pattern = "/v1/files",
          .operation = operation,
          .open =
              [&service](const Call& call) {
                const FileStore::ListOptions options = list_options(query_of(call.head.query));
                return [&service, options](const std::string&, Routed::Reply reply) {
                  const std::string project = service.project(reply.key);
                  service.with_state(std::move(reply), [&service, options, project](Database& database) {
                    FileStore store(database, *service.state());
                    return page_response(store, project, options);
                  });
                };
              },
          .error_form = &kOpenAiErrors,
          .of_project = true};
}

// What a process that was killed left, and files whose time is over.
void clean(Service& service) {
  if (service.state() == nullptr || !service.state()->exists()) return;
  service.store_file(Reply([](const HttpResponse&) {}), [&service](Database& database) {
    const size_t count = FileStore(database, *service.state()).clean();
    if (count > 0) log_line("info", "files_cleaned", {{"files", static_cast<std::int64_t>(count)}});
    return HttpResponse();
  });
}

}  // namespace

std::vector<Route> openai_files(Service& service) {
  clean(service);
  Route create{.method = "POST",
               .pattern = "/v1/files",
               .body = BodyKind::kAny,
               .operation = {kTag, "Stores a file. Rows of labelled texts are checked and counted", kForm, kFileSchema},
               .error_form = &kOpenAiErrors,
               .of_project = true,
               .stream = [&service](const Call& call) { return upload(service, call); }};
  create.operation.request_type = "multipart/form-data";
  return {std::move(create), list_route(service),
          route(service, "GET", "/v1/files/{file_id}", {kTag, "What a file is", {}, kFileSchema},
                [](FileStore& store, const Caller& caller, const std::string& id) {
                  const std::optional<StoredFile> file = store.get(caller.project, id);
                  return file ? HttpResponse{200, file_object(*file), {}} : no_file(id);
                }),
          route(service, "DELETE", "/v1/files/{file_id}", {kTag, "Removes a file", {}, kDeleted},
                [](FileStore& store, const Caller& caller, const std::string& id) {
                  return deleted_response(store, caller, id);
                }),
          route(service, "GET", "/v1/files/{file_id}/content",
                {kTag, "The bytes of a file", {}, {}, "application/octet-stream"},
                [&service](FileStore& store, const Caller& caller, const std::string& id) {
                  return content_response(service, store, caller.project, id);
                })};
}

}  // namespace qing::serve::protocols
