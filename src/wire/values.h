// How each C++ type of a field looks in msgpack, both ways.
//
// put() writes one value. get() reads one, refusing every other kind of item, anything beyond the
// limits, and anything that the type can't hold; it allocates only for what it has checked. Its
// errors continue a sentence that begins with the field: "has 9 elements; at most 8 are allowed".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "baton/tensor_meta.h"
#include "src/base/epoch.h"
#include "src/wire/key_list.h"
#include "src/wire/limits.h"
#include "src/wire/messages.h"
#include "src/wire/reader.h"
#include "src/wire/writer.h"

namespace baton::wire {

/// A bool is msgpack's; whole numbers are as short as they can be; DType is LMCache's str;
/// MemoryFormat, KeyState, ReadState and GroupWord are their numbers; an Epoch is a bin of 16
/// bytes.
void put(Writer& writer, bool value);
void put(Writer& writer, std::uint32_t value);
void put(Writer& writer, std::uint64_t value);
void put(Writer& writer, std::int64_t value);
void put(Writer& writer, KeyState value);
void put(Writer& writer, ReadState value);
void put(Writer& writer, GroupWord value);
void put(Writer& writer, MemoryFormat value);
void put(Writer& writer, DType value);
void put(Writer& writer, const Epoch& value);
/// Text: str, at most max_string_bytes of UTF-8.
void put(Writer& writer, std::string_view value);

Status get(Reader& reader, const Limits& limits, bool& out);
Status get(Reader& reader, const Limits& limits, std::uint32_t& out);
Status get(Reader& reader, const Limits& limits, std::uint64_t& out);
Status get(Reader& reader, const Limits& limits, std::int64_t& out);
Status get(Reader& reader, const Limits& limits, KeyState& out);
Status get(Reader& reader, const Limits& limits, ReadState& out);
Status get(Reader& reader, const Limits& limits, GroupWord& out);
Status get(Reader& reader, const Limits& limits, MemoryFormat& out);
Status get(Reader& reader, const Limits& limits, DType& out);
Status get(Reader& reader, const Limits& limits, Epoch& out);
Status get(Reader& reader, const Limits& limits, std::string& out);

/// A list of numbers or states: an array.
template <typename T>
void put(Writer& writer, const std::vector<T>& list) {
  writer.array(list.size());
  writer.numbers(list.size(), [&](std::size_t i) { return list[i]; });
}

/// Numbers and states, at most max_keys.
Status get(Reader& reader, const Limits& limits, std::vector<std::uint32_t>& out);
Status get(Reader& reader, const Limits& limits, std::vector<std::uint64_t>& out);
Status get(Reader& reader, const Limits& limits, std::vector<std::int64_t>& out);
Status get(Reader& reader, const Limits& limits, std::vector<KeyState>& out);
Status get(Reader& reader, const Limits& limits, std::vector<ReadState>& out);
/// Keys that pass CacheEngineKey::validate, at most max_keys, each at most max_key_bytes.
void put(Writer& writer, const KeyList& keys);
Status get(Reader& reader, const Limits& limits, KeyList& out);

/// A shape: at most max_rank numbers.
Status get_shape(Reader& reader, const Limits& limits, std::vector<std::int64_t>& out);

/// A blob: bin, at most max_blob_bytes.
void put_blob(Writer& writer, std::string_view value);
Status get_blob(Reader& reader, const Limits& limits, std::string& out);

/// A pickled list of pages: bin, as long as one of max_keys pages may be.
Status get_page_list(Reader& reader, const Limits& limits, std::string& out);

/// TransportOffers are two lists: names (str) and offers (bin). The second is read into what the
/// first has made, and must be as long.
void put_names(Writer& writer, const std::vector<TransportOffer>& offers);
void put_offers(Writer& writer, const std::vector<TransportOffer>& offers);
Status get_names(Reader& reader, const Limits& limits, std::vector<TransportOffer>& out);
Status get_offers(Reader& reader, const Limits& limits, std::vector<TransportOffer>& out);

/// Named attempts are two lists: req_ids (str) and numbers. As above.
void put_req_ids(Writer& writer, const std::vector<AttemptName>& attempts);
void put_attempts(Writer& writer, const std::vector<AttemptName>& attempts);
Status get_req_ids(Reader& reader, const Limits& limits, std::vector<AttemptName>& out);
Status get_attempts(Reader& reader, const Limits& limits, std::vector<AttemptName>& out);

}  // namespace baton::wire
