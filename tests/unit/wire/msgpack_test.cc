// Reader and Writer against the msgpack specification, byte for byte.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "src/wire/reader.h"
#include "src/wire/writer.h"

namespace baton::wire {
namespace {

using namespace std::string_literals;
using Kind = Item::Kind;

std::string written(std::int64_t value) {
  Writer writer;
  writer.integer(value);
  return std::move(writer).take();
}

TEST(Writer, SignedIntegersAreMinimal) {
  EXPECT_EQ(written(0), "\x00"s);
  EXPECT_EQ(written(127), "\x7F"s);
  EXPECT_EQ(written(128), "\xCC\x80"s);
  EXPECT_EQ(written(255), "\xCC\xFF"s);
  EXPECT_EQ(written(256), "\xCD\x01\x00"s);
  EXPECT_EQ(written(65'535), "\xCD\xFF\xFF"s);
  EXPECT_EQ(written(65'536), "\xCE\x00\x01\x00\x00"s);
  EXPECT_EQ(written(0xFFFFFFFF), "\xCE\xFF\xFF\xFF\xFF"s);
  EXPECT_EQ(written(0x100000000), "\xCF\x00\x00\x00\x01\x00\x00\x00\x00"s);
  EXPECT_EQ(written(-1), "\xFF"s);
  EXPECT_EQ(written(-32), "\xE0"s);
  EXPECT_EQ(written(-33), "\xD0\xDF"s);
  EXPECT_EQ(written(-128), "\xD0\x80"s);
  EXPECT_EQ(written(-129), "\xD1\xFF\x7F"s);
  EXPECT_EQ(written(-32'768), "\xD1\x80\x00"s);
  EXPECT_EQ(written(-32'769), "\xD2\xFF\xFF\x7F\xFF"s);
  EXPECT_EQ(written(INT32_MIN), "\xD2\x80\x00\x00\x00"s);
  EXPECT_EQ(written(INT64_MIN), "\xD3\x80\x00\x00\x00\x00\x00\x00\x00"s);
}

TEST(Reader, ReadsBackEveryInteger) {
  for (unsigned shift = 0; shift < 64; ++shift) {
    for (const std::int64_t delta : {-1, 0, 1}) {
      const auto value = static_cast<std::int64_t>((std::uint64_t{1} << shift) +
                                                   static_cast<std::uint64_t>(delta));
      for (const std::int64_t candidate : {value, -(value + 1)}) {
        const std::string bytes = written(candidate);
        Reader reader(bytes);
        const StatusOr<Item> item = reader.next();
        ASSERT_TRUE(item.ok());
        EXPECT_EQ(item->kind, candidate < 0 ? Kind::kNegative : Kind::kUnsigned);
        EXPECT_EQ(static_cast<std::int64_t>(item->number), candidate);
        EXPECT_TRUE(reader.rest().empty());
      }
    }
  }
}

template <typename Write>
std::string head_of(Write write, std::size_t length) {
  Writer writer;
  write(writer, length);
  return writer.bytes().size() > length
             ? std::string(writer.bytes().substr(0, writer.bytes().size() - length))
             : std::string(writer.bytes());
}

TEST(Writer, HeadsGrowWithTheirLengths) {
  const auto str = [](std::size_t n) {
    return head_of([](Writer& w, std::size_t m) { w.str(std::string(m, 'x')); }, n);
  };
  EXPECT_EQ(str(31), "\xBF"s);
  EXPECT_EQ(str(32), "\xD9\x20"s);
  EXPECT_EQ(str(255), "\xD9\xFF"s);
  EXPECT_EQ(str(256), "\xDA\x01\x00"s);
  EXPECT_EQ(str(65'536), "\xDB\x00\x01\x00\x00"s);
  const auto bin = [](std::size_t n) {
    return head_of([](Writer& w, std::size_t m) { w.bin(std::string(m, 'x')); }, n);
  };
  EXPECT_EQ(bin(0), "\xC4\x00"s);
  EXPECT_EQ(bin(255), "\xC4\xFF"s);
  EXPECT_EQ(bin(256), "\xC5\x01\x00"s);
  EXPECT_EQ(bin(65'536), "\xC6\x00\x01\x00\x00"s);
}

TEST(Writer, ListsAndMaps) {
  Writer writer;
  writer.array(15);
  writer.array(16);
  writer.array(65'536);
  writer.map(15);
  writer.map(16);
  writer.map(65'536);
  EXPECT_EQ(writer.bytes(),
            "\x9F\xDC\x00\x10\xDD\x00\x01\x00\x00\x8F\xDE\x00\x10\xDF\x00\x01\x00\x00"s);
}

TEST(Writer, ListsAreItemsOneAfterTheOther) {
  std::vector<std::int64_t> numbers;
  std::vector<std::string> texts;
  Writer one_by_one;
  for (unsigned shift = 0; shift < 64; ++shift) {
    for (const std::int64_t delta : {-1, 0, 1}) {
      numbers.push_back(static_cast<std::int64_t>((std::uint64_t{1} << shift) +
                                                  static_cast<std::uint64_t>(delta)));
      numbers.push_back(-numbers.back() - 1);
    }
  }
  for (const std::int64_t number : numbers) {
    one_by_one.integer(number);
  }
  std::size_t text_bytes = 0;
  for (const std::size_t bytes : {0, 1, 31, 32, 255, 256, 65'535, 65'536}) {
    texts.emplace_back(bytes, 'x');
    text_bytes += bytes;
    one_by_one.str(texts.back());
  }
  Writer lists;
  lists.numbers(numbers.size(), [&](std::size_t i) { return numbers[i]; });
  lists.strs(texts, text_bytes);
  EXPECT_EQ(lists.bytes(), one_by_one.bytes());
}

/// All that next() says of `bytes`.
std::vector<std::pair<Kind, std::uint64_t>> items_of(std::string_view bytes) {
  Reader reader(bytes);
  std::vector<std::pair<Kind, std::uint64_t>> items;
  for (auto item = reader.next(); item.ok(); item = reader.next()) {
    items.emplace_back(item->kind, item->number);
  }
  return items;
}

TEST(Reader, TakesTheNumbersThatNextReads) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2'000; ++round) {
    Writer writer;
    unsigned shift = 0;
    const std::size_t count = 1 + random() % 40;
    for (std::size_t i = 0; i < count; ++i) {
      shift = random() % 4 == 0 ? static_cast<unsigned>(random() % 64) : shift;  // Runs, too.
      const std::uint64_t number = random() >> shift;
      if (random() % 50 == 0) {
        writer.integer(-1 - static_cast<std::int64_t>(random() % 100));
      } else {
        writer.integer(number);
      }
    }
    const std::string bytes = std::move(writer).take();
    const std::uint64_t max = random() >> random() % 64;
    const auto items = items_of(bytes);
    std::vector<std::uint64_t> taken(items.size() + 1, 7);
    Reader reader(bytes);
    const std::size_t asked = random() % (items.size() + 1);
    const std::size_t got = reader.take_unsigned(taken.data(), asked, max);
    ASSERT_LE(got, asked);
    for (std::size_t i = 0; i < got; ++i) {
      ASSERT_EQ(items[i].first, Kind::kUnsigned);
      ASSERT_LE(taken[i], max);
      ASSERT_EQ(taken[i], items[i].second);
    }
    ASSERT_EQ(taken[got], 7U);
    // It stops for a reason: enough, another kind, too large, or few bytes left.
    ASSERT_TRUE(got == asked || items[got].first != Kind::kUnsigned || items[got].second > max ||
                reader.rest().size() <= 8)
        << round;
    const auto left = items_of(reader.rest());
    ASSERT_EQ(left, (std::vector(items.begin() + static_cast<std::ptrdiff_t>(got), items.end())));
  }
}

TEST(Reader, SkipsAListOfAnything) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 2'000; ++round) {
    const std::size_t count = random() % 40;
    Writer writer;
    writer.array(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto kind = random() % 8;
      if (kind < 3) {
        writer.integer(random() >> random() % 64);
      } else if (kind < 6) {
        writer.str(std::string(random() % (kind == 5 ? 300 : 40), 'x'));
      } else if (kind == 6) {
        writer.boolean(true);
        continue;
      } else {
        writer.integer(-static_cast<std::int64_t>(random() >> 1U >> random() % 63));
      }
    }
    std::string bytes = std::move(writer).take();
    ASSERT_EQ(items_of(bytes).size(), 1 + count);
    const std::string with_more = bytes + "\x01";
    Reader whole(with_more);
    ASSERT_TRUE(whole.skip(1).ok());
    ASSERT_EQ(whole.rest(), "\x01");
    if (bytes.size() > 1) {
      bytes.pop_back();
      ASSERT_FALSE(Reader(bytes).skip(1).ok());
    }
  }
}

TEST(Reader, BelievesNoLengthBeyondItsBytes) {
  const std::string claims[] = {"\xA1"s,
                                "\xD9\x01"s,
                                "\xDA\x00\x01"s,
                                "\xDB\xFF\xFF\xFF\xFF"s,
                                "\xC4\x01"s,
                                "\xC5\x00"s,
                                "\xC6"s,
                                "\x91"s,
                                "\xDC\x00\x01"s,
                                "\xDD\xFF\xFF\xFF\xFF"s,
                                "\x81"s,
                                "\x81\x01"s,
                                "\xDE\x00\x01"s,
                                "\xDF\xFF\xFF\xFF\xFF"s,
                                "\xC7\x01\x01"s,
                                "\xD4"s,
                                "\xD4\x01"s,
                                "\xD8\x01zz"s,
                                "\xC9\xFF\xFF\xFF\xFF\x01"s,
                                "\xCA\x00"s,
                                "\xCB"s,
                                "\xCC"s,
                                "\xCF\x00"s,
                                "\xD3\x00"s,
                                ""s,
                                "\xC1"s};
  for (const std::string& claim : claims) {
    EXPECT_FALSE(Reader(claim).skip(4).ok()) << ::testing::PrintToString(claim);
  }
}

TEST(Reader, RefusesListsAtTheirHead) {
  for (const std::string& head : {"\xDD\xFF\xFF\xFF\xFF"s, "\xDF\xFF\xFF\xFF\xFF"s, "\x92\x01"s,
                                  "\x81\x01"s, "\xDC\x00\x02\x01"s, "\xDE\x00\x01\x01"s}) {
    EXPECT_FALSE(Reader(head).next().ok()) << ::testing::PrintToString(head);
  }
  const std::string fits = "\x92\x01\x02"s;
  EXPECT_TRUE(Reader(fits).next().ok());
}

TEST(Reader, SkipsNoDeeperThanAllowed) {
  const std::string nested = "\x91\x81\x01\x91\x05"s;
  Reader deep_enough(nested);
  EXPECT_TRUE(deep_enough.skip(3).ok());
  EXPECT_TRUE(deep_enough.rest().empty());
  EXPECT_FALSE(Reader(nested).skip(2).ok());
}

}  // namespace
}  // namespace baton::wire
