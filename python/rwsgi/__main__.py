"""The entry point of `rwsgi` and of `python -m rwsgi`.

Owns the hand-over from Python to Rust and nothing else: arguments go in, the exit status comes out.
Must never parse an argument or catch an exception; that is the server's own work.
Read next: _rwsgi.pyi, what the extension module offers.
"""

import sys

from rwsgi._rwsgi import main


def run() -> None:
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
