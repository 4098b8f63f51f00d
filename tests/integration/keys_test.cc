// PdBackends with keys, from files, as an operator sets them up. Promise: P8.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "src/backend/credentials.h"
#include "src/security/key_file.h"
#include "tests/support/backend_pair.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary
using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class KeysTest : public ::testing::TestWithParam<TransportChoice> {
 protected:
  KeysTest() {
    std::string name = (fs::temp_directory_path() / "baton-keys-XXXXXX").string();
    dir_ = ::mkdtemp(name.data());
    make_key("prefill", security::KeyRole::kSender, {});
    make_key("decode", security::KeyRole::kReceiver, {"127.0.0.1", "localhost"});
    make_key("decode-2", security::KeyRole::kReceiver, {"10.0.0.2"});
    std::ofstream list(dir_ + "/peers.keys");
    list << std::ifstream(dir_ + "/prefill.public").rdbuf()
         << std::ifstream(dir_ + "/decode.public").rdbuf()
         << std::ifstream(dir_ + "/decode-2.public").rdbuf();
    make_key("stranger", security::KeyRole::kSender, {});
  }
  ~KeysTest() override { fs::remove_all(dir_); }

  void make_key(const std::string& name, security::KeyRole role,
                const std::vector<std::string>& addresses) {
    ASSERT_TRUE(security::write_new_key(dir_, name, role, addresses, false).ok());
  }
  Options options(Role role, const std::string& key) {
    Options options = small_options(role, 16, GetParam());
    options.pd_handshake_timeout_ms = 500ms;
    options.pd_security = Security::kCurve;
    options.pd_secret_key_file = dir_ + "/" + key + ".secret";
    options.pd_peer_keys_file = dir_ + "/peers.keys";
    return options;
  }
  std::unique_ptr<PdBackend> decoder() { return make_backend(options(Role::kReceiver, "decode")); }

  static Status put(PdBackend& prefill, const PdBackend& decode, const std::string& req_id) {
    const auto handle = prefill.batched_submit_put_task(small_keys(0, 4), staged(prefill, 0, 4),
                                                        transfer_to(decode, req_id, 4));
    return handle.ok() ? handle->wait(20s) : handle.status();
  }
  static void expect_handoff(PdBackend& prefill, PdBackend& decode, const std::string& req_id) {
    const Status ended = put(prefill, decode, req_id);
    ASSERT_TRUE(ended.ok()) << ended;
    const auto claim = decode.claim(req_id, small_keys(0, 4));
    ASSERT_TRUE(claim.ok()) << claim.status();
    EXPECT_TRUE(holds(claim->chunks()[3], 3));
  }
  /// It gets nothing, is told why within the handshake's time, and the honest go on.
  void expect_refused(const Options& options, const std::string& complaint) {
    auto decode = decoder();
    auto prefill = make_backend(options);
    const Status ended = put(*prefill, *decode, "stranger");
    EXPECT_TRUE(absl::IsDeadlineExceeded(ended)) << ended;
    EXPECT_THAT(std::string(ended.message()), AllOf(HasSubstr("500 ms"), HasSubstr(complaint)));
    EXPECT_FALSE(decode->contains(small_key(0)));
    EXPECT_EQ(prefill->stats().pages_free, 16U);
    auto honest = make_backend(this->options(Role::kSender, "prefill"));
    expect_handoff(*honest, *decode, "honest");
  }

  std::string dir_;
};

INSTANTIATE_TEST_SUITE_P(Transports, KeysTest,
                         ::testing::Values(TransportChoice::kShm, TransportChoice::kTcp),
                         [](const auto& param) {
                           return param.param == TransportChoice::kShm ? "shm" : "tcp";
                         });

TEST_P(KeysTest, ThoseWithKeysHandOff) {
  auto decode = decoder();
  auto prefill = make_backend(options(Role::kSender, "prefill"));
  expect_handoff(*prefill, *decode, "one");
  expect_handoff(*prefill, *decode, "two");
}

TEST_P(KeysTest, AnUnknownKeyGetsNothing) {
  expect_refused(options(Role::kSender, "stranger"), "refused this process's key");
}

TEST_P(KeysTest, AReceiversKeyIsNoSenders) {
  expect_refused(options(Role::kSender, "decode-2"), "refused this process's key");
}

TEST_P(KeysTest, NoKeyGetsNothing) {
  Options plain = small_options(Role::kSender, 16, GetParam());
  plain.pd_handshake_timeout_ms = 500ms;
  expect_refused(plain, "pd_security: none");
}

TEST_P(KeysTest, AReceiverWithAnotherKeyIsToldNothing) {
  // It has the address of "decode", and a key of its own that everybody knows as a sender's.
  auto impostor = make_backend(options(Role::kReceiver, "prefill"));
  auto prefill = make_backend(options(Role::kSender, "prefill"));
  const Status ended = put(*prefill, *impostor, "req");
  EXPECT_TRUE(absl::IsDeadlineExceeded(ended)) << ended;
  EXPECT_THAT(std::string(ended.message()), HasSubstr("pd_peer_keys_file"));
}

TEST_P(KeysTest, AnAddressWithoutAKeyIsRefusedAtOnce) {
  std::ofstream(dir_ + "/peers.keys") << std::ifstream(dir_ + "/prefill.public").rdbuf();
  auto prefill = make_backend(options(Role::kSender, "prefill"));
  const auto handle = prefill->batched_submit_put_task(small_keys(0, 1), staged(*prefill, 0, 1),
                                                       transfer_to(8300, 8400, "req", 1));
  ASSERT_TRUE(handle.ok());
  const Status ended = handle->wait(20s);
  EXPECT_TRUE(absl::IsFailedPrecondition(ended)) << ended;
  EXPECT_THAT(std::string(ended.message()), HasSubstr("no public key is known"));
}

TEST_P(KeysTest, KeysThatCannotWorkAreRefusedAtStart) {
  const auto refuse = [](const Options& options) {
    return std::string(PdBackend::create(options, small_layout()).status().message());
  };
  Options lost = options(Role::kReceiver, "nobody");
  EXPECT_THAT(refuse(lost), AllOf(HasSubstr("pd_secret_key_file: "), HasSubstr("nobody.secret")));
  Options swapped = options(Role::kReceiver, "decode");
  std::swap(swapped.pd_secret_key_file, swapped.pd_peer_keys_file);
  EXPECT_THAT(refuse(swapped), HasSubstr("pd_secret_key_file: "));
  ASSERT_EQ(::chmod((dir_ + "/decode.secret").c_str(), 0644), 0);
  EXPECT_THAT(refuse(options(Role::kReceiver, "decode")),
              AllOf(HasSubstr("mode 0644"), HasSubstr("chmod 600")));
}

// ---- what the log says at start
// ------------------------------------------------------------------

std::string logged(const Options& options) {
  ::testing::internal::CaptureStderr();
  const auto loaded = load_credentials(options);
  std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return log;
}

TEST(KeysLog, OpenPortsAreNamed) {
  Options open = small_options(Role::kReceiver, 4, TransportChoice::kTcp);
  EXPECT_EQ(logged(open), "");
  open.pd_peer_host = "10.1.2.3";
  EXPECT_THAT(logged(open), AllOf(HasSubstr("pd_security is none"), HasSubstr("10.1.2.3")));
  open.pd_role = Role::kSender;
  EXPECT_EQ(logged(open), "") << "a sender binds nothing";
}

TEST_P(KeysTest, ExemptionsAndRolesThatCannotWorkAreNamedInTheLog) {
  Options sending = options(Role::kSender, "prefill");
  EXPECT_EQ(logged(sending), "");
  sending.pd_proxy_host = "stock.proxy";
  sending.pd_proxy_port = 7500;
  sending.pd_proxy_plain = true;
  EXPECT_THAT(logged(sending), HasSubstr("stock.proxy:7500 is told without keys"));
  EXPECT_THAT(logged(options(Role::kSender, "decode")), HasSubstr("(decode) the role receiver"));
}

}  // namespace
}  // namespace baton
