//! Partial segments that the kernel holds back for bytes to come, and the promise that it does not hold them for long.
//!
//! Blocks that follow each other fast are sent with MSG_MORE, which saves most of their cost; the kernel then keeps what
//! does not fill a segment, for up to 200 ms if nothing follows. Owns the thread that pushes such bytes out after a
//! hundredth of a second. It sleeps while no response is being streamed, and never touches Python. Must be started in a
//! worker only: the master has one thread.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::stream::Stream;

/// The longest that bytes are held back, twice over.
const PAUSE: Duration = Duration::from_millis(8);

#[derive(Default)]
struct Pusher {
    streams: Mutex<Vec<Arc<Stream>>>,
    some: Condvar,
}

/// While it lives, what the kernel holds back of this stream is pushed out soon.
pub struct Held {
    pusher: &'static Pusher,
    stream: Arc<Stream>,
}

impl Held {
    /// `None` if nobody can push.
    pub fn new(stream: &Arc<Stream>) -> Option<Self> {
        static PUSHER: OnceLock<Option<&'static Pusher>> = OnceLock::new();
        let pusher = (*PUSHER.get_or_init(Pusher::start))?;
        pusher.lock().push(Arc::clone(stream));
        pusher.some.notify_one();
        Some(Self { pusher, stream: Arc::clone(stream) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut streams = self.pusher.lock();
        if let Some(index) = streams.iter().position(|stream| Arc::ptr_eq(stream, &self.stream)) {
            streams.swap_remove(index);
        }
    }
}

impl Pusher {
    /// It is there until the process ends.
    fn start() -> Option<&'static Self> {
        let pusher: &'static Self = Box::leak(Box::default());
        let thread = thread::Builder::new().name("rwsgi-push".to_owned());
        thread.spawn(|| pusher.run()).ok().map(|_| pusher)
    }

    fn run(&self) {
        let mut streams = Vec::new();
        loop {
            let mut held = self.lock();
            while held.is_empty() {
                held = self.some.wait(held).unwrap_or_else(PoisonError::into_inner);
            }
            streams.extend(held.iter().cloned());
            drop(held);
            for stream in streams.drain(..) {
                stream.push();
            }
            thread::sleep(PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_is_held_back_arrives_soon() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = Arc::new(Stream::new(listener.accept().unwrap().0.into()));
        let held = Held::new(&stream).unwrap();
        let mut bytes = [0; 5];
        let began = Instant::now();
        for _ in 0..10 {
            stream.write(b"block", true).unwrap();
            client.read_exact(&mut bytes).unwrap();
        }
        // The kernel alone would take 200 ms each time.
        assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
        drop(held);
        assert!(stream.write(b"block", false).is_ok());
    }
}
