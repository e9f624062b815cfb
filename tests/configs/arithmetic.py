"""Sizes from the machine and from variables, as images that run anywhere have them."""

import multiprocessing
import os

workers_per_core = float(os.getenv("WORKERS_PER_CORE", "1"))
most = int(os.getenv("MAX_WORKERS", "3"))
cores = multiprocessing.cpu_count()
workers = max(2, min(int(workers_per_core * cores * 2) + 1, most))
threads = os.environ.get("THREADS", 1)
timeout = int(os.environ.get("TIMEOUT") or 45)
keepalive = int(os.getenv("KEEP_ALIVE", "5"))
worker_connections = 100 * cores
max_requests = 1000
max_requests_jitter = max_requests // 10
loglevel = os.getenv("LOG_LEVEL", "INFO")
print(f"{workers} workers, timeout {timeout}")
