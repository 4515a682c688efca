//! Servers that guests send requests to, honest ones and others.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Serves every connection by `answer`, and returns the URL.
pub(crate) fn serve(
    answer: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut stream = stream;
                // A guest may have ended meanwhile.
                drop(answer(&mut stream));
            });
        }
    });
    format!("http://{address}")
}

/// Reads a request to the end of its head.
pub(crate) fn head(stream: &mut TcpStream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Says hello.
pub(crate) fn hello(stream: &mut TcpStream) -> io::Result<()> {
    head(stream)?;
    let text = "HTTP/1.1 200 OK\r\nx-from: here\r\nkeep-alive: x\r\ncontent-length: 5\r\n\r\nhello";
    stream.write_all(text.as_bytes())
}

/// Says how many bytes of a chunked body came.
pub(crate) fn measure(stream: &mut TcpStream) -> io::Result<()> {
    head(stream)?;
    let mut size = 0;
    loop {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\r\n") {
            stream.read_exact(&mut byte)?;
            line.extend(byte);
        }
        let text = String::from_utf8_lossy(&line);
        let length = usize::from_str_radix(text.trim(), 16).expect("a length");
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk)?;
        if length == 0 {
            break;
        }
        size += length;
    }
    let size = size.to_string();
    let length = size.len();
    write!(
        stream,
        "HTTP/1.1 201 Created\r\ncontent-length: {length}\r\n\r\n{size}"
    )
}

/// Writes without end.
pub(crate) fn endless(stream: &mut TcpStream) -> io::Result<()> {
    head(stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    loop {
        stream.write_all(&[b'x'; 65_536])?;
    }
}

/// Says nothing.
pub(crate) fn silent(stream: &mut TcpStream) -> io::Result<()> {
    while stream.read(&mut [0; 1024])? > 0 {}
    Ok(())
}

/// Begins a head and says no more.
pub(crate) fn half_a_head(stream: &mut TcpStream) -> io::Result<()> {
    head(stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nx-from: he")?;
    silent(stream)
}

/// Begins a body and says no more.
pub(crate) fn half_a_body(stream: &mut TcpStream) -> io::Result<()> {
    head(stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal")?;
    silent(stream)
}

/// Sends 33,000 headers.
pub(crate) fn many_headers(stream: &mut TcpStream) -> io::Result<()> {
    head(stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
    for number in 0..33_000 {
        write!(stream, "x-{number}: value\r\n")?;
    }
    stream.write_all(b"content-length: 0\r\n\r\n")
}

/// Sends whoever asks to an address inside.
pub(crate) fn elsewhere(stream: &mut TcpStream) -> io::Result<()> {
    head(stream)?;
    let place = "http://169.254.169.254/latest/meta-data/";
    write!(
        stream,
        "HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"
    )
}
