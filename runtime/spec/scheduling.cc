#include "runtime/spec/scheduling.h"

#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <sys/personality.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "runtime/spec/json_fields.h"

namespace gantry::runtime {
namespace {

// More than any kernel is built for; bounds what a spec can make this allocate.
constexpr uint32_t kMaxBit = 8191;
constexpr size_t kWordBits = 8 * sizeof(unsigned long);

struct Named {
  const char* name;
  uint64_t value;
};

constexpr Named kPolicies[] = {
    {"SCHED_OTHER", SCHED_NORMAL},     {"SCHED_FIFO", SCHED_FIFO},      {"SCHED_RR", SCHED_RR},
    {"SCHED_BATCH", SCHED_BATCH},      {"SCHED_ISO", 4 /* reserved */}, {"SCHED_IDLE", SCHED_IDLE},
    {"SCHED_DEADLINE", SCHED_DEADLINE}};

constexpr Named kSchedulerFlags[] = {{"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
                                     {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
                                     {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
                                     {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
                                     {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
                                     {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
                                     {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX}};

// Source: ioprio_set(2).
constexpr Named kIoClasses[] = {
    {"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};
constexpr int kIoClassShift = 13;

// Source: linux/mempolicy.h; the last two are newer than some headers (5.15, 6.9).
constexpr Named kMemoryModes[] = {
    {"MPOL_DEFAULT", MPOL_DEFAULT}, {"MPOL_PREFERRED", MPOL_PREFERRED},
    {"MPOL_BIND", MPOL_BIND},       {"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
    {"MPOL_LOCAL", MPOL_LOCAL},     {"MPOL_PREFERRED_MANY", 5},
    {"MPOL_WEIGHTED_INTERLEAVE", 6}};
constexpr Named kMemoryFlags[] = {{"MPOL_F_NUMA_BALANCING", 1 << 13},
                                  {"MPOL_F_RELATIVE_NODES", 1 << 14},
                                  {"MPOL_F_STATIC_NODES", 1 << 15}};

constexpr Named kPersonalities[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}};

template <size_t kSize>
uint64_t Value(JsonFields& fields, const char* field, const Named (&table)[kSize],
               const std::string& name) {
  for (const Named& one : table) {
    if (name == one.name) return one.value;
  }
  fields.FailField(field, absl::StrCat("unknown word \"", name, "\""));
  return 0;
}

template <size_t kSize>
uint64_t Flags(JsonFields& fields, const Named (&table)[kSize]) {
  std::vector<std::string> names;
  fields.Read("flags", &names);
  uint64_t flags = 0;
  for (const std::string& name : names) flags |= Value(fields, "flags", table, name);
  return flags;
}

void ReadBits(JsonFields& fields, const char* name, BitSet* out) {
  std::string text;
  fields.Read(name, &text);
  if (text.empty()) return;
  absl::StatusOr<BitSet> bits = ParseBitList(text);
  if (!bits.ok()) return fields.FailField(name, bits.status().message());
  *out = *std::move(bits);
}

}  // namespace

absl::StatusOr<BitSet> ParseBitList(absl::string_view text) {
  BitSet bits;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, absl::MaxSplits('-', 1));
    uint32_t first = 0;
    uint32_t last = 0;
    if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(ends.front()), &first) ||
        !absl::SimpleAtoi(absl::StripAsciiWhitespace(ends.back()), &last) || last < first ||
        last > kMaxBit) {
      return absl::InvalidArgumentError(
          absl::StrCat("not a list such as \"0-3,7\": \"", text, "\""));
    }
    if (bits.size() <= last / kWordBits) bits.resize(last / kWordBits + 1);
    for (uint32_t bit = first; bit <= last; ++bit) bits[bit / kWordBits] |= 1UL << bit % kWordBits;
  }
  return bits;
}

absl::StatusOr<Scheduler> SchedulerFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  Scheduler scheduler;
  std::string policy;
  int64_t nice = 0;
  int64_t priority = 0;
  fields.Read("policy", &policy);
  fields.Read("nice", &nice);
  fields.Read("priority", &priority);
  fields.Read("runtime", &scheduler.runtime_ns);
  fields.Read("deadline", &scheduler.deadline_ns);
  fields.Read("period", &scheduler.period_ns);
  scheduler.flags = Flags(fields, kSchedulerFlags);
  scheduler.policy = static_cast<uint32_t>(Value(fields, "policy", kPolicies, policy));
  if (nice < -20 || nice > 19) {
    fields.FailField("nice", absl::StrCat(nice, " is not within -20 to 19"));
  }
  const bool real_time = scheduler.policy == SCHED_FIFO || scheduler.policy == SCHED_RR;
  if (priority != 0 && !real_time) {
    fields.FailField("priority", absl::StrCat(priority, ": only SCHED_FIFO and SCHED_RR have one"));
  }
  if (real_time && (priority < 1 || priority > 99)) {
    fields.FailField("priority", absl::StrCat(priority, " is not within 1 to 99"));
  }
  if (scheduler.policy != SCHED_DEADLINE &&
      (scheduler.runtime_ns | scheduler.deadline_ns | scheduler.period_ns) != 0) {
    fields.FailField("runtime", "only SCHED_DEADLINE has runtime, deadline and period");
  }
  if (!fields.ok()) return fields.status();
  scheduler.nice = static_cast<int32_t>(nice);
  scheduler.priority = static_cast<uint32_t>(priority);
  return scheduler;
}

absl::StatusOr<int> IoPriorityFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  std::string io_class;
  int64_t level = 0;
  fields.Read("class", &io_class);
  fields.Read("priority", &level);
  const auto number = static_cast<int>(Value(fields, "class", kIoClasses, io_class));
  if (level < 0 || level > 7) {
    fields.FailField("priority", absl::StrCat(level, " is not within 0 to 7"));
  }
  if (!fields.ok()) return fields.status();
  return number << kIoClassShift | static_cast<int>(level);
}

absl::StatusOr<CpuAffinity> CpuAffinityFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  CpuAffinity affinity;
  ReadBits(fields, "initial", &affinity.initial);
  ReadBits(fields, "final", &affinity.final);
  if (!fields.ok()) return fields.status();
  return affinity;
}

absl::StatusOr<MemoryPolicy> MemoryPolicyFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  MemoryPolicy policy;
  std::string mode;
  fields.Read("mode", &mode);
  policy.mode = static_cast<int>(Value(fields, "mode", kMemoryModes, mode));
  policy.mode |= static_cast<int>(Flags(fields, kMemoryFlags));
  ReadBits(fields, "nodes", &policy.nodes);
  if (!fields.ok()) return fields.status();
  return policy;
}

absl::StatusOr<unsigned long> PersonalityFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  std::string domain;
  std::vector<std::string> flags;
  fields.Read("domain", &domain);
  fields.Read("flags", &flags);
  const uint64_t value = Value(fields, "domain", kPersonalities, domain);
  // The specification knows of none yet.
  if (!flags.empty()) {
    fields.FailField("flags", absl::StrCat("unknown flag \"", flags[0], "\""));
  }
  if (!fields.ok()) return fields.status();
  return value;
}

}  // namespace gantry::runtime
