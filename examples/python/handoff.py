"""A whole handoff in one small program: in production the two backends live in two processes."""

import baton

# What the engine knows of its KV cache: 2 (K and V) x 4 layers x 256 tokens x 128 halves a chunk.
FULL_CHUNK = baton.TensorMeta([2, 4, 256, 128], baton.DType.half, baton.MemoryFormat.KV_2LTD)
LAYOUT = baton.CacheLayout("my-model", "sha256-of-the-weights", "my-prefix-hash-v1", FULL_CHUNK)


def main() -> None:
    # Decode: pages that prefillers write into (port 0 asks for any). Prefill: staging pages.
    decode_options = baton.Options(pd_role="receiver", pd_buffer_size=64 << 20,
                                   pd_peer_init_port=0, pd_peer_alloc_port=0)
    prefill_options = baton.Options(pd_role="sender", pd_buffer_size=64 << 20)
    with (baton.PDBackend(decode_options, LAYOUT) as decode,
          baton.PDBackend(prefill_options, LAYOUT) as prefill):
        # A chunk's key names its content: model, rank, hash of the whole prefix.
        keys = [baton.CacheEngineKey("my-model", chunk_hash=value) for value in (0xc0ffee, 0xdecaf)]
        to = baton.TransferSpec("request-1", receiver_init_port=[decode.init_port],
                                receiver_alloc_port=[decode.alloc_port], is_last_prefill=True)

        # Admit the request whole, on both sides; from here on nothing waits for memory.
        with prefill.open_request(to, keys) as request:
            chunks = request.batched_allocate(FULL_CHUNK, len(keys))
            for chunk in chunks:
                chunk.numpy()[:] = 42  # prefill writes its KV rows here: [2, L, T, D], no copy
            # Put. It returns at once; the future (or a callback for each key) tells the end.
            [put] = prefill.batched_submit_put_task(
                keys, chunks, transfer_spec=to,
                on_complete_callback=lambda key: print("there:", key))
            put.result()

        # Decode: all chunks of the request, verified, or none. They stay while the claim lives.
        with decode.claim("request-1", keys) as claim:
            for chunk in claim:
                print(f"page {chunk.page}: {chunk.nbytes} bytes of KV, mean {chunk.numpy().mean()}")


if __name__ == "__main__":
    main()
