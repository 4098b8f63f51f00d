// LMCache's own files, as its examples have them, start Baton unchanged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "baton/options.h"

namespace baton {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string path_of(const std::string& name) {
  return std::string(BATON_SOURCE_DIR) + "/tests/unit/config/lmcache/" + name + ".yaml";
}

ParsedOptions loaded(const std::string& name, const Environment& environment = {}) {
  auto result = load_options(path_of(name), environment);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : ParsedOptions{};
}

std::string error_of(const std::string& yaml) {
  const Status status = parse_options(yaml, "lmcache.yaml").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << yaml;
  return std::string(status.message());
}

TEST(LmcacheFiles, Prefiller) {
  const ParsedOptions parsed = loaded("prefiller");
  EXPECT_EQ(parsed.options.pd_role, Role::kSender);
  EXPECT_EQ(parsed.options.pd_proxy_host, "localhost");
  EXPECT_EQ(parsed.options.pd_proxy_port, 7500);
  EXPECT_EQ(parsed.options.pd_buffer_size, 1U << 30U);
  EXPECT_TRUE(parsed.options.save_unfull_chunk);
  EXPECT_THAT(parsed.notes, ElementsAre(HasSubstr("nothing here: local_cpu (line 2), "
                                                  "transfer_channel (line 6), nixl_backends "
                                                  "(line 12);")));
}

TEST(LmcacheFiles, Decoder) {
  const ParsedOptions parsed = loaded("decoder");
  EXPECT_EQ(parsed.options.pd_role, Role::kReceiver);
  EXPECT_EQ(parsed.options.pd_peer_host, "localhost");
  EXPECT_THAT(parsed.options.pd_peer_init_port, ElementsAre(7300, 7301));
  EXPECT_THAT(parsed.options.pd_peer_alloc_port, ElementsAre(7400, 7401));
  EXPECT_EQ(parsed.options.pd_buffer_size, 2'147'483'648U);
}

TEST(LmcacheFiles, WhatBatonHasNoUseForIsNamedInOneLine) {
  const ParsedOptions parsed = loaded("decoder-with-remote");
  EXPECT_THAT(parsed.options.pd_peer_init_port, ElementsAre(7300));
  EXPECT_THAT(parsed.notes,
              ElementsAre(AllOf(StartsWith(path_of("decoder-with-remote") + ": "),
                                HasSubstr("remote_url (line 5), remote_serde (line 6)"),
                                HasSubstr("pd_retrieve_locations (line 11)"),
                                HasSubstr("save_decode_cache"), Not(HasSubstr("save_unfull")))));
}

TEST(LmcacheFiles, OldNames) {
  const ParsedOptions prefiller = loaded("xpyd-prefiller");
  EXPECT_EQ(prefiller.options.pd_role, Role::kSender);
  EXPECT_EQ(prefiller.options.pd_buffer_size, 1'056'964'608U);
  EXPECT_EQ(prefiller.options.pd_proxy_host, "localhost");
  EXPECT_EQ(prefiller.options.pd_proxy_port, 7500);
  EXPECT_THAT(prefiller.notes, ElementsAre(Not(HasSubstr("remote_serde"))));  // null: not given
  const ParsedOptions decoder = loaded("xpyd-decoder");
  EXPECT_EQ(decoder.options.pd_role, Role::kReceiver);
  EXPECT_EQ(decoder.options.pd_peer_host, "localhost");
  EXPECT_THAT(decoder.options.pd_peer_init_port, ElementsAre(7300));
  EXPECT_THAT(decoder.options.pd_peer_alloc_port, ElementsAre(7400));
  EXPECT_EQ(decoder.options.pd_buffer_size, 2'113'929'216U);
}

TEST(LmcacheFiles, BidirectionalOnes) {
  const ParsedOptions prefiller = loaded("bidirectional-prefiller");
  EXPECT_EQ(prefiller.options.pd_role, Role::kSender);
  EXPECT_TRUE(prefiller.options.pd_bidirectional);
  const ParsedOptions decoder = loaded("bidirectional-decoder");
  EXPECT_EQ(decoder.options.pd_role, Role::kReceiver);
  EXPECT_TRUE(decoder.options.pd_bidirectional);
  EXPECT_THAT(decoder.options.pd_peer_query_port, ElementsAre(7500, 7501));
  EXPECT_TRUE(loaded("prefiller", {{"LMCACHE_PD_BIDIRECTIONAL", "true"}}).options.pd_bidirectional);
}

TEST(LmcacheFiles, ValuesAreReadAsLmcacheConvertsThem) {
  const ParsedOptions parsed = loaded("prefiller-full");
  EXPECT_EQ(parsed.options.chunk_size, 256U);
  EXPECT_EQ(parsed.options.pd_buffer_size, 2'147'483'648U);
  EXPECT_EQ(parsed.options.pd_proxy_port, 7500);
  EXPECT_FALSE(parsed.options.pd_skip_proxy_notification);
  EXPECT_EQ(parsed.options.pd_admission_timeout_ms, std::chrono::days(1));
  EXPECT_THAT(parsed.notes,
              ElementsAre(HasSubstr(":29: pd_allocation_timeout_sec is for ever; taken as 86400 s"),
                          HasSubstr("extra_config (line 9)")));
}

TEST(LmcacheFiles, TheEncoderCachesKeysMeanNothing) {
  const auto parsed =
      parse_options("pd_role: sender\npd_buffer_size: 1\nec_local_disk: /tmp/ec\nec: {a: 1}\n", "");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->notes, ElementsAre(HasSubstr("ec_local_disk (line 3), ec (line 4)")));
}

TEST(LmcacheFiles, ManyMeaninglessKeysAreCounted) {
  std::string yaml = "pd_role: sender\npd_buffer_size: 1\n";
  Environment environment;
  for (int i = 0; i < 100; ++i) {
    environment["LMCACHE_NEW_" + std::to_string(i)] = "1";
  }
  const auto parsed = parse_options(yaml, "lmcache.yaml", environment);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->notes, ElementsAre(HasSubstr("LMCACHE_NEW_35 and 70 more")));
}

TEST(LmcacheFiles, CudaIsRefusedWithTheReasonUnderBothNames) {
  const std::string sender = "pd_role: sender\npd_buffer_size: 1\n";
  for (const char* device : {"cuda", "cuda:0", "\"cuda\""}) {
    EXPECT_THAT(error_of(sender + "pd_buffer_device: " + device),
                AllOf(StartsWith("lmcache.yaml:3: pd_buffer_device is 'cuda"),
                      HasSubstr("only cpu (CUDA memory is not supported yet)")));
  }
  EXPECT_THAT(error_of(sender + "nixl_buffer_device: cuda"),
              HasSubstr("lmcache.yaml:3: nixl_buffer_device is an old name of pd_buffer_device: "
                        "pd_buffer_device is 'cuda'; allowed: str: only cpu (CUDA"));
}

TEST(LmcacheFiles, AnOldNameThatContradictsTheNewOneIsAnErrorThatNamesBoth) {
  const std::string sender = "pd_role: sender\npd_buffer_size: 1\n";
  EXPECT_THAT(error_of(sender + "nixl_role: receiver"),
              HasSubstr("lmcache.yaml:3: nixl_role says receiver, but pd_role in line 1 says "
                        "sender; give one of them"));
  EXPECT_THAT(error_of("nixl_buffer_size: 2\n" + sender),
              HasSubstr("lmcache.yaml:1: nixl_buffer_size says 2, but pd_buffer_size in line 3 "
                        "says 1"));
  EXPECT_THAT(error_of(sender + "enable_pd: true\nenable_xpyd: false"),
              HasSubstr("enable_xpyd is an old name of enable_pd: enable_pd is 'false'"));
  EXPECT_THAT(
      error_of("pd_role: receiver\npd_buffer_size: 1\npd_peer_alloc_port: 1\n"
               "pd_peer_init_port: [1, 2]\nnixl_peer_init_port: [1, 3]"),
      HasSubstr("nixl_peer_init_port says [1, 3], but pd_peer_init_port in line 4 says [1, 2]"));
  EXPECT_TRUE(parse_options(sender + "nixl_role: sender\nnixl_buffer_size: \"1\"", "same").ok());
  EXPECT_TRUE(parse_options(sender + "nixl_role: null", "null").ok());
}

TEST(LmcacheFiles, UnknownKeysAreComparedWithAllThatAreKnown) {
  EXPECT_THAT(error_of("nixl_rolle: sender"), HasSubstr("the closest known one is nixl_role"));
  EXPECT_THAT(error_of("local_cpus: 1"), HasSubstr("the closest known one is local_cpu"));
}

}  // namespace
}  // namespace baton
