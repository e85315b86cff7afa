// Finding out how a table is written: its format, the separator of its fields and whether it has quotes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <qing/nn/data/line_reader.h>
#include <qing/nn/data/table_format.h>

namespace qing::nn {

struct TableLayout {
  TableFormat format = TableFormat::csv;
  char delimiter = ',';   ///< of CSV and TSV
  bool quotes = true;     ///< of CSV, and of TSV that shows them
  size_t skip_lines = 0;  ///< in front of the header: "sep=;", or a title
  bool titled = false;    ///< they are a title, with blank lines around it
  bool guessed = false;   ///< differs from what the suffix alone says
};

/// The suffix in lower case, with its dot.
std::string suffix_of(const std::filesystem::path& path);

/// DataError "path: ...; remedy" for a file that qing does not read, known by its suffix or its first bytes: Parquet,
/// other workbooks, archives, PDF. Also for a suffix that contradicts the bytes.
void refuse_foreign(const std::filesystem::path& path, std::string_view bytes);

/// Whether the file is a workbook: by its suffix, or by its first bytes if it has none.
bool is_workbook(const std::filesystem::path& path, std::string_view bytes);

/// The layout of a text file. `sample` is its beginning in UTF-8, without byte order marks; `whole` says that nothing
/// follows. DataError for an unknown suffix.
TableLayout layout_of(const std::filesystem::path& path, std::string_view sample, bool whole,
                      const TableOptions& options);

/// Whether fields that begin with a quote are quoted as in CSV: all of them end as they do there, and the file shows it
/// by a doubled quote, by quotes around each name of the header, or by tabs and line breaks inside quotes without which
/// lines would have another number of fields. IoError. `open` gives the whole input, in UTF-8, each time.
bool tsv_has_quotes(const std::function<ByteInput()>& open);

}  // namespace qing::nn
