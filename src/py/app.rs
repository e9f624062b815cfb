//! Finds the application that a specification names: `module`, `module:name`, `module:a.b`, `module:factory("x", b=1)`.
//!
//! Owns the grammar after the colon and the order of the checks. Must never evaluate more than attribute look-ups and
//! one call with literal arguments. What a failure means for the exit status and the person is `failure.rs`.

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFunction, PyModule, PyTuple};

use super::failure::{Fault, LoadError};
use super::hint;

const DEFAULT_NAME: &str = "application";

/// What stands after the colon.
struct Expression<'py> {
    /// `a.b.c`.
    names: Vec<String>,
    call: Option<Arguments<'py>>,
}

struct Arguments<'py> {
    positional: Bound<'py, PyTuple>,
    keywords: Bound<'py, PyDict>,
}

/// Imports and resolves `spec`. The result is callable.
pub fn load(py: Python<'_>, spec: &str) -> Result<Py<PyAny>, LoadError> {
    let (module, expression) = spec.split_once(':').unwrap_or((spec, DEFAULT_NAME));
    resolve(py, module, expression).map(Bound::unbind).map_err(|fault| LoadError::new(py, spec, fault))
}

fn resolve<'py>(py: Python<'py>, module: &str, expression: &str) -> Result<Bound<'py, PyAny>, Fault> {
    let module = py.import(module)?;
    let parsed = parse(py, expression)?;
    let found = look_up(&module, &parsed.names)?;
    let application = match &parsed.call {
        Some(arguments) => call(&found, arguments)?,
        None => found,
    };
    judge(&module, expression, &application).map(|()| application)
}

/// Whether it is an application at all.
fn judge(
    module: &Bound<'_, PyModule>,
    expression: &str,
    application: &Bound<'_, PyAny>,
) -> Result<(), Fault> {
    let hint = || hint::of_wrong_value(module, expression, application);
    if application.is_none() {
        return Err(Fault::hinted(format!("Failed to find application object: '{expression}'"), hint()));
    }
    if !application.is_callable() {
        return Err(Fault::hinted("Application object must be callable.", hint()));
    }
    Ok(())
}

/// `a function in /srv/shop.py`, for the person who started it.
pub fn describe(py: Python<'_>, spec: &str, application: &Py<PyAny>) -> String {
    let application = application.bind(py);
    let class = application.get_type();
    let name = class.name().map(|name| name.to_string()).unwrap_or_default();
    let kind = match name.as_str() {
        "function" | "builtin_function_or_method" => "a function".to_owned(),
        "method" => "a method".to_owned(),
        "type" => "a class".to_owned(),
        _ => format!("of type {name}"),
    };
    let module = spec.split(':').next().unwrap_or(spec);
    let module = py.import("sys").and_then(|sys| sys.getattr("modules")?.get_item(module));
    let file = module.ok().and_then(|module| hint::file_of(&module));
    file.map_or_else(|| kind.clone(), |file| format!("{kind} in {file}"))
}

/// Whether it is a function without parameters, which no request can call: probably one that makes the application.
pub fn is_factory(py: Python<'_>, application: &Py<PyAny>) -> bool {
    // CO_VARARGS: it takes any number.
    const ANY_NUMBER: u32 = 0x04;
    let takes = || -> PyResult<(usize, u32)> {
        let code = application.bind(py).cast::<PyFunction>()?.getattr("__code__")?;
        Ok((code.getattr("co_argcount")?.extract()?, code.getattr("co_flags")?.extract()?))
    };
    takes().is_ok_and(|(count, flags)| count == 0 && flags & ANY_NUMBER == 0)
}

fn parse<'py>(py: Python<'py>, text: &str) -> Result<Expression<'py>, Fault> {
    let fault = || Fault::refused(format!("Failed to parse '{text}' as an attribute name or function call."));
    let keywords = PyDict::new(py);
    keywords.set_item("mode", "eval")?;
    let tree = py.import("ast")?.call_method("parse", (text,), Some(&keywords)).map_err(|_| fault())?;
    let body = tree.getattr("body")?;
    if kind(&body)? != "Call" {
        return Ok(Expression { names: dotted(&body)?.ok_or_else(fault)?, call: None });
    }
    let names = dotted(&body.getattr("func")?)?.ok_or_else(fault)?;
    let arguments = arguments(&body)
        .map_err(|_| Fault::refused(format!("Failed to parse arguments as literal values: '{text}'")))?;
    Ok(Expression { names, call: Some(arguments) })
}

fn kind(node: &Bound<'_, PyAny>) -> PyResult<String> {
    node.get_type().name()?.extract()
}

/// `a.b.c` as its names; `None` for anything else.
fn dotted(node: &Bound<'_, PyAny>) -> PyResult<Option<Vec<String>>> {
    let mut names = Vec::new();
    let mut node = node.clone();
    while kind(&node)? == "Attribute" {
        names.push(node.getattr("attr")?.extract()?);
        node = node.getattr("value")?;
    }
    if kind(&node)? != "Name" {
        return Ok(None);
    }
    names.push(node.getattr("id")?.extract()?);
    names.reverse();
    Ok(Some(names))
}

fn arguments<'py>(call: &Bound<'py, PyAny>) -> PyResult<Arguments<'py>> {
    let py = call.py();
    let literal = py.import("ast")?.getattr("literal_eval")?;
    let mut positional = Vec::new();
    for argument in call.getattr("args")?.try_iter()? {
        positional.push(literal.call1((argument?,))?);
    }
    let keywords = PyDict::new(py);
    for keyword in call.getattr("keywords")?.try_iter()? {
        let keyword = keyword?;
        // `**mapping` has no name, which fails here.
        let name: String = keyword.getattr("arg")?.extract()?;
        keywords.set_item(name, literal.call1((keyword.getattr("value")?,))?)?;
    }
    Ok(Arguments { positional: PyTuple::new(py, positional)?, keywords })
}

fn look_up<'py>(module: &Bound<'py, PyModule>, names: &[String]) -> Result<Bound<'py, PyAny>, Fault> {
    let mut found = module.clone().into_any();
    let mut path = module.name()?.to_string();
    for (depth, name) in names.iter().enumerate() {
        found = match found.getattr(name.as_str()) {
            Ok(attribute) => attribute,
            Err(error) if error.is_instance_of::<PyAttributeError>(module.py()) => {
                let reason = format!("Failed to find attribute '{name}' in '{path}'.");
                let module = (depth == 0).then(|| module.clone().unbind());
                return Err(Fault::MissingAttribute { reason, name: name.clone(), module });
            }
            Err(error) => return Err(error.into()),
        };
        path.push(if depth == 0 { ':' } else { '.' });
        path.push_str(name);
    }
    Ok(found)
}

fn call<'py>(factory: &Bound<'py, PyAny>, arguments: &Arguments<'py>) -> Result<Bound<'py, PyAny>, Fault> {
    let py = factory.py();
    factory.call(&arguments.positional, Some(&arguments.keywords)).map_err(|error| {
        // Without a frame the factory's body was never entered: the arguments do not fit.
        if error.is_instance_of::<PyTypeError>(py) && error.traceback(py).is_none() {
            Fault::refused(format!("TypeError: {}", error.value(py)))
        } else {
            error.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names and how many arguments, or the reason it is refused for.
    fn parsed(text: &str) -> Result<(String, Option<usize>), String> {
        Python::initialize();
        Python::attach(|py| match parse(py, text) {
            Ok(expression) => {
                let count = expression.call.map(|call| call.positional.len() + call.keywords.len());
                Ok((expression.names.join("."), count))
            }
            Err(fault) => Err(LoadError::new(py, "m", fault).report().to_owned()),
        })
    }

    #[test]
    fn names_and_calls_with_literals() {
        assert_eq!(parsed("app"), Ok(("app".into(), None)));
        assert_eq!(parsed("a.b.c"), Ok(("a.b.c".into(), None)));
        assert_eq!(parsed("make()"), Ok(("make".into(), Some(0))));
        assert_eq!(parsed("x.make('a', -1, [None], b={'c': (1,)})"), Ok(("x.make".into(), Some(4))));
    }

    #[test]
    fn anything_else_is_refused_in_gunicorns_words() {
        for bad in ["1+1", "", "a[0]", "make()()", "lambda: 0", "a b", "a;b", "make().app"] {
            let reason =
                format!("Cannot load m: Failed to parse '{bad}' as an attribute name or function call.");
            assert_eq!(parsed(bad), Err(reason));
        }
        for bad in ["make(open)", "make(*[1])", "make(**{'a': 1})", "make(1+x)"] {
            let reason = format!("Cannot load m: Failed to parse arguments as literal values: '{bad}'");
            assert_eq!(parsed(bad), Err(reason));
        }
    }

    #[test]
    fn what_is_found_must_be_callable() {
        Python::initialize();
        Python::attach(|py| {
            assert!(load(py, "json:JSONDecoder.decode").is_ok());
            assert!(load(py, "functools:partial(1)").is_err());
            for (spec, code, said) in [
                ("os:sep", 4, "Application object must be callable."),
                ("os:chdir('/', 1)", 4, "TypeError: "),
                ("os:nope", 4, "Failed to find attribute 'nope' in 'os'."),
                ("os:path.nope", 4, "Failed to find attribute 'nope' in 'os:path'."),
                ("rwsgi_not_there", 3, "ModuleNotFoundError: No module named 'rwsgi_not_there'"),
                ("json:loads('{')", 3, "JSONDecodeError: "),
            ] {
                let error = load(py, spec).unwrap_err();
                assert_eq!(error.exit_code, code, "{spec}");
                assert!(error.report().contains(said), "{spec}: {}", error.report());
                assert!(error.report().lines().count() <= 4, "{spec}: {}", error.report());
            }
        });
    }
}
