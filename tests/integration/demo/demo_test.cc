// `baton demo`, as a user runs it: the real program and its real processes, in its short form.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "src/base/unique_fd.h"

namespace baton {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

/// Enough for a shared prefix, a second turn and a prompt of one token.
const std::vector<std::string> kShort = {"--requests", "5", "--tokens", "4", "--timeout", "100"};

struct Finished {
  int status = -1;
  std::string output;  ///< standard output and error, in the order of writing
  nlohmann::json json;
};

class Demo : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "baton-demo-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    // The tiny model is written here, so each test is a first use.
    ::setenv("XDG_CACHE_HOME", name.c_str(), 1);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// `baton ARGS`, output to a file.
  pid_t start(std::vector<std::string> args) {
    args.insert(args.begin(), "baton");
    std::vector<char*> argv;
    for (std::string& arg : args) {
      argv.push_back(arg.data());
    }
    argv.push_back(nullptr);
    const UniqueFd log(::open(path("log").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600));
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, log.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, log.get(), STDERR_FILENO);
    pid_t pid = -1;
    EXPECT_EQ(::posix_spawn(&pid, BATON_COMMAND, &actions, nullptr, argv.data(), environ), 0);
    ::posix_spawn_file_actions_destroy(&actions);
    return pid;
  }

  Finished finish(pid_t pid) {
    Finished result;
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result.output = read("log");
    if (fs::exists(path("json"))) {
      result.json = nlohmann::json::parse(read("json"), nullptr, /*allow_exceptions=*/false);
    }
    return result;
  }

  Finished run(const std::vector<std::string>& args) { return finish(start(args)); }

  Finished run_short(const std::vector<std::string>& more) {
    std::vector<std::string> args = {"demo", "--json", path("json")};
    args.insert(args.end(), kShort.begin(), kShort.end());
    args.insert(args.end(), more.begin(), more.end());
    return run(args);
  }

  fs::path directory_;
};

/// What the JSON file of a good run says, whatever the transport.
void expect_good(const Finished& demo, std::size_t requests) {
  EXPECT_EQ(demo.status, 0) << demo.output;
  ASSERT_TRUE(demo.json.is_object()) << demo.output;
  EXPECT_EQ(demo.json.at("identical_all"), true);
  const auto pages = demo.json.at("pages_total").get<std::uint64_t>();
  EXPECT_GT(pages, 0U);
  EXPECT_EQ(demo.json.at("pages_free_after_evict_all").get<std::uint64_t>(), pages);
  const auto retained = demo.json.at("pages_retained_at_end").get<std::uint64_t>();
  EXPECT_GT(retained, 0U);
  EXPECT_LE(retained, pages);

  ASSERT_EQ(demo.json.at("requests").size(), requests);
  std::uint64_t skipped = 0;
  std::uint64_t chunks = 0;
  std::uint64_t in_place = 0;  // requests of which no byte was moved
  for (const auto& request : demo.json.at("requests")) {
    SCOPED_TRACE(request.dump());
    EXPECT_EQ(request.at("identical"), true);
    const auto total = request.at("chunks_total").get<std::uint64_t>();
    const auto sent = request.at("chunks_sent").get<std::uint64_t>();
    EXPECT_EQ(total, sent + request.at("chunks_skipped").get<std::uint64_t>());
    EXPECT_EQ(total, (request.at("prompt_tokens").get<std::uint64_t>() + 127) / 128);
    const auto written = request.at("bytes_written").get<std::uint64_t>();
    EXPECT_TRUE(sent > 0 || written == 0);
    in_place += sent > 0 && written == 0 ? 1 : 0;
    EXPECT_GT(request.at("put_ms").get<double>(), 0);
    EXPECT_GT(request.at("ttft_ms").get<double>(), 0);
    skipped += request.at("chunks_skipped").get<std::uint64_t>();
    chunks += total;
  }
  EXPECT_EQ(in_place > 0, demo.json.at("transport") == "shm");
  EXPECT_GT(skipped, 0U) << "a shared prefix and a second turn, and nothing was found again";
  EXPECT_GT(chunks, pages) << "the buffers hold everything: nothing was tried out";
}

class DemoOver : public Demo, public testing::WithParamInterface<std::string> {};

TEST_P(DemoOver, IsIdenticalToOneProcess) {
  const Finished demo = run_short({"--transport", GetParam()});
  expect_good(demo, 5);
  EXPECT_EQ(demo.json.at("transport"), GetParam());
  EXPECT_THAT(demo.output, HasSubstr("5 of 5 requests are identical"));
}

INSTANTIATE_TEST_SUITE_P(, DemoOver, testing::Values("shm", "tcp"),
                         [](const auto& test) { return test.param; });

TEST_F(Demo, UsesEveryProcessOfTwoByTwo) {
  const Finished demo = run({"demo", "--prefillers", "2", "--decoders", "2", "--requests", "12",
                             "--tokens", "4", "--timeout", "100", "--json", path("json")});
  EXPECT_EQ(demo.status, 0) << demo.output;
  ASSERT_TRUE(demo.json.is_object()) << demo.output;
  std::array<int, 2> prefills{};
  std::array<int, 2> decodes{};
  for (const auto& request : demo.json.at("requests")) {
    ++prefills.at(request.at("prefiller").get<std::size_t>());
    ++decodes.at(request.at("decoder").get<std::size_t>());
  }
  EXPECT_THAT(prefills, testing::Each(testing::Gt(0)));
  EXPECT_THAT(decodes, testing::Each(testing::Gt(0)));
  EXPECT_EQ(demo.json.at("pages_free_after_evict_all"), demo.json.at("pages_total"));
  EXPECT_GE(demo.json.at("requests_open_at_once").get<int>(), 3);
}

class Control : public Demo, public testing::WithParamInterface<std::string> {};

TEST_P(Control, FailsAndSaysWhy) {
  const Finished demo = run_short({"--" + GetParam()});
  EXPECT_EQ(demo.status, 1) << demo.output;
  EXPECT_THAT(demo.output, HasSubstr("digest"));
  EXPECT_THAT(demo.output, Not(HasSubstr("damaged nothing")));
  ASSERT_TRUE(demo.json.is_object()) << demo.output;
  EXPECT_EQ(demo.json.at("identical_all"), false);
  EXPECT_EQ(demo.json.at("pages_free_after_evict_all"), demo.json.at("pages_total"));
  int identical = 0;
  int caught = 0;
  for (const auto& request : demo.json.at("requests")) {
    identical += request.at("identical").get<bool>() ? 1 : 0;
    caught += request.value("error", "").find("digest") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(caught, 1);
  EXPECT_EQ(identical, 3) << "all but the damaged request and its second turn";
}

INSTANTIATE_TEST_SUITE_P(, Control, testing::Values("corrupt", "corrupt-after-commit", "drop-put"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_F(Demo, RefusesAModelThatIsNone) {
  std::ofstream(path("text")) << "no model\n";
  const Finished text = run({"demo", "--model", path("text")});
  EXPECT_EQ(text.status, 1);
  EXPECT_THAT(text.output, HasSubstr("not a GGUF file"));

  const Finished missing = run({"demo", "--model", path("missing.gguf")});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.output, HasSubstr("missing.gguf"));
}

TEST_F(Demo, RefusesChunksThatTheContextCantHoldTwice) {
  const Finished demo = run({"demo", "--chunk-size", "4096"});
  EXPECT_EQ(demo.status, 1);
  EXPECT_THAT(demo.output, HasSubstr("8192 tokens"));
}

TEST_F(Demo, TellsWrongArguments) {
  const std::vector<std::vector<std::string>> wrong = {{"demo", "--transport", "pigeon"},
                                                       {"demo", "--prefillers", "0"},
                                                       {"demo", "--decoders", "99"},
                                                       {"demo", "--corrupt", "--drop-put"},
                                                       {"demo", "--chunk-size", "63"},
                                                       {"nonsense"},
                                                       {}};
  for (const auto& args : wrong) {
    const Finished demo = run(args);
    EXPECT_EQ(demo.status, 2) << demo.output;
    EXPECT_NE(demo.output, "");
  }
  EXPECT_THAT(run({"demo", "--transport", "pigeon"}).output, HasSubstr("pigeon"));
}

TEST_F(Demo, EndsInTimeAndSaysSo) {
  const Finished demo =
      run({"demo", "--requests", "500", "--timeout", "1", "--json", path("json")});
  EXPECT_EQ(demo.status, 1) << demo.output;
  EXPECT_THAT(demo.output, HasSubstr("--timeout"));
  EXPECT_EQ(demo.json.at("identical_all"), false);
}

/// All living descendants of `parent`.
std::vector<pid_t> family_of(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) +
                     "/children");
  std::vector<pid_t> family(std::istream_iterator<pid_t>(file), {});
  for (std::size_t i = 0, children = family.size(); i < children; ++i) {
    const auto more = family_of(family[i]);
    family.insert(family.end(), more.begin(), more.end());
  }
  return family;
}

/// Proxy, prefiller and decoder, as soon as there are all three; the reference run is over then.
std::vector<pid_t> await_handoff(pid_t demo) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::vector<pid_t> family;
  while (family.size() != 3 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
    family = family_of(demo);
  }
  return family;
}

TEST_F(Demo, AnInterruptEndsAllOfIt) {
  const pid_t pid = start({"demo", "--requests", "4", "--tokens", "48"});
  const auto family = await_handoff(pid);
  ASSERT_EQ(family.size(), 3U);
  ::kill(pid, SIGINT);
  const Finished demo = finish(pid);
  EXPECT_EQ(demo.status, 130) << demo.output;
  EXPECT_THAT(demo.output, HasSubstr("interrupted"));
  for (const pid_t child : family) {
    EXPECT_EQ(::kill(child, 0), -1) << "process " << child << " lives on";
  }
}

TEST_F(Demo, AWorkerThatDiesIsNamed) {
  const pid_t pid = start({"demo", "--requests", "4", "--tokens", "48", "--json", path("json")});
  const auto family = await_handoff(pid);
  ASSERT_EQ(family.size(), 3U);
  ::kill(family.back(), SIGKILL);  // the decoder: the last to be started
  const Finished demo = finish(pid);
  EXPECT_EQ(demo.status, 1);
  EXPECT_THAT(demo.output, HasSubstr("decoder 0 was ended by signal 9"));
  EXPECT_EQ(demo.json.at("identical_all"), false);
}

TEST_F(Demo, HelpShowsAnExample) {
  for (const auto& args : std::vector<std::vector<std::string>>{{"--help"}, {"demo", "--help"}}) {
    const Finished help = run(args);
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.output, ::testing::MatchesRegex("(.|\n)*Examples?:\n  baton demo(.|\n)*"));
  }
  const Finished version = run({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_THAT(version.output, testing::StartsWith("baton "));
}

}  // namespace
}  // namespace baton
