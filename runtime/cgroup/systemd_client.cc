#include "runtime/cgroup/systemd_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "runtime/cgroup/settle.h"

namespace gantry::runtime {
namespace {

constexpr char kSocket[] = "/run/systemd/private";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
// systemd is slow where hundreds of units start at once, but not for ever.
constexpr absl::Duration kTimeout = absl::Seconds(30);

void WriteProperty(DBusWriter& writer, const UnitProperty& property) {
  writer.Align(8);
  writer.String(property.name);
  if (const auto* text = std::get_if<std::string>(&property.value)) {
    writer.Signature("s");
    writer.String(*text);
  } else if (const auto* flag = std::get_if<bool>(&property.value)) {
    writer.Signature("b");
    writer.Bool(*flag);
  } else if (const auto* number = std::get_if<uint64_t>(&property.value)) {
    writer.Signature("t");
    writer.Uint64(*number);
  } else if (const auto* numbers = std::get_if<std::vector<uint32_t>>(&property.value)) {
    writer.Signature("au");
    const DBusWriter::Array array = writer.BeginArray(4);
    for (const uint32_t one : *numbers) writer.Uint32(one);
    writer.EndArray(array);
  } else if (const auto* bytes = std::get_if<std::vector<uint8_t>>(&property.value)) {
    writer.Signature("ay");
    const DBusWriter::Array array = writer.BeginArray(1);
    for (const uint8_t one : *bytes) writer.Byte(one);
    writer.EndArray(array);
  }
}

void WriteProperties(DBusWriter& writer, const std::vector<UnitProperty>& properties) {
  const DBusWriter::Array array = writer.BeginArray(8);
  for (const UnitProperty& one : properties) WriteProperty(writer, one);
  writer.EndArray(array);
}

absl::Status FromError(const DBusMessage& error) {
  DBusReader reader(error.body);
  std::string text = absl::StartsWith(error.signature, "s") ? reader.String() : "";
  if (text.empty()) text = error.error;
  const std::string message = absl::StrCat("systemd: ", text);
  if (absl::EndsWith(error.error, ".UnitExists")) return absl::AlreadyExistsError(message);
  if (absl::EndsWith(error.error, ".NoSuchUnit")) return absl::NotFoundError(message);
  if (absl::EndsWith(error.error, ".InvalidArgs") ||
      absl::EndsWith(error.error, ".BadUnitSetting") ||
      absl::EndsWith(error.error, ".PropertyReadOnly")) {
    return absl::InvalidArgumentError(message);
  }
  if (absl::EndsWith(error.error, ".AccessDenied")) return absl::PermissionDeniedError(message);
  return absl::FailedPreconditionError(message);
}

}  // namespace

std::string StartScopeBody(const std::string& unit, const std::vector<UnitProperty>& properties) {
  DBusWriter writer;
  writer.String(unit);
  writer.String("replace");
  WriteProperties(writer, properties);
  writer.EndArray(writer.BeginArray(8));  // no auxiliary units
  return writer.bytes();
}

std::string SetPropertiesBody(const std::string& unit,
                              const std::vector<UnitProperty>& properties) {
  DBusWriter writer;
  writer.String(unit);
  writer.Bool(true);  // not on disk
  WriteProperties(writer, properties);
  return writer.bytes();
}

absl::StatusOr<SystemdClient> SystemdClient::Connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, kSocket, sizeof kSocket);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return ErrnoError(errno, "make a socket");
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) {
      return absl::FailedPreconditionError(absl::StrCat(
          "systemd cgroups were asked for, but systemd is not the init here (no ", kSocket, ")"));
    }
    return ErrnoError(errno, absl::StrCat("connect to ", kSocket));
  }
  SystemdClient client(std::move(socket));
  client.deadline_ = absl::Now() + kTimeout;
  GANTRY_RETURN_IF_ERROR(client.Authenticate());
  return client;
}

absl::Status SystemdClient::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      pollfd writable{socket_.get(), POLLOUT, 0};
      const int64_t left = absl::ToInt64Milliseconds(deadline_ - absl::Now());
      if (left <= 0) return absl::UnavailableError("systemd does not read what it is sent");
      ::poll(&writable, 1, static_cast<int>(left));
    } else if (errno != EINTR) {
      return ErrnoError(errno, "write to systemd");
    }
  }
  return absl::OkStatus();
}

absl::Status SystemdClient::Receive(size_t size, std::string* bytes) {
  bytes->resize(size);
  size_t got = 0;
  while (got < size) {
    const ssize_t part = ::recv(socket_.get(), bytes->data() + got, size - got, 0);
    if (part > 0) {
      got += static_cast<size_t>(part);
    } else if (part == 0) {
      return absl::UnavailableError("systemd closed the connection");
    } else if (errno == EAGAIN) {
      pollfd readable{socket_.get(), POLLIN, 0};
      const int64_t left = absl::ToInt64Milliseconds(deadline_ - absl::Now());
      if (left <= 0) return absl::UnavailableError("systemd does not answer");
      ::poll(&readable, 1, static_cast<int>(left));
    } else if (errno != EINTR) {
      return ErrnoError(errno, "read from systemd");
    }
  }
  return absl::OkStatus();
}

absl::Status SystemdClient::Authenticate() {
  // The kernel tells the peer who this is; the name is the uid in decimal, each digit in hex.
  std::string uid;
  for (const char digit : absl::StrCat(::geteuid()))
    absl::StrAppend(&uid, "3", std::string(1, digit));
  std::string hello(1, '\0');
  // BEGIN goes along, before it is known that it may: systemd leaves a call lying that it reads
  // together with BEGIN.
  absl::StrAppend(&hello, "AUTH EXTERNAL ", uid, "\r\nBEGIN\r\n");
  GANTRY_RETURN_IF_ERROR(Send(hello));
  std::string line;
  while (!absl::EndsWith(line, "\r\n")) {
    std::string byte;
    GANTRY_RETURN_IF_ERROR(Receive(1, &byte));
    line += byte;
    if (line.size() > 1024)
      return absl::DataLossError("systemd: an endless line of authentication");
  }
  if (!absl::StartsWith(line, "OK ")) {
    return absl::PermissionDeniedError("systemd refuses this user on its private socket");
  }
  return absl::OkStatus();
}

absl::StatusOr<DBusMessage> SystemdClient::ReadMessage() {
  std::string head;
  GANTRY_RETURN_IF_ERROR(Receive(kDBusFixedHeader, &head));
  GANTRY_ASSIGN_OR_RETURN(const size_t size, DBusMessageSize(head));
  std::string rest;
  GANTRY_RETURN_IF_ERROR(Receive(size - head.size(), &rest));
  return DecodeMessage(head + rest);
}

absl::StatusOr<DBusMessage> SystemdClient::Call(const char* member, const char* signature,
                                                std::string body) {
  deadline_ = absl::Now() + kTimeout;
  const uint32_t serial = ++serial_;
  GANTRY_RETURN_IF_ERROR(Send(
      EncodeCall(DBusCall{kManagerPath, kManager, member, signature, std::move(body)}, serial)));
  for (;;) {
    GANTRY_ASSIGN_OR_RETURN(DBusMessage message, ReadMessage());
    if (message.type == DBusType::kSignal && message.member == "JobRemoved") {
      DBusReader reader(message.body);
      reader.Uint32();
      std::string job = reader.String();
      reader.String();  // the unit
      ended_jobs_.emplace_back(std::move(job), reader.String());
    }
    if (message.reply_to != serial) continue;
    if (message.type == DBusType::kError) return FromError(message);
    if (message.type == DBusType::kReturn) return message;
  }
}

absl::Status SystemdClient::WaitForJob(const DBusMessage& reply, const std::string& unit) {
  DBusReader reader(reply.body);
  const std::string job = reader.String();
  if (!reader.ok()) return absl::DataLossError("systemd: an answer without a job");
  for (;;) {
    for (const auto& [path, result] : ended_jobs_) {
      if (path != job) continue;
      if (result == "done") return absl::OkStatus();
      return absl::FailedPreconditionError(
          absl::StrCat("systemd: the job for ", unit, " ended as \"", result, "\""));
    }
    ended_jobs_.clear();
    GANTRY_ASSIGN_OR_RETURN(const DBusMessage message, ReadMessage());
    if (message.type != DBusType::kSignal || message.member != "JobRemoved") continue;
    DBusReader signal(message.body);
    signal.Uint32();
    std::string path = signal.String();
    signal.String();
    ended_jobs_.emplace_back(std::move(path), signal.String());
  }
}

absl::Status SystemdClient::StartScope(const std::string& unit, pid_t pid,
                                       const std::vector<UnitProperty>& properties) {
  std::vector<UnitProperty> all = properties;
  all.push_back({"PIDs", std::vector<uint32_t>{static_cast<uint32_t>(pid)}});
  ended_jobs_.clear();
  const absl::StatusOr<DBusMessage> reply =
      Call("StartTransientUnit", "ssa(sv)a(sa(sv))", StartScopeBody(unit, all));
  if (!reply.ok()) return Annotate(reply.status(), absl::StrCat("start ", unit));
  return Annotate(WaitForJob(*reply, unit), absl::StrCat("start ", unit));
}

absl::Status SystemdClient::SetProperties(const std::string& unit,
                                          const std::vector<UnitProperty>& properties) {
  if (properties.empty()) return absl::OkStatus();
  return Annotate(
      Call("SetUnitProperties", "sba(sv)", SetPropertiesBody(unit, properties)).status(),
      absl::StrCat("set properties of ", unit));
}

absl::Status SystemdClient::StopUnit(const std::string& unit) {
  DBusWriter writer;
  writer.String(unit);
  writer.String("replace");
  absl::StatusOr<DBusMessage> reply = Call("StopUnit", "ss", writer.bytes());
  // A unit that is about to be unloaded has no job that would end: what counts is that it is gone.
  DBusWriter name;
  name.String(unit);
  Backoff backoff(kSettle);
  while (reply.ok() && backoff.Wait()) reply = Call("GetUnit", "s", name.bytes());
  if (absl::IsNotFound(reply.status())) return absl::OkStatus();
  if (reply.ok()) return absl::UnavailableError(absl::StrCat("stop ", unit, ": it stays loaded"));
  return Annotate(reply.status(), absl::StrCat("stop ", unit));
}

}  // namespace gantry::runtime
