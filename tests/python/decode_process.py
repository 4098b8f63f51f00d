"""A receiver in a process of its own: claims what it is told to, and says what it read."""

import hashlib
import json
import sys

import baton
import support


def main():
    with support.receiver(pd_transport=sys.argv[1], pd_poison_pages=True) as decode:
        print(json.dumps([decode.init_port, decode.alloc_port]), flush=True)
        for line in sys.stdin:
            req_id, texts = json.loads(line)
            keys = [baton.CacheEngineKey.from_string(text) for text in texts]
            with decode.claim(req_id, keys, timeout=support.WAIT) as claim:
                print(json.dumps([[chunk.meta.tokens, hashlib.sha256(chunk).hexdigest()]
                                  for chunk in claim]), flush=True)


if __name__ == "__main__":
    main()
