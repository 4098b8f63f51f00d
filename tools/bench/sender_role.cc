// Baton's sender, timed from the submission to the last key's callback.
#include <atomic>
#include <chrono>
#include <utility>

#include "baton/pd_backend.h"
#include "src/base/digest.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

/// What its callbacks tell, from the progress thread.
struct Receipt {
  explicit Receipt(std::uint32_t keys) : left(keys) {}

  std::atomic<std::uint32_t> left;
  Clock::time_point committed{};
  Status status;  // the first that is not OK
  std::atomic<bool> done = false;

  void tell(const Status& of_one) {
    if (!of_one.ok() && status.ok()) {
      status = of_one;
    }
    if (left.fetch_sub(1) == 1) {
      committed = Clock::now();
      done.store(true);
      done.notify_one();
    }
  }
};

class Sender final : public Role {
 public:
  explicit Sender(const Json& arguments)
      : chunk_(layout_of(arguments.at("chunk_bytes").get<std::size_t>()).full_chunk) {
    const Options options = options_of(arguments, baton::Role::kSender);
    backend_ = checked(
        PdBackend::create(options, layout_of(arguments.at("chunk_bytes").get<std::size_t>())),
        "can't start");
    // All staging pages, held for good: the source is as large as the buffer, and never warm.
    objects_ =
        checked(backend_->batched_allocate(chunk_, arguments.at("chunks").get<std::uint32_t>()),
                "can't allocate");
    std::uint64_t seed = arguments.value("seed", std::uint64_t{1});
    for (const MemoryObj& object : objects_) {
      fill(object.bytes(), seed++);
    }
    to_.receiver_init_port = {arguments.at("init_port").get<std::uint16_t>()};
    to_.receiver_alloc_port = {arguments.at("alloc_port").get<std::uint16_t>()};
    to_.is_last_prefill = true;
  }

  Json call(const std::string& op, const Json& arguments) override {
    if (op == "puts") {
      return puts(arguments);
    }
    if (op == "puts_for") {
      return puts_for(arguments);
    }
    if (op == "transport") {
      const auto names = backend_->transports_in_use();
      return {{"transport", names.empty() ? "" : names.front()}};
    }
    if (op == "nothing") {
      return Json::object();
    }
    throw Failed("a sender knows no " + op);
  }

 private:
  /// Puts one after the other, each a request: `times` of `each` chunks under new keys from `first`
  /// on. With `digests`, of the chunks of the last one.
  Json puts(const Json& arguments) {
    const auto each = arguments.at("each").get<std::uint32_t>();
    const auto prefix = arguments.at("req").get<std::string>();
    auto first = arguments.at("first").get<std::uint64_t>();
    std::vector<double> us;
    for (std::uint32_t i = 0; i < arguments.at("times").get<std::uint32_t>(); ++i) {
      us.push_back(put(prefix, first, each));
      first += each;
    }
    Json digests = Json::array();
    if (arguments.value("digests", false)) {
      for (const MemoryObj& object : last_) {
        digests.push_back(digest_of(object.bytes()));
      }
    }
    return {{"us", us},
            {"digests", digests},
            {"chunks_sent", std::exchange(chunks_sent_, 0)},
            {"chunks_skipped", std::exchange(chunks_skipped_, 0)},
            {"bytes_written", std::exchange(bytes_written_, 0)}};
  }

  /// Puts, one after the other, until `seconds` have passed.
  Json puts_for(const Json& arguments) {
    const auto each = arguments.at("each").get<std::uint32_t>();
    const auto prefix = arguments.at("req").get<std::string>();
    const auto begun = Clock::now();
    const auto end =
        begun + std::chrono::duration_cast<Clock::duration>(
                    std::chrono::duration<double>(arguments.at("seconds").get<double>()));
    std::uint64_t key = arguments.at("first").get<std::uint64_t>();
    std::uint32_t count = 0;
    for (; Clock::now() < end; ++count) {
      put(prefix, key, each);
      key += each;
    }
    return {{"puts", count},
            {"seconds", std::chrono::duration<double>(Clock::now() - begun).count()},
            {"bytes_written", std::exchange(bytes_written_, 0)}};
  }

  double put(const std::string& prefix, std::uint64_t first, std::uint32_t each) {
    const std::vector<CacheEngineKey> keys = keys_of(first, each);
    last_.clear();
    for (std::uint32_t i = 0; i < each; ++i) {
      last_.push_back(objects_[next_object_++ % objects_.size()]);
    }
    to_.req_id = request_of(prefix, first);
    to_.attempt = ++attempt_;
    Receipt receipt(each);
    const auto submitted = Clock::now();
    const PutHandle handle = checked(
        backend_->batched_submit_put_task(
            keys, last_, to_,
            [&receipt](const CacheEngineKey&, const Status& status) { receipt.tell(status); }),
        "can't put");
    receipt.done.wait(false);
    check(receipt.status, "a put failed");
    check(handle.wait(), "a put failed");
    const PutStats stats = handle.stats();
    chunks_sent_ += stats.chunks_sent;
    chunks_skipped_ += stats.chunks_skipped;
    bytes_written_ += stats.bytes_written;
    return std::chrono::duration<double, std::micro>(receipt.committed - submitted).count();
  }

  TensorMeta chunk_;
  std::unique_ptr<PdBackend> backend_;
  std::vector<MemoryObj> objects_;
  std::vector<MemoryObj> last_;
  TransferSpec to_;
  std::uint64_t attempt_ = 0;
  std::uint64_t next_object_ = 0;
  std::uint64_t chunks_sent_ = 0;
  std::uint64_t chunks_skipped_ = 0;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace

std::unique_ptr<Role> make_sender(const Json& arguments) {
  return std::make_unique<Sender>(arguments);
}

}  // namespace baton::bench
