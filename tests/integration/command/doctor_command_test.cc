// `baton doctor`, as it is typed, on the host that runs the tests.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "src/base/unique_fd.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Json = nlohmann::json;

struct Ran {
  int status = -1;
  std::string output;  ///< standard output alone
  Json json() const { return Json::parse(output); }
};

/// `before`: shell words before the command.
Ran run(const std::string& arguments, const std::string& before = "") {
  Ran ran;
  FILE* const pipe =
      ::popen((before + " " BATON_COMMAND " doctor " + arguments + " 2>/dev/null").c_str(), "r");
  std::array<char, 4096> buffer{};
  for (std::size_t got = 1; got > 0;) {
    got = std::fread(buffer.data(), 1, buffer.size(), pipe);
    ran.output.append(buffer.data(), got);
  }
  ran.status = WEXITSTATUS(::pclose(pipe));
  return ran;
}

/// A TCP port of the loopback that answers, or, not listening, refuses.
class Port {
 public:
  explicit Port(bool listening, int backlog = 8)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_.get(), raw(), sizeof address_), 0);
    socklen_t size = sizeof address_;
    EXPECT_EQ(::getsockname(socket_.get(), raw(), &size), 0);
    if (listening) {
      EXPECT_EQ(::listen(socket_.get(), backlog), 0);
    }
  }
  std::string text() const { return std::to_string(ntohs(address_.sin_port)); }
  UniqueFd start_connect() {
    UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::connect(client.get(), raw(), sizeof address_);
    return client;
  }

 private:
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&address_); }
  UniqueFd socket_;
  sockaddr_in address_{};
};

class DoctorCommand : public ::testing::Test {
 protected:
  DoctorCommand() {
    std::string name = (fs::temp_directory_path() / "baton-doctor-XXXXXX").string();
    dir_ = ::mkdtemp(name.data());
  }
  ~DoctorCommand() override { fs::remove_all(dir_); }

  /// A receiver's configuration with these lines more; its path.
  std::string write(const std::string& lines) {
    std::string path = dir_ + "/decode.yaml";
    std::ofstream(path) << "pd_role: receiver\npd_buffer_size: 1048576\n" << lines;
    return path;
  }
  Ran run_config(const std::string& lines, const std::string& init_port = "0") {
    return run("--config " +
               write("pd_peer_init_port: " + init_port + "\npd_peer_alloc_port: 0\n" + lines));
  }

  std::string dir_;
};

TEST_F(DoctorCommand, ReportsTheHostInJson) {
  const Ran ran = run("--json", "ulimit -S -l 64; UCX_LOG_LEVEL=warn");
  EXPECT_EQ(ran.status, 0);
  const Json json = ran.json();
  EXPECT_EQ(json.at("format"), 1);
  EXPECT_EQ(json.at("transports").at("shm"), true);
  EXPECT_EQ(json.at("transports").at("ucx"), !json.at("rdma_devices").empty());
  EXPECT_EQ(json.at("memlock").at("soft_bytes"), 65536);
  EXPECT_EQ(json.at("ucx").at("environment").at("UCX_LOG_LEVEL"), "warn");
  EXPECT_THAT(json.at("ucx").at("version"), HasSubstr("."));
  EXPECT_FALSE(json.contains("configuration"));
  EXPECT_FALSE(json.at("findings").empty());
}

TEST_F(DoctorCommand, PassesAConfigurationThatWorks) {
  const Ran ran = run_config("");
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("decode.yaml can work here"));
  EXPECT_THAT(ran.output, HasSubstr("ports can be bound on 127.0.0.1"));
  const std::string port = Port(false).text();  // free again
  const Ran ranks = run("--config " + write("pd_peer_init_port: [" + port + ", " + port +
                                            "]\npd_peer_alloc_port: [0, 0]\n"));
  EXPECT_EQ(ranks.status, 0) << "ranks on hosts of their own\n" << ranks.output;
}

TEST_F(DoctorCommand, FailsOneThatCant) {
  const Ran foreign = run_config("pd_peer_host: 192.0.2.1\n");
  EXPECT_EQ(foreign.status, 1);
  EXPECT_THAT(foreign.output, HasSubstr("192.0.2.1 is no address of this host"));
  EXPECT_THAT(foreign.output, HasSubstr("127.0.0.1 (lo)"));
  const Port taken(true);
  const Ran busy = run_config("", taken.text());
  EXPECT_EQ(busy.status, 1);
  EXPECT_THAT(busy.output, HasSubstr("pd_peer_init_port: "));
  EXPECT_THAT(busy.output, HasSubstr(taken.text()));
  EXPECT_EQ(run_config("pd_peer_data_port: " + taken.text() + "\n").status, 1);
  EXPECT_EQ(run_config("pd_transport: shm\npd_peer_data_port: " + taken.text() + "\n").status, 0)
      << "shm alone doesn't bind it";
  EXPECT_EQ(run("--config " + dir_ + "/nothing.yaml").status, 1);
  const Ran unknown = run_config("pd_rolle: receiver\n");
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.output, HasSubstr("the closest known one is pd_role"));
}

TEST_F(DoctorCommand, FailsUcxWithoutRdma) {
  if (!run("--json").json().at("rdma_devices").empty()) {
    GTEST_SKIP() << "this host has an RDMA device";
  }
  const Ran refused = run_config("pd_transport: ucx\n");
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.output, HasSubstr("pd_transport is ucx, but there is no RDMA device"));
  const Ran insecure = run_config("pd_transport: ucx\ninsecure_data_plane: true\n");
  EXPECT_EQ(insecure.status, 0) << insecure.output;
  EXPECT_THAT(insecure.output, HasSubstr("can write anywhere"));
  EXPECT_THAT(insecure.output, HasSubstr("UCX opens the devices"));
  const Port taken(true);
  EXPECT_EQ(run_config("pd_transport: ucx\ninsecure_data_plane: true\npd_peer_ucx_port: " +
                       taken.text() + "\n")
                .status,
            1);
  EXPECT_EQ(
      run_config("pd_transport: ucx\ninsecure_data_plane: true\npd_ucx_rails: nodevice\n").status,
      1);
}

TEST_F(DoctorCommand, KeepsWhatUcxSaysOutOfItsReport) {
  const std::string path = dir_ + "/insecure.yaml";
  std::ofstream(path) << "pd_role: sender\npd_buffer_size: 1048576\npd_transport: ucx\n"
                         "insecure_data_plane: true\n";
  const Ran ran = run("--json --config " + path, "UCX_TLS=nonsense");  // UCX warns of that
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.json().at("configuration").at("works"), false);
}

TEST_F(DoctorCommand, FailsKeysThatOthersMayRead) {
  ASSERT_EQ(
      std::system((BATON_COMMAND " keys generate --name d --out " + dir_ + " >/dev/null").c_str()),
      0);
  const std::string keys = "pd_security: curve\npd_secret_key_file: " + dir_ +
                           "/d.secret\npd_peer_keys_file: " + dir_ + "/d.public\n";
  EXPECT_EQ(run_config(keys).status, 0);
  fs::permissions(dir_ + "/d.secret", fs::perms::group_read, fs::perm_options::add);
  const Ran open = run_config(keys);
  EXPECT_EQ(open.status, 1);
  EXPECT_THAT(open.output, HasSubstr("chmod 600"));
}

TEST_F(DoctorCommand, SaysWhatItKnowsOfAPeer) {
  const Port open(true);
  const Ran answered = run("--json --peer 127.0.0.1:" + open.text());
  EXPECT_EQ(answered.status, 0);
  const Json peer = answered.json().at("peer");
  EXPECT_EQ(peer.at("choice"), "shm");
  EXPECT_EQ(peer.at("is_own"), true);
  EXPECT_EQ(peer.at("connects"), true);
  const Port closed(false);
  const Ran refused = run("--peer 127.0.0.1:" + closed.text());
  EXPECT_EQ(refused.status, 0) << "only a configuration can fail";
  EXPECT_THAT(refused.output, HasSubstr("Connection refused"));
}

TEST_F(DoctorCommand, WaitsForAPeerForTwoSecondsAtMost) {
  Port deaf(true, 0);
  std::array<UniqueFd, 4> queue;  // a full one: further connections get no answer
  for (UniqueFd& client : queue) {
    client = deaf.start_connect();
  }
  EXPECT_THAT(run("--peer 127.0.0.1:" + deaf.text()).output,
              HasSubstr("didn't answer within 2000 ms"));
}

TEST_F(DoctorCommand, RefusesWrongArguments) {
  EXPECT_EQ(run("--peer '[::1'").status, 2);
  EXPECT_EQ(run("--peer h:0").status, 2);
  EXPECT_EQ(run("extra").status, 2);
  const Ran help = run("--help");
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.output, HasSubstr("Example:"));
}

}  // namespace
}  // namespace baton
