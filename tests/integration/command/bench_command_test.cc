// `baton bench`, as it is typed: that it runs whole and breaks off cleanly. What it measures is no
// test's business.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::vector<std::string> kCases = {"put_shm_large",
                                         "put_shm_large_digest",
                                         "put_shm_vs_lmcache_mode",
                                         "put_tcp_large",
                                         "put_ucx_overhead",
                                         "put_inplace",
                                         "latency_64k",
                                         "latency_64k_event",
                                         "latency_4k",
                                         "control_4096",
                                         "control_flat",
                                         "dedupe_512",
                                         "resident_bytes",
                                         "scale_64",
                                         "idle"};

/// A running `baton bench`, its output and errors in one pipe.
class Bench {
 public:
  explicit Bench(std::vector<std::string> arguments) {
    int fds[2];
    if (::pipe(fds) != 0) {
      std::abort();
    }
    arguments.insert(arguments.begin(), {"baton", "bench"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(fds[1], STDOUT_FILENO);
      ::dup2(fds[1], STDERR_FILENO);
      ::close(fds[0]);
      ::close(fds[1]);
      ::execv(BATON_COMMAND, argv.data());
      ::_exit(127);
    }
    ::close(fds[1]);
    output_ = ::fdopen(fds[0], "r");
  }
  ~Bench() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::fclose(output_);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  /// Reads until a line has `what` in it; false at the end of the output.
  bool read_until(const std::string& what) {
    char* line = nullptr;
    std::size_t room = 0;
    bool found = false;
    while (!found && ::getline(&line, &room, output_) > 0) {
      text_ += line;
      found = std::string(line).find(what) != std::string::npos;
    }
    std::free(line);
    return found;
  }
  std::vector<pid_t> children() const {
    const std::string pid = std::to_string(pid_);
    std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
    return {std::istream_iterator<pid_t>(file), {}};
  }
  void interrupt() const { ::kill(pid_, SIGINT); }
  /// Exit status, after everything that it still had to say.
  int finish() {
    read_until("\1");
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  const std::string& text() const { return text_; }

 private:
  pid_t pid_ = -1;
  std::FILE* output_ = nullptr;
  std::string text_;
};

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Json read_json(const std::string& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

void expect_whole(const Json& result) {
  SCOPED_TRACE(result.dump());
  for (const char* field : {"baton", "reference", "ratio", "ratio_low", "ratio_high", "target"}) {
    EXPECT_GT(result.value(field, -1.0), 0) << field;
  }
  EXPECT_LE(result["ratio_low"], result["ratio"]);
  EXPECT_GE(result["ratio_high"], result["ratio"]);
  for (const char* field : {"unit", "reference_name"}) {
    EXPECT_NE(result.value(field, ""), "") << field;
  }
  for (const char* fixed : {"transport", "integrity", "poll"}) {
    EXPECT_TRUE(result["settings"].contains(fixed)) << fixed;
  }
  for (const char* side : {"baton", "reference"}) {
    const auto samples = result["samples"][side].get<std::vector<double>>();
    EXPECT_THAT(samples, SizeIs(result["settings"].value("pairs", std::size_t{1})));
    EXPECT_THAT(samples, Each(Gt(0)));
  }
}

TEST(BenchCommand, AQuickRunMeasuresEveryCaseAndReportsItWhole) {
  std::string name = (fs::temp_directory_path() / "baton-bench-XXXXXX").string();
  const fs::path dir = ::mkdtemp(name.data());
  Bench bench({"all", "--quick", "--json", dir / "bench.json"});
  ASSERT_EQ(bench.finish(), 0) << bench.text();
  const Json report = read_json(dir / "bench.json");

  // What `make bench` makes of it.
  fs::copy_file(BATON_SOURCE_DIR "/docs/performance.md", dir / "page.md");
  const std::string plot = BATON_SOURCE_DIR "/scripts/plot-bench.py " +
                           (dir / "bench.json").string() + " " + (dir / "page.md").string() + " " +
                           (dir / "plots").string();
  EXPECT_EQ(std::system(("/usr/bin/python3 " + plot).c_str()), 0);
  std::string page = read_text(dir / "page.md");
  page.erase(0, page.find("measured: begin"));
  EXPECT_THAT(page, HasSubstr("![Ratios](plots/ratios.svg)"));
  for (const std::string& which : kCases) {
    EXPECT_THAT(page, HasSubstr("\n| `" + which + "` | "));
  }
  EXPECT_THAT(read_text(dir / "plots" / "ratios.svg"), HasSubstr("latency_64k_event"));
  EXPECT_THAT(read_text(dir / "plots" / "rates.svg"), HasSubstr("nt_copy"));
  fs::remove_all(dir);

  std::vector<std::string> cases;
  for (const Json& result : report["results"]) {
    cases.push_back(result["case"]);
    EXPECT_THAT(bench.text(), HasSubstr("\n" + cases.back() + " "));
    if (!result.contains("not_measured")) {
      expect_whole(result);
    }
  }
  EXPECT_EQ(cases, kCases);
  for (const char* limit : {"nt_copy", "memcpy", "xxh3", "raw_tcp"}) {
    EXPECT_GT(report["roofline"][limit].value("value", 0.0), 0) << limit;
  }
  EXPECT_GT(report["machine"].value("processors", 0), 0);
  EXPECT_TRUE(report["machine"]["noise"].contains("value"));
}

TEST(BenchCommand, AWorkerThatDiesEndsTheRunWithItsName) {
  Bench bench({"idle", "--pairs", "1000"});
  ASSERT_TRUE(bench.read_until("idle: pair 1 of")) << bench.text();
  const std::vector<pid_t> children = bench.children();
  ASSERT_THAT(children, SizeIs(2));
  ::kill(children[0], SIGKILL);
  EXPECT_EQ(bench.finish(), 1);
  EXPECT_THAT(bench.text(), HasSubstr("baton bench: receiver was ended by signal 9 (Killed)"));
  EXPECT_NE(::kill(children[1], 0), 0) << "the other worker outlived the run";
}

TEST(BenchCommand, CtrlCEndsAllProcesses) {
  Bench bench({"idle", "--pairs", "1000"});
  ASSERT_TRUE(bench.read_until("idle: pair 1 of")) << bench.text();
  const std::vector<pid_t> children = bench.children();
  ASSERT_THAT(children, SizeIs(2));
  bench.interrupt();
  EXPECT_EQ(bench.finish(), 130);
  EXPECT_THAT(bench.text(), HasSubstr("interrupted"));
  for (const pid_t child : children) {
    EXPECT_NE(::kill(child, 0), 0) << "a worker outlived the run";
  }
}

TEST(BenchCommand, ACaseThatIsNotThereIsSaid) {
  Bench bench({"latency", "--quick", "--case", "latency_4kk"});
  EXPECT_EQ(bench.finish(), 2);
  EXPECT_THAT(bench.text(), HasSubstr("latency_4kk"));
}

TEST(BenchCommand, AFileThatCannotBeWrittenIsSaidBeforeAnythingIsMeasured) {
  Bench bench({"latency", "--quick", "--json", "/nowhere/bench.json"});
  EXPECT_EQ(bench.finish(), 1);
  EXPECT_EQ(bench.text(), "baton bench: can't write /nowhere/bench.json\n");
}

TEST(BenchCommand, TooFewPairsAreRefused) {
  Bench bench({"latency", "--pairs", "3"});
  EXPECT_EQ(bench.finish(), 2);
}

}  // namespace
