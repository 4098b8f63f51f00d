// The fields of every message: one description each, from which it is both written and read.
//
// A visitor is a FieldWriter or a FieldReader; a message is const for the former. What a visitor
// offers, in terms of the wire:
//
//   field(name, value)              must be there
//   defaulted(name, value)          may be missing: then it keeps the struct's default
//   blob(name, text)                a std::string that is bin, not str
//   page_list(name, text)           such a one that is a pickled list of pages
//   optional_blob(name, optional)   such a one that may be missing
//   shape(name, list)               a list bounded as a shape
//   transports(names, offers, list) two lists of equal length
//   attempts(req_ids, numbers, list) two lists of equal length, few
//   all_or_none(optional struct)    its fields are all there, or none
//   any_or_none(optional struct)    there if any of its fields is
//   in_order(flag, first, second)   reading sets `flag`: whether `first` stands before `second`
#pragma once

#include <concepts>
#include <type_traits>

#include "src/wire/messages.h"

namespace baton::wire {

template <typename T, typename Struct>
concept Is = std::same_as<std::remove_const_t<T>, Struct>;

template <typename V>
void fields(V& visit, Is<Parties> auto& m) {
  visit.field("sender_epoch", m.sender_epoch);
  visit.field("receiver_epoch", m.receiver_epoch);
}

template <typename V>
void fields(V& visit, Is<AllocRequest::Async> auto& m) {
  visit.defaulted("req_id", m.req_id);
  visit.defaulted("is_last_batch", m.is_last_batch);
  visit.defaulted("total_chunks", m.total_chunks);
}

template <typename V>
void fields(V& visit, Is<AllocRequest::Baton> auto& m) {
  fields(visit, m.parties);
  visit.field("attempt", m.attempt);
  visit.field("put_id", m.put_id);
}

template <typename V>
void fields(V& visit, Is<AllocRequest::Eager> auto& m) {
  visit.field("eager_digests", m.digests);
  visit.blob("eager_bytes", m.bytes);
}

template <typename V>
void fields(V& visit, Is<AllocRequest::Ahead> auto& m) {
  visit.field("ahead_pages", m.pages);
  visit.field("ahead_generations", m.generations);
  visit.field("ahead_digests", m.digests);
}

template <typename V>
void fields(V& visit, Is<AllocRequest> auto& m) {
  visit.field("keys", m.keys);
  visit.field("fmt", m.fmt);
  visit.shape("shape", m.shape);
  visit.field("dtype", m.dtype);
  visit.field("last_chunk_toks", m.last_chunk_toks);
  visit.any_or_none(m.async);
  visit.all_or_none(m.baton);
  visit.all_or_none(m.eager);
  visit.all_or_none(m.ahead);
}

template <typename V>
void fields(V& visit, Is<AllocResponse::Baton> auto& m) {
  visit.field("put_id", m.put_id);
  visit.field("code", m.code);
  visit.field("message", m.message);
  visit.field("states", m.states);
  visit.field("generations", m.generations);
}

template <typename V>
void fields(V& visit, Is<AllocResponse> auto& m) {
  visit.in_order(m.sync_flavour, "already_sent_indexes", "remote_indexes");
  if (m.sync_flavour) {
    visit.field("already_sent_indexes", m.already_sent_indexes);
    visit.field("remote_indexes", m.remote_indexes);
  } else {
    visit.field("remote_indexes", m.remote_indexes);
    visit.defaulted("already_sent_indexes", m.already_sent_indexes);
  }
  visit.all_or_none(m.baton);
}

template <typename V>
void fields(V& visit, Is<ProxyNotif::Baton> auto& m) {
  visit.field("sender_epoch", m.sender_epoch);
  visit.field("attempt", m.attempt);
  visit.field("worker_id", m.worker_id);
}

template <typename V>
void fields(V& visit, Is<ProxyNotif> auto& m) {
  visit.field("req_id", m.req_id);
  visit.all_or_none(m.baton);
}

template <typename V>
void fields(V& visit, Is<CancelNotif::Baton> auto& m) {
  fields(visit, m.parties);
  visit.field("attempt", m.attempt);
  visit.field("reason", m.reason);
}

template <typename V>
void fields(V& visit, Is<CancelNotif> auto& m) {
  visit.field("req_id", m.req_id);
  visit.field("keys", m.keys);
  visit.all_or_none(m.baton);
}

template <typename V>
void fields(V& visit, Is<CacheQueryRequest> auto& m) {
  visit.field("keys", m.keys);
}

template <typename V>
void fields(V& visit, Is<CacheQueryResponse> auto& m) {
  visit.field("cached_keys", m.cached_keys);
  visit.field("cached_indexes", m.cached_indexes);
}

template <typename V>
void fields(V& visit, Is<NixlInitRequest> auto& m) {
  visit.blob("local_meta_bytes", m.local_meta_bytes);
  visit.optional_blob("baton", m.baton);
}

template <typename V>
void fields(V& visit, Is<NixlInitResponse> auto& m) {
  visit.blob("remote_agent_name", m.remote_agent_name);
  visit.blob("remote_meta_bytes", m.remote_meta_bytes);
  visit.optional_blob("baton", m.baton);
}

template <typename V>
void fields(V& visit, Is<NixlMemRegRequest> auto& m) {
  visit.blob("remote_agent_name", m.remote_agent_name);
  visit.field("local_id", m.local_id);
  visit.page_list("local_xfer_dlist_bytes", m.local_xfer_dlist_bytes);
}

template <typename V>
void fields(V& visit, Is<NixlMemRegResponse> auto& m) {
  visit.page_list("remote_xfer_dlist_bytes", m.remote_xfer_dlist_bytes);
}

template <typename V>
void fields(V& visit, Is<LayoutInfo> auto& m) {
  visit.field("model_name", m.model_name);
  visit.field("model_fingerprint", m.model_fingerprint);
  visit.field("hash_scheme", m.hash_scheme);
  visit.field("world_size", m.world_size);
  visit.field("worker_id", m.worker_id);
  visit.field("chunk_size", m.chunk_size);
  visit.field("fmt", m.fmt);
  visit.shape("shape", m.shape);
  visit.field("dtype", m.dtype);
}

template <typename V>
void fields(V& visit, Is<Hello> auto& m) {
  visit.field("version_min", m.version_min);
  visit.field("version_max", m.version_max);
  visit.field("epoch", m.epoch);
  fields(visit, m.layout);
  visit.transports("transports", "transport_offers", m.transports);
}

template <typename V>
void fields(V& visit, Is<Welcome> auto& m) {
  visit.field("version", m.version);
  visit.field("epoch", m.epoch);
  visit.field("page_bytes", m.page_bytes);
  visit.field("page_count", m.page_count);
  visit.field("max_keys", m.max_keys);
  visit.field("max_message_bytes", m.max_message_bytes);
  visit.field("digests", m.digests);
  visit.field("transport", m.transport);
  visit.blob("ticket", m.ticket);
  visit.defaulted("lease_ms", m.lease_ms);
}

template <typename V>
void fields(V& visit, Is<Refusal> auto& m) {
  visit.field("code", m.code);
  visit.field("message", m.message);
}

template <typename V>
void fields(V& visit, Is<OpenRequest> auto& m) {
  fields(visit, m.parties);
  visit.field("req_id", m.req_id);
  visit.field("attempt", m.attempt);
  visit.field("keys", m.keys);
  visit.field("total_chunks", m.total_chunks);
  visit.field("timeout_ms", m.timeout_ms);
}

template <typename V>
void fields(V& visit, Is<OpenResponse> auto& m) {
  visit.field("req_id", m.req_id);
  visit.field("attempt", m.attempt);
  visit.field("code", m.code);
  visit.field("message", m.message);
}

template <typename V>
void fields(V& visit, Is<CommitRequest> auto& m) {
  fields(visit, m.parties);
  visit.field("put_id", m.put_id);
  visit.field("slice", m.slice);
  visit.field("pages", m.pages);
  visit.field("generations", m.generations);
  visit.field("digests", m.digests);
}

template <typename V>
void fields(V& visit, Is<CommitResponse> auto& m) {
  visit.field("put_id", m.put_id);
  visit.field("slice", m.slice);
  visit.field("code", m.code);
  visit.field("message", m.message);
}

template <typename V>
void fields(V& visit, Is<ChunkUpdate> auto& m) {
  visit.field("put_id", m.put_id);
  visit.field("key_indexes", m.key_indexes);
  visit.field("states", m.states);
  visit.field("pages", m.pages);
  visit.field("generations", m.generations);
}

template <typename V>
void fields(V& visit, Is<DrainNotif> auto& m) {
  fields(visit, m.parties);
  visit.field("put_id", m.put_id);
  visit.field("pages", m.pages);
  visit.field("generations", m.generations);
  visit.defaulted("sequence", m.sequence);
}

template <typename V>
void fields(V& visit, Is<DrainAck> auto& m) {
  visit.field("put_id", m.put_id);
  visit.field("code", m.code);
  visit.field("message", m.message);
  visit.defaulted("sequence", m.sequence);
}

template <typename V>
void fields(V& visit, Is<ReleaseNotif> auto& m) {
  fields(visit, m.parties);
  visit.field("req_id", m.req_id);
  visit.field("attempt", m.attempt);
}

template <typename V>
void fields(V& visit, Is<Heartbeat> auto& m) {
  fields(visit, m.parties);
  visit.field("sequence", m.sequence);
  visit.attempts("req_ids", "attempts", m.requests);
}

template <typename V>
void fields(V& visit, Is<HeartbeatAck> auto& m) {
  visit.field("sequence", m.sequence);
  visit.field("code", m.code);
  visit.field("message", m.message);
  visit.attempts("req_ids", "attempts", m.unknown);
}

template <typename V>
void fields(V& visit, Is<EndNotif> auto& m) {
  visit.field("req_id", m.req_id);
  visit.field("attempt", m.attempt);
  visit.field("code", m.code);
  visit.field("message", m.message);
}

template <typename V>
void fields(V& visit, Is<DrainRequest> auto& m) {
  visit.field("put_id", m.put_id);
  visit.field("pages", m.pages);
  visit.field("generations", m.generations);
}

template <typename V>
void fields(V& visit, Is<FailNotif> auto& m) {
  visit.field("req_id", m.req_id);
  visit.field("sender_epoch", m.sender_epoch);
  visit.field("attempt", m.attempt);
  visit.field("worker_id", m.worker_id);
  visit.field("code", m.code);
  visit.field("message", m.message);
}

template <typename V>
void fields(V& visit, Is<GroupJoin> auto& m) {
  visit.field("epoch", m.epoch);
  visit.field("world_size", m.world_size);
  visit.field("worker_id", m.worker_id);
  visit.attempts("req_ids", "attempts", m.living);
}

template <typename V>
void fields(V& visit, Is<GroupJoinAck> auto& m) {
  visit.field("epoch", m.epoch);
  visit.field("code", m.code);
  visit.field("message", m.message);
  visit.attempts("req_ids", "attempts", m.living);
}

template <typename V>
void fields(V& visit, Is<GroupNotif> auto& m) {
  fields(visit, m.parties);
  visit.field("req_id", m.attempt.req_id);
  visit.field("attempt", m.attempt.attempt);
  visit.field("word", m.word);
  visit.field("round", m.round);
  visit.field("code", m.code);
  visit.field("message", m.message);
}

template <typename V>
void fields(V& visit, Is<ReadRequest> auto& m) {
  fields(visit, m.parties);
  visit.field("read_id", m.read_id);
  visit.field("keys", m.keys);
  visit.field("timeout_ms", m.timeout_ms);
}

template <typename V>
void fields(V& visit, Is<ReadResponse> auto& m) {
  visit.field("read_id", m.read_id);
  visit.field("code", m.code);
  visit.field("message", m.message);
  visit.field("states", m.states);
  visit.field("pages", m.pages);
  visit.field("generations", m.generations);
  visit.field("lengths", m.lengths);
  visit.field("digests", m.digests);
}

template <typename V>
void fields(V& visit, Is<ReadRelease> auto& m) {
  fields(visit, m.parties);
  visit.field("read_id", m.read_id);
}

template <typename V>
void fields(V& visit, Is<ReadReleaseAck> auto& m) {
  visit.field("read_id", m.read_id);
  visit.field("code", m.code);
  visit.field("message", m.message);
}

template <typename V>
void fields(V& visit, Is<AheadRequest> auto& m) {
  fields(visit, m.parties);
  visit.field("sequence", m.sequence);
  visit.field("count", m.count);
}

template <typename V>
void fields(V& visit, Is<AheadGrant> auto& m) {
  visit.field("sequence", m.sequence);
  visit.field("code", m.code);
  visit.field("message", m.message);
  visit.field("pages", m.pages);
  visit.field("generations", m.generations);
}

}  // namespace baton::wire
