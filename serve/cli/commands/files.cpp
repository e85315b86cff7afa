// `qing files`: the files that a server keeps.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <qing/serve/cli/answer_text.h>
#include <qing/serve/cli/client_options.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/common/json_text.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/files/upload.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

namespace json = boost::json;

struct FilesArguments {
  ClientArguments client;
  std::filesystem::path file, out;
  std::string purpose = "fine-tune", id;
  bool json = false;
};

// "negative 12, positive 30"
std::string counts(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_object()) return "-";
  std::vector<std::string> all;
  for (const auto& [key, count] : value->get_object())
    all.push_back(fmt::format("{} {}", std::string(key), json_text(count)));
  return fmt::format("{}", fmt::join(all, ", "));
}

void print_file(const json::object& file) {
  for (const char* name : {"id", "filename", "purpose", "bytes", "status", "status_details", "sha256", "format", "rows",
                           "wrong_rows", "duplicates", "contradictions"}) {
    print_line(fmt::format("{:<15} {}", name, text_of(file, name)));
  }
  print_line(fmt::format("{:<15} {}", "created", moment_of(file, "created_at")));
  print_line(fmt::format("{:<15} {}", "expires", moment_of(file, "expires_at")));
  for (const char* name : {"labels", "languages", "lengths"})
    print_line(fmt::format("{:<15} {}", name, counts(file, name)));
  const json::value* errors = file.if_contains("errors");
  if (errors == nullptr || !errors->is_array()) return;
  for (const json::value& error : errors->get_array()) {
    if (const json::object* object = error.if_object()) {
      print_line(fmt::format("line {}: {}", text_of(*object, "line"), text_of(*object, "message")));
    }
  }
}

// An id becomes a part of a path.
std::string path_of(const FilesArguments& a) {
  if (a.id.empty() || !has_only(a.id, is_alphanumeric, "-_")) {
    throw UsageError("id: give the id of a file, such as qing files list shows");
  }
  return "/v1/files/" + a.id;
}

void run_upload(const FilesArguments& a) {
  const std::string answer = client_of(a.client).upload_file(a.file, a.purpose);
  const json::object file = object_of("qing files", answer);
  a.json ? print_line(answer) : print_file(file);
  if (text_of(file, "status") != "error") return;
  flush_output();
  throw DataError(fmt::format("{}: was stored as {}, but has no usable row: {}", a.file.string(), text_of(file, "id"),
                              text_of(file, "status_details")));
}

void run_list(const FilesArguments& a) {
  const Client client = client_of(a.client);
  if (!a.json)
    print_line(fmt::format("{:<29}  {:<20}  {:>12}  {:<9}  {:<10}  {}", "id", "created", "bytes", "status", "purpose",
                           "filename"));
  std::string after;
  for (bool more = true; more;) {
    const json::object page = object_of(
        "qing files", client.request("GET", "/v1/files?limit=100" + (after.empty() ? "" : "&after=" + after)));
    const json::value* data = page.if_contains("data");
    if (data == nullptr || !data->is_array())
      throw IoError("qing files: the answer has no list of files; check that a qing service runs there");
    for (const json::value& entry : data->get_array()) {
      const json::object& file = entry.as_object();
      after = text_of(file, "id");
      print_line(a.json ? json_text(file)
                        : fmt::format("{:<29}  {:<20}  {:>12}  {:<9}  {:<10}  {}", after, moment_of(file, "created_at"),
                                      text_of(file, "bytes"), text_of(file, "status"), text_of(file, "purpose"),
                                      text_of(file, "filename")));
    }
    const json::value* has_more = page.if_contains("has_more");
    more = has_more != nullptr && has_more->is_bool() && has_more->get_bool() && !data->get_array().empty();
  }
}

void run_show(const FilesArguments& a) {
  const std::string answer = client_of(a.client).request("GET", path_of(a));
  if (a.json) return print_line(answer);
  print_file(object_of("qing files", answer));
}

void run_delete(const FilesArguments& a) {
  const std::string answer = client_of(a.client).request("DELETE", path_of(a));
  if (a.json) print_line(answer);
}

// The file appears under its name once all of it is on the disk.
void run_download(const FilesArguments& a) {
  const std::filesystem::path out = std::filesystem::absolute(a.out);
  Upload file(out.parent_path());
  client_of(a.client).download(path_of(a) + "/content", [&](std::string_view piece) { file.write(piece); });
  file.sync();
  file.keep_as(out);
}

}  // namespace

void add_files(CommandLine& line) {
  const auto a = std::make_shared<FilesArguments>();
  CLI::App* files = line.app.add_subcommand("files", "Upload and manage the files of a server");
  files->require_subcommand(1);
  const auto add = [&](const char* name, const char* about, void (*run)(const FilesArguments&)) {
    CLI::App* command = files->add_subcommand(name, about);
    add_client(command, a->client);
    command->callback([&line, a, run] { line.run = [a, run] { run(*a); }; });
    return command;
  };
  const auto with_json = [&](CLI::App* command) {
    command->add_flag("--json", a->json, "Print one JSON object per file");
  };
  const auto with_id = [&](CLI::App* command) { command->add_option("id", a->id, "File ID")->required(); };
  CLI::App* upload = add("upload", "Upload a file, and print what it holds", run_upload);
  upload->add_option("file", a->file, "File to upload")->required()->type_name("FILE");
  upload->add_option("--purpose", a->purpose, "Purpose: fine-tune or evals for labelled texts, batch or user_data")
      ->capture_default_str();
  with_json(upload);
  with_json(add("list", "List the files", run_list));
  CLI::App* show = add("show", "Show a file: rows, labels, errors", run_show);
  with_id(show);
  with_json(show);
  CLI::App* remove = add("delete", "Delete a file", run_delete);
  with_id(remove);
  with_json(remove);
  CLI::App* download = add("download", "Download the bytes of a file", run_download);
  with_id(download);
  download->add_option("--out", a->out, "Output file")->required()->type_name("FILE");
}

}  // namespace qing::serve::cli
