# How the logic is broken, on purpose: baton_plant(NAME PROMISE WHAT FILE FIND REPLACE) replaces a text that
# stands exactly once in FILE; baton_plant_also(NAME FILE FIND REPLACE) does more for the same plant. In REPLACE,
# PLANTED is true while this plant is chosen; without one the copy does what the original does.
# README.md, "Plants", says how to add one.

baton_plant(publish-before-commit P1 "a chunk in flight is shown"
  src/receiver/receiver.cc
  [==[return chunk != nullptr && chunk->state == Chunk::State::kCommitted;]==]
  [==[return chunk != nullptr && (PLANTED || chunk->state == Chunk::State::kCommitted);]==])

baton_plant(commit-without-digest P1 "bytes that never landed are committed"
  src/receiver/committer.cc
  [==[if (digest != message.digests[index]) {]==]
  [==[if (digest != message.digests[index] && !PLANTED) {]==])

baton_plant(count-failed-batch-as-done P2 "a refused commit counts as a commit"
  src/sender/put_task_write.cc
  [==[if (response.code != 0) {]==]
  [==[if (response.code != 0 && !PLANTED) {]==])

baton_plant(already-there-for-in-flight P2 "a chunk in flight is answered as committed"
  src/receiver/request_table.cc
  [==[said.states.push_back(key.state);]==]
  [==[said.states.push_back(PLANTED && key.state == wire::KeyState::kInFlight
                              ? wire::KeyState::kCommitted
                              : key.state);]==])

baton_plant(notify-before-left-out-chunks P2 "a put doesn't wait for the chunks that others write"
  src/sender/put_task_write.cc
  [==[} else if (awaited_ > 0) {]==]
  [==[} else if (awaited_ > 0 && !PLANTED) {]==])

baton_plant(resend-proxy-notif P2 "the proxy is told twice"
  src/sender/notifier.cc
  [==[return push_->send(notice.bytes);]==]
  [==[if (PLANTED) {
    static_cast<void>(push_->send(notice.bytes));
  }
  return push_->send(notice.bytes);]==])

baton_plant(bring-back-failed-attempt P2 "a put after a failure begins its attempt anew"
  src/sender/sender.cc
  [==[failed != failed_.end()) {]==]
  [==[failed != failed_.end() && !PLANTED) {]==])

baton_plant(release-at-first-rank P2 "the gate opens when one rank has spoken"
  src/proxy/release_gate.cc
  [==[if (spoken == waiting.ranks) {]==]
  [==[if (spoken == waiting.ranks || PLANTED) {]==])

baton_plant(free-without-drain P3 "a page whose grant ends is free at once"
  src/receiver/chunk_pool.cc
  [==[forget(chunk);
  return chunk.take_waiters();]==]
  [==[forget(chunk);
  if (PLANTED) {
    --quarantined_;
    free_page(chunk.page);
  }
  return chunk.take_waiters();]==])

baton_plant(free-before-fence P3 "a lost sender's pages are free before it is fenced"
  src/receiver/receiver.cc
  [==[peer.transport->revoke(sender, lifetime_.guard([this, sender] {]==]
  [==[if (PLANTED) {
    table_.release_fenced(sender);
  }
  peer.transport->revoke(sender, lifetime_.guard([this, sender] {]==])

baton_plant(drain-while-writing P3 "a failed put gives pages back that it is still writing"
  src/sender/put_task_end.cc
  [==[if (slices_busy_ == 0) {
    on_slices_idle();]==]
  [==[if (slices_busy_ == 0 || PLANTED) {
    on_slices_idle();]==])
baton_plant_also(drain-while-writing
  src/sender/put_task_end.cc
  [==[if (slices_busy_ > 0) {
    return;]==]
  [==[if (slices_busy_ > 0 && !(PLANTED && state_ == State::kDraining)) {
    return;]==])

baton_plant(drain-after-failed-write P3 "a put drains although its write failed with the connection"
  src/sender/put_task_write.cc
  [==[if (!write_status.ok() && !absl::IsInvalidArgument(write_status)) {]==]
  [==[if (!PLANTED && !write_status.ok() && !absl::IsInvalidArgument(write_status)) {]==])

baton_plant(evict-chunk-of-live-request P1 "a claimed chunk may be evicted while it is read"
  src/receiver/claims.cc
  [==[for (Chunk* chunk : chunks) {
    table_.pool().hold(*chunk);]==]
  [==[const bool unheld = PLANTED && config_.integrity != Integrity::kParanoid;
  for (Chunk* chunk : chunks) {
    if (!unheld) {
      table_.pool().hold(*chunk);
    }]==])
baton_plant_also(evict-chunk-of-live-request
  src/receiver/claims.cc
  [==[hold->release = lifetime_.guard([this, chunks] {
    for (Chunk* chunk : chunks) {
      table_.pool().unhold(*chunk);
    }]==]
  [==[hold->release = lifetime_.guard([this, chunks, unheld] {
    for (std::size_t i = 0; i < chunks.size() && !unheld; ++i) {
      table_.pool().unhold(*chunks[i]);
    }]==])

baton_plant(admit-piece-by-piece P4 "a request is admitted with the pages that are there"
  src/receiver/admission.cc
  [==[return needed(request, keys) <= room;]==]
  [==[return needed(request, keys) <= room ||
         (PLANTED && keys.entries.empty() && pool_.available() > 0);]==])
baton_plant_also(admit-piece-by-piece
  src/receiver/admission.cc
  [==[request.reserved = request.total_chunks - request.brought;]==]
  [==[request.reserved = PLANTED ? std::min(request.total_chunks - request.brought, pool_.available())
                               : request.total_chunks - request.brought;]==])

baton_plant(admit-ranks-separately P4 "each rank of a TP group admits for itself"
  src/receiver/receiver_group.cc
  [==[if (config_.group_leader.empty() ||]==]
  [==[if (PLANTED || config_.group_leader.empty() ||]==])

baton_plant(staging-before-admission P4 "the sender's staging pages come before the receiver's"
  src/sender/sender_open.cc
  [==[request.phase = Request::Phase::kAdmitting;]==]
  [==[request.phase = Request::Phase::kAdmitting;
  if (PLANTED) {
    static auto* const kept = new std::vector<std::shared_ptr<StagingReservation>>();
    static_cast<void>(env_.staging->reserve(
        chunks_of(request.spec), [](auto early) { kept->push_back(std::move(early)); }));
  }]==])

baton_plant(lose-refused-open P5 "who opens a request in vain is not called back"
  src/sender/sender_open.cc
  [==[env_.scheduler.post([opened = std::move(request.opened), why]() mutable { opened(why); });]==]
  [==[if (!PLANTED) {
    env_.scheduler.post([opened = std::move(request.opened), why]() mutable { opened(why); });
  }]==])

baton_plant(hide-failure-from-proxy P5 "a Baton proxy is not told that a put failed"
  src/sender/sender_end.cc
  [==[  tell_proxy(key, request, why);]==]
  [==[  if (!PLANTED) {
    tell_proxy(key, request, why);
  }]==])

baton_plant(call-back-twice P5 "a put's callback comes twice for a key"
  src/sender/put_task_end.cc
  [==[on_key_done(key, status);]==]
  [==[on_key_done(key, status);
        if (PLANTED) {
          on_key_done(key, status);
        }]==])

baton_plant(renew-no-lease P5 "a sender that lives doesn't say so"
  src/sender/peer_link_alive.cc
  [==[    beat();
  }
}]==]
  [==[    if (!PLANTED) {
      beat();
    }
  }
}]==])

baton_plant(forget-reservation-on-cancel P6 "a request that ends keeps its reservation"
  src/receiver/request_table_end.cc
  [==[pool_.unreserve(request.reserved);]==]
  [==[if (!PLANTED) {
    pool_.unreserve(request.reserved);
  }]==])

baton_plant(leak-reference-on-failure P6 "a failed put keeps its memory objects"
  src/sender/put_task_end.cc
  [==[spec_.objects.clear();  // The references go back before anybody is told.]==]
  [==[if (PLANTED && !status.ok()) {
    new std::vector<MemoryObj>(std::move(spec_.objects));
  }
  spec_.objects.clear();  // The references go back before anybody is told.]==])

baton_plant(skip-epoch-check P7 "a receiver takes what was meant for its former self"
  src/receiver/receiver.cc
  [==[if (parties.receiver_epoch != env_.epoch) {]==]
  [==[if (parties.receiver_epoch != env_.epoch && !PLANTED) {]==])

baton_plant(ignore-generation P7 "a page is granted again under its former generation"
  src/receiver/chunk_pool.cc
  [==[chunk.generation = ++last_generation_;]==]
  [==[++last_generation_;
  chunk.generation = PLANTED ? chunk.page + 1 : last_generation_;]==])

baton_plant(digest-after-release P1 "a put gives its pages back once they are written, and digests them then"
  src/sender/put_task_write.cc
  [==[void PutTask::commit_slice(std::uint32_t number) {
]==]
  [==[void PutTask::commit_slice(std::uint32_t number) {
  if (PLANTED && slices_[number].digests != nullptr &&
      spec_.objects[grants_[slices_[number].grants.front()].key_index]) {
    std::vector<std::span<const std::byte>> pages;
    for (const std::size_t index : slices_[number].grants) {
      pages.push_back(bytes_of(grants_[index]));
      spec_.objects[grants_[index].key_index] = MemoryObj();
    }
    ++slices_busy_;
    scheduler_.run_after(std::chrono::milliseconds(1), lifetime_.guard([this, number, pages] {
      --slices_busy_;
      for (std::size_t i = 0; i < pages.size(); ++i) {
        (*slices_[number].digests)[i] = digest_of(pages[i]);
      }
      if (state_ == State::kDraining) {
        on_slices_idle();
      } else {
        commit_slice(number);
        update_state();
      }
    }));
    return;
  }
]==])
baton_plant_also(digest-after-release
  src/sender/put_task_end.cc
  [==[void PutTask::restart(const Status& why) {
]==]
  [==[void PutTask::restart(const Status& why) {
  if (PLANTED && state_ >= State::kWriting) {
    fail(why);  // It has nothing to put again.
    return;
  }
]==])

baton_plant(read-without-hold P1 "a read's pages are not held"
  src/receiver/reads.cc
  [==[table_.pool().hold(chunk);]==]
  [==[if (!PLANTED) {
    table_.pool().hold(chunk);
  }]==])
baton_plant_also(read-without-hold
  src/receiver/reads.cc
  [==[++chunk.read_holds;]==]
  [==[chunk.read_holds += PLANTED ? 0 : 1;]==])
baton_plant_also(read-without-hold
  src/receiver/reads.cc
  [==[    --hit.chunk->read_holds;
    table_.pool().unhold(*hit.chunk);]==]
  [==[    if (!PLANTED) {
      --hit.chunk->read_holds;
      table_.pool().unhold(*hit.chunk);
    }]==])
baton_plant_also(read-without-hold
  src/receiver/reads.cc
  [==[    const auto page = reader.pages.find(hit.chunk->page);
    if (--page->second.reads == 0) {]==]
  [==[    if (PLANTED) {
      continue;  // The chunk may be gone.
    }
    const auto page = reader.pages.find(hit.chunk->page);
    if (--page->second.reads == 0) {]==])

baton_plant(release-reads-before-fence P1 "a lost reader's holds end before it is fenced"
  src/receiver/receiver.cc
  [==[table_.end_unfinished(peer, absl::UnavailableError(fmt::format("its sender is gone: {}",]==]
  [==[if (PLANTED) {
    reads_.end_fenced(peer);
  }
  table_.end_unfinished(peer, absl::UnavailableError(fmt::format("its sender is gone: {}",]==])

baton_plant(read-in-flight-chunk P1 "a chunk in flight is a hit"
  src/receiver/reads.cc
  [==[if (chunk == nullptr || chunk->state != Chunk::State::kCommitted) {]==]
  [==[if (chunk == nullptr || (chunk->state != Chunk::State::kCommitted && !PLANTED)) {]==])

baton_plant(read-without-digest P1 "what was read is not verified"
  src/sender/read_task.cc
  [==[if (digest == hit.digest) {]==]
  [==[if (digest == hit.digest || PLANTED) {]==])

baton_plant(end-read-while-reading P3 "a read that failed gives its memory back while it is read into"
  src/sender/read_task.cc
  [==[if (slices_busy_ == 0) {
    on_slice_idle();]==]
  [==[if (slices_busy_ == 0 || PLANTED) {
    on_slice_idle();]==])
baton_plant_also(end-read-while-reading
  src/sender/read_task.cc
  [==[if (slices_busy_ > 0) {
    return;]==]
  [==[if (slices_busy_ > 0 && !(PLANTED && state_ == State::kDraining)) {
    return;]==])
baton_plant_also(end-read-while-reading
  src/sender/read_task.cc
  [==[  if (!status.ok() || state_ == State::kDraining) {
    --slices_busy_;]==]
  [==[  if (PLANTED && state_ == State::kEnded) {
    return;
  }
  if (!status.ok() || state_ == State::kDraining) {
    --slices_busy_;]==])

baton_plant(hold-reads-for-ever P5 "a release ends no hold, and its reader is fenced for it"
  src/receiver/receiver_reads.cc
  [==[reads_.end(message.parties.sender_epoch, message.read_id);]==]
  [==[if (!PLANTED) {
      reads_.end(message.parties.sender_epoch, message.read_id);
    }]==])

baton_plant(starve-waiting-requests P4 "readers get pages that a request waits for"
  src/receiver/reads.cc
  [==[return !somebody_waits && table_.pool().may_hold(*chunk);]==]
  [==[return (PLANTED || !somebody_waits) && table_.pool().may_hold(*chunk);]==])

baton_plant(place-without-grant P7 "eager bytes are placed where another put was granted the page"
  src/receiver/request_table_eager.cc
  [==[    if (key.state != wire::KeyState::kGranted) {
      continue;
    }]==]
  [==[    if (key.state != wire::KeyState::kGranted &&
        !(PLANTED && key.state == wire::KeyState::kInFlight)) {
      continue;
    }]==])

baton_plant(eager-past-admission P6 "an eager put gets pages that are promised to other requests"
  src/receiver/request_table_open.cc
  [==[  if (!admission_.try_admit(*request, all_known ? keys_ : unknown)) {]==]
  [==[  const bool past = PLANTED && message.eager.has_value() && !admission_.fits(*request) &&
                    request->total_chunks <= pool_.counts().free;
  if (past) {
    admission_.admit(*request);
  } else if (!admission_.try_admit(*request, all_known ? keys_ : unknown)) {]==])
baton_plant_also(eager-past-admission
  src/receiver/chunk_pool.cc
  [==[assert(pages <= available());]==]
  [==[assert(PLANTED || pages <= available());]==])

baton_plant(forget-pages-ahead P6 "the pages that a failed put has filled are neither given back nor kept"
  src/sender/put_task_ahead.cc
  [==[      stock_->give_up(place->page);]==]
  [==[      if (!PLANTED) {
        stock_->give_up(place->page);
      }]==])

baton_plant(adopt-lost-page-ahead P3 "a put's chunk is taken to lie in whatever page ahead has the number"
  src/receiver/chunk_pool_ahead.cc
  [==[  const bool is_ahead = chunk.place == Place::kAhead && chunk.generation == generation &&
                        chunk.writer.sender == sender;]==]
  [==[  const bool is_ahead =
      chunk.place == Place::kAhead &&
      (PLANTED || (chunk.generation == generation && chunk.writer.sender == sender));]==])
baton_plant_also(adopt-lost-page-ahead
  src/receiver/chunk_pool_ahead.cc
  [==[assert(ahead.place == Place::kAhead && ahead.writer.sender == writer.sender);]==]
  [==[assert(ahead.place == Place::kAhead && (PLANTED || ahead.writer.sender == writer.sender));]==])
baton_plant_also(adopt-lost-page-ahead
  src/receiver/request_table_ahead.cc
  [==[if (const std::uint64_t digest = digest_of(page); digest != expected) {]==]
  [==[const std::vector<std::uint64_t>& named = message.ahead->generations;
      const bool is_another =
          std::find(named.begin(), named.end(), chunk->generation) == named.end();
      if (const std::uint64_t digest = digest_of(page);
          digest != expected && !(PLANTED && is_another)) {]==])

baton_plant(return-page-while-filling P3 "a page that is wanted back goes while a put fills it"
  src/sender/ahead_stock.cc
  [==[    entry->goes_back = true;
    if (entry->state == State::kFree) {]==]
  [==[    entry->goes_back = true;
    if (entry->state == State::kFree || (PLANTED && entry->state == State::kTaken)) {]==])

baton_plant(free-ahead-before-fence P3 "a lost sender's pages ahead are free before it is fenced"
  src/receiver/chunk_pool_ahead.cc
  [==[    chunks_[page].place = Place::kQuarantined;
    ++quarantined_;]==]
  [==[    if (PLANTED) {
      free_page(page);
      continue;
    }
    chunks_[page].place = Place::kQuarantined;
    ++quarantined_;]==])

baton_plant(grant-ahead-of-waiting-requests P4 "pages are granted ahead that a request waits for"
  src/receiver/request_table_ahead.cc
  [==[somebody_waits() ? 0U : pool_.available() / 2);]==]
  [==[somebody_waits() && !PLANTED ? 0U : pool_.available() / 2);]==])

baton_plant(recall-nothing P6 "nobody asks for the pages that others have ahead"
  src/receiver/receiver_ahead.cc
  [==[    peer->second.recalled = true;]==]
  [==[    peer->second.recalled = true;
    if (PLANTED) {
      continue;
    }]==])
