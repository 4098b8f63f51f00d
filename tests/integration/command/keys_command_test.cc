// `baton keys`, as it is typed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

struct Ran {
  int status = -1;
  std::string output;
};

Ran run(const std::string& arguments) {
  Ran ran;
  FILE* const pipe = ::popen((BATON_COMMAND " keys " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer{};
  for (std::size_t got = 1; got > 0;) {
    got = std::fread(buffer.data(), 1, buffer.size(), pipe);
    ran.output.append(buffer.data(), got);
  }
  ran.status = WEXITSTATUS(::pclose(pipe));
  return ran;
}

class KeysCommand : public ::testing::Test {
 protected:
  KeysCommand() {
    std::string name = (fs::temp_directory_path() / "baton-keys-XXXXXX").string();
    dir_ = ::mkdtemp(name.data());
  }
  ~KeysCommand() override { fs::remove_all(dir_); }
  std::string dir_;
};

TEST_F(KeysCommand, GeneratesShowsAndReplacesOnlyByForce) {
  const std::string generate =
      "generate --out " + dir_ + " --name decode-1 --role receiver --address 10.0.0.7";
  const Ran made = run(generate);
  EXPECT_EQ(made.status, 0) << made.output;
  EXPECT_THAT(made.output, AllOf(HasSubstr("decode-1 receiver 10.0.0.7"),
                                 HasSubstr("pd_secret_key_file: " + dir_ + "/decode-1.secret")));
  struct stat about {};
  ASSERT_EQ(::stat((dir_ + "/decode-1.secret").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777U, 0600U);

  const Ran secret = run("show " + dir_ + "/decode-1.secret");
  const Ran open = run("show " + dir_ + "/decode-1.public");
  EXPECT_EQ(secret.output.size(), 65U) << secret.output;
  EXPECT_EQ(open.output, secret.output.substr(0, 64) + " decode-1 receiver 10.0.0.7\n");

  const Ran again = run(generate);
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.output, HasSubstr("--force"));
  EXPECT_EQ(run("show " + dir_ + "/decode-1.secret").output, secret.output);
  EXPECT_EQ(run(generate + " --force").status, 0);
  EXPECT_NE(run("show " + dir_ + "/decode-1.secret").output, secret.output);
}

TEST_F(KeysCommand, SaysWhatIsWrong) {
  EXPECT_EQ(run("").status, 2);
  EXPECT_EQ(run("generate --role boss").status, 2);
  const Ran nowhere = run("generate --out " + dir_ + "/nowhere");
  EXPECT_EQ(nowhere.status, 1);
  EXPECT_THAT(nowhere.output, HasSubstr("No such file or directory"));
  const Ran sender = run("generate --out " + dir_ + " --role sender --address h");
  EXPECT_EQ(sender.status, 1);
  EXPECT_THAT(sender.output, HasSubstr("leave out the address 'h'"));
  EXPECT_TRUE(fs::is_empty(dir_));
  EXPECT_EQ(run("show " + dir_ + "/nothing").status, 1);
}

}  // namespace
