#include "daemon/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/tcp_address.h"

namespace gantry::daemon {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

absl::Status ErrorOf(absl::string_view text) { return ParseConfig(text, "c.toml").status(); }

TEST(ConfigTest, AnEmptyFileGivesTheDefaults) {
  const auto parsed = ParseConfig("", "c.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->warnings, IsEmpty());
  EXPECT_EQ(parsed->config.root, "/var/lib/gantry");
  EXPECT_EQ(parsed->config.grpc.address, "/run/gantry/gantry.sock");
  EXPECT_EQ(parsed->config.TtrpcAddress(), "/run/gantry/gantry.sock.ttrpc");
  EXPECT_EQ(parsed->config.max_recv_message_bytes, 16 << 20);
}

TEST(ConfigTest, EveryKnownKeyIsRead) {
  const auto parsed = ParseConfig(R"(
version = 2
root = "/r"
state = "/s"
oom_score = -999
[grpc]
  address = "/s/a.sock"
  uid = 7
  gid = 8
  max_recv_message_size = 1024
  max_send_message_size = 2048
[ttrpc]
  address = "/s/b.sock"
[debug]
  level = "debug"
  format = "json"
[metrics]
  address = "127.0.0.1:1338"
  grpc_histogram = true
[plugins."io.containerd.gc.v1.scheduler"]
  pause_threshold = 0.5
  schedule_delay = "1s500ms"
[plugins."io.containerd.differ.v1.walking"]
  max_layer_bytes = 1000
  max_layer_ratio = 0
  max_layer_entries = 7
[plugins."io.containerd.snapshotter.v1.native"]
  root_path = "/copies"
[plugins."io.containerd.snapshotter.v1.overlayfs"]
  root_path = "/layers"
  mount_options = ["xino=off", "nfs_export=off"]
  upperdir_label = true
  sync_remove = true
  slow_chown = true
[plugins."io.containerd.runtime.v2.task"]
  shim = "/usr/libexec/shim"
)",
                                  "c.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->warnings, IsEmpty());
  const Config& config = parsed->config;
  EXPECT_EQ(config.version, 2);
  EXPECT_EQ(config.root, "/r");
  EXPECT_EQ(config.state, "/s");
  EXPECT_EQ(config.oom_score, -999);
  EXPECT_EQ(config.grpc.address, "/s/a.sock");
  EXPECT_EQ(config.grpc.uid, 7u);
  EXPECT_EQ(config.grpc.gid, 8u);
  EXPECT_EQ(config.max_recv_message_bytes, 1024);
  EXPECT_EQ(config.max_send_message_bytes, 2048);
  EXPECT_EQ(config.TtrpcAddress(), "/s/b.sock");
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.log_format, "json");
  EXPECT_EQ(config.metrics_address, "127.0.0.1:1338");
  EXPECT_TRUE(config.metrics_grpc_histogram);
  EXPECT_EQ(config.gc.pause_threshold, 0.5);
  EXPECT_EQ(config.gc.schedule_delay, absl::Milliseconds(1500));
  EXPECT_EQ(config.layer.max_bytes, 1000);
  EXPECT_EQ(config.layer.max_ratio, 0);
  EXPECT_EQ(config.layer.max_entries, 7);
  EXPECT_EQ(config.overlayfs_root, "/layers");
  EXPECT_THAT(config.overlayfs.mount_options, ElementsAre("xino=off", "nfs_export=off"));
  EXPECT_TRUE(config.overlayfs.upperdir_label);
  EXPECT_TRUE(config.overlayfs.sync_remove);
  EXPECT_TRUE(config.overlayfs.slow_chown);
  EXPECT_EQ(config.native_root, "/copies");
  EXPECT_EQ(config.shim, "/usr/libexec/shim");
}

TEST(ConfigTest, AnUnknownKeyIsWarnedOfWithFileLineAndKey) {
  const auto parsed = ParseConfig("version = 3\n[grpc]\n  adress = \"/x\"\n", "c.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->warnings, ElementsAre("c.toml:3: grpc.adress is not known and is ignored"));
}

TEST(ConfigTest, AnUnknownPluginIsWarnedOfByItsQuotedName) {
  const auto parsed =
      ParseConfig("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  x = 1\n", "c.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->warnings.size(), 1u);
  EXPECT_THAT(parsed->warnings[0],
              HasSubstr("c.toml:2: plugins.\"io.containerd.grpc.v1.cri\" is not known"));
}

TEST(ConfigTest, AWrongTypeIsRefusedWithFileLineAndKey) {
  EXPECT_EQ(ErrorOf("version = 3\n\nroot = 5\n").message(),
            "c.toml:3: root: is an integer, must be a string");
  EXPECT_EQ(ErrorOf("version = 3\n[grpc]\nuid = \"root\"\n").message(),
            "c.toml:3: grpc.uid: is a string, must be an integer");
  EXPECT_EQ(ErrorOf("version = 3\ngrpc = 1\n").message(),
            "c.toml:2: grpc: is an integer, must be a table");
}

TEST(ConfigTest, AValueOutOfRangeIsRefused) {
  EXPECT_EQ(ErrorOf("version = 1\n").message(), "c.toml:1: version: 1 is not within 2 to 3");
  EXPECT_THAT(std::string(ErrorOf("version = 3\n[grpc]\ngid = -1\n").message()),
              HasSubstr("c.toml:3: grpc.gid: -1 is not within 0"));
}

TEST(ConfigTest, ABadDurationIsRefused) {
  EXPECT_THAT(std::string(ErrorOf("version = 3\n[plugins.\"io.containerd.gc.v1.scheduler\"]\n"
                                  "startup_delay = \"soon\"\n")
                              .message()),
              HasSubstr("c.toml:3: plugins.\"io.containerd.gc.v1.scheduler\".startup_delay"));
}

TEST(ConfigTest, BrokenTomlIsRefusedWithItsLine) {
  EXPECT_THAT(std::string(ErrorOf("version = 3\nroot = \n").message()), HasSubstr("c.toml:2: "));
}

TEST(ConfigTest, ATcpListenerIsRefused) {
  EXPECT_THAT(std::string(ErrorOf("version = 3\n[grpc]\ntcp_address = \":1\"\n").message()),
              HasSubstr("c.toml:3: grpc.tcp_address: gantryd listens on unix sockets only"));
}

TEST(ConfigTest, AnEmptyTcpAddressAsContainerdDumpsItIsFine) {
  const auto parsed = ParseConfig("version = 3\n[grpc]\ntcp_address = \"\"\n", "c.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->warnings, IsEmpty());
}

TEST(ConfigTest, AnAddressLongerThanASocketsPathIsRefused) {
  Config config;
  config.grpc.address = "/" + std::string(107, 'a');
  EXPECT_THAT(std::string(ValidateConfig(config).message()), HasSubstr("grpc.address"));
}

TEST(ConfigTest, AnUnknownLogLevelIsRefused) {
  EXPECT_THAT(std::string(ErrorOf("version = 3\n[debug]\nlevel = \"loud\"\n").message()),
              HasSubstr("debug.level: \"loud\""));
}

constexpr char kProxies[] = R"(version = 2
[proxy_plugins.remote]
  type = "snapshot"
  address = "/run/remote.sock"
  platform = "linux/arm64"
  capabilities = ["remap-ids"]
  [proxy_plugins.remote.exports]
    root = "/var/lib/remote"
[proxy_plugins.far]
  type = "io.containerd.content.v1"
  address = "unix:///run/far.sock"
)";

TEST(ConfigTest, ProxyPluginsAreReadAsContainerdWritesThem) {
  const auto parsed = ParseConfig(kProxies, "c.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->warnings, IsEmpty());
  const std::vector<ProxyPlugin>& plugins = parsed->config.proxy_plugins;
  ASSERT_EQ(plugins.size(), 2u);
  const ProxyPlugin* content = FindProxy(plugins, ProxyType::kContent);
  ASSERT_NE(content, nullptr);
  EXPECT_EQ(content->name, "far");
  EXPECT_EQ(content->SocketPath(), "/run/far.sock");
  const ProxyPlugin* snapshot = FindProxy(plugins, ProxyType::kSnapshot);
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(snapshot->exports.at("root"), "/var/lib/remote");
  EXPECT_EQ(FindProxy(plugins, ProxyType::kDiff), nullptr);
  const auto again = ParseConfig(DumpConfig(parsed->config), "dump");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->config.proxy_plugins, plugins);
}

TEST(ConfigTest, AProxyPluginThatCannotBeIsRefusedByName) {
  const auto refused = [](const std::string& lines) {
    return std::string(ErrorOf("version = 3\n" + lines).message());
  };
  EXPECT_THAT(refused("[proxy_plugins.x]\ntype = \"sandbox\"\naddress = \"/s\"\n"),
              HasSubstr("proxy_plugins.x.type: \"sandbox\" is none of content, snapshot, diff"));
  EXPECT_THAT(refused("[proxy_plugins.x]\ntype = \"diff\"\naddress = \"localhost:1\"\n"),
              HasSubstr("proxy_plugins.x.address: \"localhost:1\""));
  EXPECT_THAT(refused("[proxy_plugins.overlayfs]\ntype = \"snapshot\"\naddress = \"/s\"\n"),
              HasSubstr("has a snapshotter of that name itself"));
  EXPECT_THAT(refused("[proxy_plugins.a]\ntype = \"content\"\naddress = \"/s\"\n"
                      "[proxy_plugins.b]\ntype = \"content\"\naddress = \"/s\"\n"),
              HasSubstr("there is another proxy plugin of type content"));
}

TEST(ConfigTest, ADumpReadsBackToTheSame) {
  Config config;
  config.root = "/strange \"root\"\\";
  config.gc.pause_threshold = 1;
  config.gc.schedule_delay = absl::Seconds(90);
  config.oom_score = -500;
  const std::string dump = DumpConfig(config);
  const auto parsed = ParseConfig(dump, "dump");
  ASSERT_TRUE(parsed.ok()) << parsed.status() << "\n" << dump;
  EXPECT_THAT(parsed->warnings, IsEmpty());
  EXPECT_EQ(parsed->config.root, config.root);
  EXPECT_EQ(DumpConfig(parsed->config), dump);
}

TEST(ConfigTest, ABadMetricsAddressIsNamedWithFileLineAndKey) {
  const auto error = [](absl::string_view address) {
    return std::string(
        ErrorOf(absl::StrCat("version = 3\n[metrics]\n  address = \"", address, "\"\n")).message());
  };
  EXPECT_THAT(error("localhost"), testing::StartsWith("c.toml:3: metrics.address: "));
  EXPECT_THAT(error("localhost"), HasSubstr("\"localhost\" has no port"));
  EXPECT_THAT(error("127.0.0.1:http"), HasSubstr("has the port \"http\""));
  EXPECT_THAT(error("127.0.0.1:65536"), HasSubstr("no number up to 65535"));
  EXPECT_THAT(error("127.0.0.1:"), HasSubstr("has the port \"\""));
  EXPECT_THAT(error("::1:1338"), HasSubstr("must be in brackets"));
  EXPECT_THAT(error("[::1:1338"), HasSubstr("bracket that is not closed"));
  EXPECT_THAT(error("unix:///run/m.sock:1"), HasSubstr("more than one colon"));
  EXPECT_EQ(error(""), "");
}

TEST(TcpAddressTest, HostAndPortAreTakenApart) {
  const auto parsed = [](absl::string_view text) {
    const auto address = ParseTcpAddress(text);
    EXPECT_TRUE(address.ok()) << address.status();
    return address.ok() ? absl::StrCat(address->host, " ", address->port) : "";
  };
  EXPECT_EQ(parsed("127.0.0.1:1338"), "127.0.0.1 1338");
  EXPECT_EQ(parsed("[::1]:1"), "::1 1");
  EXPECT_EQ(parsed("node-7.example:65535"), "node-7.example 65535");
  EXPECT_EQ(parsed(":0"), " 0");
}

}  // namespace
}  // namespace gantry::daemon
