// POST /v1/admin/models/{name}/versions: a version as a tar or zip archive. It is checked before anybody sees it.
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/draft.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/log.h>
#include <qing/serve/common/shown_text.h>
#include <qing/serve/files/upload.h>
#include <qing/serve/maintenance/leftovers.h>
#include <qing/serve/maintenance/model_archive.h>
#include <qing/serve/maintenance/version_folder.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/model_changes.h>
#include <qing/serve/protocols/query.h>
#include <qing/serve/registry/model_manifest.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::protocols {
namespace {

constexpr std::string_view kUploaded = R"({"type":"object","required":["model","version","active","files","bytes",
"sha256"],"properties":{"model":{"type":"string"},"version":{"type":"string"},"active":{"type":"boolean"},
"files":{"type":"integer"},"bytes":{"type":"integer"},"sha256":{"type":"string"}}})";
constexpr std::string_view kActivate =
    R"({"name":"activate","in":"query","schema":{"type":"boolean","default":false}},
{"name":"replace_labels","in":"query","schema":{"type":"boolean","default":false}})";

// What the address says of an upload.
struct Wanted {
  std::string model;
  bool activate;
  Registry::Replacing replacing;
};

struct NewUpload {
  NewUpload(Service& service_in, Wanted wanted_in) : service(service_in), wanted(std::move(wanted_in)) {}

  Service& service;
  const Wanted wanted;
  std::optional<Upload> archive;

  std::optional<HttpResponse> take(std::string_view piece) {
    try {
      if (!archive) {
        service.state()->open();  // makes the folder, too
        archive.emplace(service.state()->files());
      }
      if (archive->bytes() + piece.size() > service.limits().file_bytes) {
        return error_response(413, "body_too_large",
                              fmt::format("the archive exceeds the limit of {} bytes; --file-bytes allows more",
                                          service.limits().file_bytes));
      }
      archive->write(piece);
      return std::nullopt;
    } catch (const std::exception& error) {
      log_line("error", "upload_not_written", {{"error", error.what()}});
      return error_response(500, "not_written", "the archive could not be stored; see the server's log");
    }
  }
};

// The number of the next version: above all that were ever seen.
std::int64_t next_version(const Registry& registry, const std::string& name, const std::optional<Model>& served) {
  std::int64_t last = served ? served->version : 0;
  for (const std::int64_t version : registry.versions_on_disk(name)) last = std::max(last, version);
  if (served) {
    for (const std::int64_t version : served->versions) last = std::max(last, version);
  }
  return last + 1;
}

// Serves a version, or only notes it. If it cannot be kept, the model is again what it was.
void serve_and_keep(Registry& registry, NewVersion& version, const std::string& name,
                    const std::optional<Model>& served, bool active, Registry::Replacing replacing) {
  try {
    active ? void(registry.load(name, version.number(), replacing)) : registry.note_version(name, version.number());
    version.keep();
  } catch (...) {
    const std::optional<Model> now = registry.find(name);
    const bool listed = now && std::ranges::binary_search(now->versions, version.number());
    if (listed) served ? registry.restore(*served) : registry.forget(name);
    throw;
  }
}

// The archive is gone before the client is answered.
struct ArchiveRemoval {
  NewUpload& upload;
  ~ArchiveRemoval() { upload.archive.reset(); }
};

HttpResponse place(Registry& registry, NewUpload& upload) {
  const ArchiveRemoval removal{upload};
  const Service& service = upload.service;
  const std::optional<Model> served = registry.find(upload.wanted.model);
  const std::string name = served ? served->name : upload.wanted.model;  // not an alias
  if (service.owner(name)) refuse_field("name: a training job made this model; give another name");
  if (!upload.archive) refuse_field("body: is empty; send a tar or zip archive of a model's folder");
  const State& state = *service.state();
  const std::string digest = upload.archive->sha256();
  const DraftFolder draft(state.folder() / kUnpackedPlace);
  const UnpackedModel unpacked =
      unpack_model(upload.archive->path(), draft.path(), {.bytes = service.limits().model_bytes});
  upload.archive.reset();
  try {
    registry.check(unpacked.folder);
  } catch (const Error& error) {
    // A file that cannot be read is one that the archive lacks, because what it has was written just now.
    throw DamagedVersion(without_place(error.what(), unpacked.folder));
  }
  if (!is_there(unpacked.folder / kManifestFile)) write_manifest(unpacked.folder);
  NewVersion version(unpacked.folder, state.models(), name, next_version(registry, name, served));
  const bool active = upload.wanted.activate || !served;
  serve_and_keep(registry, version, name, served, active, upload.wanted.replacing);
  JsonWriter json;
  json.begin_object().member("model", name).member("version", std::to_string(version.number()));
  json.member("active", active).member("files", unpacked.files).member("bytes", unpacked.bytes);
  json.member("sha256", digest).end();
  return {200, json.take(), {}};
}

class VersionUpload : public BodySink {
 public:
  VersionUpload(Service& service, Wanted wanted)
      : service_(service), upload_(std::make_shared<NewUpload>(service, std::move(wanted))) {}
  // An archive that is not finished is removed on the thread that may wait for the disk.
  ~VersionUpload() override {
    if (!upload_) return;
    try {
      service_.move_bytes([upload = std::move(upload_)](bool) {});
    } catch (const std::bad_alloc&) {
      // This thread removes it then.
    }
  }
  VersionUpload(const VersionUpload&) = delete;
  VersionUpload& operator=(const VersionUpload&) = delete;

  void open(const std::string&) override {}
  void write(std::string piece, std::function<void(std::optional<HttpResponse>)> next) override {
    const HttpResponse stopping =
        unavailable("stopping", "the server is stopping", service_.limits().retry_after_seconds);
    const auto task = [upload = upload_, piece = std::move(piece), next, stopping](bool run) {
      next(run ? upload->take(piece) : stopping);
    };
    if (!service_.move_bytes(task)) next(service_.busy());
  }
  void finish(Reply reply) override {
    const auto upload = std::exchange(upload_, nullptr);
    const std::string key = reply.key;
    service_.change_models(std::move(reply), {"model.upload", upload->wanted.model,
                                              upload->wanted.activate ? "to answer" : "to stay beside",
                                              [&service = service_, upload, key](Registry& registry) {
                                                const std::string& name = upload->wanted.model;
                                                if (!service.visible(name, key)) Registry::throw_unknown(name);
                                                return place(registry, *upload);
                                              }});
  }

 private:
  Service& service_;
  std::shared_ptr<NewUpload> upload_;
};

std::shared_ptr<BodySink> begin_upload(Service& service, const Call& call) {
  if (service.state() == nullptr) {
    throw Refusal(error_response(404, "no_state", "this server makes no versions; start it with a state folder"));
  }
  // Before the archive comes, which may be large.
  const std::string_view name = call.parameter("name");
  if (!is_model_name(name)) refuse_field("name: use 1 to 128 of A-Z a-z 0-9 . _ -, the first not a dot");
  const Query query = query_of(call.head.query);
  check_query(query, {"activate", "replace_labels"});
  return std::make_shared<VersionUpload>(service, Wanted{.model = std::string(name),
                                                         .activate = flag_of(query, "activate"),
                                                         .replacing = replacing(flag_of(query, "replace_labels"))});
}

}  // namespace

std::vector<Route> new_versions(Service& service) {
  Route route{.method = "POST",
              .pattern = "/v1/admin/models/{name}/versions",
              .scope = Scope::kAdmin,
              .body = BodyKind::kAny,
              .operation = {"admin", "Adds a version of a model, or a model, from a tar or zip archive",
                            R"({"type":"string","format":"binary"})", kUploaded},
              .stream = [&service](const Call& call) { return begin_upload(service, call); }};
  route.operation.request_type = "application/octet-stream";
  route.operation.query = kActivate;
  return {std::move(route)};
}

}  // namespace qing::serve::protocols
