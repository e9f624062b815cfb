"""Writes the seeds of each target from tests/corpus, in the layout of src/lib.rs: flags, cuts, stream."""

import sys
from pathlib import Path

FUZZ = Path(__file__).parent
sys.path[:0] = [str(FUZZ.parent / "tests"), str(FUZZ.parent / "tests/differential")]

from corpus_cases import Case, cases  # noqa: E402
from streams import flags_of  # noqa: E402

PROXY = ["auto", "v1", "v2"]


def seed(target: str, case: Case) -> bytes | None:
    settings = dict(setting.partition("=")[::2] for setting in case.policy)
    cuts, data = 0x80 if "limit_request_body" in settings else 0, case.data
    if target == "proxy_protocol":
        if "proxy_protocol" not in settings:
            return None
        cuts = PROXY.index(settings["proxy_protocol"])
    elif target == "chunked":
        data = data.partition(b"\r\n\r\n")[2]
        if "chunked" not in case.file and b"chunked" not in case.data:
            return None
    elif target == "connection":
        cuts |= 0x40 if "trust_forwarded_header" in settings else 0
        cuts |= 0x10 if settings.get("header_map") == "dangerous" else 0
    return bytes([flags_of(case), cuts]) + data


def main() -> None:
    for target in ("head", "chunked", "connection", "proxy_protocol"):
        folder = FUZZ / "seeds" / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, case in enumerate(cases()):
            data = seed(target, case)
            # Long cases are long by repetition, which a fuzzer does not need.
            if data is not None and len(data) < 4096:
                (folder / f"{case.file}-{number}").write_bytes(data)


main()
