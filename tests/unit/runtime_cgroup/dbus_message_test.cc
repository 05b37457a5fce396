#include "runtime/cgroup/dbus_message.h"

#include <gtest/gtest.h>

#include "runtime/cgroup/systemd_client.h"

namespace gantry::runtime {
namespace {

DBusCall StopCall() {
  DBusWriter body;
  body.String("x.scope");
  body.String("replace");
  return {"/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "StopUnit", "ss",
          body.bytes()};
}

TEST(DBusMessageTest, ACallHasTheBytesOfTheSpecification) {
  // PATH "/a", INTERFACE "i.f", MEMBER "M", SIGNATURE "u", and one number.
  DBusWriter body;
  body.Uint32(7);
  const std::string bytes = EncodeCall({"/a", "i.f", "M", "u", body.bytes()}, 3);
  const std::string expected(
      "l\1\0\1\4\0\0\0\3\0\0\0\x37\0\0\0"
      "\1\1o\0\2\0\0\0/a\0\0\0\0\0\0"
      "\2\1s\0\3\0\0\0i.f\0\0\0\0\0"
      "\3\1s\0\1\0\0\0M\0\0\0\0\0\0\0"
      "\10\1g\0\1u\0\0"
      "\7\0\0\0",
      16 + 16 + 16 + 16 + 8 + 4);
  EXPECT_EQ(bytes, expected);
}

TEST(DBusMessageTest, ArraysAndStructsAreAligned) {
  // (sv) of a number: the name, the signature, padding to 8, the number.
  const std::string body = SetPropertiesBody("u", {{"CPUWeight", uint64_t{5}}});
  const std::string expected(
      "\1\0\0\0u\0\0\0"
      "\1\0\0\0"
      "\x20\0\0\0"
      "\11\0\0\0CPUWeight\0\1t\0"
      "\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0",
      8 + 4 + 4 + 17 + 15);
  EXPECT_EQ(body, expected);
}

TEST(DBusMessageTest, WhatIsWrittenIsRead) {
  const std::string bytes = EncodeCall(StopCall(), 9);
  ASSERT_TRUE(DBusMessageSize(bytes.substr(0, kDBusFixedHeader)).ok());
  EXPECT_EQ(*DBusMessageSize(bytes.substr(0, kDBusFixedHeader)), bytes.size());
  const auto message = DecodeMessage(bytes);
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->type, DBusType::kCall);
  EXPECT_EQ(message->member, "StopUnit");
  EXPECT_EQ(message->signature, "ss");
  DBusReader reader(message->body);
  EXPECT_EQ(reader.String(), "x.scope");
  EXPECT_EQ(reader.String(), "replace");
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.Uint32(), 0U);
  EXPECT_FALSE(reader.ok()) << "past the end";
}

TEST(DBusMessageTest, NoBytesMakeTheReaderLeaveTheMessage) {
  const std::string good = EncodeCall(StopCall(), 9);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(DecodeMessage(good.substr(0, size)).ok()) << size;
  }
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char byte : {'\0', '\x7f', '\xff'}) {
      std::string bad = good;
      bad[at] = byte;
      const auto message = DecodeMessage(bad);  // the sanitizers look on
      if (message.ok()) {
        EXPECT_LE(message->body.size(), bad.size());
      }
    }
  }
  std::string large = good;
  large[7] = '\x7f';
  EXPECT_TRUE(absl::IsDataLoss(DBusMessageSize(large).status()));
}

}  // namespace
}  // namespace gantry::runtime
