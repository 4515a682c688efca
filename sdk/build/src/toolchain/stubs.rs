//! What Debian's wasi-libc lacks although std for wasip2 names it (sockets,
//! threads, permissions): each function answers "not implemented".
//!
//! All are weak, so that a newer wasi-libc that has one of them wins.
//!
//! Compiled by the private toolchain itself and appended to its `libc.a`, never
//! part of this crate. No panic handler (std brings it), and `errno` is
//! thread-local in wasi-libc.
#![no_std]
#![feature(linkage, thread_local)]
#![allow(missing_docs)]

use core::ffi::{c_char, c_int, c_void};

const ENOSYS: c_int = 52;

unsafe extern "C" {
    #[thread_local]
    static mut errno: c_int;
}

fn refuse() -> c_int {
    // SAFETY: wasi-libc defines `errno`, and a component has one thread.
    unsafe { errno = ENOSYS };
    -1
}

macro_rules! refused {
    ($($name:ident($($type:ty),*);)*) => {
        $(#[unsafe(no_mangle)]
        #[linkage = "weak"]
        pub extern "C" fn $name($(_: $type),*) -> c_int { refuse() })*
    };
}

/// Pthreads return their error instead of setting `errno`.
macro_rules! refused_with_code {
    ($($name:ident($($type:ty),*);)*) => {
        $(#[unsafe(no_mangle)]
        #[linkage = "weak"]
        pub extern "C" fn $name($(_: $type),*) -> c_int { ENOSYS })*
    };
}

refused! {
    socket(c_int, c_int, c_int);
    bind(c_int, *const c_void, u32);
    connect(c_int, *const c_void, u32);
    listen(c_int, c_int);
    setsockopt(c_int, c_int, c_int, *const c_void, u32);
    getsockname(c_int, *mut c_void, *mut u32);
    getpeername(c_int, *mut c_void, *mut u32);
    sendto(c_int, *const c_void, usize, c_int, *const c_void, u32);
    recvfrom(c_int, *mut c_void, usize, c_int, *mut c_void, *mut u32);
    getaddrinfo(*const c_char, *const c_char, *const c_void, *mut c_void);
    chmod(*const c_char, u32);
    fchmod(c_int, u32);
}

refused_with_code! {
    pthread_attr_init(*mut c_void);
    pthread_attr_setstacksize(*mut c_void, usize);
    pthread_attr_destroy(*mut c_void);
    pthread_create(*mut c_void, *const c_void, extern "C" fn(*mut c_void) -> *mut c_void, *mut c_void);
    pthread_join(*mut c_void, *mut *mut c_void);
    pthread_detach(*mut c_void);
}

#[unsafe(no_mangle)]
#[linkage = "weak"]
pub extern "C" fn realpath(_: *const c_char, _: *mut c_char) -> *mut c_char {
    refuse();
    core::ptr::null_mut()
}

#[unsafe(no_mangle)]
#[linkage = "weak"]
pub extern "C" fn freeaddrinfo(_: *mut c_void) {}

#[unsafe(no_mangle)]
#[linkage = "weak"]
pub extern "C" fn gai_strerror(_: c_int) -> *const c_char {
    c"host names are not resolved inside a task".as_ptr()
}
