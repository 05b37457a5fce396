#include <unistd.h>

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/errors.h"
#include "base/file.h"
#include "cli/flags.h"
#include "cli/loaded_container.h"

namespace gantry::cli {
namespace {

constexpr size_t kMaxResources = 1 << 20;

// Empty is "not given" for all of them.
struct UpdateFlags {
  std::string resources;
  std::string blkio_weight;
  std::string cpu_period, cpu_quota, cpu_burst, cpu_share, cpu_rt_period, cpu_rt_runtime, cpu_idle;
  std::string cpuset_cpus, cpuset_mems;
  std::string kernel_memory, kernel_memory_tcp;  // taken and passed over, as the kernel does
  std::string memory, memory_reservation, memory_swap;
  std::string pids_limit;
  std::string l3_cache_schema, mem_bw_schema;
};

void AddFlags(Flags& flags, UpdateFlags* out) {
  flags.Text("--resources,-r", &out->resources);
  flags.Text("--blkio-weight", &out->blkio_weight);
  flags.Text("--cpu-period", &out->cpu_period);
  flags.Text("--cpu-quota", &out->cpu_quota);
  flags.Text("--cpu-burst", &out->cpu_burst);
  flags.Text("--cpu-share", &out->cpu_share);
  flags.Text("--cpu-rt-period", &out->cpu_rt_period);
  flags.Text("--cpu-rt-runtime", &out->cpu_rt_runtime);
  flags.Text("--cpu-idle", &out->cpu_idle);
  flags.Text("--cpuset-cpus", &out->cpuset_cpus);
  flags.Text("--cpuset-mems", &out->cpuset_mems);
  flags.Text("--kernel-memory", &out->kernel_memory);
  flags.Text("--kernel-memory-tcp", &out->kernel_memory_tcp);
  flags.Text("--memory", &out->memory);
  flags.Text("--memory-reservation", &out->memory_reservation);
  flags.Text("--memory-swap", &out->memory_swap);
  flags.Text("--pids-limit", &out->pids_limit);
  flags.Text("--l3-cache-schema", &out->l3_cache_schema);
  flags.Text("--mem-bw-schema", &out->mem_bw_schema);
}

absl::Status Invalid(absl::string_view flag, absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("invalid value for ", flag, ": \"", text, "\""));
}

template <typename T>
absl::Status ReadNumber(absl::string_view flag, const std::string& text, std::optional<T>* out) {
  if (text.empty()) return absl::OkStatus();
  T value = 0;
  if (!absl::SimpleAtoi(text, &value)) return Invalid(flag, text);
  *out = value;
  return absl::OkStatus();
}

// "64M", "1.5g", "4096b", "1kib", "-1".
absl::Status ReadSize(absl::string_view flag, const std::string& text,
                      std::optional<int64_t>* out) {
  if (text.empty()) return absl::OkStatus();
  if (text == "-1") {
    *out = -1;
    return absl::OkStatus();
  }
  std::string number = absl::AsciiStrToLower(text);
  for (const char* suffix : {"ib", "b"}) {
    const size_t size = std::char_traits<char>::length(suffix);
    if (number.size() <= size || number.substr(number.size() - size) != suffix) continue;
    number.resize(number.size() - size);
    break;
  }
  double unit = 1;
  constexpr absl::string_view kUnits = "kmgtp";
  if (const size_t power = kUnits.find(number.empty() ? ' ' : number.back());
      power != absl::string_view::npos) {
    unit = std::pow(1024, power + 1);
    number.pop_back();
  }
  double value = 0;
  if (!absl::SimpleAtod(absl::StripAsciiWhitespace(number), &value) || !(value >= 0) ||
      value * unit >= 9.2e18) {
    return Invalid(flag, text);
  }
  *out = static_cast<int64_t>(value * unit);
  return absl::OkStatus();
}

absl::StatusOr<runtime::LinuxResources> FromFlags(const UpdateFlags& flags) {
  if (!flags.l3_cache_schema.empty() || !flags.mem_bw_schema.empty()) {
    return absl::UnimplementedError(
        "--l3-cache-schema, --mem-bw-schema: Intel RDT is not supported");
  }
  runtime::LinuxResources resources;
  runtime::LinuxMemory memory;
  GANTRY_RETURN_IF_ERROR(ReadSize("memory", flags.memory, &memory.limit));
  GANTRY_RETURN_IF_ERROR(
      ReadSize("memory-reservation", flags.memory_reservation, &memory.reservation));
  GANTRY_RETURN_IF_ERROR(ReadSize("memory-swap", flags.memory_swap, &memory.swap));
  if (memory.limit || memory.reservation || memory.swap) resources.memory = memory;
  runtime::LinuxCpu cpu;
  GANTRY_RETURN_IF_ERROR(ReadNumber("cpu-period", flags.cpu_period, &cpu.period));
  GANTRY_RETURN_IF_ERROR(ReadNumber("cpu-quota", flags.cpu_quota, &cpu.quota));
  GANTRY_RETURN_IF_ERROR(ReadNumber("cpu-burst", flags.cpu_burst, &cpu.burst));
  GANTRY_RETURN_IF_ERROR(ReadNumber("cpu-share", flags.cpu_share, &cpu.shares));
  GANTRY_RETURN_IF_ERROR(ReadNumber("cpu-rt-period", flags.cpu_rt_period, &cpu.realtime_period));
  GANTRY_RETURN_IF_ERROR(ReadNumber("cpu-rt-runtime", flags.cpu_rt_runtime, &cpu.realtime_runtime));
  GANTRY_RETURN_IF_ERROR(ReadNumber("cpu-idle", flags.cpu_idle, &cpu.idle));
  cpu.cpus = flags.cpuset_cpus;
  cpu.mems = flags.cpuset_mems;
  resources.cpu = cpu;
  std::optional<int64_t> pids;
  GANTRY_RETURN_IF_ERROR(ReadNumber("pids-limit", flags.pids_limit, &pids));
  if (pids.has_value()) resources.pids = runtime::LinuxPids{*pids};
  std::optional<uint64_t> weight;
  GANTRY_RETURN_IF_ERROR(ReadNumber("blkio-weight", flags.blkio_weight, &weight));
  if (weight.has_value()) {
    resources.block_io.emplace();
    resources.block_io->weight = weight;
  }
  return resources;
}

absl::StatusOr<runtime::LinuxResources> FromFile(const std::string& path) {
  absl::StatusOr<std::string> json = path == "-"
                                         ? ReadFd(STDIN_FILENO, kMaxResources, "standard input")
                                         : ReadFile(path, kMaxResources);
  if (!json.ok()) return json.status();
  return runtime::ParseResources(*json);
}

}  // namespace

absl::StatusOr<int> RunUpdate(const GlobalOptions& global, const std::vector<std::string>& args) {
  UpdateFlags given;
  Flags flags(Flags::Order::kAnywhere);
  AddFlags(flags, &given);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("update", rest, 1, 1));
  GANTRY_ASSIGN_OR_RETURN(LoadedContainer loaded, LoadContainer(global, rest[0]));
  GANTRY_ASSIGN_OR_RETURN(runtime::LinuxResources resources,
                          given.resources.empty() ? FromFlags(given) : FromFile(given.resources));
  if (loaded.container->HasEnded()) {
    return absl::FailedPreconditionError("container not running");
  }
  // As runc: what a container may open is decided when it is made.
  resources.devices.clear();
  GANTRY_RETURN_IF_ERROR(loaded.container->Update(resources));
  return 0;
}

}  // namespace gantry::cli
