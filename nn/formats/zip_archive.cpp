#include <qing/nn/formats/zip_archive.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include <qing/nn/formats/byte_cursor.h>

namespace qing::nn {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEndRecord = 0x06054b50, kEnd64 = 0x06064b50,
                   kLocator64 = 0x07064b50;
constexpr uint64_t kEndBytes = 22, kLocatorBytes = 20, kMaxComment = 0xffff;
constexpr uint16_t kMissing16 = 0xffff;  // the number stands in the zip64 record
constexpr uint32_t kMissing32 = 0xffffffff;
constexpr uint16_t kEncrypted = 1;
constexpr uint16_t kZip64Field = 1;

struct Directory {
  uint64_t offset, size, entries;
};

class DirectoryReader {
 public:
  DirectoryReader(std::string_view archive, const FileFaults& faults) : archive_(archive), faults_(faults) {}

  std::vector<ZipMember> read() {
    const Directory directory = find_directory();
    ByteCursor cursor = at(directory.offset, directory.size, "the directory");
    std::vector<ZipMember> members;
    std::set<std::string> names;
    for (uint64_t i = 0; i < directory.entries; ++i) {
      members.push_back(read_entry(cursor, directory.offset));
      if (!names.insert(members.back().name).second) {
        faults_.invalid(fmt::format("member '{}' is in the directory twice", printable(members.back().name)));
      }
    }
    if (cursor.left() > 0) {
      faults_.invalid(fmt::format("{} bytes follow the {} entries of the directory", cursor.left(), directory.entries));
    }
    std::ranges::sort(members, {}, [](const ZipMember& m) { return std::pair(m.offset, m.size); });
    for (size_t i = 1; i < members.size(); ++i) {
      const ZipMember &before = members[i - 1], &member = members[i];
      if (before.offset + before.size > member.offset) {
        faults_.invalid(fmt::format("members '{}' and '{}' overlap at byte {}", printable(before.name),
                                    printable(member.name), member.offset));
      }
    }
    return members;
  }

 private:
  ByteCursor at(uint64_t offset, uint64_t size, std::string_view what) const {
    if (offset > archive_.size() || size > archive_.size() - offset) {
      faults_.invalid(fmt::format("{} is at byte {} and has {} bytes, but the file has {} (is it cut?)", what, offset,
                                  size, archive_.size()));
    }
    return ByteCursor(archive_.substr(offset, size), faults_, offset);
  }

  Directory find_directory() const {
    const uint64_t size = archive_.size();
    const uint64_t earliest = size > kEndBytes + kMaxComment ? size - kEndBytes - kMaxComment : 0;
    for (uint64_t place = size < kEndBytes ? 0 : size - kEndBytes + 1; place > earliest; --place) {
      ByteCursor cursor(archive_.substr(place - 1), faults_, place - 1);
      if (cursor.number<uint32_t>("a record") != kEndRecord) continue;
      const auto disk = cursor.number<uint16_t>("a disk"), first_disk = cursor.number<uint16_t>("a disk");
      const auto entries_here = cursor.number<uint16_t>("a count"), entries = cursor.number<uint16_t>("a count");
      const auto bytes = cursor.number<uint32_t>("a size"), offset = cursor.number<uint32_t>("an offset");
      if (cursor.number<uint16_t>("a length") != cursor.left()) continue;  // bytes of a comment that look like it
      const bool zip64 = entries == kMissing16 || bytes == kMissing32 || offset == kMissing32;
      if (zip64) return read_end64(place - 1);
      if (disk != 0 || first_disk != 0 || entries_here != entries) {
        faults_.unsupported("an archive of several parts; join them");
      }
      return {.offset = offset, .size = bytes, .entries = entries};
    }
    faults_.invalid("there is no directory at its end (is it cut?)");
  }

  Directory read_end64(uint64_t end) const {
    if (end < kLocatorBytes) faults_.invalid("the zip64 locator is missing");
    ByteCursor locator = at(end - kLocatorBytes, kLocatorBytes, "the zip64 locator");
    if (locator.number<uint32_t>("a record") != kLocator64) faults_.invalid("the zip64 locator is missing");
    locator.number<uint32_t>("a disk");
    const auto place = locator.number<uint64_t>("an offset");
    constexpr uint64_t kEnd64Bytes = 56;
    ByteCursor cursor = at(place, kEnd64Bytes, "the zip64 end of the directory");
    if (cursor.number<uint32_t>("a record") != kEnd64) {
      faults_.invalid(fmt::format("there is no zip64 end of the directory at byte {}", place));
    }
    cursor.take(8 + 2 + 2 + 4 + 4 + 8, "the zip64 end of the directory");  // size, versions, disks, entries here
    Directory directory{};
    directory.entries = cursor.number<uint64_t>("a count");
    directory.size = cursor.number<uint64_t>("a size");
    directory.offset = cursor.number<uint64_t>("an offset");
    return directory;
  }

  ZipMember read_entry(ByteCursor& cursor, uint64_t directory) const {
    const uint64_t place = cursor.place();
    if (cursor.number<uint32_t>("an entry of the directory") != kCentralHeader) {
      faults_.invalid(fmt::format("there is no entry of the directory at byte {}", place));
    }
    cursor.take(4, "versions");
    const auto flags = cursor.number<uint16_t>("flags"), method = cursor.number<uint16_t>("a method");
    cursor.take(4, "a time");
    ZipMember member{};
    member.crc = cursor.number<uint32_t>("a CRC");
    uint64_t packed = cursor.number<uint32_t>("a size");
    member.size = cursor.number<uint32_t>("a size");
    const auto name = cursor.number<uint16_t>("a length"), extra = cursor.number<uint16_t>("a length"),
               comment = cursor.number<uint16_t>("a length");
    cursor.take(2 + 2 + 4, "attributes");
    uint64_t header = cursor.number<uint32_t>("an offset");
    member.name = cursor.take(name, "a name");
    read_extra(cursor.take(extra, "an extra field"), place, member.size, packed, header);
    cursor.take(comment, "a comment");
    if ((flags & kEncrypted) != 0) {
      faults_.unsupported(fmt::format("member '{}' is encrypted", printable(member.name)));
    }
    if (method != 0) {
      faults_.unsupported(fmt::format("member '{}' is compressed (method {}); store it as it is, as torch.save does",
                                      printable(member.name), method));
    }
    if (packed != member.size) {
      faults_.invalid(fmt::format("member '{}' is stored and has {} bytes, but takes {}", printable(member.name),
                                  member.size, packed));
    }
    member.offset = content_of(member, header);
    if (member.offset > directory || member.size > directory - member.offset) {
      faults_.invalid(fmt::format("member '{}' of {} bytes at byte {} reaches into the directory at byte {}",
                                  printable(member.name), member.size, member.offset, directory));
    }
    return member;
  }

  // The zip64 field holds, in this order, the 64-bit values of those numbers that are 0xffffffff in the entry.
  void read_extra(std::string_view fields, uint64_t place, uint64_t& size, uint64_t& packed, uint64_t& header) const {
    ByteCursor cursor(fields, faults_, place);
    while (cursor.left() > 0) {
      const auto id = cursor.number<uint16_t>("an extra field");
      const auto length = cursor.number<uint16_t>("an extra field");
      ByteCursor field(cursor.take(length, "an extra field"), faults_, place);
      if (id != kZip64Field) continue;
      for (uint64_t* number : {&size, &packed, &header}) {
        if (*number == kMissing32) *number = field.number<uint64_t>("a zip64 number");
      }
    }
  }

  // The place of the content, which follows a second header of its own.
  uint64_t content_of(const ZipMember& member, uint64_t header) const {
    constexpr uint64_t kLocalBytes = 30;
    ByteCursor cursor = at(header, kLocalBytes, fmt::format("the header of member '{}'", printable(member.name)));
    if (cursor.number<uint32_t>("a record") != kLocalHeader) {
      faults_.invalid(fmt::format("there is no header of member '{}' at byte {}", printable(member.name), header));
    }
    cursor.take(22, "a header");
    const auto name = cursor.number<uint16_t>("a length"), extra = cursor.number<uint16_t>("a length");
    ByteCursor rest = at(header + kLocalBytes, uint64_t{name} + extra, "a name");
    if (rest.take(name, "a name") != member.name) {
      faults_.invalid(fmt::format("member '{}' has another name in front of it", printable(member.name)));
    }
    return header + kLocalBytes + name + extra;
  }

  std::string_view archive_;
  const FileFaults& faults_;
};

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320U : 0U);
    table[byte] = value;
  }
  return table;
}

}  // namespace

std::vector<ZipMember> read_zip_directory(std::string_view archive, const FileFaults& faults) {
  return DirectoryReader(archive, faults).read();
}

uint32_t crc32(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  uint32_t crc = 0xffffffff;
  for (const char byte : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

}  // namespace qing::nn
