#include <gtest/gtest.h>
#include <signal.h>

#include "cli/loaded_container.h"

namespace gantry::cli {
namespace {

TEST(SignalTest, NamesInEverySpellingAndNumbersAreTaken) {
  for (const char* text : {"KILL", "SIGKILL", "kill", "sigkill", "9"}) {
    EXPECT_EQ(ParseSignal(text).value_or(-1), SIGKILL) << text;
  }
  EXPECT_EQ(ParseSignal("WINCH").value_or(-1), SIGWINCH);
  EXPECT_EQ(ParseSignal("SIGIOT").value_or(-1), SIGABRT);
  EXPECT_EQ(ParseSignal("0").value_or(-1), 0);
  EXPECT_EQ(ParseSignal("34").value_or(-1), 34);
}

TEST(SignalTest, WhatIsNoSignalIsQuoted) {
  for (const char* text : {"NOPE", "SIG", "-1", "65", "", "9x", "SIGSIGKILL"}) {
    const absl::Status status = ParseSignal(text).status();
    EXPECT_EQ(std::string(status.message()), absl::StrCat("unknown signal \"", text, "\""));
  }
}

}  // namespace
}  // namespace gantry::cli
