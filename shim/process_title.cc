#include "shim/process_title.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cstring>

namespace gantry::shim {
namespace {

char* area = nullptr;
size_t area_size = 0;

}  // namespace

void RememberArguments(int argc, char** argv) {
  if (argc == 0) return;
  area = argv[0];
  area_size = static_cast<size_t>(argv[argc - 1] + std::strlen(argv[argc - 1]) + 1 - area);
}

void SetArguments(const std::vector<std::string>& arguments) {
  if (area == nullptr) return;
  std::string title;
  for (const std::string& argument : arguments) title.append(argument).push_back('\0');
  const size_t size = std::min(title.size(), area_size);
  std::memset(area, 0, area_size);
  std::memcpy(area, title.data(), size);
  area[area_size - 1] = '\0';
  // Without CAP_SYS_RESOURCE the rest of the area shows as empty arguments, which does no harm.
  ::prctl(PR_SET_MM, PR_SET_MM_ARG_END, area + size, 0, 0);
}

}  // namespace gantry::shim
