//! Tasks that send requests by HTTP, well-meant and not.

mod request;

use celeriac_sdk::prelude::*;
use request::{Answer, Body, failed, get, send};
use std::collections::BTreeMap;
use wasip2::http::types::{Fields, Method, OutgoingRequest};

/// What a request got.
type Got = (u16, BTreeMap<String, String>, String);

/// Gets a URL: status, headers and body.
#[task]
fn fetch(url: String) -> Result<Got, TaskError> {
    let answer = get(&url)?.wait()?;
    let (status, headers) = (answer.status(), answer.headers());
    let body = answer.text()?;
    Ok((status, headers, body))
}

/// Posts a text so often, as one body.
#[task]
fn post(url: String, text: String, times: usize) -> Result<Got, TaskError> {
    let body = Body {
        bytes: text.as_bytes(),
        times,
    };
    let answer = send(&url, &[("content-type", "text/plain")], Some(&body))?.wait()?;
    let (status, headers) = (answer.status(), answer.headers());
    let body = answer.text()?;
    Ok((status, headers, body))
}

/// Gets a URL with a header: the status.
#[task]
fn with_header(url: String, name: String, value: String) -> Result<u16, TaskError> {
    Ok(send(&url, &[(&name, &value)], None)?.wait()?.status())
}

/// Counts the bytes that a URL has.
#[task]
fn size(url: String) -> Result<u64, TaskError> {
    let mut size = 0_u64;
    get(&url)?
        .wait()?
        .read(|bytes| size += bytes.len() as u64)?;
    Ok(size)
}

/// Gets URLs at once, and then waits for each: the sizes of the bodies.
#[task]
fn together(urls: Vec<String>) -> Result<Vec<usize>, TaskError> {
    let pending: Result<Vec<_>, _> = urls.iter().map(|url| get(url)).collect();
    let texts = pending?
        .into_iter()
        .map(|one| Ok(one.wait()?.text()?.len()));
    texts.collect()
}

/// Gets a URL so often, keeping every answer unread; says how many came and why no more.
#[task]
fn hoard(url: String, times: usize) -> Result<(usize, String), TaskError> {
    let mut kept: Vec<Answer> = Vec::new();
    for _ in 0..times {
        match get(&url)?.wait() {
            Ok(answer) => kept.push(answer),
            Err(error) => return Ok((kept.len(), error.to_string())),
        }
    }
    Ok((kept.len(), String::new()))
}

/// Begins so many requests and drops each: how many began.
#[task]
fn drops(url: String, times: usize) -> Result<usize, TaskError> {
    for _ in 0..times {
        drop(get(&url)?);
    }
    Ok(times)
}

/// Makes headers until the host has enough of it.
#[task]
fn header_flood(count: usize) -> Result<usize, TaskError> {
    let fields = Fields::new();
    for number in 0..count {
        let name = format!("x-{number}");
        fields.append(&name, b"value").map_err(failed)?;
    }
    Ok(count)
}

/// Writes long words into requests that are never sent; tells whether the host took any.
#[task]
fn long_words(requests: usize, bytes: usize) -> Result<Vec<bool>, TaskError> {
    let word = "A".repeat(bytes);
    let mut kept = Vec::new();
    let mut taken = [false, false];
    for _ in 0..requests {
        let request = OutgoingRequest::new(Fields::new());
        let method = Method::Other(word.clone());
        taken[0] |= request.set_method(&method).is_ok();
        taken[1] |= request.set_authority(Some(&word)).is_ok();
        kept.push(request);
    }
    Ok(taken.to_vec())
}

celeriac_sdk::export!(
    fetch,
    post,
    with_header,
    size,
    together,
    hoard,
    drops,
    header_flood,
    long_words
);
