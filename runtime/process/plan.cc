#include "runtime/process/plan.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace gantry::runtime {
namespace {

constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// PATH as the process will see it: the last one wins, as in a shell.
std::string SearchPath(const std::vector<std::string>& env) {
  std::string path = kDefaultPath;
  for (const std::string& variable : env) {
    if (absl::StartsWith(variable, "PATH=")) path = variable.substr(5);
  }
  return path;
}

}  // namespace

const char* const* PlanBuilder::Pointers(const std::vector<const char*>& texts) {
  std::vector<const char*> ended = texts;
  ended.push_back(nullptr);
  return KeepArray(ended.data(), ended.size());
}

char* const* PlanBuilder::TextArray(const std::vector<std::string>& texts) {
  std::vector<const char*> copies;
  for (const std::string& text : texts) copies.push_back(Text(text));
  return const_cast<char* const*>(Pointers(copies));
}

void PlanBuilder::SetProgram(const Process& process) {
  plan_.argv = TextArray(process.args);
  plan_.program = plan_.argv[0];

  std::vector<const char*> envp;
  bool has_home = false;
  for (const std::string& variable : process.env) {
    envp.push_back(Text(variable));
    has_home = has_home || absl::StartsWith(variable, "HOME=");
  }
  if (!has_home) {
    // Filled in by the child, in its copy of this memory: only it can see the container's
    // /etc/passwd.
    HomeArgs home{};
    char fresh[kHomeSize] = "HOME=/";
    home.variable = const_cast<char*>(KeepArray(fresh, kHomeSize));
    home.uid = process.user.uid;
    envp.push_back(home.variable);
    Add(FindHome, "find the home directory of user", std::to_string(process.user.uid), home);
  }
  plan_.envp = const_cast<char* const*>(Pointers(envp));

  std::vector<const char*> candidates;
  if (absl::StrContains(process.args[0], "/")) {
    candidates.push_back(plan_.program);
  } else {
    for (absl::string_view directory : absl::StrSplit(SearchPath(process.env), ':')) {
      // An empty part would mean the working directory.
      if (directory.empty()) continue;
      candidates.push_back(Text(absl::StrCat(directory, "/", process.args[0])));
    }
  }
  plan_.candidates = Pointers(candidates);
}

ChildPlan PlanBuilder::Build() const {
  ChildPlan plan = plan_;
  plan.steps = steps_.data();
  plan.step_count = steps_.size();
  return plan;
}

}  // namespace gantry::runtime
