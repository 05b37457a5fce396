#include "runtime/cgroup/stats_parse.h"

#include <unistd.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"

namespace gantry::runtime {

std::map<std::string, uint64_t> ParsePairs(absl::string_view text) {
  std::map<std::string, uint64_t> pairs;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    uint64_t number = 0;
    if (absl::SimpleAtoi(pair.second, &number)) pairs[std::string(pair.first)] = number;
  }
  return pairs;
}

uint64_t NumberOr0(const CgroupDir& dir, const std::string& file) {
  return dir.ReadNumber(file.c_str()).value_or(0);
}

std::vector<RdmaEntry> ParseRdma(absl::string_view text) {
  std::vector<RdmaEntry> entries;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 2) continue;
    RdmaEntry entry;
    entry.device = words[0];
    for (const std::string& word : words) {
      const std::pair<std::string, std::string> pair =
          absl::StrSplit(word, absl::MaxSplits('=', 1));
      uint32_t number = UINT32_MAX;
      if (pair.second != "max" && !absl::SimpleAtoi(pair.second, &number)) continue;
      if (pair.first == "hca_handle") entry.hca_handles = number;
      if (pair.first == "hca_object") entry.hca_objects = number;
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

RdmaStats ReadRdmaStats(const CgroupDir& dir) {
  RdmaStats stats;
  stats.current = ParseRdma(dir.Read("rdma.current").value_or(""));
  stats.limit = ParseRdma(dir.Read("rdma.max").value_or(""));
  return stats;
}

absl::StatusOr<std::vector<std::string>> HugepageSizes(const CgroupDir& dir) {
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> files, ListDirectory(dir.path()));
  std::set<std::string> sizes;
  for (const std::string& file : files) {
    const std::vector<std::string> parts = absl::StrSplit(file, '.');
    if (parts.size() >= 3 && parts[0] == "hugetlb") sizes.insert(parts[1]);
  }
  return std::vector<std::string>(sizes.begin(), sizes.end());
}

PsiStats ParsePsi(absl::string_view text) {
  PsiStats stats;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    PsiData& data = words[0] == "full" ? stats.full : stats.some;
    for (const std::string& word : words) {
      const std::pair<std::string, std::string> pair =
          absl::StrSplit(word, absl::MaxSplits('=', 1));
      if (pair.first == "avg10") (void)absl::SimpleAtod(pair.second, &data.avg10);
      if (pair.first == "avg60") (void)absl::SimpleAtod(pair.second, &data.avg60);
      if (pair.first == "avg300") (void)absl::SimpleAtod(pair.second, &data.avg300);
      if (pair.first == "total") (void)absl::SimpleAtoi(pair.second, &data.total);
    }
  }
  return stats;
}

const std::string& BlockDeviceNames::Name(uint64_t major, uint64_t minor) {
  const auto [entry, is_new] = names_.try_emplace({major, minor});
  if (!is_new) return entry->second;
  // A link to the device's directory in sysfs, whose name is the kernel's for it ("!" is a "/").
  char link[4096];
  const std::string path = absl::StrCat("/sys/dev/block/", major, ":", minor);
  const ssize_t size = ::readlink(path.c_str(), link, sizeof link);
  if (size <= 0) return entry->second;
  std::string name(link, static_cast<size_t>(size));
  name = name.substr(name.rfind('/') + 1);
  for (char& letter : name) {
    if (letter == '!') letter = '/';
  }
  entry->second = absl::StrCat("/dev/", name);
  return entry->second;
}

}  // namespace gantry::runtime
