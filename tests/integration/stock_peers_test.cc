// What an operator is told who allows LMCache's peers where they can't be served.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "src/backend/transports.h"
#include "src/transport/nixl/nixl.h"
#include "tests/support/backend_pair.h"

namespace baton {
namespace {

using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary
using ::testing::HasSubstr;

TEST(StockPeersAllowed, WithoutNixlTheStartFailsAndSaysWhatToBuild) {
  if (transport::has_nixl()) {
    GTEST_SKIP() << "this Baton has NIXL";
  }
  for (const Role role : {Role::kSender, Role::kReceiver}) {
    Options options = small_options(role, 4, TransportChoice::kTcp);
    options.pd_stock_peers = StockPeers::kAllow;
    const auto refused = PdBackend::create(options, small_layout());
    ASSERT_FALSE(refused.ok());
    const std::string message(refused.status().message());
    EXPECT_THAT(message, HasSubstr("pd_stock_peers is allow, but"));
    EXPECT_THAT(message, HasSubstr("-DBATON_WITH_NIXL=ON"));
  }
}

TEST(StockPeersAllowed, TheirPlaneIsToldWhatTheNixlTransportIs) {
  Options options;
  options.insecure_data_plane = true;
  options.pd_ucx_stall_timeout_ms = std::chrono::milliseconds(1'234);
  const transport::NixlOptions nixl = nixl_options(options);
  EXPECT_TRUE(nixl.insecure);
  EXPECT_EQ(nixl.stall_limit, std::chrono::milliseconds(1'234));
}

}  // namespace
}  // namespace baton
