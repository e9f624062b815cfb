//! The layers over each other: precedence, origins, errors and warnings, as a user meets them.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::kind::Level;
use crate::config::{
    Application, ConfigError, ConfigSource, FileLoader, Global, Loaded, Origin, Parsed, PasteApp, Raw,
    ServerSection, Settings, Sources, Warning, load,
};

/// A server about to start: its arguments, environment, config file and launch directory.
struct Start {
    sources: Sources,
    file: Option<Vec<Global>>,
    read: Option<ConfigSource>,
}

fn start(args: &str) -> Start {
    // A directory with neither config file in it, and with one directory, src.
    let cwd = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let argv = args.split_whitespace().map(Into::into).collect();
    Start { sources: Sources { argv, cwd, ..Sources::default() }, file: None, read: None }
}

impl Start {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A config file whose n-th line is the n-th global.
    fn file(mut self, globals: &[(&str, Raw)]) -> Self {
        let global = |(index, (name, value)): (usize, &(&str, Raw))| Global {
            name: (*name).to_owned(),
            value: value.clone(),
            line: u32::try_from(index + 1).ok(),
        };
        self.file = Some(globals.iter().enumerate().map(global).collect());
        self
    }

    fn parsed(&mut self) -> Result<Parsed, ConfigError> {
        let mut sources = self.sources.clone();
        if self.file.is_some() {
            // Any file will do: its globals are the fake's.
            sources.argv.splice(0..0, ["-c".into(), "python/rwsgi/spew.py".into()]);
        }
        load(&sources, self)
    }

    fn run(mut self) -> (Settings, Vec<String>) {
        match self.parsed() {
            Ok(Parsed::Run(settings, warnings)) => {
                (*settings, warnings.iter().map(Warning::to_string).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn settings(self) -> Settings {
        self.run().0
    }

    fn warnings(self) -> Vec<String> {
        self.run().1
    }

    fn error(mut self) -> ConfigError {
        match self.parsed() {
            Err(error) => error,
            Ok(parsed) => panic!("{parsed:?}"),
        }
    }
}

impl FileLoader for Start {
    fn load(&mut self, source: &ConfigSource) -> Result<Loaded, ConfigError> {
        self.read = Some(source.clone());
        Ok(Loaded { path: "conf.py".into(), globals: self.file.clone().unwrap_or_default() })
    }
}

#[test]
fn without_a_word_everything_has_its_default() {
    let settings = start("").settings();
    assert_eq!(settings.socket.bind, ["127.0.0.1:8000"]);
    assert_eq!(settings.workers.workers, 1);
    assert_eq!(settings.workers.timeout, Duration::from_secs(30));
    assert_eq!(settings.mechanics.chdir, PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    assert_eq!(settings.app_spec(), None);
    assert_eq!(*settings.origin("workers"), Origin::Default);
}

/// Each layer wins over all below it, whichever of them are there.
#[test]
fn precedence() {
    let origins = [
        Origin::Default,
        Origin::Env("RWSGI_WORKERS".to_owned()),
        Origin::File { path: "conf.py".into(), line: Some(1) },
        Origin::CmdArgs("GUNICORN_CMD_ARGS".to_owned()),
        Origin::Cli,
    ];
    for present in 0..16u32 {
        let has = |layer: u32| present & (1 << (layer - 1)) != 0;
        let mut server = start(if has(4) { "-w 14" } else { "" });
        if has(1) {
            server = server.env("RWSGI_WORKERS", "11");
        }
        if has(2) {
            server = server.file(&[("workers", Raw::Int(12))]);
        }
        if has(3) {
            server = server.env("GUNICORN_CMD_ARGS", "-w 13");
        }
        let highest = (1..=4).rev().find(|layer| has(*layer));
        let settings = server.settings();
        assert_eq!(settings.workers.workers, highest.map_or(1, |layer| 10 + layer as usize), "{present:b}");
        assert_eq!(*settings.origin("workers"), origins[highest.unwrap_or(0) as usize], "{present:b}");
    }
}

#[test]
fn a_list_replaces_the_list_below() {
    let server = start("-b :1 -b :2").file(&[("bind", Raw::from(":3"))]).env("PORT", "4");
    assert_eq!(server.settings().socket.bind, [":1", ":2"]);
    let server = start("").file(&[("bind", Raw::strings([":3", ":5"]))]).env("PORT", "4");
    assert_eq!(server.settings().socket.bind, [":3", ":5"]);
}

#[test]
fn other_servers_variables_are_read_below_our_own() {
    let settings =
        start("").env("PORT", "80").env("WEB_CONCURRENCY", "3").env("FORWARDED_ALLOW_IPS", "*").settings();
    assert_eq!(settings.socket.bind, ["0.0.0.0:80"]);
    assert_eq!(settings.workers.workers, 3);
    assert_eq!(settings.mechanics.forwarded_allow_ips, ["*"]);
    assert_eq!(*settings.origin("bind"), Origin::Env("PORT".to_owned()));
    let settings = start("").env("RWSGI_BIND", "unix:a '[::1]:80'").env("PORT", "80").settings();
    assert_eq!(settings.socket.bind, ["unix:a", "[::1]:80"]);
}

#[test]
fn an_empty_variable_is_unset_unless_empty_is_a_value() {
    let server = start("").env("PORT", "").env("WEB_CONCURRENCY", " ").env("RWSGI_BIND", "");
    let settings = server.env("FORWARDED_ALLOW_IPS", "").env("RWSGI_SENDFILE", "").settings();
    assert_eq!(settings.socket.bind, ["127.0.0.1:8000"]);
    assert_eq!(settings.workers.workers, 1);
    assert_eq!(settings.mechanics.sendfile, None);
    assert!(settings.mechanics.forwarded_allow_ips.is_empty());
    assert_eq!(*settings.origin("bind"), Origin::Default);
}

#[test]
fn extra_arguments_are_ours_before_gunicorns_and_name_no_application() {
    let server = start("").env("GUNICORN_CMD_ARGS", "--workers=9 --threads 1");
    let server = server.env("RWSGI_CMD_ARGS", "--log-level 'debug' other:app more -e 'A=b c'");
    let settings = server.settings();
    assert_eq!(settings.workers.workers, 1);
    assert_eq!(settings.logging.loglevel, Level::Debug);
    assert_eq!(settings.mechanics.raw_env, [("A".to_owned(), "b c".to_owned())]);
    assert_eq!(settings.app_spec(), None);
}

#[test]
fn the_argument_names_the_application_before_the_setting() {
    let conf = [("wsgi_app", Raw::from("conf:app"))];
    assert_eq!(start("").file(&conf).settings().app_spec(), Some("conf:app"));
    assert_eq!(start("-w 2 cli:app --preload").file(&conf).settings().app_spec(), Some("cli:app"));
}

/// Cargo.toml stands for a PasteDeploy file: the file is not looked into.
#[test]
fn the_application_is_that_of_the_highest_layer() {
    let file = format!("{}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
    let conf = [("paste", Raw::from("Cargo.toml#a")), ("wsgi_app", Raw::from("conf:app"))];
    let served = |start: Start| start.settings().app_spec().map(str::to_owned);
    assert_eq!(served(start("").file(&conf)), Some(format!("{file}#a")));
    assert_eq!(served(start("cli:app").file(&conf)), Some("cli:app".to_owned()));
    assert_eq!(served(start("cli:app --paste config:Cargo.toml").file(&conf)), Some(file.clone()));
    let settings = start("--paster Cargo.toml#b --paste-global a=b=c").settings();
    let defaults = vec![("a".to_owned(), "b=c".to_owned())];
    let app = PasteApp { file: file.clone().into(), name: Some("b".to_owned()), defaults };
    assert_eq!(settings.application(), Some(Application::Paste(app)));
    assert_eq!(settings.name(), file);
    let missing = start("--paste absent.ini").error();
    let said = "command line: invalid value for --paste: 'absent.ini': there is no file 'absent.ini'";
    assert!(missing.message.starts_with(said), "{missing}");
}

#[test]
fn a_server_section_stands_in_the_place_of_arguments() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let pairs = [("workers", "4"), ("host", "::1"), ("port", "80"), ("config", "python/rwsgi/spew.py")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let mut server = start("--no-such-flag").env("GUNICORN_CMD_ARGS", "-w 9");
    server.file = Some(Vec::new());
    server.sources.section = Some(ServerSection { file: file.clone(), pairs });
    let error = load(&server.sources.clone(), &mut server).unwrap_err();
    assert!(error.message.starts_with("Cargo.toml: invalid value for bind: '::1:80'"), "{error}");
    let section = server.sources.section.as_mut().unwrap();
    section.pairs.retain(|(key, _)| key != "port" && key != "host");
    let Ok(Parsed::Run(settings, _)) = load(&server.sources.clone(), &mut server) else { panic!() };
    assert_eq!((settings.workers.workers, settings.mechanics.preload_app), (4, true));
    assert_eq!(settings.paste_file(), Some(&*file));
    assert!(matches!(server.read, Some(ConfigSource::File { .. })));
}

#[test]
fn flags_may_be_short_long_shortened_joined_and_repeated() {
    for args in ["-w 3", "-w3", "--workers 3", "--workers=3", "--worker 1 -w 2 --workers 3", "-w 0x3"] {
        let args = args.replace("--worker ", "--workers ");
        assert_eq!(start(&args).settings().workers.workers, 3, "{args}");
    }
    let settings =
        start("--bin :1 --graceful 7 --access-logfile - --log-file e --no-send --preload --preload")
            .settings();
    assert_eq!(settings.socket.bind, [":1"]);
    assert_eq!(settings.workers.graceful_timeout, Duration::from_secs(7));
    assert_eq!(settings.logging.accesslog.as_deref(), Some("-"));
    assert_eq!(settings.logging.errorlog, "e");
    assert_eq!(settings.mechanics.sendfile, Some(false));
    assert!(settings.mechanics.preload_app);
    assert_eq!(start("--limit-request-field-size 9").settings().security.limit_request_field_size, 9);
    assert_eq!(start("--limit-request-field_size 9").settings().security.limit_request_field_size, 9);
}

#[test]
fn a_command_line_that_cannot_be_read_is_a_usage_error() {
    let cases = [
        ("--wrokers 3", "'--workers'"),
        ("--work 3", "--work"),
        ("-w", "a value is required"),
        ("a:b c:d", "c:d"),
        ("--preload=yes", "yes"),
        ("-w many", "command line: invalid value for --workers: 'many': must be a whole number, 0 or more"),
        ("-w -1", "Value must be positive: -1"),
        ("--timeout 1.5", "must be a whole number of seconds, 0 or more"),
    ];
    for (args, part) in cases {
        let error = start(args).error();
        assert_eq!(error.exit_code, 2, "{args}: {error}");
        assert!(error.message.contains(part), "{args}: {error}");
        assert!(!error.message.starts_with("error:"), "{args}: {error}");
    }
    let mut helped = start("--help").env("GUNICORN_CMD_ARGS", "--wrokers 3");
    assert!(matches!(helped.parsed(), Ok(Parsed::Help(_))), "help comes before what is wrong elsewhere");
    let error = start("").env("GUNICORN_CMD_ARGS", "--wrokers 3").error();
    assert!(error.exit_code == 2 && error.message.starts_with("GUNICORN_CMD_ARGS: "), "{error}");
}

#[test]
fn a_bad_value_names_its_place_and_what_is_allowed() {
    let bad = |args: &str| start(args).error();
    let conf = |name, value| start("").file(&[("x", Raw::None), (name, value)]).error();
    let env = |name, value| start("").env(name, value).error();
    let cases = [
        (
            bad("-b 8000"),
            "command line: invalid value for --bind: ['8000']: '8000' is a port without its colon",
        ),
        (bad("--log-level loud"), "'loud': must be debug, info, warning, error or critical"),
        (bad("-e X"), "environment setting 'X' invalid (allowed: NAME=VALUE"),
        (bad("-k gtread"), "'gtread': must be sync, gthread, gevent, eventlet, tornado or asgi"),
        (
            bad("--chdir nowhere"),
            "command line: invalid value for --chdir: 'nowhere': can't chdir to 'nowhere'",
        ),
        (bad("-c nowhere.py"), "'nowhere.py' doesn't exist"),
        (bad("-c file:nowhere.py"), "'nowhere.py' doesn't exist"),
        (bad("--forwarded-allow-ips 10.0.0.1/8"), "10.0.0.1/8 has host bits set"),
        (conf("workers", Raw::from("many")), "conf.py:2: invalid value for workers: 'many': must be a whole"),
        (conf("workers", Raw::Bool(true)), "conf.py:2: invalid value for workers: True"),
        (conf("timeout", Raw::Float(1.5)), "conf.py:2: invalid value for timeout: 1.5"),
        (
            conf("preload_app", Raw::Int(1)),
            "conf.py:2: invalid value for preload_app: 1: must be True or False",
        ),
        (conf("bind", Raw::strings([":1", "h:p"])), "[':1', 'h:p']: 'p' is not a valid port number."),
        (
            conf("proc_name", Raw::Callable("<function f>".into())),
            "proc_name: <function f>: must be a string",
        ),
        (env("WEB_CONCURRENCY", "auto"), "WEB_CONCURRENCY: invalid value for workers: 'auto'"),
        (env("PORT", "http"), "PORT: invalid value for bind: '0.0.0.0:http': 'http' is not a valid port"),
        (env("RWSGI_BIND", "'a"), "RWSGI_BIND: a quotation is not closed"),
        (env("RWSGI_CMD_ARGS", "'a"), "RWSGI_CMD_ARGS: a quotation is not closed"),
    ];
    for (error, part) in cases {
        assert!(error.message.contains(part), "{error}");
        assert_eq!(error.exit_code, 1, "{error}");
    }
    let threads = bad("--threads 0");
    assert!(threads.message.contains("must be 1 to 256"), "{threads}");
}

#[test]
fn a_value_is_checked_also_where_it_is_replaced() {
    let error = start("-w 3").file(&[("workers", Raw::from("many"))]).error();
    assert!(error.message.starts_with("conf.py:1"), "{error}");
}

#[test]
fn what_does_not_exist_yet_may_have_its_default_alone() {
    let function = Raw::Callable("<function ssl_context>".into());
    for (name, value) in [
        ("protocol", Raw::from("uwsgi")),
        ("ssl_context", function),
        ("certfile", Raw::from("a")),
        ("http2_cleartext", Raw::Bool(true)),
        ("dirty_workers", Raw::Int(1)),
    ] {
        let error = start("").file(&[("x", Raw::None), (name, value)]).error();
        assert_eq!(error.exit_code, 1);
        let expected = format!("conf.py:2: {name} is not supported yet: ");
        assert!(error.message.starts_with(&expected), "{error}");
    }
    for args in ["--dirty-app=a", "--certfile=a"] {
        let error = start(args).error();
        let expected = format!("command line: {} is not supported yet: ", args.trim_end_matches("=a"));
        assert!(error.exit_code == 2 && error.message.starts_with(&expected), "{error}");
    }
    let misspelled = start("").file(&[("protocol", Raw::from("htpt"))]).error();
    assert!(misspelled.message.ends_with("must be http or uwsgi"), "{misspelled}");
    let harmless = [
        ("user", Raw::None),
        ("protocol", Raw::from("http")),
        ("proxy_protocol", Raw::Bool(false)),
        ("proxy_allow_ips", Raw::from("127.0.0.1, ::1")),
        ("dirty_timeout", Raw::from("300")),
        ("suppress_ragged_eofs", Raw::Bool(true)),
    ];
    assert_eq!(start("--dirty-timeout 300 --suppress-ragged-eofs").file(&harmless).warnings(), [""; 0]);
}

#[test]
fn what_changes_nothing_is_told() {
    let warnings = start("--worker-tmp-dir /dev/shm").warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("command line: --worker-tmp-dir has no effect: "), "{warnings:?}");
}
