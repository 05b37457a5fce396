#include "runtime/process/net_devices.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/errors.h"
#include "base/file.h"
#include "base/unique_fd.h"

namespace gantry::runtime {
namespace {

constexpr size_t kBufferSize = 32768;  // what the kernel fills at most in one message of a dump

// A request: header, body of the family's own form, attributes.
class Request {
 public:
  template <typename Body>
  Request(uint16_t type, uint16_t flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    header.nlmsg_seq = 1;
    Append(&header, sizeof header);
    Append(&body, sizeof body);
  }
  void Attribute(uint16_t type, absl::string_view value) {
    rtattr attribute{};
    attribute.rta_type = type;
    attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(value.size()));
    Append(&attribute, sizeof attribute);
    Append(value.data(), value.size());
  }
  template <typename Number>
  void AttributeOf(uint16_t type, Number value) {
    Attribute(type, absl::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  }
  std::string Take() {
    const auto size = static_cast<uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &size, sizeof size);  // nlmsg_len is the first field
    return std::move(bytes_);
  }

 private:
  void Append(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  std::string bytes_;
};

absl::StatusOr<UniqueFd> OpenNetlink() {
  UniqueFd made(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!made.valid()) return ErrnoError(errno, "make a netlink socket");
  return made;
}

using Take = std::function<void(const nlmsghdr& message)>;

// Sends a request and reads what comes back, up to its end. Errors: what the kernel answers.
absl::Status Ask(const UniqueFd& socket, Request request, const Take& take = nullptr) {
  const std::string bytes = request.Take();
  if (::send(socket.get(), bytes.data(), bytes.size(), 0) < 0) return ErrnoError(errno, "send");
  std::string buffer(kBufferSize, '\0');
  for (;;) {
    const ssize_t got = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "receive");
    auto left = static_cast<unsigned>(got);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
         NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return absl::OkStatus();
      if (message->nlmsg_type == NLMSG_ERROR) {
        const int error = -static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
        return error == 0 ? absl::OkStatus() : ErrnoError(error, "the kernel refuses it");
      }
      if (take) take(*message);
    }
  }
}

struct Address {
  ifaddrmsg message{};
  std::string local;  // of a point-to-point link; else empty
  std::string address;
  std::string broadcast;
};

// What the administrator gave the device; what the kernel gave it comes by itself.
absl::StatusOr<std::vector<Address>> AddressesOf(const UniqueFd& socket, unsigned index) {
  std::vector<Address> found;
  const auto take = [&found, index](const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWADDR) return;
    Address one;
    std::memcpy(&one.message, NLMSG_DATA(&header), sizeof one.message);
    if (one.message.ifa_index != index || one.message.ifa_scope != RT_SCOPE_UNIVERSE ||
        (one.message.ifa_flags & IFA_F_PERMANENT) == 0) {
      return;
    }
    auto left = static_cast<unsigned>(IFA_PAYLOAD(&header));
    for (const auto* attribute = IFA_RTA(static_cast<const ifaddrmsg*>(NLMSG_DATA(&header)));
         RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
      const std::string value(static_cast<const char*>(RTA_DATA(attribute)),
                              RTA_PAYLOAD(attribute));
      if (attribute->rta_type == IFA_LOCAL) one.local = value;
      if (attribute->rta_type == IFA_ADDRESS) one.address = value;
      if (attribute->rta_type == IFA_BROADCAST) one.broadcast = value;
    }
    found.push_back(std::move(one));
  };
  GANTRY_RETURN_IF_ERROR(Ask(socket, Request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{}), take));
  return found;
}

ifinfomsg Link(unsigned index) {
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(index);
  return link;
}

absl::Status Add(const UniqueFd& socket, const Address& address, unsigned index) {
  ifaddrmsg message = address.message;
  message.ifa_index = index;
  Request request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, message);
  if (!address.local.empty()) request.Attribute(IFA_LOCAL, address.local);
  if (!address.address.empty()) request.Attribute(IFA_ADDRESS, address.address);
  if (!address.broadcast.empty()) request.Attribute(IFA_BROADCAST, address.broadcast);
  return Ask(socket, std::move(request));
}

absl::Status SetUp(const UniqueFd& socket, unsigned index) {
  ifinfomsg link = Link(index);
  link.ifi_flags = IFF_UP;
  link.ifi_change = IFF_UP;
  return Ask(socket, Request(RTM_NEWLINK, NLM_F_ACK, link));
}

// A socket in another network namespace, and the numbers that devices have there.
class OtherNamespace {
 public:
  static absl::StatusOr<OtherNamespace> Open(const UniqueFd& ns) {
    OtherNamespace other;
    GANTRY_RETURN_IF_ERROR(other.Within(ns, [&other]() -> absl::Status {
      GANTRY_ASSIGN_OR_RETURN(other.socket_, OpenNetlink());
      return absl::OkStatus();
    }));
    return other;
  }
  absl::StatusOr<unsigned> IndexOf(const UniqueFd& ns, const std::string& name) const {
    unsigned index = 0;
    GANTRY_RETURN_IF_ERROR(Within(ns, [&]() -> absl::Status {
      index = ::if_nametoindex(name.c_str());
      return index == 0 ? ErrnoError(errno, "find it again") : absl::OkStatus();
    }));
    return index;
  }
  [[nodiscard]] const UniqueFd& socket() const { return socket_; }

 private:
  static absl::Status Within(const UniqueFd& ns, const std::function<absl::Status()>& body) {
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd own, OpenFile("/proc/thread-self/ns/net", O_RDONLY));
    if (::setns(ns.get(), CLONE_NEWNET) != 0) return ErrnoError(errno, "enter the namespace");
    const absl::Status status = body();
    // Into one's own: has no way to fail.
    if (::setns(own.get(), CLONE_NEWNET) != 0) return ErrnoError(errno, "leave the namespace");
    return status;
  }
  UniqueFd socket_;
};

absl::Status MoveOne(const UniqueFd& here, const OtherNamespace& there, const UniqueFd& ns,
                     const NetDevice& device) {
  const unsigned index = ::if_nametoindex(device.host_name.c_str());
  if (index == 0) return absl::NotFoundError("there is no such device on the host");
  // The kernel would move it first and then refuse the name: it would end with the namespace.
  if (there.IndexOf(ns, device.name).ok()) {
    return absl::AlreadyExistsError(
        absl::StrCat("the container has a device \"", device.name, "\" already"));
  }
  GANTRY_ASSIGN_OR_RETURN(const std::vector<Address> addresses, AddressesOf(here, index));
  Request move(RTM_NEWLINK, NLM_F_ACK, Link(index));
  move.AttributeOf(IFLA_NET_NS_FD, static_cast<uint32_t>(ns.get()));
  move.Attribute(IFLA_IFNAME, absl::string_view(device.name.c_str(), device.name.size() + 1));
  GANTRY_RETURN_IF_ERROR(Annotate(Ask(here, std::move(move)), "move it"));
  GANTRY_ASSIGN_OR_RETURN(const unsigned moved, there.IndexOf(ns, device.name));
  for (const Address& address : addresses) {
    GANTRY_RETURN_IF_ERROR(Annotate(Add(there.socket(), address, moved), "give it its address"));
  }
  return Annotate(SetUp(there.socket(), moved), "set it up");
}

}  // namespace

absl::Status MoveNetDevices(pid_t pid, const Linux& spec) {
  if (spec.net_devices.empty()) return absl::OkStatus();
  const LinuxNamespace* own = spec.FindNamespace(NamespaceType::kNetwork);
  if (own == nullptr) {
    return absl::InvalidArgumentError(
        "linux.netDevices: needs a network namespace of the container's own");
  }
  const std::string path = own->path.empty() ? absl::StrCat("/proc/", pid, "/ns/net") : own->path;
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd ns, OpenFile(path, O_RDONLY));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd here, OpenNetlink());
  GANTRY_ASSIGN_OR_RETURN(const OtherNamespace there, OtherNamespace::Open(ns));
  for (const NetDevice& device : spec.net_devices) {
    GANTRY_RETURN_IF_ERROR(Annotate(MoveOne(here, there, ns, device),
                                    absl::StrCat("linux.netDevices.", device.host_name)));
  }
  return absl::OkStatus();
}

}  // namespace gantry::runtime
