// Key files: their modes, and what is refused, kept or replaced.
#include "src/security/key_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace baton::security {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class KeyFileTest : public ::testing::Test {
 protected:
  KeyFileTest() {
    std::string name = (fs::temp_directory_path() / "baton-keys-XXXXXX").string();
    dir_ = ::mkdtemp(name.data());
  }
  ~KeyFileTest() override { fs::remove_all(dir_); }

  StatusOr<WrittenKey> write(bool overwrite = false) {
    return write_new_key(dir_, "decode-1", KeyRole::kReceiver, {"h1"}, overwrite);
  }
  static unsigned mode(const std::string& path) {
    struct stat about {};
    EXPECT_EQ(::stat(path.c_str(), &about), 0);
    return about.st_mode & 07777U;
  }
  static std::string text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(dir_), fs::directory_iterator()));
  }

  std::string dir_;
};

TEST_F(KeyFileTest, WritesAPairThatIsReadBack) {
  const mode_t before = ::umask(0);
  const auto written = write();
  ::umask(before);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(mode(written->secret_path), 0600U);
  EXPECT_EQ(mode(written->public_path), 0644U);
  EXPECT_EQ(files(), 2U);
  const auto secret = read_secret_key(written->secret_path);
  ASSERT_TRUE(secret.ok()) << secret.status();
  const auto peers = PeerKeys::load(written->public_path);
  ASSERT_TRUE(peers.ok()) << peers.status();
  const PeerKey* const peer = peers->find(secret->public_key());
  ASSERT_NE(peer, nullptr);
  EXPECT_EQ(peer->name, "decode-1");
  EXPECT_EQ(peer->role, KeyRole::kReceiver);
  EXPECT_THAT(text(written->public_path), testing::Not(HasSubstr("secret")));
}

TEST_F(KeyFileTest, ReplacesNothingUnlessTold) {
  const auto first = write();
  ASSERT_TRUE(first.ok());
  const std::string secret = text(first->secret_path);
  EXPECT_EQ(write().status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(text(first->secret_path), secret);
  fs::remove(first->secret_path);
  EXPECT_EQ(write().status().code(), StatusCode::kAlreadyExists) << "the public one is there";
  EXPECT_EQ(files(), 1U);

  const auto forced = write(true);
  ASSERT_TRUE(forced.ok()) << forced.status();
  EXPECT_NE(text(forced->secret_path), secret);
  EXPECT_EQ(mode(forced->secret_path), 0600U);
  EXPECT_EQ(files(), 2U);
}

TEST_F(KeyFileTest, RefusesASecretThatOthersMayRead) {
  const auto written = write();
  ASSERT_TRUE(written.ok());
  for (const mode_t shared : {0640U, 0604U, 0660U, 0601U}) {
    ASSERT_EQ(::chmod(written->secret_path.c_str(), shared), 0);
    const Status status = read_secret_key(written->secret_path).status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << std::oct << shared;
    EXPECT_THAT(std::string(status.message()), HasSubstr("chmod 600 " + written->secret_path));
  }
  ASSERT_EQ(::chmod(written->secret_path.c_str(), 0400), 0);
  EXPECT_TRUE(read_secret_key(written->secret_path).ok());
}

TEST_F(KeyFileTest, RefusesWhatIsNoKeyFile) {
  const std::string path = dir_ + "/x";
  EXPECT_EQ(read_secret_key(path).status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(read_secret_key(dir_).ok());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(std::string(read_secret_key(path).status().message()), HasSubstr("regular file"));
  fs::remove(path);
  const auto store = [&](const std::string& content) {
    std::ofstream(path) << content;
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  };
  for (const std::string& content :
       {std::string(), std::string(64, '1'), std::string("baton-secret-key 12\n"),
        "baton-secret-key " + std::string(66, '1')}) {
    store(content);
    EXPECT_THAT(std::string(read_secret_key(path).status().message()),
                HasSubstr("holds no secret key"))
        << content;
  }
  store(std::string(5000, 'x'));
  EXPECT_THAT(std::string(read_secret_key(path).status().message()), HasSubstr("4096 bytes"));
  store("baton-secret-key " + std::string(64, '1'));
  EXPECT_TRUE(read_secret_key(path).ok()) << "no comment, no last newline";
}

TEST_F(KeyFileTest, NamesStayInTheirDirectory) {
  for (const std::string name : {"../x", "a/b", ".hidden", "", "a b"}) {
    EXPECT_FALSE(write_new_key(dir_, name, KeyRole::kAny, {}, false).ok()) << name;
  }
  EXPECT_EQ(files(), 0U);
}

}  // namespace
}  // namespace baton::security
