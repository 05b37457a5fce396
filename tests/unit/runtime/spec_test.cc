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

TEST(Spec, FieldsThatAreNotBuiltAreRefusedByName) {
  for (const std::string field : {"scheduler", "ioPriority", "execCPUAffinity"}) {
    const absl::Status status =
        ParseProcess(R"({"args": ["a"], "cwd": "/", ")" + field + R"(": {}})").status();
    EXPECT_EQ(status, absl::UnimplementedError("process." + field + ": not supported yet"));
  }
  for (const std::string field : {"timeOffsets", "personality", "intelRdt", "memoryPolicy"}) {
    const absl::Status status = ParseSpec(R"({"ociVersion": "1.0.2", "root": {"path": "r"},
                      "process": {"args": ["a"], "cwd": "/"}, "linux": {")" +
                                          field + R"(": {}}})")
                                    .status();
    EXPECT_EQ(status, absl::UnimplementedError("linux." + field + ": not supported yet"));
  }
}

}  // namespace
}  // namespace gantry::runtime
