#include "runtime/cgroup/device_program.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "base/errors.h"

namespace gantry::runtime {
namespace {

// Far more than any spec has; the verifier gives up earlier, depending on the rules.
constexpr size_t kMaxExceptions = 10000;

// The registers of the program.
constexpr uint8_t kResult = BPF_REG_0;
constexpr uint8_t kContext = BPF_REG_1;
constexpr uint8_t kType = BPF_REG_2;
constexpr uint8_t kAccess = BPF_REG_3;
constexpr uint8_t kMajor = BPF_REG_4;
constexpr uint8_t kMinor = BPF_REG_5;

bpf_insn Instruction(uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  bpf_insn instruction{};
  instruction.code = code;
  instruction.dst_reg = to;
  instruction.src_reg = from;
  instruction.off = offset;
  instruction.imm = value;
  return instruction;
}

bpf_insn LoadField(uint8_t to, size_t offset) {
  return Instruction(BPF_LDX | BPF_MEM | BPF_W, to, kContext, static_cast<int16_t>(offset), 0);
}

bpf_insn Move(uint8_t to, uint8_t from) {
  return Instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

bpf_insn Compute(uint8_t operation, uint8_t to, int32_t value) {
  return Instruction(BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
}

// Where the jump goes is filled in when the exception's end is known.
bpf_insn Jump(uint8_t condition, uint8_t what, int32_t value) {
  return Instruction(BPF_JMP | condition | BPF_K, what, 0, 0, value);
}

bpf_insn Exit() { return Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

int32_t AccessBits(absl::string_view letters) {
  int32_t bits = 0;
  for (const char letter : letters) {
    if (letter == 'm') bits |= BPF_DEVCG_ACC_MKNOD;
    if (letter == 'r') bits |= BPF_DEVCG_ACC_READ;
    if (letter == 'w') bits |= BPF_DEVCG_ACC_WRITE;
  }
  return bits;
}

constexpr int32_t kEveryAccess = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

// A number that no device has: the rule never meets one.
bool Impossible(const std::optional<int64_t>& number) { return number.value_or(0) > INT32_MAX; }

void AddException(const DeviceRule& rule, bool allow_by_default, std::vector<bpf_insn>* program) {
  if (Impossible(rule.major) || Impossible(rule.minor)) return;
  const int32_t access = AccessBits(rule.access);
  std::vector<bpf_insn> tests = {
      Jump(BPF_JNE, kType, rule.type == "b" ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR)};
  if (rule.major.has_value()) {
    tests.push_back(Jump(BPF_JNE, kMajor, static_cast<int32_t>(*rule.major)));
  }
  if (rule.minor.has_value()) {
    tests.push_back(Jump(BPF_JNE, kMinor, static_cast<int32_t>(*rule.minor)));
  }
  if (allow_by_default) {
    // Nothing shared with the exception: on to the next.
    tests.push_back(Jump(BPF_JSET, kAccess, access));
    tests.push_back(Instruction(BPF_JMP | BPF_JA, 0, 0, 0, 0));
  } else if (access != kEveryAccess) {
    tests.push_back(Jump(BPF_JSET, kAccess, kEveryAccess & ~access));
  }
  for (size_t i = 0; i < tests.size(); ++i) {
    // Past the rest of the tests and the two instructions of the verdict.
    tests[i].off = static_cast<int16_t>(tests.size() - i - 1 + 2);
    if (tests[i].code == (BPF_JMP | BPF_JSET | BPF_K) && allow_by_default) tests[i].off = 1;
  }
  program->insert(program->end(), tests.begin(), tests.end());
  program->push_back(Compute(BPF_MOV, kResult, allow_by_default ? 0 : 1));
  program->push_back(Exit());
}

// The parts of bpf(2)'s union, as long as this code uses them; a kernel that knows more takes the
// rest as zero.
int Bpf(bpf_cmd command, bpf_attr* attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, attributes, sizeof *attributes));
}

constexpr size_t kMaxAttached = 64;  // the kernel's own limit

absl::StatusOr<std::vector<uint32_t>> AttachedPrograms(const CgroupDir& cgroup) {
  std::array<uint32_t, kMaxAttached> ids{};
  bpf_attr query{};
  query.query.target_fd = static_cast<uint32_t>(cgroup.fd());
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = reinterpret_cast<uint64_t>(ids.data());
  query.query.prog_cnt = ids.size();
  if (Bpf(BPF_PROG_QUERY, &query) != 0) {
    return ErrnoError(errno, absl::StrCat("list the device programs of cgroup ", cgroup.path()));
  }
  return std::vector<uint32_t>(ids.begin(), ids.begin() + query.query.prog_cnt);
}

absl::StatusOr<UniqueFd> OpenProgram(uint32_t id) {
  bpf_attr attributes{};
  attributes.prog_id = id;
  UniqueFd fd(Bpf(BPF_PROG_GET_FD_BY_ID, &attributes));
  if (!fd.valid()) return ErrnoError(errno, absl::StrCat("open BPF program ", id));
  return fd;
}

}  // namespace

absl::StatusOr<std::vector<bpf_insn>> AssembleDeviceProgram(const DevicePolicy& policy) {
  if (policy.exceptions.size() > kMaxExceptions) {
    return absl::InvalidArgumentError(
        absl::StrCat("linux.resources.devices: ", policy.exceptions.size(), " rules, at most ",
                     kMaxExceptions, " can be held"));
  }
  std::vector<bpf_insn> program = {
      LoadField(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
      Move(kAccess, kType),
      // The access above, the type in the lower 16 bits.
      Compute(BPF_RSH, kAccess, 16),
      Compute(BPF_AND, kType, 0xffff),
      LoadField(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      LoadField(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (const DeviceRule& rule : policy.exceptions) {
    AddException(rule, policy.allow_by_default, &program);
  }
  program.push_back(Compute(BPF_MOV, kResult, policy.allow_by_default ? 1 : 0));
  program.push_back(Exit());
  return program;
}

absl::StatusOr<UniqueFd> LoadDeviceProgram(const std::vector<bpf_insn>& program) {
  static constexpr char kLicense[] = "Apache-2.0";  // no helper is called that would ask for more
  static constexpr char kName[] = "gantry_devices";
  static_assert(sizeof kName <= BPF_OBJ_NAME_LEN);
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<uint64_t>(program.data());
  attributes.insn_cnt = static_cast<uint32_t>(program.size());
  attributes.license = reinterpret_cast<uint64_t>(kLicense);
  std::memcpy(attributes.prog_name, kName, sizeof kName);
  UniqueFd fd(Bpf(BPF_PROG_LOAD, &attributes));
  // The verifier follows every way through it and gives up after a million instructions.
  if (!fd.valid() && errno == E2BIG) {
    return absl::InvalidArgumentError("there are more device rules than the kernel can verify");
  }
  if (!fd.valid()) return ErrnoError(errno, "load the BPF program of the device rules");
  return fd;
}

absl::Status AttachDeviceProgram(const CgroupDir& cgroup, const UniqueFd& program, CgroupAge age) {
  std::vector<uint32_t> old;
  if (age == CgroupAge::kExisting) {
    GANTRY_ASSIGN_OR_RETURN(old, AttachedPrograms(cgroup));
  }
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(cgroup.fd());
  attach.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  // Others may add theirs below and above; all that are there must allow.
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  UniqueFd replaced;
  if (old.size() == 1) {
    GANTRY_ASSIGN_OR_RETURN(replaced, OpenProgram(old[0]));
    attach.attach_flags |= BPF_F_REPLACE;
    attach.replace_bpf_fd = static_cast<uint32_t>(replaced.get());
  }
  if (Bpf(BPF_PROG_ATTACH, &attach) != 0) {
    return ErrnoError(errno, absl::StrCat("attach the device rules to cgroup ", cgroup.path()));
  }
  if (old.size() == 1) return absl::OkStatus();
  // More than one, or none: the new one holds already, beside the old.
  for (const uint32_t id : old) {
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd stale, OpenProgram(id));
    bpf_attr detach{};
    detach.target_fd = static_cast<uint32_t>(cgroup.fd());
    detach.attach_bpf_fd = static_cast<uint32_t>(stale.get());
    detach.attach_type = BPF_CGROUP_DEVICE;
    if (Bpf(BPF_PROG_DETACH, &detach) != 0) {
      return ErrnoError(errno,
                        absl::StrCat("detach BPF program ", id, " from cgroup ", cgroup.path()));
    }
  }
  return absl::OkStatus();
}

}  // namespace gantry::runtime
