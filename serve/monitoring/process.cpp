#include "process.h"

#include <unistd.h>

#include <fstream>
#include <limits>
#include <string>

namespace qing::serve {

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// proc(5): the time of the start is the 22nd field of stat, in ticks since the machine's start. The second field is the
// program's name in parentheses, which may hold spaces.
double process_start_seconds() {
  std::ifstream stat("/proc/self/stat"), machine("/proc/stat");
  stat.ignore(std::numeric_limits<std::streamsize>::max(), ')');
  std::string field;
  for (int i = 3; i < 22; ++i) stat >> field;
  double ticks = 0, booted = 0;
  stat >> ticks;
  for (std::string name; machine >> name;) {
    if (name == "btime") {
      machine >> booted;
      break;
    }
  }
  return stat && machine ? booted + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK)) : 0;
}

}  // namespace qing::serve
