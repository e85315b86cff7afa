// Writing a table with added columns to a file, a row at a time, so that a killed program can go on where it was.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qing::serve::cli {

enum class OutputFormat : uint8_t { csv, tsv, jsonl, json, text, xlsx };
/// By the suffix .csv, .tsv, .jsonl, .json, .txt or .xlsx, in either case. UsageError for another one.
OutputFormat output_format_of(const std::filesystem::path& path);

/// A value of an added column.
struct AddedValue {
  std::string text;     ///< empty: an empty cell, null in JSON
  bool number = false;  ///< the text is a number
};

/// The names without those that are taken: a taken one gets "predicted_" in front until it is free.
std::vector<std::string> free_names(std::span<const std::string> wanted, std::span<const std::string> taken);

/// Writes to "OUT.part" and renames it at the end, so that OUT is whole or as it was. "OUT.part.json" says how far the
/// part is; a writer with the same task goes on there. CSV and TSV quote fields as RFC 4180 says, where they need it.
/// JSON keeps the objects of JSON as they were and adds members; the fields of other tables are strings. Text is the
/// first added value of each row. A workbook is made of the rows at the end; texts that look like numbers stay texts
/// unless a spreadsheet would show the same digits. Not thread-safe.
class TableWriter {
 public:
  struct Head {
    std::vector<std::string> columns;  ///< of the table
    std::vector<std::string> added;
  };
  /// `task` names what is written, from which input and with which model; a part of another task is overwritten. Empty:
  /// never goes on. UsageError while another process writes the same file, and for a column twice in JSON. IoError.
  TableWriter(std::filesystem::path out, Head head, std::string task);
  ~TableWriter();
  TableWriter(const TableWriter&) = delete;
  TableWriter& operator=(const TableWriter&) = delete;

  int64_t rows() const { return rows_; }  ///< That are written, with those of the earlier process.

  /// `object` is the row as JSON, or empty. DataError for what the format cannot hold, named by `where`.
  void add(std::span<const std::string> fields, std::string_view object, std::span<const AddedValue> added,
           const std::string& where);
  /// Makes the part whole and renames it. IoError.
  void finish();
  /// Removes the part and its notes.
  void discard() noexcept;

 private:
  void begin();
  bool go_on();
  void append_record(std::span<const std::string> fields, std::span<const AddedValue> added);
  void append_object(std::span<const std::string> fields, std::string_view object, std::span<const AddedValue> added);
  void check_cell(std::string_view text, const std::string& column, const std::string& where) const;
  void write_out();
  void note();
  std::filesystem::path make_workbook() const;

  std::filesystem::path out_, part_, notes_;
  OutputFormat format_;
  Head head_;
  std::string task_, buffer_;
  int file_ = -1;
  int64_t rows_ = 0, bytes_ = 0;  // bytes of the part, without the buffer
  std::chrono::steady_clock::time_point noted_;
};

}  // namespace qing::serve::cli
