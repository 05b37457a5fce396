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
  title.resize(std::min(title.size(), area_size - 1));
  title.back() = '\0';
  std::memset(area, 0, area_size);
  std::memcpy(area, title.data(), title.size());
  if (::prctl(PR_SET_MM, PR_SET_MM_ARG_END, area + title.size(), 0, 0) == 0) return;
  // Without CAP_SYS_RESOURCE the old way: where the last byte of the area is not 0, the kernel
  // shows one string up to its first 0 (fs/proc/base.c, get_mm_proctitle).
  std::replace(area, area + title.size() - 1, '\0', ' ');
  area[area_size - 1] = ' ';
}

}  // namespace gantry::shim
