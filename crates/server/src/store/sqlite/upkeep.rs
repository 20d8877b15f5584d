//! Forgetting, a bounded step at a time, so that no write waits long behind it.

use std::time::Duration;

use agentflow_events::Moment;
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::blob;
use crate::record::Workspace;
use crate::store::Accept;

/// Rows that one step looks at, for each kind.
const STEP: i64 = 500;

/// How long rows of the operational log, and sums by the hour, are kept.
const HISTORY_KEPT: Duration = Duration::from_secs(400 * 86_400);

/// One step. Answers whether more is left.
pub(super) fn step(sql: &Connection, now: Moment, rejected_log_kept: Duration) -> rusqlite::Result<bool> {
    let mut more = false;
    let limit = now.minus(Accept::IDEMPOTENCY_KEY_KEPT).unix_millis();
    more |= full(sql.execute(
        "DELETE FROM idempotency_keys WHERE (workspace, key) IN
             (SELECT workspace, key FROM idempotency_keys WHERE at <= ? ORDER BY at LIMIT ?)",
        params![limit, STEP],
    )?);
    sql.execute("DELETE FROM secrets WHERE expires_at <= ?", [now.unix_millis()])?;
    more |= full(sql.execute(
        "DELETE FROM inbound_log WHERE seq IN (
             SELECT log.seq FROM workspaces, inbound_log AS log
             WHERE log.workspace = workspaces.id AND log.status = 2 AND log.at <= ? LIMIT ?)",
        params![now.minus(rejected_log_kept).unix_millis(), STEP],
    )?);
    sql.execute("DELETE FROM invitations WHERE expires_at <= ?", [now.unix_millis()])?;
    let history_begins = now.minus(HISTORY_KEPT).unix_millis();
    more |= full(sql.execute(
        "DELETE FROM operational_log WHERE seq IN (SELECT seq FROM operational_log WHERE at <= ? ORDER BY seq LIMIT ?)",
        params![history_begins, STEP],
    )?);
    for workspace in super::admin::workspaces(sql)? {
        more |= forget_bodies(sql, &workspace, now)?;
        for table in ["lead_hours", "delivery_hours"] {
            let forget = format!("DELETE FROM {table} WHERE workspace = ? AND hour < ? / 3600000");
            sql.execute(&forget, params![blob(&workspace.id), history_begins])?;
        }
        if let Some(days) = workspace.settings.retention_days {
            let before = now.minus(Duration::from_secs(u64::from(days) * 86_400));
            more |= delete_closed_leads(sql, &workspace, before)?;
        }
    }
    Ok(more)
}

fn full(changed: usize) -> bool {
    changed as i64 >= STEP
}

/// Bodies past the duplicate window, found by walking the submissions in the order in which they came. Those of a clock
/// that was ahead are passed by: they would hold up the walk for years.
fn forget_bodies(sql: &Connection, workspace: &Workspace, now: Moment) -> rusqlite::Result<bool> {
    let window = Duration::from_secs(workspace.settings.duplicate_window_seconds.into());
    let limit = now.minus(window).unix_millis();
    let task = format!("bodies:{}", workspace.id);
    let walked: i64 = sql
        .query_row("SELECT seq FROM upkeep WHERE task = ?", [&task], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let upto: Option<i64> = sql.query_row(
        "SELECT max(seq) FROM (SELECT seq FROM submissions WHERE seq > ?1 ORDER BY seq LIMIT ?2)
         WHERE seq < coalesce((SELECT min(seq) FROM (SELECT seq, at FROM submissions WHERE seq > ?1 ORDER BY seq LIMIT ?2)
                               WHERE at > ?3 AND at <= ?4), 9223372036854775807)",
        params![walked, STEP, limit, now.plus(window).unix_millis()],
        |row| row.get(0),
    )?;
    let Some(upto) = upto else { return Ok(false) };
    sql.execute(
        "DELETE FROM known WHERE at <= ?3 AND (workspace, email_identity, entry) IN (
             SELECT leads.workspace, leads.email_identity, submissions.digest
             FROM submissions JOIN leads ON leads.id = submissions.lead
             WHERE submissions.seq > ?1 AND submissions.seq <= ?2 AND submissions.at <= ?3 AND leads.workspace = ?4)",
        params![walked, upto, limit, blob(&workspace.id)],
    )?;
    sql.execute("INSERT OR REPLACE INTO upkeep (task, seq) VALUES (?, ?)", params![task, upto])?;
    Ok(upto - walked >= STEP)
}

/// Leads decided before `before`, with all that belongs to them, but none whose event is still on its way.
fn delete_closed_leads(sql: &Connection, workspace: &Workspace, before: Moment) -> rusqlite::Result<bool> {
    let old: Vec<(i64, Vec<u8>, String)> = sql
        .prepare_cached(
            "SELECT seq, id, email_identity FROM leads WHERE workspace = ? AND state IN (2, 3) AND decided_at <= ? AND NOT EXISTS (
                 SELECT 1 FROM events JOIN deliveries ON deliveries.event = events.seq
                 WHERE events.lead = leads.id AND deliveries.state = 0)
             ORDER BY decided_at LIMIT ?",
        )?
        .query_map(params![blob(&workspace.id), before.unix_millis(), STEP / 10], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (seq, id, email) in &old {
        for statement in [
            "DELETE FROM attempts WHERE delivery IN (SELECT deliveries.seq FROM deliveries JOIN events
                 ON events.seq = deliveries.event WHERE events.lead = ?)",
            "DELETE FROM deliveries WHERE event IN (SELECT seq FROM events WHERE lead = ?)",
            "DELETE FROM events WHERE lead = ?",
        ] {
            sql.prepare_cached(statement)?.execute([id])?;
        }
        // Each by its own key: an email may have as many entries as there are leads.
        sql.prepare_cached("DELETE FROM known WHERE workspace = ? AND email_identity = ? AND entry = ?")?
            .execute(params![blob(&workspace.id), email, seq])?;
        sql.prepare_cached(
            "DELETE FROM known WHERE workspace = ?1 AND email_identity = ?2 AND lead = ?3
                 AND entry IN (SELECT digest FROM submissions WHERE lead = ?3)",
        )?
        .execute(params![blob(&workspace.id), email, id])?;
        sql.prepare_cached("DELETE FROM submissions WHERE lead = ?")?.execute([id])?;
        sql.prepare_cached("DELETE FROM leads WHERE seq = ?")?.execute([seq])?;
    }
    if !old.is_empty() {
        // SQLite gives the numbers of deleted newest rows out again: the walk over submissions must not be past them.
        sql.execute(
            "UPDATE upkeep SET seq = min(seq, (SELECT coalesce(max(seq), 0) FROM submissions)) WHERE task LIKE 'bodies:%'",
            [],
        )?;
    }
    Ok(old.len() as i64 >= STEP / 10)
}
