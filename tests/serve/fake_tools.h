// Scripts in place of the programs that a server calls.
#pragma once

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "../nn/temp_folder.h"

namespace qing::test {

// A folder in front of PATH, for programs.
class FakeTools {
 public:
  FakeTools() : path_(std::getenv("PATH")) { ::setenv("PATH", (folder_.path().string() + ":" + path_).c_str(), 1); }
  ~FakeTools() { ::setenv("PATH", path_.c_str(), 1); }
  void say(const std::string& name, const std::string& script) const {
    const std::filesystem::path file = folder_.write(name, "#!/bin/sh\n" + script + "\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  }
  std::filesystem::path path() const { return folder_.path(); }

 private:
  TempFolder folder_;
  std::string path_;
};

}  // namespace qing::test
