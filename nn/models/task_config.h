// The task in a config.json that is being read. Private to nn/.
#pragma once

#include <string>
#include <string_view>

#include <qing/nn/models/config_reader.h>

namespace qing::nn {

/// task_of() and require_task() for an open config.json.
std::string task_in(const ConfigReader& reader);
void require_task(const ConfigReader& reader, std::string_view task);

}  // namespace qing::nn
