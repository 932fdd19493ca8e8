"""The ratios to a peer that Kiseki is held to: same run, 16 connections, one load thread.

{workload: {target: {peer: at least}}}; a peer that is not there is not judged.
"""

FLOORS = {
    "PUT4K": {"kiseki-sqlite": {"minio": 6, "versitygw": 2},
              "kiseki-pg": {"minio": 5, "versitygw": 2, "juicefs": 40}},
    "PUT64K": {"kiseki-sqlite": {"minio": 2}, "kiseki-pg": {"minio": 0.85, "juicefs": 2}},
    "PUT1M": {"kiseki-sqlite": {"minio": 1.7}, "kiseki-pg": {"minio": 0.85, "juicefs": 2}},
    "PUT16M": {"kiseki-sqlite": {"minio": 1.7}, "kiseki-pg": {"minio": 0.85, "juicefs": 2}},
    "GET4K": {"kiseki-sqlite": {"minio": 10, "versitygw": 10, "nginx": 0.4},
              "kiseki-pg": {"minio": 4, "juicefs": 25}},
    "GET64K": {"kiseki-sqlite": {"minio": 8}, "kiseki-pg": {"minio": 4}},
    "GET1M": {"kiseki-sqlite": {"minio": 5}, "kiseki-pg": {"minio": 4}},
    "GET16M": {"kiseki-sqlite": {"minio": 4}, "kiseki-pg": {"minio": 3}},
    "RANGE": {"kiseki-sqlite": {"minio": 8}, "kiseki-pg": {"minio": 5}},
    "LIST": {"kiseki-sqlite": {"minio": 25}, "kiseki-pg": {"minio": 15}},
    "LISTDELIM": {"kiseki-sqlite": {"minio": 5}, "kiseki-pg": {"minio": 3}},
    "COPY": {"kiseki-sqlite": {"minio": 100}, "kiseki-pg": {"minio": 50, "juicefs": 20}},
    "DELETE": {"kiseki-sqlite": {"minio": 2}, "kiseki-pg": {"minio": 1, "juicefs": 6}},
}
MEMORY_BYTES = 256 << 20
