"""What guides for containers recommend, taken together."""

import os

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ['TEST_PORT']}"
worker_class = "sync"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_tmp_dir = "/dev/shm"
preload_app = os.environ.get("PRELOAD", "true").lower() == "true"
accesslog = "-"
errorlog = "-"
capture_output = True
enable_stdio_inheritance = True
forwarded_allow_ips = "*"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
graceful_timeout = 20
wsgi_app = "scheme:app"
control_socket_disable = True
