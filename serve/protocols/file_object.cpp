#include "file_object.h"

#include <fmt/format.h>

#include <qing/serve/common/json_writer.h>

namespace qing::serve::protocols {
namespace {

// Why no row of a file is usable; OpenAI's clients show it.
std::string status_details(const DatasetReport& report) {
  const RowError& first = report.errors.front();
  return fmt::format("no row is usable; line {}: {}", first.line, first.message);
}

// The members of a report stay null for a file that has none.
void write_report(JsonWriter& out, const std::optional<DatasetReport>& report) {
  for (const char* name : {"format", "rows", "wrong_rows", "errors", "labels", "languages", "duplicates",
                           "contradictions", "lengths", "kind", "numbers"}) {
    if (!report) out.key(name).raw("null");
  }
  if (!report) return;
  out.key("format");
  report->format.empty() ? out.raw("null") : out.value(report->format);
  out.member("rows", report->rows).member("wrong_rows", report->wrong);
  out.key("errors").raw(errors_json(*report)).key("labels").raw(counts_json(report->labels));
  out.key("languages").raw(counts_json(report->languages)).member("duplicates", report->duplicates);
  out.member("contradictions", report->contradictions).key("lengths").raw(lengths_json(report->lengths));
  out.member("kind", nn::name_of(report->problem)).key("numbers").raw(numbers_json(*report));
}

}  // namespace

constexpr std::string_view kFileSchema = R"({"type":"object","required":["id","object","bytes","created_at","filename",
"purpose","status","status_details","expires_at","sha256"],"properties":{"id":{"type":"string"},
"object":{"const":"file"},"bytes":{"type":"integer"},"created_at":{"type":"integer"},"filename":{"type":"string"},
"purpose":{"type":"string"},"status":{"enum":["processed","error"]},"status_details":{"type":["string","null"]},
"expires_at":{"type":["integer","null"]},"sha256":{"type":"string"},"format":{"type":["string","null"]},
"rows":{"type":["integer","null"]},"wrong_rows":{"type":["integer","null"]},"errors":{"type":["array","null"],"items":{
"type":"object","required":["line","message"],"properties":{"line":{"type":"integer"},"message":{"type":"string"}}}},
"labels":{"type":["object","null"],"additionalProperties":{"type":"integer"}},"languages":{"type":["object","null"],
"additionalProperties":{"type":"integer"}},"duplicates":{"type":["integer","null"]},
"contradictions":{"type":["integer","null"]},"lengths":{"type":["object","null"]},
"kind":{"enum":["single-label","multi-label","regression",null]},"numbers":{"type":["object","null"]}}})";

std::string file_object(const StoredFile& file) {
  JsonWriter out;
  out.begin_object().member("id", file.id).member("object", "file").member("bytes", file.bytes);
  out.member("created_at", file.created).member("filename", file.name).member("purpose", file.purpose);
  out.member("status", file.usable() ? "processed" : "error").key("status_details");
  file.usable() ? out.raw("null") : out.value(status_details(*file.report));
  out.key("expires_at");
  file.expires == 0 ? out.raw("null") : out.value(file.expires);
  out.member("sha256", file.sha256);
  write_report(out, file.report);
  out.end();
  return out.take();
}

}  // namespace qing::serve::protocols
