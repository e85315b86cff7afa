// The directory of a zip archive whose members are stored without compression, as PyTorch writes its files
// (PKWARE's APPNOTE.TXT 6.3.10; zip64 included).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/formats/file_faults.h>

namespace qing::nn {

struct ZipMember {
  std::string name;
  uint64_t offset, size;  ///< of the content, inside the archive
  uint32_t crc;           ///< CRC-32 of the content, not checked yet
};

/// The members in the order of their contents, which do not overlap. DataError for an archive that is cut or
/// contradicts itself, and for one that is compressed, encrypted or split.
std::vector<ZipMember> read_zip_directory(std::string_view archive, const FileFaults& faults);

/// CRC-32 as zip has it (ISO 3309).
uint32_t crc32(std::string_view bytes);

}  // namespace qing::nn
