// What an operator's UCX_TLS may open.
#include "src/transport/ucx/allowed_transports.h"

#include <gtest/gtest.h>

namespace baton::transport::ucx {
namespace {

TEST(UcxAllowedTransports, RdmaMay) {
  for (const char* const list : {"rc", "rc_verbs,ud_verbs", "ib", "rc_x,cuda"}) {
    EXPECT_TRUE(check_transports(list).ok()) << list;
    EXPECT_TRUE(check_transports(list, /*tcp_too=*/true).ok()) << list;
  }
}

TEST(UcxAllowedTransports, TcpMayWhereItIsWanted) {
  EXPECT_EQ(check_transports("tcp").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(check_transports("rc,tcp").code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(check_transports("tcp", /*tcp_too=*/true).ok());
  EXPECT_TRUE(check_transports("rc,tcp", /*tcp_too=*/true).ok());
}

TEST(UcxAllowedTransports, WhatNoFenceStopsMayNot) {
  for (const char* const list :
       {"all", "sm", "shm", "posix", "cma", "tcp,cma", "^cma", "self,tcp"}) {
    EXPECT_EQ(check_transports(list, /*tcp_too=*/true).code(), StatusCode::kFailedPrecondition)
        << list;
  }
}

TEST(UcxAllowedTransports, SomethingHasToWrite) {
  EXPECT_EQ(check_transports("ud").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(check_transports("", /*tcp_too=*/true).code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace baton::transport::ucx
