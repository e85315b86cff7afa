#include <qing/nn/data/table_format.h>

namespace qing::nn {

std::string_view name_of(TableFormat format) {
  switch (format) {
    case TableFormat::tsv: return "TSV";
    case TableFormat::csv: return "CSV";
    case TableFormat::text: return "text";
    case TableFormat::fasttext: return "fastText";
    case TableFormat::json: return "JSON";
    default: return "XLSX";
  }
}

}  // namespace qing::nn
