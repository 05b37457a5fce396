#include "runtime/cgroup/device_program.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>

#include "tests/unit/runtime_cgroup/kernel_cgroup.h"

namespace gantry::runtime {
namespace {

constexpr uint32_t kMknod = BPF_DEVCG_ACC_MKNOD;
constexpr uint32_t kRead = BPF_DEVCG_ACC_READ;
constexpr uint32_t kWrite = BPF_DEVCG_ACC_WRITE;

// Runs a program as the kernel would: the few instructions that device programs are made of. Absent
// for anything else, and for a way that leaves the program.
std::optional<uint64_t> Interpret(const std::vector<bpf_insn>& program,
                                  const bpf_cgroup_dev_ctx& context) {
  std::array<uint64_t, 11> r{};
  std::array<bool, 11> set{};
  size_t at = 0;
  for (size_t steps = 0; steps <= program.size(); ++steps) {
    if (at >= program.size()) return std::nullopt;
    const bpf_insn& one = program[at++];
    const uint64_t value = static_cast<uint64_t>(static_cast<int64_t>(one.imm));
    const bool writes = BPF_CLASS(one.code) != BPF_JMP;
    if (!writes && BPF_OP(one.code) != BPF_JA && BPF_OP(one.code) != BPF_EXIT &&
        !set[one.dst_reg]) {
      return std::nullopt;
    }
    switch (one.code) {
      case BPF_LDX | BPF_MEM | BPF_W: {
        if (one.src_reg != 1 || one.off % 4 != 0 || one.off > 8) return std::nullopt;
        const std::array<uint32_t, 3> fields = {context.access_type, context.major, context.minor};
        r[one.dst_reg] = fields[one.off / 4];
        break;
      }
      case BPF_ALU64 | BPF_MOV | BPF_X:
        r[one.dst_reg] = r[one.src_reg];
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        r[one.dst_reg] = value;
        break;
      case BPF_ALU64 | BPF_RSH | BPF_K:
        r[one.dst_reg] >>= value;
        break;
      case BPF_ALU64 | BPF_AND | BPF_K:
        r[one.dst_reg] &= value;
        break;
      case BPF_JMP | BPF_JNE | BPF_K:
        if (r[one.dst_reg] != value) at += one.off;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        if ((r[one.dst_reg] & value) != 0) at += one.off;
        break;
      case BPF_JMP | BPF_JA:
        at += one.off;
        break;
      case BPF_JMP | BPF_EXIT:
        return set[0] ? std::optional(r[0]) : std::nullopt;
      default:
        return std::nullopt;
    }
    if (writes) set[one.dst_reg] = true;
  }
  return std::nullopt;
}

DevicePolicy Policy(const std::string& devices) {
  const auto policy = BuildDevicePolicy(Resources("{\"devices\": " + devices + "}").devices);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return *policy;
}

std::vector<bpf_insn> Program(const std::string& devices) {
  const auto program = AssembleDeviceProgram(Policy(devices));
  EXPECT_TRUE(program.ok()) << program.status();
  return *program;
}

// 1, 0, or -1 for a program that is wrong in itself.
int Decide(const std::vector<bpf_insn>& program, char type, uint32_t major, uint32_t minor,
           uint32_t access) {
  const uint32_t kind = type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
  const auto result = Interpret(program, {access << 16 | kind, major, minor});
  return result.has_value() && *result <= 1 ? static_cast<int>(*result) : -1;
}

constexpr char kDenyAll[] = R"([{"allow": false, "access": "rwm"}])";

TEST(DeviceProgramTest, WithoutRulesOnlyTheUsualDevicesOpenAndAllMayBeMade) {
  const auto program = Program("[]");
  EXPECT_EQ(Decide(program, 'c', 1, 3, kRead | kWrite), 1) << "/dev/null";
  EXPECT_EQ(Decide(program, 'c', 136, 77, kRead | kWrite), 1) << "a terminal";
  EXPECT_EQ(Decide(program, 'c', 1, 11, kRead), 0) << "/dev/kmsg";
  EXPECT_EQ(Decide(program, 'b', 1, 3, kRead), 0) << "a disk with the numbers of /dev/null";
  EXPECT_EQ(Decide(program, 'b', 8, 0, kMknod), 1);
  EXPECT_EQ(Decide(program, 'b', 8, 0, kMknod | kRead), 0);
}

TEST(DeviceProgramTest, AnExceptionMustCoverTheWholeAccess) {
  const auto program = Program(R"([{"allow": false, "access": "rwm"},
      {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"},
      {"allow": true, "type": "b", "major": 8, "access": "rw"}])");
  EXPECT_EQ(Decide(program, 'c', 10, 229, kRead), 1);
  EXPECT_EQ(Decide(program, 'c', 10, 229, kWrite), 0);
  EXPECT_EQ(Decide(program, 'c', 10, 229, kRead | kWrite), 0);
  EXPECT_EQ(Decide(program, 'c', 10, 228, kRead), 0);
  EXPECT_EQ(Decide(program, 'b', 8, 17, kRead | kWrite), 1) << "any minor";
  EXPECT_EQ(Decide(program, 'b', 9, 17, kRead), 0);
}

TEST(DeviceProgramTest, WhereAllIsAllowedAnExceptionDeniesWhatItShares) {
  const auto program = Program(R"([{"allow": true},
      {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"}])");
  EXPECT_EQ(Decide(program, 'c', 10, 229, kRead), 1);
  EXPECT_EQ(Decide(program, 'c', 10, 229, kWrite), 0);
  EXPECT_EQ(Decide(program, 'c', 10, 229, kRead | kWrite), 0);
  EXPECT_EQ(Decide(program, 'b', 10, 229, kWrite), 1);
  EXPECT_EQ(Decide(program, 'c', 11, 229, kWrite), 1);
}

TEST(DeviceProgramTest, ANumberThatNoDeviceHasMeetsNone) {
  const auto program = Program(R"([{"allow": false, "access": "rwm"},
      {"allow": true, "type": "c", "major": 4294967295, "minor": 1, "access": "rwm"}])");
  EXPECT_EQ(Decide(program, 'c', 0xffffffff, 1, kRead), 0);
}

// The policy decides on its own: by what it says, not by how the program is made.
bool Allows(const DevicePolicy& policy, char type, uint32_t major, uint32_t minor,
            const std::string& access) {
  for (const DeviceRule& rule : policy.exceptions) {
    if (rule.type[0] != type || rule.major.value_or(major) != major ||
        rule.minor.value_or(minor) != minor) {
      continue;
    }
    const auto in_rule = [&](char letter) { return rule.access.find(letter) != std::string::npos; };
    const bool all = std::all_of(access.begin(), access.end(), in_rule);
    const bool any = std::any_of(access.begin(), access.end(), in_rule);
    if (policy.allow_by_default ? any : all) return !policy.allow_by_default;
  }
  return policy.allow_by_default;
}

TEST(DeviceProgramTest, ItDecidesAsThePolicyOnEveryDeviceAndAccess) {
  for (const char* const devices :
       {"[]", kDenyAll, R"([{"allow": true}])",
        R"([{"allow": true}, {"allow": false, "type": "c", "major": 1, "access": "rw"},
            {"allow": false, "type": "b", "minor": 3, "access": "m"}])",
        R"([{"allow": true, "type": "a", "access": "r"},
            {"allow": true, "type": "b", "major": 1, "access": "w"}])"}) {
    const DevicePolicy policy = Policy(devices);
    const auto program = Program(devices);
    for (const char type : {'b', 'c'}) {
      for (const uint32_t major : {0U, 1U, 5U, 10U, 136U, 4095U}) {
        for (const uint32_t minor : {0U, 3U, 5U, 200U, 1048575U}) {
          for (uint32_t bits = 1; bits < 8; ++bits) {
            std::string access;
            if (bits & kMknod) access += 'm';
            if (bits & kRead) access += 'r';
            if (bits & kWrite) access += 'w';
            EXPECT_EQ(Decide(program, type, major, minor, bits),
                      Allows(policy, type, major, minor, access) ? 1 : 0)
                << devices << " " << type << " " << major << ":" << minor << " " << access;
          }
        }
      }
    }
  }
}

std::string ManyRules(int count) {
  std::string rules = "[";
  for (int i = 0; i < count; ++i) {
    rules += R"({"allow": true, "type": "b", "major": 250, "minor": )" + std::to_string(i) +
             R"(, "access": "rw"},)";
  }
  rules.back() = ']';
  return rules;
}

TEST(DeviceProgramTest, TheKernelsVerifierTakesItAndTooManyRulesAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs CAP_BPF";
  for (const std::string& devices :
       {std::string("[]"), std::string(R"([{"allow": true}])"), ManyRules(300)}) {
    const auto loaded = LoadDeviceProgram(Program(devices));
    EXPECT_TRUE(loaded.ok()) << loaded.status();
  }
  EXPECT_TRUE(absl::IsInvalidArgument(LoadDeviceProgram(Program(ManyRules(3000))).status()));
}

TEST(DeviceProgramTest, MoreRulesThanAProgramHoldsAreRefused) {
  DevicePolicy policy;
  policy.exceptions.resize(20000, DeviceRule{true, "c", 1, 2, "r"});
  EXPECT_TRUE(absl::IsInvalidArgument(AssembleDeviceProgram(policy).status()));
}

}  // namespace
}  // namespace gantry::runtime
