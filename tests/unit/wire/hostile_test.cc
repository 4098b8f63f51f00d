// Bytes that no encoder made: never a crash, never more memory than they are worth, never a
// message that means something else.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "src/wire/codec.h"
#include "src/wire/writer.h"
#include "tests/unit/wire/allocation_counter.h"
#include "tests/unit/wire/samples.h"

namespace baton::wire {
namespace {

/// Decodes, and holds the decoder to what it promises for any bytes at all.
bool accepted(const std::string& bytes) {
  const testing::AllocationCounter counter;
  const StatusOr<Message> message = decode(bytes, Limits{});
  EXPECT_LE(counter.bytes(), (16U << 10U) + 16 * bytes.size());
  if (!message.ok()) {
    EXPECT_EQ(message.status().code(), StatusCode::kInvalidArgument);
    return false;
  }
  // What was understood can be said again, and then means the same.
  const StatusOr<Message> again = decode(encode(*message), Limits{});
  EXPECT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again.ok() && *again == *message) << type_name(*message);
  return true;
}

TEST(Hostile, NoTruncatedMessageIsAccepted) {
  for (const Message& message : samples::all()) {
    const std::string bytes = encode(message);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_FALSE(accepted(bytes.substr(0, length))) << type_name(message) << " at " << length;
    }
  }
}

TEST(Hostile, NoTrailingByteIsAccepted) {
  for (const Message& message : samples::all()) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      EXPECT_FALSE(accepted(encode(message) + static_cast<char>(byte))) << type_name(message);
    }
  }
}

TEST(Hostile, EveryByteMayChange) {
  constexpr std::array<std::uint8_t, 16> kHeads{0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xC0,
                                                0xC1, 0xC3, 0xC6, 0xD3, 0xDB, 0xDD, 0xDF, 0xFF};
  std::size_t refused = 0;
  for (const Message& message : samples::all()) {
    const std::string bytes = encode(message);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      std::vector<std::uint8_t> values(kHeads.begin(), kHeads.end());
      for (unsigned bit = 0; bit < 8; ++bit) {
        values.push_back(
            static_cast<std::uint8_t>(static_cast<std::uint8_t>(bytes[at]) ^ 1U << bit));
      }
      for (const std::uint8_t value : values) {
        std::string mutated = bytes;
        mutated[at] = static_cast<char>(value);
        refused += accepted(mutated) ? 0 : 1;
      }
    }
  }
  EXPECT_GT(refused, 10'000U);
}

TEST(Hostile, RandomBytesAfterAPlausibleStart) {
  constexpr unsigned kSeed = 20'240'601;
  std::mt19937 random(kSeed);
  for (int i = 0; i < 20'000; ++i) {
    const std::vector<Message> all = samples::all();
    std::string bytes = encode(all[random() % all.size()]);
    const std::size_t from = random() % bytes.size();
    for (std::size_t at = from; at < bytes.size() && at < from + 8; ++at) {
      bytes[at] = static_cast<char>(random());
    }
    accepted(bytes);
  }
}

/// The bytes of a message of one type with one field.
std::string message_with(const char* type, const char* field, const std::string& value) {
  Writer writer;
  writer.map(2);
  writer.str("type");
  writer.str(type);
  writer.str(field);
  writer.append(value);
  return std::move(writer).take();
}

TEST(Hostile, ManyEmptyElementsBuyLittleMemory) {
  constexpr std::size_t kCount = 60'000;
  Writer list;
  list.array(kCount);
  const std::string head = std::move(list).take();
  for (const char filler : {'\xA0', '\x00', '\x90', '\x80', '\xC0'}) {
    const std::string value = head + std::string(kCount, filler);
    EXPECT_FALSE(accepted(message_with("AllocRequest", "keys", value)));
    EXPECT_FALSE(accepted(message_with("BatonCommitRequest", "generations", value)));
    EXPECT_FALSE(accepted(message_with("BatonHello", "transports", value)));
    EXPECT_EQ(accepted(message_with("AllocResponse", "remote_indexes", value)), filler == '\x00');
    EXPECT_FALSE(accepted(message_with("ProxyNotif", "future", value)));
  }
}

TEST(Hostile, TheWidestAcceptedMessagesStayWithinTheirBound) {
  AllocRequest keys = samples::alloc_request();
  keys.keys = std::vector<std::string>(50'000, "a@1@0@0@half");
  EXPECT_TRUE(accepted(encode(keys)));
  AllocResponse indexes;
  indexes.remote_indexes.assign(60'000, 0);
  EXPECT_TRUE(accepted(encode(indexes)));
}

TEST(Hostile, AFieldThatIsThereTwiceIsRefused) {
  Writer writer;
  writer.map(3);
  for (const char* text : {"type", "ProxyNotif", "req_id", "a", "req_id", "b"}) {
    writer.str(text);
  }
  EXPECT_FALSE(accepted(std::move(writer).take()));
}

TEST(Hostile, ErrorsCanNotFloodALog) {
  const std::string type(900, '\n');
  Writer writer;
  writer.map(1);
  writer.str("type");
  writer.str(type);
  const StatusOr<Message> message = decode(std::move(writer).take(), Limits{});
  ASSERT_FALSE(message.ok());
  EXPECT_LT(message.status().message().size(), 400U);
  EXPECT_EQ(std::string(message.status().message()).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace baton::wire
