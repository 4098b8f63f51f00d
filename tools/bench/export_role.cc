// A prefiller on llama.cpp: exports the KV of a prompt, and puts it.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <utility>

#include "baton/pd_backend.h"
#include "src/base/digest.h"
#include "src/engine/kv_blob.h"
#include "src/engine/llama_session.h"
#include "src/engine/tiny_model.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

constexpr std::uint32_t kChunkTokens = 256;

/// Of a model whose file is gone again: it was read whole.
std::unique_ptr<engine::LlamaSession> make_session(std::uint32_t tokens) {
  const std::string path = "/tmp/baton-bench-" + std::to_string(::getpid()) + ".gguf";
  check(engine::write_tiny_model(path), "can't write a model");
  auto model = engine::LlamaModel::load(path);
  std::remove(path.c_str());
  return checked(
      engine::LlamaSession::create(checked(std::move(model), "can't load the model"),
                                   {.context_tokens = tokens, .chunk_tokens = kChunkTokens}),
      "can't make a session");
}

class Exporter final : public Role {
 public:
  explicit Exporter(const Json& arguments)
      : chunks_(arguments.at("batch").get<std::uint32_t>()),
        layout_(layout_of(arguments.at("chunk_bytes").get<std::size_t>())),
        session_(make_session(chunks_ * kChunkTokens)),
        backend_(checked(PdBackend::create(options_of(arguments, baton::Role::kSender), layout_),
                         "can't start")) {
    if (engine::kv_chunk_bytes(session_->model().kv_shape(), kChunkTokens) !=
        arguments.at("chunk_bytes").get<std::size_t>()) {
      throw Failed("the model's chunks have another size");
    }
    std::vector<engine::Token> prompt(kChunkTokens);
    for (std::uint32_t chunk = 0; chunk < chunks_; ++chunk) {
      for (engine::Token& token : prompt) {
        token = static_cast<engine::Token>((token + 7 + static_cast<engine::Token>(chunk)) % 400);
      }
      check(session_->prefill_chunk(prompt).status(), "can't prefill");
    }
    to_.receiver_init_port = {arguments.at("init_port").get<std::uint16_t>()};
    to_.receiver_alloc_port = {arguments.at("alloc_port").get<std::uint16_t>()};
    to_.is_last_prefill = true;
  }

  Json call(const std::string& op, const Json& arguments) override {
    if (op == "nothing") {
      return Json::object();
    }
    if (op != "exports") {
      throw Failed("an exporter knows no " + op);
    }
    const bool in_place = arguments.at("in_place").get<bool>();
    auto first = arguments.at("first").get<std::uint64_t>();
    std::vector<double> us;
    std::vector<double> export_us;  // of these, before the put was submitted
    for (std::uint32_t i = 0; i < arguments.at("times").get<std::uint32_t>(); ++i) {
      us.push_back(hand_over(first, in_place));
      export_us.push_back(export_us_);
      first += chunks_;
    }
    return {{"us", us},
            {"export_us", export_us},
            {"digests", digests_},
            {"bytes_written", std::exchange(bytes_written_, 0)}};
  }

 private:
  /// From the first export to the last key's callback, in microseconds. The request is admitted
  /// before.
  double hand_over(std::uint64_t first, bool in_place) {
    const std::vector<CacheEngineKey> keys = keys_of(first, chunks_);
    to_.req_id = request_of("r", first);
    to_.attempt = ++attempt_;
    const RequestHandle request =
        checked(backend_->open_request(
                    {.to = to_, .keys = keys, .timeout = std::nullopt, .in_place = in_place}),
                "can't open a request");
    std::atomic<std::uint32_t> left = chunks_;
    std::atomic<bool> done = false;
    Status status;
    Clock::time_point committed{};
    const auto begun = Clock::now();
    std::vector<MemoryObj> objects =
        checked(request.batched_allocate(layout_.full_chunk, chunks_), "can't allocate");
    for (std::uint32_t i = 0; i < chunks_; ++i) {
      if (objects[i].in_place() != in_place) {
        throw Failed("the receiver had too few pages ahead");
      }
      check(session_->export_chunk(i * kChunkTokens, (i + 1) * kChunkTokens, objects[i].bytes(),
                                   in_place ? engine::KvReader::kOther : engine::KvReader::kSelf),
            "can't export");
    }
    export_us_ = std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
    const PutHandle put =
        checked(backend_->batched_submit_put_task(keys, objects, to_,
                                                  [&](const CacheEngineKey&, const Status& of_one) {
                                                    status.Update(of_one);
                                                    if (left.fetch_sub(1) == 1) {
                                                      committed = Clock::now();
                                                      done.store(true);
                                                      done.notify_one();
                                                    }
                                                  }),
                "can't put");
    done.wait(false);
    check(status, "a put failed");
    check(put.wait(), "a put failed");
    bytes_written_ += put.stats().bytes_written;
    digests_ = Json::array();
    for (const MemoryObj& object : objects) {
      digests_.push_back(digest_of(object.bytes()));
    }
    return std::chrono::duration<double, std::micro>(committed - begun).count();
  }

  const std::uint32_t chunks_;
  const CacheLayout layout_;
  std::unique_ptr<engine::LlamaSession> session_;
  std::unique_ptr<PdBackend> backend_;
  TransferSpec to_;
  std::uint64_t attempt_ = 0;
  std::uint64_t bytes_written_ = 0;
  double export_us_ = 0;
  Json digests_;
};

}  // namespace

std::unique_ptr<Role> make_exporter(const Json& arguments) {
  return std::make_unique<Exporter>(arguments);
}

}  // namespace baton::bench
