#include "cli/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command.h"

namespace gantry::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A command with one flag of each kind.
struct Given {
  bool detach = false;
  std::string user = "nobody";
  int64_t count = 7;
  std::vector<std::string> env;

  absl::StatusOr<std::vector<std::string>> Parse(Flags::Order order,
                                                 std::vector<std::string> args) {
    Flags flags(order);
    flags.Bool("--detach,-d", &detach);
    flags.Text("--user,-u", &user);
    flags.Number("--count", &count);
    flags.Texts("--env,-e", &env);
    return flags.Parse(std::move(args));
  }
};

TEST(FlagsTest, FlagsThatAreNotGivenKeepTheirValues) {
  Given given;
  const auto rest = given.Parse(Flags::Order::kAnywhere, {"id"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(*rest, ElementsAre("id"));
  EXPECT_FALSE(given.detach);
  EXPECT_EQ(given.user, "nobody");
  EXPECT_EQ(given.count, 7);
  EXPECT_THAT(given.env, IsEmpty());
}

TEST(FlagsTest, EverySpellingOfGoIsTaken) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"--user", "x", "--count", "3", "--detach"},
                                             {"--user=x", "--count=3", "--detach=true"},
                                             {"-user", "x", "-count=3", "-detach"},
                                             {"-u", "x", "-count", "3", "-d"},
                                             {"-u=x", "--count", "3", "-d"}}) {
    Given given;
    const auto rest = given.Parse(Flags::Order::kAnywhere, args);
    ASSERT_TRUE(rest.ok()) << args[0] << ": " << rest.status();
    EXPECT_TRUE(given.detach) << args[0];
    EXPECT_EQ(given.user, "x") << args[0];
    EXPECT_EQ(given.count, 3) << args[0];
  }
}

TEST(FlagsTest, AFlagThatTakesOneValueLeavesTheRestAndComesAgain) {
  Given given;
  const auto rest =
      given.Parse(Flags::Order::kBeforeArguments, {"-e", "A=1", "--env", "B=[x,y]", "id", "sh"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(given.env, ElementsAre("A=1", "B=[x,y]"));
  EXPECT_THAT(*rest, ElementsAre("id", "sh"));
}

TEST(FlagsTest, AValueMayBeginWithADash) {
  Given given;
  ASSERT_TRUE(given.Parse(Flags::Order::kAnywhere, {"--user", "-d", "--count", "-1"}).ok());
  EXPECT_EQ(given.user, "-d");
  EXPECT_EQ(given.count, -1);
  EXPECT_FALSE(given.detach);
}

TEST(FlagsTest, FlagsBehindTheFirstArgumentBelongToTheOtherProgram) {
  Given given;
  const auto rest = given.Parse(Flags::Order::kBeforeArguments,
                                {"-d", "id", "ls", "-d", "--user", "y", "--", "-x=1"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(*rest, ElementsAre("id", "ls", "-d", "--user", "y", "--", "-x=1"));
  EXPECT_TRUE(given.detach);
  EXPECT_EQ(given.user, "nobody");
}

TEST(FlagsTest, FlagsMayFollowArgumentsWhereThoseAreTheCommandsOwn) {
  Given given;
  const auto rest = given.Parse(Flags::Order::kAnywhere, {"id", "--user", "x", "KILL", "-d"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_THAT(*rest, ElementsAre("id", "KILL"));
  EXPECT_TRUE(given.detach);
}

TEST(FlagsTest, UnknownFlagsAreNamedInGosWords) {
  for (const Flags::Order order : {Flags::Order::kAnywhere, Flags::Order::kBeforeArguments}) {
    Given given;
    const absl::Status status = given.Parse(order, {"--nope=1", "id"}).status();
    EXPECT_TRUE(IsUsageError(status));
    EXPECT_EQ(status.message(), "flag provided but not defined: -nope");
  }
}

TEST(FlagsTest, AValueThatIsMissingOrNoNumberIsRefused) {
  Given given;
  EXPECT_TRUE(IsUsageError(given.Parse(Flags::Order::kAnywhere, {"--user"}).status()));
  const absl::Status status = given.Parse(Flags::Order::kAnywhere, {"--count", "x"}).status();
  EXPECT_TRUE(IsUsageError(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("count"));
}

}  // namespace
}  // namespace gantry::cli
