//! SQLite's file system interface over [simulated disks](crate::disk), the one place with unsafe code.
//!
//! SQLite reaches its files through a table of C functions. [`register`] makes one the default of this process that hands
//! each call to a [`Handle`] and its answer back; everything that can be decided in safe code is decided there. Time,
//! randomness and sleep stay those of SQLite's own table.
//!
//! What the functions below rely on, and SQLite promises: a file's memory is `szOsFile` bytes, written by `x_open` before
//! any other function sees it, never used by two threads at a time, and not used after `x_close`; buffers are as long as
//! the call says; names end with a zero byte.
#![expect(unsafe_code, reason = "SQLite calls its file system through C functions with pointers")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::sync::Once;

use rusqlite::ffi::{
    SQLITE_CANTOPEN, SQLITE_IOCAP_POWERSAFE_OVERWRITE, SQLITE_IOERR_SHORT_READ, SQLITE_NOMEM,
    SQLITE_NOTFOUND, SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL,
    SQLITE_SHM_LOCK, SQLITE_SHM_SHARED, sqlite3_file, sqlite3_filename, sqlite3_int64, sqlite3_io_methods,
    sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use crate::disk::{Code, Handle};

/// What Linux's file systems are taken to have.
const SECTOR_BYTES: c_int = 4_096;

/// SQLite's file, with ours behind it.
#[repr(C)]
struct OpenFile {
    base: sqlite3_file,
    /// Owned: made by `x_open`, freed by `x_close`.
    handle: *mut Handle,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_unlock),
    xCheckReservedLock: Some(x_check_reserved_lock),
    xFileControl: Some(x_file_control),
    xSectorSize: Some(x_sector_size),
    xDeviceCharacteristics: Some(x_device_characteristics),
    xShmMap: Some(x_shm_map),
    xShmLock: Some(x_shm_lock),
    xShmBarrier: Some(x_shm_barrier),
    xShmUnmap: Some(x_shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Makes simulated disks the default file system of every SQLite connection of this process. Once is enough.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite answers its default table, which lives as long as the process; it is copied, and ours leaks.
        unsafe {
            let base = sqlite3_vfs_find(std::ptr::null());
            let mut ours = *base;
            ours.szOsFile = size_of::<OpenFile>() as c_int;
            ours.zName = c"simulated".as_ptr();
            ours.pNext = std::ptr::null_mut();
            ours.xOpen = Some(x_open);
            ours.xDelete = Some(x_delete);
            ours.xAccess = Some(x_access);
            ours.xFullPathname = Some(x_full_pathname);
            let registered = sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 1);
            assert_eq!(registered, SQLITE_OK, "SQLite takes a file system while nothing is open");
        }
    });
}

fn code(outcome: Result<(), Code>) -> c_int {
    outcome.err().unwrap_or(SQLITE_OK)
}

/// # Safety
/// `name` is null or ends with a zero byte, and outlives the answer.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    // SAFETY: as the caller promises.
    let text = unsafe { (!name.is_null()).then(|| CStr::from_ptr(name)) };
    text.and_then(|name| name.to_str().ok()).map(Path::new)
}

/// # Safety
/// `file` was opened by `x_open`, is not closed, and is used by this thread alone.
unsafe fn handle<'a>(file: *mut sqlite3_file) -> &'a mut Handle {
    // SAFETY: as the caller promises, so the handle is there.
    unsafe { &mut *(*file.cast::<OpenFile>()).handle }
}

unsafe extern "C" fn x_open(
    _: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: see the module; `out_flags` is null or points to an int.
    unsafe {
        let file = file.cast::<OpenFile>();
        (*file).base.pMethods = std::ptr::null();
        let syncs_folder = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL) != 0;
        let Some(opened) = Handle::open(path(name), flags & SQLITE_OPEN_CREATE != 0, syncs_folder) else {
            return SQLITE_CANTOPEN;
        };
        (*file).handle = Box::into_raw(Box::new(opened));
        (*file).base.pMethods = &METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    SQLITE_OK
}

unsafe extern "C" fn x_delete(_: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: see the module.
    unsafe { path(name) }.map_or(SQLITE_CANTOPEN, |path| code(Handle::delete(path, sync_folder != 0)))
}

unsafe extern "C" fn x_access(_: *mut sqlite3_vfs, name: *const c_char, _: c_int, out: *mut c_int) -> c_int {
    // SAFETY: see the module; `out` points to an int.
    unsafe { *out = path(name).is_some_and(Handle::exists).into() };
    SQLITE_OK
}

unsafe extern "C" fn x_full_pathname(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    bytes_max: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: see the module; `out` has room for `bytes_max`.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > bytes_max as usize {
            return SQLITE_NOMEM;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    SQLITE_OK
}

unsafe extern "C" fn x_close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: the last use of the file; the handle was made by `Box::into_raw`.
    drop(unsafe { Box::from_raw((*file.cast::<OpenFile>()).handle) });
    SQLITE_OK
}

unsafe extern "C" fn x_read(
    file: *mut sqlite3_file,
    buffer: *mut c_void,
    bytes: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: see the module.
    let (handle, buffer) =
        unsafe { (handle(file), std::slice::from_raw_parts_mut(buffer.cast::<u8>(), bytes as usize)) };
    let read = handle.read(at as usize, buffer);
    buffer[read..].fill(0);
    if read == buffer.len() { SQLITE_OK } else { SQLITE_IOERR_SHORT_READ }
}

unsafe extern "C" fn x_write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    bytes: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: see the module.
    let (handle, buffer) =
        unsafe { (handle(file), std::slice::from_raw_parts(buffer.cast::<u8>(), bytes as usize)) };
    code(handle.write(at as usize, buffer))
}

unsafe extern "C" fn x_truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: see the module.
    code(unsafe { handle(file) }.truncate(size as usize))
}

unsafe extern "C" fn x_sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see the module.
    code(unsafe { handle(file) }.sync())
}

unsafe extern "C" fn x_file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: see the module; `out` points to an integer.
    unsafe { *out = handle(file).size() as sqlite3_int64 };
    SQLITE_OK
}

unsafe extern "C" fn x_lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see the module.
    code(unsafe { handle(file) }.lock(level))
}

unsafe extern "C" fn x_unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see the module.
    unsafe { handle(file) }.unlock(level);
    SQLITE_OK
}

unsafe extern "C" fn x_check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: see the module; `out` points to an int.
    unsafe { *out = handle(file).is_reserved().into() };
    SQLITE_OK
}

unsafe extern "C" fn x_file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    SQLITE_NOTFOUND
}

unsafe extern "C" fn x_sector_size(_: *mut sqlite3_file) -> c_int {
    SECTOR_BYTES
}

unsafe extern "C" fn x_device_characteristics(_: *mut sqlite3_file) -> c_int {
    // As SQLite takes every Linux file system to be: a sector that is not written keeps its bytes.
    SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn x_shm_map(
    file: *mut sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: see the module. A region lives as long as its file's node, which the handle keeps; SQLite's own locks order
    // what its connections do there.
    unsafe {
        let mapped = handle(file).shared_region(region as usize, bytes as usize, extend != 0);
        *out = mapped.map_or(std::ptr::null_mut(), |start| start.as_ptr().cast());
    }
    SQLITE_OK
}

unsafe extern "C" fn x_shm_lock(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: see the module.
    let handle = unsafe { handle(file) };
    let slots = first as usize..(first + count) as usize;
    let shared = flags & SQLITE_SHM_SHARED != 0;
    if flags & SQLITE_SHM_LOCK == 0 {
        handle.unlock_slots(slots);
        return SQLITE_OK;
    }
    code(handle.lock_slots(slots, shared))
}

unsafe extern "C" fn x_shm_barrier(_: *mut sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn x_shm_unmap(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see the module.
    unsafe { handle(file) }.unmap();
    SQLITE_OK
}
