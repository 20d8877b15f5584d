//! Attempts to rows and back.

use std::net::IpAddr;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::insert::{Insert, Values};
use super::job::Tx;
use super::rows::{self, bad};
use crate::record::{Attempt, Exchange, FinishedAttempt, SentRequest, SignedRequest, Timings};

/// Target rows that the writer remembers; past it, it looks them up again.
const REMEMBERED_MAX: usize = 4_096;

pub(super) static ATTEMPTS: Insert = Insert::new(
    "attempts",
    "delivery, number, at, status, duration_ms, error, response_head, target, signed_after, signed_mark, remote, reused,
     resolve_ms, connect_ms, tls_ms, first_byte_ms, response_headers",
);

/// An attempt at the delivery with this number, for [`ATTEMPTS`].
#[derive(Clone)]
pub(super) struct NewAttempt {
    delivery: i64,
    finished: Arc<FinishedAttempt>,
    /// The number of what its request has in common with others.
    target: Option<i64>,
}

impl NewAttempt {
    pub(super) fn of(
        tx: &mut Tx<'_>,
        delivery: i64,
        finished: &Arc<FinishedAttempt>,
    ) -> rusqlite::Result<Self> {
        let request = finished.attempt.exchange.request.as_ref();
        let target = request.map(|request| target(tx, request)).transpose()?;
        Ok(Self { delivery, finished: Arc::clone(finished), target })
    }

    pub(super) fn bind(&self, values: &mut Values<'_, '_>) -> rusqlite::Result<()> {
        let Self { delivery, finished, target } = self;
        let attempt = &finished.attempt;
        let Exchange { request, remote, reused, timings, response_headers } = &attempt.exchange;
        let signed = request.as_ref().and_then(|request| request.signed);
        let remote = remote.map(|address| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        });
        values.bind(params![
            delivery,
            attempt.number,
            attempt.at.unix_millis(),
            attempt.status,
            attempt.duration_ms,
            attempt.error,
            attempt.response_head,
            target,
            signed.map(|signed| signed.at - attempt.at.unix_seconds()),
            signed.map(|signed| signed.mark),
            remote,
            reused,
            timings.resolve_ms,
            timings.connect_ms,
            timings.tls_ms,
            timings.first_byte_ms,
            response_headers,
        ])
    }
}

/// Makes way for an attempt that may have been recorded before.
pub(super) fn forget(sql: &Connection, delivery: i64, number: u32) -> rusqlite::Result<()> {
    sql.prepare_cached("DELETE FROM attempts WHERE delivery = ? AND number = ?")?
        .execute(params![delivery, number])
        .map(|_| ())
}

/// The number of what a request has in common with others.
fn target(tx: &mut Tx<'_>, request: &SentRequest) -> rusqlite::Result<i64> {
    let key = (Arc::clone(&request.url), Arc::clone(&request.agent));
    if let Some(id) = tx.cache.attempt_targets.get(&key) {
        return Ok(*id);
    }
    let known: Option<i64> = tx
        .sql
        .prepare_cached("SELECT id FROM attempt_targets WHERE url = ? AND agent = ?")?
        .query_row(params![&*request.url, &*request.agent], |row| row.get(0))
        .optional()?;
    let id = match known {
        Some(id) => id,
        None => {
            tx.sql
                .prepare_cached("INSERT INTO attempt_targets (url, agent) VALUES (?, ?)")?
                .execute(params![&*request.url, &*request.agent])?;
            tx.sql.last_insert_rowid()
        }
    };
    if tx.cache.attempt_targets.len() >= REMEMBERED_MAX {
        tx.cache.attempt_targets.clear();
    }
    tx.cache.attempt_targets.insert(key, id);
    Ok(id)
}

const OF_DELIVERY: &str = "SELECT attempts.*, attempt_targets.url AS url, attempt_targets.agent AS agent
    FROM attempts LEFT JOIN attempt_targets ON attempt_targets.id = attempts.target
    WHERE delivery = ? ORDER BY number";

/// A delivery's attempts, oldest first.
pub(super) fn of(sql: &Connection, delivery: i64) -> rusqlite::Result<Vec<Attempt>> {
    sql.prepare_cached(OF_DELIVERY)?.query_map([delivery], attempt)?.collect()
}

/// A delivery's last attempt.
pub(super) fn last_of(sql: &Connection, delivery: i64) -> rusqlite::Result<Option<Attempt>> {
    let last = format!("{OF_DELIVERY} DESC LIMIT 1");
    sql.prepare_cached(&last)?.query_row([delivery], attempt).optional()
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let at = rows::moment(row, "at")?;
    let text = |column| {
        Ok::<Option<Arc<str>>, rusqlite::Error>(row.get::<_, Option<Box<str>>>(column)?.map(Arc::from))
    };
    let signed = match (row.get::<_, Option<i64>>("signed_after")?, row.get("signed_mark")?) {
        (Some(after), Some(mark)) => Some(SignedRequest { at: at.unix_seconds() + after, mark }),
        _ => None,
    };
    let request = match (text("url")?, text("agent")?) {
        (Some(url), Some(agent)) => Some(SentRequest { url, agent, signed }),
        _ => None,
    };
    Ok(Attempt {
        number: row.get("number")?,
        at,
        status: row.get("status")?,
        duration_ms: row.get("duration_ms")?,
        error: row.get("error")?,
        response_head: row.get("response_head")?,
        exchange: Exchange {
            request,
            remote: row.get::<_, Option<Vec<u8>>>("remote")?.map(|bytes| address(&bytes)).transpose()?,
            reused: row.get("reused")?,
            timings: Timings {
                resolve_ms: row.get("resolve_ms")?,
                connect_ms: row.get("connect_ms")?,
                tls_ms: row.get("tls_ms")?,
                first_byte_ms: row.get("first_byte_ms")?,
            },
            response_headers: row.get("response_headers")?,
        },
    })
}

fn address(bytes: &[u8]) -> rusqlite::Result<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Ok(IpAddr::from(octets));
    }
    <[u8; 16]>::try_from(bytes).map(IpAddr::from).map_err(|_| bad("remote"))
}
