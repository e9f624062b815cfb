"""Where settings come from and which source wins; the command line's own manners."""

import py_compile
import re
from pathlib import Path

import pytest
from client import fetch
from server import APPS, eventually


@pytest.fixture
def printed(run, kind, tmp_path: Path):
    """The values --print-config shows, by name. `args` is what the *_CMD_ARGS variable holds."""

    def printed(
        *arguments: str, env: dict[str, str] | None = None, args: str | None = None
    ) -> dict[str, str]:
        (tmp_path / "hello.py").write_text((APPS / "hello.py").read_text())
        variables = (env or {}) | ({kind.command_arguments_variable: args} if args else {})
        status, stdout, stderr = run("--print-config", *arguments, "hello:app", cwd=tmp_path, env=variables)
        assert status == 0, stderr
        return dict(re.findall(r"^(\w+)\s*= *(.*?)(?: +#.*)?$", stdout, re.MULTILINE))

    return printed


@pytest.fixture
def config(tmp_path: Path):
    def config(text: str, name: str = "conf.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    return config


def test_defaults(printed) -> None:
    values = printed()
    expected = {
        "workers": "1",
        "timeout": "30",
        "graceful_timeout": "30",
        "keepalive": "2",
        "backlog": "2048",
    }
    expected |= {"max_requests": "0", "limit_request_line": "4094", "limit_request_fields": "100"}
    assert {name: values[name] for name in expected} == expected
    assert "127.0.0.1:8000" in values["bind"]


def test_precedence(printed, config) -> None:
    file = config("workers = 2\ntimeout = 20\nbacklog = 200\n")
    values = printed("-c", file, "--workers", "4", args="--workers 3 --timeout 30")
    assert (values["workers"], values["timeout"], values["backlog"]) == ("4", "30", "200")


def test_the_default_file(printed, config, kind) -> None:
    config("workers = 5\n", kind.config_file)
    assert printed()["workers"] == "5"


def test_a_named_file_replaces_the_default_one(printed, config, kind) -> None:
    config("workers = 5\nbacklog = 7\n", kind.config_file)
    values = printed("-c", config("workers = 6\n"))
    assert (values["workers"], values["backlog"]) == ("6", "2048")


def test_file_prefix(printed, config) -> None:
    assert printed("-c", "file:" + config("workers = 6\n"))["workers"] == "6"


def test_python_prefix(printed, config) -> None:
    config("workers = 7\n", "settings_module.py")
    assert printed("-c", "python:settings_module")["workers"] == "7"


def test_the_file_in_the_arguments_variable(printed, config) -> None:
    assert printed(args=f"-c {config('workers = 8')}")["workers"] == "8"


def test_a_file_is_a_program(printed, config) -> None:
    file = config("import os\nsuccess = 41\ndef count():\n    return 9\nworkers = count()\nWORKERS = 3\n")
    assert printed("-c", file)["workers"] == "9"


@pytest.mark.parametrize(
    ("env", "name", "value"),
    [
        ({"WEB_CONCURRENCY": "6"}, "workers", "6"),
        ({"PORT": "5000"}, "bind", "0.0.0.0:5000"),
        ({"FORWARDED_ALLOW_IPS": "10.1.2.3"}, "forwarded_allow_ips", "10.1.2.3"),
    ],
)
def test_environment(printed, env: dict[str, str], name: str, value: str) -> None:
    assert value in printed(env=env)[name]


def test_a_file_wins_over_the_environment(printed, config) -> None:
    assert printed("-c", config("workers = 2\n"), env={"WEB_CONCURRENCY": "6"})["workers"] == "2"


def test_the_last_flag_wins(printed) -> None:
    assert printed("-w", "2", "--workers=3")["workers"] == "3"


def test_a_flag_may_be_shortened(printed) -> None:
    assert printed("--limit-request-lin", "100")["limit_request_line"] == "100"


def test_a_list_replaces_a_list(printed, config) -> None:
    value = printed("-b", ":9001", "-b", ":9002", "-c", config("bind = ['127.0.0.1:9000']\n"))["bind"]
    assert "9001" in value
    assert "9002" in value
    assert "9000" not in value


@pytest.mark.parametrize("text", ["8", "0x8", "0o10"])
def test_numbers(printed, config, text: str) -> None:
    assert printed("-c", config(f"workers = '{text}'\n"))["workers"] == "8"


@pytest.mark.parametrize("text", ["True", "'true'", "'True'"])
def test_booleans(printed, config, text: str) -> None:
    assert printed("-c", config(f"preload_app = {text}\n"))["preload_app"].lower() == "true"


@pytest.mark.parametrize(
    "arguments",
    [["--no-such-flag"], ["-w", "many"], ["-w"], ["--timeout", "1.5x"], ["--workers=", "hello:app"]],
)
def test_usage_errors(run, arguments: list[str]) -> None:
    status, stdout, stderr = run(*arguments)
    assert status == 2
    assert "usage" in stderr.lower() or arguments[0].rstrip("=") in stderr
    assert stdout == ""


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_version(run, kind, flag: str) -> None:
    status, stdout, _ = run(flag)
    assert status == 0
    assert re.fullmatch(rf"{kind.name} \(version \d+\.\d+\.\d+\)\n", stdout)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(run, kind, flag: str) -> None:
    status, stdout, _ = run(flag)
    assert status == 0
    assert f"{kind.name} [OPTIONS] [APP_MODULE]" in stdout
    for name in ("--bind", "--workers", "--worker-class", "--access-logfile", "--limit-request-field_size"):
        assert name in stdout


def test_check_config(run) -> None:
    status, stdout, stderr = run("--check-config", "hello:app")
    assert (status, stdout, stderr) == (0, "", "")


@pytest.mark.parametrize("app", ["hello:nope", "not_a_module"])
def test_check_config_loads_the_application(run, app: str) -> None:
    status, _, stderr = run("--check-config", app)
    assert status != 0
    assert app.partition(":")[2] in stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workers = -1\n", ["-1"]),
        ("workers = 'many'\n", ["many"]),
        ("workers = [1]\n", ["workers"]),
        ("preload_app = 'maybe'\n", ["preload_app", "maybe"]),
        ("bind = '127.0.0.1:abc'\n", ["abc"]),
        ("worker_class = 'nonesuch'\n", ["nonesuch"]),
        ("chdir = '/not/there'\n", ["/not/there"]),
        ("forwarded_allow_ips = '10.0.0.1/8'\n", ["10.0.0.1/8"]),
        ("raise RuntimeError('in the config')\n", ["in the config", "conf.py"]),
        ("import not_there\n", ["not_there", "conf.py"]),
        ("workers = = 2\n", ["conf.py", "SyntaxError"]),
    ],
)
def test_a_bad_file(run, config, text: str, words: list[str]) -> None:
    status, _, stderr = run("-c", config(text), "hello:app")
    assert status == 1
    assert all(word in stderr for word in words), stderr


def test_another_extension(run, config) -> None:
    status, stdout, stderr = run(
        "-c", config("workers = 6\n", "settings.conf"), "--print-config", "hello:app"
    )
    assert status == 0
    assert re.search(r"^workers +[=:] 6\b", stdout, re.MULTILINE)
    assert "configuration file should have a valid Python extension" in stderr


def test_a_compiled_file(printed, config, tmp_path: Path) -> None:
    compiled = tmp_path / "compiled.pyc"
    py_compile.compile(config("workers = 6\n"), str(compiled))
    assert printed("-c", str(compiled))["workers"] == "6"


@pytest.mark.parametrize("content", [b"workers = '\xff'\n", b"workers = 1\0\n", b"workers = (\n"])
def test_a_file_that_is_no_python(run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "conf.py").write_bytes(content)
    status, _, stderr = run("-c", str(tmp_path / "conf.py"), "hello:app")
    assert status == 1
    assert "Failed to read config file: " in stderr
    assert "conf.py" in stderr


def test_a_directory_for_a_file(run, tmp_path: Path) -> None:
    (tmp_path / "conf.py").mkdir()
    status, _, stderr = run("-c", str(tmp_path / "conf.py"), "hello:app")
    assert status == 1
    assert "Is a directory" in stderr


@pytest.mark.parametrize("name", ["not_there", "raises"])
def test_a_module_that_cannot_be_imported(run, tmp_path: Path, name: str) -> None:
    (tmp_path / "raises.py").write_text("raise RuntimeError('in raises')\n")
    status, _, stderr = run("-c", f"python:{name}", "hello:app", env={"PYTHONPATH": str(tmp_path)})
    assert status == 1
    assert name in stderr


@pytest.mark.parametrize(
    "text",
    [
        "from gunicorn.workers.sync import SyncWorker as worker_class\n",
        "worker_class = 'gunicorn.workers.sync.SyncWorker'\n",
        "from gunicorn.glogging import Logger as logger_class\n",
        "from gunicorn.instrument.statsd import Statsd as logger_class\nstatsd_host = '127.0.0.1:9'\n",
        "from gunicorn.glogging import Logger\nlogger_class = lambda: Logger\n",
        "logger_class = 'simple'\n",
        pytest.param(
            "worker_class = 'egg:gunicorn#sync'\nlogger_class = 'egg:gunicorn#simple'\n",
            marks=pytest.mark.better(
                "The older names of gunicorn's own classes are known, such as `egg:gunicorn#sync`."
            ),
        ),
    ],
)
def test_gunicorns_own_classes(serve, config, text: str) -> None:
    server = serve("-c", config(text), "--access-logfile", "-")
    assert fetch(server.address).body == b"hello\n"
    eventually(lambda: "GET / " in server.stdout, "the access log's line")
    assert "Listening at: " in server.wait_log("Booting worker")


def test_a_missing_file(run) -> None:
    status, _, stderr = run("-c", "/not/there.py", "hello:app")
    assert status == 1
    assert "/not/there.py" in stderr


@pytest.mark.parametrize("setting", ["wsgi_app = 'hello:app'\n", "wsgi_app = 'hello'\n"])
def test_the_application_in_the_file(serve, config, setting: str) -> None:
    assert fetch(serve("-c", config(setting), app="").address).body == b"hello\n"


def test_the_argument_wins_over_the_file(serve, config) -> None:
    server = serve("-c", config("wsgi_app = 'hello:nope'\n"), app="factories:plain()")
    assert fetch(server.address).body == b"plain"


def test_the_bind_in_the_file(serve, config) -> None:
    server = serve(
        "-c", config("import os\nbind = os.environ['WHERE']\n"), bind=None, env={"WHERE": "127.0.0.1:{port}"}
    )
    assert fetch(server.address).body == b"hello\n"


def test_port_variable_binds(serve) -> None:
    server = serve(bind=None, env={"PORT": "{port}"})
    assert fetch(server.address).body == b"hello\n"
    server.wait_log("Listening at: http://0.0.0.0:")
