// LMCACHE_* variables: what they override, and how values are spelled in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "baton/options.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kReceiver = R"(
pd_role: receiver
pd_buffer_size: 1048576
pd_peer_init_port: 8300
pd_peer_alloc_port: 8400
)";

ParsedOptions parsed(const std::string& yaml, const Environment& environment) {
  const auto result = parse_options(yaml, "test.yaml", environment);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : ParsedOptions{};
}

std::string error_of(const std::string& yaml, const Environment& environment) {
  const Status status = parse_options(yaml, "test.yaml", environment).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(LmcacheEnvironment, OverridesTheFile) {
  const Options options = parsed(kReceiver, {{"LMCACHE_PD_BUFFER_SIZE", "4096"},
                                             {"LMCACHE_PD_PEER_INIT_PORT", "7300, 7301,"},
                                             {"LMCACHE_PD_PEER_ALLOC_PORT", "7400,7401"},
                                             {"LMCACHE_PD_PEER_HOST", " 'decode.example' "},
                                             {"LMCACHE_CHUNK_SIZE", "\"64\""},
                                             {"LMCACHE_ENABLE_PD", "1"},
                                             {"LMCACHE_SAVE_UNFULL_CHUNK", "0"},
                                             {"LMCACHE_PD_SHUTDOWN_TIMEOUT_SEC", "2.5"},
                                             {"LMCACHE_PD_TRANSPORT", "tcp"},
                                             {"LMCACHE_BUSY_POLL", "True"},
                                             {"PD_ROLE", "sender"}})
                              .options;
  EXPECT_EQ(options.pd_role, Role::kReceiver);
  EXPECT_EQ(options.pd_buffer_size, 4096U);
  EXPECT_THAT(options.pd_peer_init_port, ElementsAre(7300, 7301));
  EXPECT_THAT(options.pd_peer_alloc_port, ElementsAre(7400, 7401));
  EXPECT_EQ(options.pd_peer_host, "decode.example");
  EXPECT_EQ(options.chunk_size, 64U);
  EXPECT_FALSE(options.save_unfull_chunk);
  EXPECT_EQ(options.pd_shutdown_timeout_ms, milliseconds(2500));
  EXPECT_EQ(options.pd_transport, TransportChoice::kTcp);
  EXPECT_TRUE(options.busy_poll);
}

TEST(LmcacheEnvironment, OldNamesOverrideNewOnesInTheFileAndSecondsMilliseconds) {
  const Options options =
      parsed(std::string(kReceiver) + "pd_admission_timeout_ms: 7\n",
             {{"LMCACHE_NIXL_BUFFER_SIZE", "8192"}, {"LMCACHE_PD_ALLOCATION_TIMEOUT_SEC", "inf"}})
          .options;
  EXPECT_EQ(options.pd_buffer_size, 8192U);
  EXPECT_EQ(options.pd_admission_timeout_ms, std::chrono::days(1));
}

TEST(LmcacheEnvironment, MendsWhatTheFileHasWrong) {
  const std::string cuda = std::string(kReceiver) + "pd_buffer_device: cuda\n";
  EXPECT_THAT(error_of(cuda, {}), HasSubstr("only cpu"));
  parsed(cuda, {{"LMCACHE_PD_BUFFER_DEVICE", "cpu"}});
  parsed(cuda, {{"LMCACHE_NIXL_BUFFER_DEVICE", "cpu"}});
}

TEST(LmcacheEnvironment, ContradictionsInItAreErrorsThatNameBoth) {
  EXPECT_THAT(
      error_of(kReceiver, {{"LMCACHE_NIXL_BUFFER_SIZE", "1"}, {"LMCACHE_PD_BUFFER_SIZE", "2"}}),
      HasSubstr("environment: LMCACHE_NIXL_BUFFER_SIZE: LMCACHE_NIXL_BUFFER_SIZE says 1, but "
                "LMCACHE_PD_BUFFER_SIZE says 2"));
}

TEST(LmcacheEnvironment, BadValuesNameTheVariable) {
  EXPECT_THAT(error_of(kReceiver, {{"LMCACHE_PD_PROXY_PORT", "http"}}),
              HasSubstr("environment: LMCACHE_PD_PROXY_PORT: pd_proxy_port is 'http'; allowed"));
  EXPECT_THAT(error_of(kReceiver, {{"LMCACHE_PD_PROXY_PORT", ""}}), HasSubstr("pd_proxy_port is"));
  EXPECT_THAT(error_of(kReceiver, {{"LMCACHE_PD_PEER_INIT_PORT", "1,x"}}), HasSubstr("['1', 'x']"));
  EXPECT_THAT(error_of(kReceiver, {{"LMCACHE_BUSY_POLL", "maybe"}}), HasSubstr("busy_poll is"));
  EXPECT_THAT(error_of(kReceiver, {{"LMCACHE_ENABLE_XPYD", "false"}}),
              HasSubstr("enable_xpyd is an old name of enable_pd: enable_pd is 'false'"));
}

TEST(LmcacheEnvironment, VariablesThatAreNoKeysAreNoErrors) {
  const ParsedOptions result = parsed(kReceiver, {{"LMCACHE_LOG_LEVEL", "INFO"},
                                                  {"LMCACHE_LOCAL_CPU", "True"},
                                                  {"LMCACHE_EC_CHUNK_SIZE", "1"},
                                                  {"LMCACHE_CONFIG_FILE", "/nowhere"},
                                                  {"LMCACHE_pd_role", "sender"},
                                                  {"LMCACHE_" + std::string(500, 'X'), "1"}});
  EXPECT_THAT(result.notes,
              ElementsAre(HasSubstr("nothing here: LMCACHE_LOCAL_CPU, LMCACHE_LOG_LEVEL;")));
}

TEST(LmcacheEnvironment, IsNotReadUnlessItIsPassed) {
  ASSERT_EQ(::setenv("LMCACHE_PD_BUFFER_SIZE", "17", 1), 0);
  EXPECT_EQ(parsed(kReceiver, {}).options.pd_buffer_size, 1'048'576U);
  EXPECT_EQ(lmcache_environment().at("LMCACHE_PD_BUFFER_SIZE"), "17");
  EXPECT_EQ(lmcache_environment().count("PATH"), 0U);
  ASSERT_EQ(::unsetenv("LMCACHE_PD_BUFFER_SIZE"), 0);
}

class FromEnvironment : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "baton-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    std::ofstream(folder_ / "lmcache.yaml") << kReceiver;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(FromEnvironment, ReadsTheFileThatIsNamedAndOverridesIt) {
  const auto result = load_options_from_environment(
      {{"LMCACHE_CONFIG_FILE", (folder_ / "lmcache.yaml").string()}, {"LMCACHE_CHUNK_SIZE", "32"}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->options.pd_buffer_size, 1'048'576U);
  EXPECT_EQ(result->options.chunk_size, 32U);
  EXPECT_THAT(result->notes, IsEmpty());
  EXPECT_THAT(std::string(load_options_from_environment(
                              {{"LMCACHE_CONFIG_FILE", (folder_ / "none.yaml").string()}})
                              .status()
                              .message()),
              HasSubstr("none.yaml: No such file"));
}

TEST_F(FromEnvironment, NeedsNoFile) {
  for (const Environment& file : {Environment{}, Environment{{"LMCACHE_CONFIG_FILE", ""}}}) {
    Environment environment = file;
    environment["LMCACHE_PD_ROLE"] = "sender";
    EXPECT_THAT(std::string(load_options_from_environment(environment).status().message()),
                StartsWith("environment: pd_buffer_size is 0"));
    environment["LMCACHE_PD_BUFFER_SIZE"] = "4096";
    const auto result = load_options_from_environment(environment);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->options.pd_role, Role::kSender);
  }
}

}  // namespace
}  // namespace baton
