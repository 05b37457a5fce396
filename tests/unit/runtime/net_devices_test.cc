#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "tests/unit/runtime/container_fixture.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;

// The host's network is one of the test's own: in a child of it.
class NetDevicesTest : public ContainerFixture {
 protected:
  void SetUp() override {
    ContainerFixture::SetUp();
    if (std::system("ip -V >/dev/null 2>&1") != 0) GTEST_SKIP() << "needs ip(8)";
  }
  // True if `body` held in a network that has `setup`.
  static bool InOwnNetwork(const char* setup, const std::function<bool()>& body) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      const bool ready = ::unshare(CLONE_NEWNET) == 0 && std::system(setup) == 0;
      ::_exit(ready && body() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  static bool Has(const std::string& text, const char* part) {
    if (text.find(part) != std::string::npos) return true;
    std::fprintf(stderr, "no \"%s\" in:\n%s\n", part, text.c_str());
    return false;
  }
};

constexpr char kPair[] =
    "ip link add outer type veth peer name other && ip link set outer mtu 1400 && "
    "ip addr add 10.11.12.13/24 dev outer && ip addr add fd00::7/64 dev outer nodad && "
    "ip addr add 169.254.1.1/16 scope link dev outer";

TEST_F(NetDevicesTest, ADeviceMovesWithItsAddressesUnderItsNewNameAndIsUp) {
  for (const bool mapped : {false, true}) {
    Spec spec = Shell("busybox ip addr show inner; busybox ip link show outer");
    spec.linux_.net_devices = {NetDevice{"outer", "inner"}};
    if (mapped) {
      spec.linux_.namespaces.push_back(LinuxNamespace{NamespaceType::kUser, ""});
      spec.linux_.uid_mappings = spec.linux_.gid_mappings = {IdMapping{0, 0, 65536}};
    }
    EXPECT_TRUE(InOwnNetwork(kPair, [&] {
      const std::string output = Run(spec).output;
      // On the host it is gone.
      return Has(output, "inet 10.11.12.13/24") && Has(output, "inet6 fd00::7/64") &&
             Has(output, "mtu 1400") && Has(output, "UP") && Has(output, "can't find device") &&
             output.find("169.254.1.1") == std::string::npos;
    })) << mapped;
  }
}

TEST_F(NetDevicesTest, ANamespaceThatIsJoinedGetsItsDevicesToo) {
  Spec spec = Shell("busybox ip addr show outer");
  spec.linux_.net_devices = {NetDevice{"outer", "outer"}};
  EXPECT_TRUE(InOwnNetwork(kPair, [&] {
    // That of a child, which lives until this process has run the container.
    int gate[2];
    if (::pipe2(gate, O_CLOEXEC) != 0) return false;
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0) return false;
    char byte = 0;
    const pid_t holder = ::fork();
    if (holder == 0) {
      ::close(gate[1]);
      if (::unshare(CLONE_NEWNET) != 0 || ::write(ready[1], "r", 1) != 1) ::_exit(1);
      ::_exit(::read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    ::close(gate[0]);
    ::close(ready[1]);
    if (::read(ready[0], &byte, 1) != 1) return false;
    for (LinuxNamespace& ns : spec.linux_.namespaces) {
      if (ns.type == NamespaceType::kNetwork) ns.path = absl::StrCat("/proc/", holder, "/ns/net");
    }
    const bool held = Has(Run(spec).output, "inet 10.11.12.13/24");
    ::close(gate[1]);
    ::waitpid(holder, nullptr, 0);
    return held;
  }));
}

TEST_F(NetDevicesTest, WhatCannotBeMovedIsNamedAndNothingIsLeft) {
  EXPECT_TRUE(InOwnNetwork(kPair, [&] {
    Spec missing = Shell("true");
    missing.linux_.net_devices = {NetDevice{"nothing", "inner"}};
    Spec taken = Shell("true");
    taken.linux_.net_devices = {NetDevice{"outer", "lo"}};
    const absl::Status no_such = Failure(missing);
    const absl::Status in_use = Failure(taken);
    return absl::IsNotFound(no_such) &&
           Has(std::string(no_such.message()), "linux.netDevices.nothing") &&
           absl::IsAlreadyExists(in_use) &&
           Has(std::string(in_use.message()), "linux.netDevices.outer") &&
           std::system("ip link show outer >/dev/null") == 0;
  }));
  Spec shared = Shell("true");
  shared.linux_.net_devices = {NetDevice{"lo", "inner"}};
  std::erase_if(shared.linux_.namespaces,
                [](const LinuxNamespace& ns) { return ns.type == NamespaceType::kNetwork; });
  EXPECT_THAT(Failure(shared).message(), HasSubstr("linux.netDevices: needs a network namespace"));
}

}  // namespace
}  // namespace gantry::runtime
