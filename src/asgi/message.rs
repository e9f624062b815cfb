//! What an application sends, taken apart; and what it receives, put together.
//!
//! Owns the forms of the messages. Whether one is due is `serving.rs`'s to say. Values are checked here, where the
//! application can be told which one is wrong.

use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyMapping, PyString, PyTuple};

use super::frames::Message as Frame;
use crate::http::{ResponseHead, reason};

pub(super) enum Message<'py> {
    Start {
        head: ResponseHead,
        close: bool,
    },
    Body {
        body: Option<Bound<'py, PyBytes>>,
        more: bool,
    },
    EarlyHint(Vec<Vec<u8>>),
    /// Of a WebSocket, with the fields of its response.
    Accept {
        subprotocol: Option<String>,
        head: ResponseHead,
    },
    Frame(Frame),
    Close {
        code: u16,
        reason: String,
    },
    /// Of a response: they are not promised, and not sent.
    Trailers,
    Unknown(String),
}

impl Message<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Start { .. } => "http.response.start",
            Self::Body { .. } => "http.response.body",
            Self::EarlyHint(_) => "http.response.early_hint",
            Self::Accept { .. } => "websocket.accept",
            Self::Frame(_) => "websocket.send",
            Self::Close { .. } => "websocket.close",
            Self::Trailers => "http.response.trailers",
            Self::Unknown(name) => name,
        }
    }
}

impl<'py> Message<'py> {
    pub(super) fn parse(message: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = message.py();
        let own;
        let message = match message.cast::<PyDict>() {
            Ok(dict) => dict,
            Err(_) => {
                let mapping = message
                    .cast::<PyMapping>()
                    .map_err(|_| PyTypeError::new_err("an ASGI message must be a dictionary"))?;
                own = PyDict::new(py);
                own.update(mapping)?;
                &own
            }
        };
        let Some(kind) = message.get_item(intern!(py, "type"))? else {
            return Err(PyKeyError::new_err("an ASGI message must have a 'type'"));
        };
        let kind = kind
            .cast::<PyString>()
            .map_err(|_| PyTypeError::new_err("an ASGI message's 'type' must be a str"))?;
        match kind.to_str()? {
            "http.response.body" => body(message),
            "http.response.start" => start(message),
            "websocket.send" => frame(message),
            "websocket.accept" => accept(message),
            "websocket.close" => close(message),
            "websocket.http.response.start" => start(message),
            "websocket.http.response.body" => body(message),
            "http.response.early_hint" => early_hint(message),
            "http.response.trailers" => Ok(Self::Trailers),
            other => Ok(Self::Unknown(other.to_owned())),
        }
    }
}

fn start<'py>(message: &Bound<'py, PyDict>) -> PyResult<Message<'py>> {
    let py = message.py();
    let Some(status) = message.get_item(intern!(py, "status"))? else {
        return Err(PyKeyError::new_err("http.response.start must have a 'status'"));
    };
    let status: u16 = status.extract().map_err(|_| {
        PyTypeError::new_err("the 'status' of http.response.start must be an int of three digits")
    })?;
    let mut head = ResponseHead::new();
    head.set_status(format!("{status:03} {}", reason(status)).as_bytes())
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    let close = match message.get_item(intern!(py, "headers"))? {
        Some(headers) => fields(&headers, &mut head)?,
        None => false,
    };
    Ok(Message::Start { head, close })
}

/// True if the application wants the connection to close.
pub(super) fn fields(headers: &Bound<'_, PyAny>, head: &mut ResponseHead) -> PyResult<bool> {
    let mut close = false;
    let mut push = |field: &Bound<'_, PyAny>| -> PyResult<()> {
        let (name, value) = pair(field)?;
        let (name, value) = (bytes(&name, "a header's name")?, bytes(&value, "a header's value")?);
        let (name, value) = (name.as_bytes(), value.as_bytes());
        close |= name.eq_ignore_ascii_case(b"connection") && value.eq_ignore_ascii_case(b"close");
        head.push(name, value).map_err(|error| PyValueError::new_err(error.to_string()))
    };
    if let Ok(list) = headers.cast_exact::<PyList>() {
        list.iter().try_for_each(|field| push(&field))?;
    } else {
        headers.try_iter()?.try_for_each(|field| push(&field?))?;
    }
    Ok(close)
}

fn pair<'py>(field: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = field.cast::<PyTuple>()
        && pair.len() == 2
    {
        return Ok((pair.get_item(0)?, pair.get_item(1)?));
    }
    match field.len() {
        Ok(2) => Ok((field.get_item(0)?, field.get_item(1)?)),
        _ => Err(PyTypeError::new_err("each header must be a pair of a name and a value")),
    }
}

fn bytes<'py>(value: &Bound<'py, PyAny>, what: &str) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    if let Ok(array) = value.cast::<PyByteArray>() {
        return Ok(PyBytes::new(value.py(), &array.to_vec()));
    }
    let kind = value.get_type().name()?.to_string();
    Err(PyTypeError::new_err(format!("{what} must be bytes, not {kind}")))
}

fn body<'py>(message: &Bound<'py, PyDict>) -> PyResult<Message<'py>> {
    let py = message.py();
    let body = match message.get_item(intern!(py, "body"))? {
        None => None,
        Some(body) => match body.cast::<PyBytes>() {
            Ok(bytes) => Some(bytes.clone()),
            Err(_) => Some(copied(&body)?),
        },
    };
    let more = match message.get_item(intern!(py, "more_body"))? {
        Some(more) => more.is_truthy()?,
        None => false,
    };
    Ok(Message::Body { body, more })
}

/// The bytes of a `bytearray`, a `memoryview`, or whatever else has some.
fn copied<'py>(body: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let py = body.py();
    let view = py.import("builtins")?.getattr("memoryview")?.call1((body,));
    let Ok(view) = view else {
        let kind = body.get_type().name()?.to_string();
        return Err(PyTypeError::new_err(format!("the 'body' of a message must be bytes, not {kind}")));
    };
    Ok(view.call_method0("tobytes")?.cast_into::<PyBytes>()?)
}

fn early_hint<'py>(message: &Bound<'py, PyDict>) -> PyResult<Message<'py>> {
    let mut links = Vec::new();
    if let Some(given) = message.get_item("links")? {
        for link in given.try_iter()? {
            links.push(bytes(&link?, "a link")?.as_bytes().to_vec());
        }
    }
    Ok(Message::EarlyHint(links))
}

fn accept<'py>(message: &Bound<'py, PyDict>) -> PyResult<Message<'py>> {
    let mut head = ResponseHead::new();
    if let Some(headers) = message.get_item("headers")? {
        fields(&headers, &mut head)?;
    }
    let subprotocol = message.get_item("subprotocol")?.filter(|name| !name.is_none());
    Ok(Message::Accept { subprotocol: subprotocol.map(|name| name.extract()).transpose()?, head })
}

fn frame<'py>(message: &Bound<'py, PyDict>) -> PyResult<Message<'py>> {
    let py = message.py();
    let given = |key| message.get_item(key).map(|value| value.filter(|value| !value.is_none()));
    if let Some(data) = given(intern!(py, "bytes"))? {
        let data = match data.cast::<PyBytes>() {
            Ok(data) => data.as_bytes().to_vec(),
            Err(_) => copied(&data)?.as_bytes().to_vec(),
        };
        return Ok(Message::Frame(Frame::binary(data)));
    }
    let Some(text) = given(intern!(py, "text"))? else {
        return Err(PyKeyError::new_err("websocket.send must have 'bytes' or 'text'"));
    };
    let text = text
        .cast::<PyString>()
        .map_err(|_| PyTypeError::new_err("the 'text' of websocket.send must be a str"))?;
    Ok(Message::Frame(Frame::text(text.to_str()?.to_owned())))
}

fn close<'py>(message: &Bound<'py, PyDict>) -> PyResult<Message<'py>> {
    let given = |key| message.get_item(key).map(|value| value.filter(|value| !value.is_none()));
    let code = given("code")?.map(|code| code.extract()).transpose()?;
    let reason = given("reason")?.map(|reason| reason.extract()).transpose()?;
    Ok(Message::Close { code: code.unwrap_or(1000), reason: reason.unwrap_or_default() })
}

/// `http.request`, with a piece of the body.
pub(super) fn request<'py>(
    py: Python<'py>,
    body: Bound<'py, PyBytes>,
    more: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let event = PyDict::new(py);
    event.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
    event.set_item(intern!(py, "body"), body)?;
    event.set_item(intern!(py, "more_body"), more)?;
    Ok(event.into_any())
}

pub(super) fn disconnect(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let event = PyDict::new(py);
    event.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?;
    Ok(event.into_any())
}
