// The pickles of CPython, to the byte, both ways; and nothing else.
#include "src/wire/xfer_dlist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/wire/allocation_counter.h"

namespace baton::wire {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

constexpr std::size_t kMany = 65'536;

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

const Json& vectors() {
  static const Json parsed = [] {
    const std::string path = BATON_SOURCE_DIR "/tests/vectors/nixl_xfer_dlist.json";
    std::ifstream file(path);
    EXPECT_TRUE(file) << path;
    return Json::parse(file).at("vectors");
  }();
  return parsed;
}

std::uint64_t number(const Json& text) {
  return std::stoull(text.get<std::string>());
}

XferDlist pages(std::uint64_t count, std::uint64_t base = 0x7f1234000000) {
  XferDlist list;
  for (std::uint64_t i = 0; i < count; ++i) {
    list.descriptors.push_back({base + i * 4096, 4096, 0});
  }
  return list;
}

XferDlist list_of(const Json& vector) {
  XferDlist list;
  if (vector.contains("regular")) {
    list = pages(vector["regular"]["count"], number(vector["regular"]["base"]));
  } else {
    for (const Json& d : vector.at("descriptors")) {
      list.descriptors.push_back({number(d[0]), number(d[1]), number(d[2])});
    }
  }
  list.memory = static_cast<XferDlist::Memory>(vector.at("memory").get<int>());
  return list;
}

/// Large ones are stored as length, head and tail; between these stand the descriptors.
std::string bytes_of(const Json& vector) {
  if (vector.contains("hex")) {
    return from_hex(vector["hex"]);
  }
  const XferDlist list = list_of(vector);
  std::string bytes(vector.at("bytes_total").get<std::size_t>(), '\0');
  constexpr std::size_t kEndBytes = 4;
  std::size_t at = bytes.size() - kEndBytes - list.descriptors.size() * 24;
  for (const XferDescriptor& page : list.descriptors) {
    for (const std::uint64_t value : {page.address, page.length_bytes, page.device}) {
      for (int shift = 0; shift < 64; shift += 8) {
        bytes[at++] = static_cast<char>(value >> shift);
      }
    }
  }
  const std::string head = from_hex(vector.at("head_hex"));
  const std::string tail = from_hex(vector.at("tail_hex"));
  bytes.replace(0, head.size(), head);
  bytes.replace(bytes.size() - tail.size(), tail.size(), tail);
  return bytes;
}

TEST(XferDlist, ReadsWhatCPythonWrites) {
  ASSERT_GE(vectors().size(), 12U);
  for (const Json& vector : vectors()) {
    SCOPED_TRACE(vector.at("name").get<std::string>());
    const std::string bytes = bytes_of(vector);
    EXPECT_EQ(bytes.size(), vector.at("bytes_total").get<std::size_t>());
    const auto list = decode_xfer_dlist(bytes, kMany);
    ASSERT_TRUE(list.ok()) << list.status();
    EXPECT_EQ(*list, list_of(vector));
  }
}

TEST(XferDlist, WritesWhatCPythonWrites) {
  int compared = 0;
  for (const Json& vector : vectors()) {
    const std::string name = vector.at("name");
    if (vector.at("protocol") != 4 || name.starts_with("wheel")) {
      continue;  // Read only.
    }
    ++compared;
    EXPECT_EQ(encode_xfer_dlist(list_of(vector)), bytes_of(vector)) << name;
  }
  EXPECT_GE(compared, 8);
}

TEST(XferDlist, EveryCountComesBack) {
  for (std::uint64_t count = 1; count < 40; ++count) {
    const auto list = decode_xfer_dlist(encode_xfer_dlist(pages(count)), kMany);
    ASSERT_TRUE(list.ok()) << count << ": " << list.status();
    EXPECT_EQ(*list, pages(count));
  }
}

TEST(XferDlist, EveryChangedByteOutsideTheNumbersIsRefused) {
  for (const std::uint64_t count : {1U, 9U, 2'728U}) {
    const std::string good = encode_xfer_dlist(pages(count));
    const std::size_t numbers_end = good.size() - 4;
    const std::size_t numbers_begin = numbers_end - count * 24;
    for (std::size_t at = 0; at < good.size(); ++at) {
      if (at == numbers_begin) {
        at = numbers_end;
      }
      for (const int flip : {0x01, 0x80}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ flip);
        const auto list = decode_xfer_dlist(bad, kMany);
        // Protocol 5 and VRAM are one bit away, and as good.
        if (list.ok()) {
          EXPECT_TRUE(at == 1 || list->memory == XferDlist::Memory::kVram) << count << " " << at;
        }
      }
    }
  }
}

TEST(XferDlist, EveryOtherLengthIsRefused) {
  const std::string good = encode_xfer_dlist(pages(3));
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(decode_xfer_dlist(good.substr(0, length), kMany).ok()) << length;
  }
  EXPECT_FALSE(decode_xfer_dlist(good + '.', kMany).ok());
  EXPECT_FALSE(decode_xfer_dlist(good + std::string(24, '\0'), kMany).ok());
}

TEST(XferDlist, OtherPicklesAreRefused) {
  using namespace std::string_literals;
  const std::vector<std::string> others = {
      "\x80\x04N."s,                  // None
      "cos\nsystem\n(S'true'\ntR."s,  // protocol 0: a call
      "\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94."s,
      encode_xfer_dlist({}),  // no pages
  };
  for (const std::string& bytes : others) {
    EXPECT_FALSE(decode_xfer_dlist(bytes, kMany).ok()) << bytes;
  }
  // Another class of the same module, of equal length.
  std::string other_class = encode_xfer_dlist(pages(2));
  const std::size_t at = other_class.find("nixlXferDList");
  ASSERT_NE(at, std::string::npos);
  other_class.replace(at, 13, "nixlXferDLisT");
  EXPECT_FALSE(decode_xfer_dlist(other_class, kMany).ok());
  // Memory that holds no pages: a file's.
  std::string file = encode_xfer_dlist(pages(2));
  const std::size_t kind = file.find(std::string("t\x04\0\0\0\0\0\0\0", 9));
  ASSERT_NE(kind, std::string::npos);
  file[kind + 9] = 4;
  const auto refused = decode_xfer_dlist(file, kMany);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("nixlXferDList"));
}

TEST(XferDlist, AListBeyondTheLimitAllocatesNothingFromIt) {
  const std::string long_list = encode_xfer_dlist(pages(50'000));
  const testing::AllocationCounter counter;
  const auto refused = decode_xfer_dlist(long_list, 49'999);
  EXPECT_LT(counter.bytes(), 64U << 10U);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("50000 pages"));
  EXPECT_TRUE(decode_xfer_dlist(long_list, 50'000).ok());
}

TEST(XferDlist, PagesThatCannotBeAreRefused) {
  const auto complaint = [](const XferDlist& list) {
    return std::string(check_pages(list, 4096).message());
  };
  EXPECT_TRUE(check_pages(pages(50), 4096).ok());
  XferDlist unequal = pages(3);
  unequal.descriptors[2].length_bytes = 4095;
  EXPECT_THAT(complaint(unequal), HasSubstr("page 2 has 4095 bytes, a chunk has 4096"));
  XferDlist overlapping = pages(3);
  overlapping.descriptors[0].address = overlapping.descriptors[2].address + 4095;
  EXPECT_THAT(complaint(overlapping), HasSubstr("overlap"));
  XferDlist twice = pages(2);
  twice.descriptors[1] = twice.descriptors[0];
  EXPECT_THAT(complaint(twice), HasSubstr("overlap"));
  twice.descriptors[1].device = 1;
  EXPECT_TRUE(check_pages(twice, 4096).ok());
  XferDlist beyond = pages(1, std::numeric_limits<std::uint64_t>::max() - 4095);
  EXPECT_THAT(complaint(beyond), HasSubstr("2^64"));
  EXPECT_TRUE(check_pages(pages(1, std::numeric_limits<std::uint64_t>::max() - 4096), 4096).ok());
}

}  // namespace
}  // namespace baton::wire
