#include "runtime/cgroup/systemd_unit.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"

namespace gantry::runtime {
namespace {

constexpr char kDefaultSlice[] = "system.slice";
constexpr char kSliceSuffix[] = ".slice";

// "a-b.slice" is in "a.slice": its directory is "/a.slice/a-b.slice".
absl::StatusOr<std::string> SliceDirectory(const std::string& slice) {
  const auto bad = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("linux.cgroupsPath: \"", slice, "\" is not the name of a slice"));
  };
  absl::string_view name = slice;
  if (!absl::ConsumeSuffix(&name, kSliceSuffix) || name.empty()) return bad();
  if (name == "-") return std::string();  // the root slice
  std::string directory;
  std::string prefix;
  for (const absl::string_view part : absl::StrSplit(name, '-')) {
    if (part.empty()) return bad();
    absl::StrAppend(&prefix, prefix.empty() ? "" : "-", part);
    absl::StrAppend(&directory, "/", prefix, kSliceSuffix);
  }
  return directory;
}

std::optional<uint64_t> Limit(absl::string_view text) {
  if (text == "max") return UINT64_MAX;
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

// "0-2,7" as a mask, least significant byte first. Empty for what is no such list.
std::vector<uint8_t> MaskOf(absl::string_view list) {
  constexpr uint32_t kMost = 8192;  // CPUs that a kernel can have
  std::vector<uint8_t> mask;
  for (const absl::string_view part : absl::StrSplit(list, ',')) {
    const std::pair<absl::string_view, absl::string_view> range =
        absl::StrSplit(part, absl::MaxSplits('-', 1));
    uint32_t first = 0;
    if (!absl::SimpleAtoi(range.first, &first)) return {};
    uint32_t last = first;
    if (absl::StrContains(part, "-") && !absl::SimpleAtoi(range.second, &last)) return {};
    if (last >= kMost) return {};
    for (uint32_t one = first; one <= last; ++one) {
      if (mask.size() <= one / 8) mask.resize(one / 8 + 1);
      mask[one / 8] = static_cast<uint8_t>(mask[one / 8] | 1U << (one % 8));
    }
  }
  return mask;
}

// "50000 100000", "max", "50000".
void AddBandwidth(absl::string_view value, std::vector<UnitProperty>* properties) {
  constexpr uint64_t kSecond = 1'000'000;
  constexpr uint64_t kDefaultPeriod = 100'000;
  // systemd counts in hundredths of a CPU.
  constexpr uint64_t kStep = 10'000;
  const std::vector<std::string> words = absl::StrSplit(value, ' ');
  const std::optional<uint64_t> quota = Limit(words[0]);
  const std::optional<uint64_t> period =
      words.size() > 1 ? Limit(words[1]) : std::optional(kDefaultPeriod);
  if (!quota.has_value() || !period.has_value() || *period == 0) return;
  uint64_t per_second = UINT64_MAX;
  if (*quota < UINT64_MAX / kSecond) {
    per_second = (*quota * kSecond / *period + kStep - 1) / kStep * kStep;
  }
  properties->push_back({"CPUQuotaPerSecUSec", per_second});
  if (words.size() > 1) properties->push_back({"CPUQuotaPeriodUSec", *period});
}

}  // namespace

bool IsSystemdPath(absl::string_view cgroups_path) {
  if (absl::StrContains(cgroups_path, "/")) return false;
  const std::vector<absl::string_view> parts = absl::StrSplit(cgroups_path, ':');
  return parts.size() == 3 && (parts[0].empty() || absl::EndsWith(parts[0], kSliceSuffix));
}

absl::StatusOr<SystemdUnit> ParseSystemdPath(absl::string_view cgroups_path) {
  const std::vector<std::string> parts = absl::StrSplit(cgroups_path, ':');
  if (!IsSystemdPath(cgroups_path) || parts[2].empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("linux.cgroupsPath: expected it to be of format \"slice:prefix:name\" for "
                     "systemd cgroups, got \"",
                     cgroups_path, "\" instead"));
  }
  if (absl::EndsWith(parts[2], kSliceSuffix)) {
    return absl::UnimplementedError(absl::StrCat(
        "linux.cgroupsPath: \"", cgroups_path, "\": a container that is a slice is not supported"));
  }
  SystemdUnit unit;
  unit.slice = parts[0].empty() ? kDefaultSlice : parts[0];
  GANTRY_ASSIGN_OR_RETURN(const std::string directory, SliceDirectory(unit.slice));
  unit.unit = absl::StrCat(parts[1], parts[1].empty() ? "" : "-", parts[2], ".scope");
  unit.path = absl::StrCat(directory, "/", unit.unit);
  return unit;
}

std::vector<UnitProperty> LimitProperties(const std::vector<FileWrite>& writes) {
  static constexpr std::pair<const char*, const char*> kNumbers[] = {
      {"memory.max", "MemoryMax"},
      {"memory.high", "MemoryHigh"},
      {"memory.low", "MemoryLow"},
      {"memory.min", "MemoryMin"},
      {"memory.swap.max", "MemorySwapMax"},
      {"cpu.weight", "CPUWeight"},
      {"pids.max", "TasksMax"}};
  std::vector<UnitProperty> properties;
  for (const FileWrite& write : writes) {
    for (const auto& [file, name] : kNumbers) {
      if (write.file != file) continue;
      const std::optional<uint64_t> value = Limit(write.value);
      if (value.has_value()) properties.push_back({name, *value});
    }
    if (write.file == "cpu.max") AddBandwidth(write.value, &properties);
    if (write.file == "cpuset.cpus" || write.file == "cpuset.mems") {
      std::vector<uint8_t> mask = MaskOf(write.value);
      const char* const name = write.file == "cpuset.cpus" ? "AllowedCPUs" : "AllowedMemoryNodes";
      if (!mask.empty()) properties.push_back({name, std::move(mask)});
    }
  }
  return properties;
}

}  // namespace gantry::runtime
