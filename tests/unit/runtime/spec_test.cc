#include "runtime/spec/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/json.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;

// The smallest spec there is, to be changed by a JSON merge patch (RFC 7396).
absl::StatusOr<Spec> ParsePatched(const char* patch) {
  Json json = Json::parse(R"({"ociVersion": "1.0.2", "process": {"args": ["x"], "cwd": "/"},
                              "root": {"path": "rootfs"}, "linux": {}})");
  json.merge_patch(Json::parse(patch));
  return ParseSpec(json.dump());
}

std::string ErrorOf(const char* patch) {
  const absl::StatusOr<Spec> spec = ParsePatched(patch);
  if (spec.ok()) return "OK";
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << spec.status();
  return std::string(spec.status().message());
}

TEST(SpecTest, TheSmallestSpecIsAccepted) { EXPECT_EQ(ErrorOf("{}"), "OK"); }

TEST(SpecTest, EveryFieldOfAProcessArrives) {
  const absl::StatusOr<Spec> spec = ParsePatched(R"({"process": {
      "terminal": true, "consoleSize": {"height": 24, "width": 80},
      "user": {"uid": 1, "gid": 2, "umask": 63, "additionalGids": [3, 4]},
      "args": ["sh", "-c", "x"], "env": ["A=b"], "cwd": "/w",
      "capabilities": {"bounding": ["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"], "ambient": ["CAP_KILL"]},
      "rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 18446744073709551615}],
      "noNewPrivileges": true, "apparmorProfile": "p", "selinuxLabel": "l", "oomScoreAdj": -5}})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  const Process& process = spec->process;
  EXPECT_TRUE(process.terminal);
  EXPECT_EQ(process.console_size->height, 24);
  EXPECT_EQ(process.console_size->width, 80);
  EXPECT_EQ(process.user.uid, 1u);
  EXPECT_EQ(process.user.gid, 2u);
  EXPECT_EQ(process.user.umask, mode_t{077});
  EXPECT_THAT(process.user.additional_gids, testing::ElementsAre(3, 4));
  EXPECT_THAT(process.args, testing::ElementsAre("sh", "-c", "x"));
  EXPECT_THAT(process.env, testing::ElementsAre("A=b"));
  EXPECT_EQ(process.cwd, "/w");
  EXPECT_EQ(process.capabilities->bounding, 1u | uint64_t{1} << 40);
  EXPECT_EQ(process.capabilities->ambient, uint64_t{1} << 5);
  ASSERT_EQ(process.rlimits.size(), 1u);
  EXPECT_EQ(process.rlimits[0].resource, static_cast<int>(RLIMIT_CORE));
  EXPECT_EQ(process.rlimits[0].hard, RLIM_INFINITY);
  EXPECT_TRUE(process.no_new_privileges);
  EXPECT_EQ(process.apparmor_profile, "p");
  EXPECT_EQ(process.selinux_label, "l");
  EXPECT_EQ(process.oom_score_adj, -5);
}

TEST(SpecTest, WhatIsMissingIsNamed) {
  EXPECT_THAT(ErrorOf(R"({"process": null})"), HasSubstr("process"));
  EXPECT_THAT(ErrorOf(R"({"root": null})"), HasSubstr("root"));
  EXPECT_THAT(ErrorOf(R"({"process": {"args": []}})"), HasSubstr("process.args"));
}

TEST(SpecTest, UnknownWordsAreRefusedByNameAndPlace) {
  EXPECT_THAT(ErrorOf(R"({"linux": {"namespaces": [{"type": "pid"}, {"type": "space"}]}})"),
              HasSubstr("linux.namespaces[1].type: unknown namespace \"space\""));
  EXPECT_THAT(ErrorOf(R"({"process": {"capabilities": {"bounding": ["CAP_FLY"]}}})"),
              HasSubstr("process.capabilities.bounding: unknown capability \"CAP_FLY\""));
  EXPECT_THAT(ErrorOf(R"({"process": {"rlimits": [{"type": "RLIMIT_X"}]}})"),
              HasSubstr("process.rlimits[0].type: unknown resource limit \"RLIMIT_X\""));
  EXPECT_THAT(ErrorOf(R"({"linux": {"rootfsPropagation": "sideways"}})"),
              HasSubstr("linux.rootfsPropagation"));
  EXPECT_THAT(ErrorOf(R"({"linux": {"devices": [{"path": "/dev/x", "type": "q"}]}})"),
              HasSubstr("linux.devices[0].type"));
}

TEST(SpecTest, ValuesOutOfRangeAreRefused) {
  EXPECT_THAT(ErrorOf(R"({"process": {"cwd": "here"}})"), HasSubstr("process.cwd"));
  EXPECT_THAT(ErrorOf(R"({"process": {"oomScoreAdj": 1001}})"), HasSubstr("process.oomScoreAdj"));
  EXPECT_THAT(
      ErrorOf(R"({"process": {"rlimits": [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]}})"),
      HasSubstr("process.rlimits[0].soft"));
  EXPECT_THAT(ErrorOf(R"({"process": {"user": {"uid": -1}}})"), HasSubstr("process.user.uid"));
  EXPECT_THAT(ErrorOf(R"({"linux": {"namespaces": [{"type": "pid"}, {"type": "pid"}]}})"),
              HasSubstr("given twice"));
  EXPECT_THAT(ErrorOf(R"({"linux": {"maskedPaths": ["proc/keys"]}})"), HasSubstr("maskedPaths"));
  EXPECT_THAT(ErrorOf(R"({"process": {"args": ["a\u0000b"]}})"), HasSubstr("process.args"));
  EXPECT_THAT(ErrorOf(R"({"ociVersion": "2.0.0"})"), HasSubstr("ociVersion"));
}

TEST(SpecTest, ValuesOfTheWrongTypeAreRefusedWithTheirPlace) {
  EXPECT_THAT(ErrorOf(R"({"process": {"args": "sh"}})"), HasSubstr("process.args"));
  EXPECT_THAT(ErrorOf(R"({"mounts": {"a": 1}})"), HasSubstr("mounts"));
  EXPECT_THAT(ErrorOf(R"({"mounts": [{"destination": 5}]})"), HasSubstr("mounts[0].destination"));
  EXPECT_THAT(ErrorOf(R"({"linux": {"sysctl": {"net.x": 1}}})"), HasSubstr("linux.sysctl.net.x"));
  EXPECT_THAT(ErrorOf(R"({"hooks": {"prestart": [{"path": "x"}]}})"),
              HasSubstr("hooks.prestart[0].path"));
}

TEST(SpecTest, TextThatIsNotJsonIsRefused) {
  EXPECT_FALSE(ParseSpec("").ok());
  EXPECT_FALSE(ParseSpec("[1]").ok());
  EXPECT_FALSE(ParseProcess("{\"args\": [").ok());
  EXPECT_FALSE(ParseResources("7").ok());
}

TEST(SpecTest, WhatIsNotBuiltIsRefusedByName) {
  const absl::Status status = ParsePatched(R"({"linux": {"intelRdt": {}}})").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(status.message(), HasSubstr("linux.intelRdt"));
}

TEST(SpecTest, NetworkDevicesHaveNamesThatTheKernelTakes) {
  const absl::StatusOr<Spec> spec =
      ParsePatched(R"({"linux": {"netDevices": {"eth0": {"name": "inner"}, "eth1": {}}}})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  ASSERT_EQ(spec->linux_.net_devices.size(), 2U);
  EXPECT_EQ(spec->linux_.net_devices[0].host_name, "eth0");
  EXPECT_EQ(spec->linux_.net_devices[0].name, "inner");
  EXPECT_EQ(spec->linux_.net_devices[1].name, "eth1");
  for (const char* wrong : {R"({"a/b": {}})", R"({"": {}})", R"({"eth0": {"name": ".."}})",
                            R"({"eth0": {"name": "sixteen-letters-"}})", R"({"eth0": {"name": 7}})",
                            R"({"eth0": {"name": "x"}, "eth1": {"name": "x"}})"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat(R"({"linux": {"netDevices": )", wrong, "}}").c_str()),
                HasSubstr("linux.netDevices."))
        << wrong;
  }
}

TEST(SpecTest, SchedulingAndMemoryPolicyArriveAsTheKernelTakesThem) {
  const absl::StatusOr<Spec> spec = ParsePatched(R"({
      "process": {"scheduler": {"policy": "SCHED_FIFO", "priority": 10,
                                "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
                  "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 7},
                  "execCPUAffinity": {"initial": "0-2", "final": "1,70"}},
      "linux": {"personality": {"domain": "LINUX32"},
                "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0",
                                 "flags": ["MPOL_F_STATIC_NODES"]},
                "timeOffsets": {"boottime": {"secs": -5, "nanosecs": 7}}}})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->process.scheduler->policy, 1u);
  EXPECT_EQ(spec->process.scheduler->priority, 10u);
  EXPECT_EQ(spec->process.scheduler->flags, 1u);
  EXPECT_EQ(spec->process.io_priority, 2 << 13 | 7);
  EXPECT_THAT(spec->process.exec_cpu_affinity.initial, testing::ElementsAre(7));
  EXPECT_THAT(spec->process.exec_cpu_affinity.final, testing::ElementsAre(2, 64));
  EXPECT_EQ(spec->linux_.personality, 8u);
  EXPECT_EQ(spec->linux_.memory_policy->mode, 2 | 1 << 15);
  EXPECT_THAT(spec->linux_.memory_policy->nodes, testing::ElementsAre(1));
  ASSERT_EQ(spec->linux_.time_offsets.size(), 1u);
  EXPECT_EQ(spec->linux_.time_offsets[0].seconds, -5);
}

TEST(SpecTest, SchedulingOutOfRangeIsRefused) {
  EXPECT_THAT(ErrorOf(R"({"process": {"scheduler": {"policy": "SCHED_SLOW"}}})"),
              HasSubstr("process.scheduler.policy: unknown word \"SCHED_SLOW\""));
  EXPECT_THAT(ErrorOf(R"({"process": {"scheduler": {"policy": "SCHED_OTHER", "nice": 20}}})"),
              HasSubstr("process.scheduler.nice"));
  EXPECT_THAT(ErrorOf(R"({"process": {"scheduler": {"policy": "SCHED_OTHER", "priority": 1}}})"),
              HasSubstr("process.scheduler.priority"));
  EXPECT_THAT(ErrorOf(R"({"process": {"scheduler": {"policy": "SCHED_RR", "runtime": 1}}})"),
              HasSubstr("process.scheduler"));
  EXPECT_THAT(
      ErrorOf(R"({"process": {"ioPriority": {"class": "IOPRIO_CLASS_RT", "priority": 8}}})"),
      HasSubstr("process.ioPriority.priority"));
  for (const char* list : {"a", "3-1", "-1", "1-", "9000", "0,,1"}) {
    EXPECT_THAT(
        ErrorOf(absl::StrCat(R"({"process": {"execCPUAffinity": {"final": ")", list, R"("}}})")
                    .c_str()),
        HasSubstr("process.execCPUAffinity.final"))
        << list;
  }
  EXPECT_THAT(ErrorOf(R"({"linux": {"timeOffsets": {"realtime": {}}}})"),
              HasSubstr("linux.timeOffsets.realtime"));
  EXPECT_THAT(ErrorOf(R"({"linux": {"timeOffsets": {"monotonic": {"nanosecs": 1000000000}}}})"),
              HasSubstr("nanosecs"));
  EXPECT_THAT(ErrorOf(R"({"linux": {"personality": {"domain": "BSD"}}})"),
              HasSubstr("linux.personality.domain"));
  EXPECT_THAT(ErrorOf(R"({"linux": {"memoryPolicy": {"mode": "MPOL_HERE"}}})"),
              HasSubstr("linux.memoryPolicy.mode"));
  EXPECT_THAT(ErrorOf(R"({"mounts": [{"destination": "/x", "uidMappings":
                          [{"containerID": 0, "hostID": 1, "size": 1}]}]})"),
              HasSubstr("mounts[0].gidMappings"));
}

}  // namespace
}  // namespace gantry::runtime
