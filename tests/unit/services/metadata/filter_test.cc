#include "services/metadata/filter.h"

#include <gtest/gtest.h>

namespace gantry::metadata {
namespace {

// A record with name "alpine", size "42" and labels {"a b": "x,y", "k8s.io/app": "web"}.
std::optional<std::string> Field(std::span<const std::string> path) {
  static const Labels labels = {{"a b", "x,y"}, {"k8s.io/app", "web"}};
  if (path[0] == "name") return "alpine";
  if (path[0] == "size") return "42";
  if (path[0] == "labels") return LabelField(labels, path.subspan(1));
  return std::nullopt;
}

struct Row {
  std::string filter;
  bool matches;
};
class FilterTable : public testing::TestWithParam<Row> {};

TEST_P(FilterTable, MatchesAsContainerdDoes) {
  const auto filter = Filter::Parse(GetParam().filter);
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_EQ(filter->Match(Field), GetParam().matches) << GetParam().filter;
}

INSTANTIATE_TEST_SUITE_P(All, FilterTable,
                         testing::Values(Row{"", true}, Row{"name", true}, Row{"nothing", false},
                                         Row{"name==alpine", true}, Row{"name==alp", false},
                                         Row{"name!=alp", true},
                                         Row{"name==alpine, size == 42 ", true},
                                         Row{"nothing!=x", true}, Row{"name~=^alp", true},
                                         Row{"name~=/^b/", false}, Row{"name~=|^alp|", true},
                                         Row{R"(labels."a b"=="x,y")", true},
                                         Row{R"(labels."k8s.io/app"==web,size==42)", true},
                                         Row{R"(labels."k8s.io/app"==web,size==43)", false},
                                         Row{R"(name=="al\x70ine")", true}));

INSTANTIATE_TEST_SUITE_P(Dockerd, FilterTable,
                         testing::Values(Row{"name==alpine,name~=|^al/?pine$|", true}));

TEST(FilterTest, BrokenFiltersAreRefusedWithTheirText) {
  for (const std::string text : {"name=", "name==", ",name", "name,", "name~=(", "name==\"x",
                                 "name~=/x", "na me", "name==a b", ".name", "labels."}) {
    const auto filter = Filter::Parse(text);
    ASSERT_FALSE(filter.ok()) << text;
    EXPECT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(FilterTest, OneOfSeveralFiltersIsEnough) {
  EXPECT_TRUE(FilterSet::Parse({"name==b", "size==42"})->Match(Field));
  EXPECT_FALSE(FilterSet::Parse({"name==b", "size==43"})->Match(Field));
  EXPECT_TRUE(FilterSet::Parse({})->Match(Field));
}

TEST(FilterTest, AnExpressionThatWouldTakeForEverIsLinear) {
  const auto filter = Filter::Parse("name~=/(a*)*b/");
  ASSERT_TRUE(filter.ok());
  EXPECT_FALSE(filter->Match([](auto) { return std::string(100000, 'a'); }));
}

TEST(FilterTest, HostileFiltersAreBounded) {
  EXPECT_FALSE(Filter::Parse(std::string(20000, 'a')).ok());
  std::string expressions = "a~=b";
  for (int i = 0; i < 300; ++i) expressions += ",a~=b";
  EXPECT_FALSE(Filter::Parse(expressions).ok());
  EXPECT_FALSE(FilterSet::Parse(std::vector<std::string>(1100, "name~=a")).ok());
  EXPECT_TRUE(FilterSet::Parse(std::vector<std::string>(1100, "name==a")).ok());
  EXPECT_FALSE(Filter::Parse("name~=/((a{100}){100}){100}/").ok());
}

TEST(FilterTest, EveryPrefixAndEveryByteOfAFilterIsParsedOrRefused) {
  const std::string text = R"(labels."a\"b".c~=/x\/y/, name!=|z|,size==42)";
  for (size_t size = 0; size <= text.size(); ++size) {
    Filter::Parse(text.substr(0, size)).status().IgnoreError();
    for (const char c : {'\0', '\xff', '"', '\\', '/'}) {
      std::string changed = text;
      if (size < changed.size()) changed[size] = c;
      const auto filter = Filter::Parse(changed);
      if (filter.ok()) {
        static_cast<void>(filter->Match(Field));
      } else {
        EXPECT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument);
      }
    }
  }
}

}  // namespace
}  // namespace gantry::metadata
