//! A module that is not there: where it was looked for, where it is instead, or how to get it.
//!
//! Owns the differences between a slip, a directory that is not on the path, another virtual environment and a package
//! that is not installed. Must never import anything of the application's. Read next: `hint.rs`.

use std::env;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;

use super::definitions::{module_in, modules_in};
use super::failure::own_files_of;
use super::hint::NEAR;

/// What packages are called where that is not what one imports.
const PACKAGES: [(&str, &str); 16] = [
    ("MySQLdb", "mysqlclient"),
    ("PIL", "pillow"),
    ("bs4", "beautifulsoup4"),
    ("cgi", "legacy-cgi"),
    ("corsheaders", "django-cors-headers"),
    ("cv2", "opencv-python"),
    ("dateutil", "python-dateutil"),
    ("debug_toolbar", "django-debug-toolbar"),
    ("django_filters", "django-filter"),
    ("distutils", "setuptools"),
    ("dotenv", "python-dotenv"),
    ("jwt", "PyJWT"),
    ("pkg_resources", "setuptools"),
    ("rest_framework", "djangorestframework"),
    ("sklearn", "scikit-learn"),
    ("yaml", "PyYAML"),
];

/// Names under which virtual environments lie in a project.
const ENVIRONMENTS: [&str; 3] = [".venv", "venv", "env"];

/// `asked` is the module that was to be loaded, `missing` the one that `error` says is not there.
pub(super) fn hint(py: Python<'_>, asked: &str, missing: &str, error: &PyErr) -> Option<String> {
    let top = missing.split('.').next()?;
    let here = env::current_dir().ok()?;
    if here.file_name().is_some_and(|name| name == missing) {
        return Some(format!(
            "'{top}' is the directory that rwsgi was started in; start it in the one above."
        ));
    }
    if asked == missing || asked.starts_with(&format!("{missing}.")) {
        return Some(not_found(missing, &here));
    }
    if is_importable(py, top) {
        // A part of a package that is there: its own line says all there is to say.
        return None;
    }
    let beside = own_files_of(py, error).ok()?.iter().rev().find_map(|file| {
        let directory = Path::new(file).parent()?;
        module_in(directory, top).map(|_| directory.to_owned())
    });
    if let Some(directory) = beside {
        return Some(format!(
            "It is in {}, which is not on sys.path; try: --pythonpath {0}",
            directory.display()
        ));
    }
    Some(not_installed(py, top, &here))
}

fn not_found(missing: &str, here: &Path) -> String {
    let meant = modules_in(here)
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&name, missing), name))
        .filter(|(near, _)| *near >= NEAR)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let next = match meant {
        Some((_, name)) => format!("did you mean '{name}'?"),
        None => "see --chdir, --pythonpath.".to_owned(),
    };
    format!("There is no '{missing}' in {} nor elsewhere on sys.path; {next}", here.display())
}

fn is_importable(py: Python<'_>, name: &str) -> bool {
    let loaded = py.import("sys").and_then(|sys| sys.getattr("modules")?.contains(name));
    let found =
        || py.import("importlib.util")?.call_method1("find_spec", (name,)).map(|spec| !spec.is_none());
    loaded.unwrap_or(false) || found().unwrap_or(false)
}

fn not_installed(py: Python<'_>, top: &str, here: &Path) -> String {
    let prefix = py.import("sys").and_then(|sys| sys.getattr("prefix")?.extract::<PathBuf>());
    let prefix = prefix.unwrap_or_default();
    let version = py.version_info();
    let python = format!("Python {}.{}.{}", version.major, version.minor, version.patch);
    if let Some(other) = other_environment(&prefix, top, here) {
        let (home, running) = (other.display(), prefix.display());
        return format!(
            "It is installed in {home}, but rwsgi runs in {running} ({python}); try: {home}/bin/pip install rwsgi"
        );
    }
    let package = PACKAGES.iter().find(|(module, _)| *module == top).map_or(top, |(_, package)| package);
    format!("'{top}' is not installed in {} ({python}); try: pip install {package}", prefix.display())
}

/// An environment that is not this process's own and has the module: the active one, or one of the project's.
fn other_environment(prefix: &Path, module: &str, here: &Path) -> Option<PathBuf> {
    let active = env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let projects = ENVIRONMENTS.iter().map(|name| here.join(name));
    let own = prefix.canonicalize().ok();
    active
        .into_iter()
        .chain(projects)
        .find(|home| home.canonicalize().ok() != own && has_module(home, module))
}

fn has_module(home: &Path, module: &str) -> bool {
    let versions = std::fs::read_dir(home.join("lib")).into_iter().flatten().filter_map(Result::ok);
    versions
        .map(|version| version.path().join("site-packages"))
        .any(|packages| module_in(&packages, module).is_some() || packages.join(module).is_dir())
}
