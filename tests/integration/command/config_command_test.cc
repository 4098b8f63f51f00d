// `baton config check`, as it is typed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "src/config/option_docs.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

struct Ran {
  int status = -1;
  std::string output;
  Json json() const { return Json::parse(output); }
};

/// `before`: shell words before the command.
Ran run(const std::string& arguments, const std::string& before = "") {
  Ran ran;
  FILE* const pipe =
      ::popen((before + " " BATON_COMMAND " config " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer{};
  for (std::size_t got = 1; got > 0;) {
    got = std::fread(buffer.data(), 1, buffer.size(), pipe);
    ran.output.append(buffer.data(), got);
  }
  ran.status = WEXITSTATUS(::pclose(pipe));
  return ran;
}

class ConfigCommand : public ::testing::Test {
 protected:
  ConfigCommand() {
    std::string name = (fs::temp_directory_path() / "baton-config-XXXXXX").string();
    dir_ = ::mkdtemp(name.data());
  }
  ~ConfigCommand() override { fs::remove_all(dir_); }

  std::string write(const std::string& text) {
    std::string path = dir_ + "/lmcache.yaml";
    std::ofstream(path) << text;
    return path;
  }

  std::string dir_;
};

constexpr const char* kSender =
    "local_cpu: False\nnixl_role: sender\npd_buffer_size: 4096\nextra_config: {a: 1}\n";

Json setting(const Json& json, const std::string& key) {
  for (const Json& one : json.at("settings")) {
    if (one.at("key") == key) {
      return one;
    }
  }
  return nullptr;
}

TEST_F(ConfigCommand, ExplainsEveryValue) {
  const Ran ran = run("check " + write(kSender));
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, ContainsRegex("\npd_role  +sender  +line 2, as nixl_role  +sender: pre"));
  EXPECT_THAT(ran.output, ContainsRegex("\npd_buffer_size  +4096 bytes  +line 3  +bytes of the"));
  EXPECT_THAT(ran.output, ContainsRegex("\npd_lease_ms  +10000 ms  +default  +how long"));
  EXPECT_THAT(ran.output, ContainsRegex("\nlocal_cpu  +line 1  +LMCache's;"));
  EXPECT_THAT(ran.output, ContainsRegex("\nextra_config  +line 4  +LMCache's;"));
  EXPECT_THAT(ran.output, HasSubstr("lmcache.yaml starts a backend"));
}

TEST_F(ConfigCommand, ItsColumnsAreAligned) {
  const std::string table = run("check " + write(kSender)).output;
  const std::size_t header = table.find("FROM");
  ASSERT_NE(header, std::string::npos);
  const std::size_t role = table.find("\npd_role");
  EXPECT_EQ(table.find("line 2, as nixl_role") - role - 1, header);
}

TEST_F(ConfigCommand, SaysAllThatIsWrong) {
  const Ran ran = run("check " + write("pd_role: sender\npd_bufer_size: 1\nchunk_size: 0\n"));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.output, HasSubstr("lmcache.yaml:2: unknown key 'pd_bufer_size'; the closest"));
  EXPECT_THAT(ran.output, HasSubstr("lmcache.yaml:3: chunk_size is '0'; allowed"));
  EXPECT_THAT(ran.output, ContainsRegex("\nchunk_size  +256 tokens  +chunk_size \\(line 3\\) ref"));
  EXPECT_THAT(ran.output, HasSubstr("lmcache.yaml does not start"));
  EXPECT_THAT(ran.output, Not(HasSubstr("starts a backend")));
  const Ran none = run("check " + dir_ + "/none.yaml");
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.output, HasSubstr("none.yaml: No such file"));
}

TEST_F(ConfigCommand, TheEnvironmentCountsWhenAsked) {
  const std::string path = write(kSender);
  const std::string variables = "LMCACHE_PD_BUFFER_SIZE=8192 LMCACHE_LOG_LEVEL=INFO";
  EXPECT_THAT(run("check " + path, variables).output, HasSubstr("4096 bytes"));
  const Ran ran = run("check --env " + path, variables);
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, ContainsRegex("\npd_buffer_size  +8192 bytes  +LMCACHE_PD_BUFFER_SIZE "));
  EXPECT_THAT(ran.output, ContainsRegex("\nLMCACHE_LOG_LEVEL  +environment  +no key"));
  const Ran named = run("check --env", variables + " LMCACHE_CONFIG_FILE=" + path);
  EXPECT_EQ(named.status, 0) << named.output;
  EXPECT_THAT(named.output, HasSubstr(path + " starts a backend"));
  const Ran alone = run("check --env", variables + " LMCACHE_PD_ROLE=sender");
  EXPECT_EQ(alone.status, 0) << alone.output;
  EXPECT_THAT(alone.output, HasSubstr("environment starts a backend"));
}

TEST_F(ConfigCommand, Json) {
  const Ran ran = run("check --json --env " + write(kSender), "LMCACHE_CHUNK_SIZE=64");
  EXPECT_EQ(ran.status, 0);
  const Json json = ran.json();
  EXPECT_EQ(json.at("format"), 1);
  EXPECT_EQ(json.at("starts"), true);
  EXPECT_TRUE(json.at("errors").empty());
  const Json role = setting(json, "pd_role");
  EXPECT_EQ(role.at("value"), "sender");
  EXPECT_EQ(role.at("from"), (Json{{"source", "file"}, {"name", "nixl_role"}, {"line", 2}}));
  const Json chunk = setting(json, "chunk_size");
  EXPECT_EQ(chunk.at("unit"), "tokens");
  EXPECT_EQ(chunk.at("default"), "256");
  EXPECT_EQ(chunk.at("from"), (Json{{"source", "environment"}, {"name", "LMCACHE_CHUNK_SIZE"}}));
  EXPECT_EQ(setting(json, "pd_lease_ms").at("from"), (Json{{"source", "default"}}));
  EXPECT_EQ(json.at("meaningless").size(), 2U);
  const Ran bad = run("check --json " + write("pd_role: boss\n"));
  EXPECT_EQ(bad.status, 1);
  EXPECT_EQ(bad.json().at("starts"), false);
  EXPECT_EQ(setting(bad.json(), "pd_role").at("refused"), true);
  EXPECT_THAT(bad.json().at("errors").at(0).get<std::string>(), HasSubstr("pd_role is 'boss'"));
  EXPECT_EQ(run("check --json " + dir_ + "/none.yaml").json().at("starts"), false);
}

TEST_F(ConfigCommand, NoKeyIsLeftOut) {
  const std::set<std::string> without_a_value = {
      "pd_allocation_timeout_sec", "pd_shutdown_timeout_sec", "pd_condition_poll_interval_sec",
      "transfer_channel", "nixl_backends"};
  const std::string file = write(kSender);
  const Json settings = run("check --json " + file).json().at("settings");
  const std::string table = run("check " + file).output;
  std::size_t explained = 0;
  for (const OptionDoc& doc : option_docs()) {
    if (without_a_value.contains(doc.name)) {
      continue;
    }
    const Json one = setting({{"settings", settings}}, doc.name);
    ASSERT_FALSE(one.is_null()) << doc.name;
    EXPECT_EQ(one.at("meaning"), doc.meaning);
    EXPECT_FALSE(doc.meaning.empty()) << doc.name;
    EXPECT_EQ(one.at("type"), doc.type);
    EXPECT_EQ(one.at("range"), doc.range);
    EXPECT_EQ(one.at("default"), doc.default_value);
    EXPECT_THAT(table, HasSubstr("\n" + doc.name + " "));
    ++explained;
  }
  EXPECT_EQ(settings.size(), explained) << "a key twice, or one that the README doesn't have";
}

TEST_F(ConfigCommand, HelpAndWrongArguments) {
  const Ran help = run("check --help");
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.output, HasSubstr("baton config check lmcache-decoder-config.yaml"));
  EXPECT_EQ(run("check").status, 2);
  EXPECT_EQ(run("").status, 2);
}

}  // namespace
}  // namespace baton
