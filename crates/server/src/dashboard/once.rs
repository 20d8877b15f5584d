//! What a page says once: the outcome of a form that was posted, told by the page that the browser is sent to.
//!
//! It is kept here and not in the URL, so a reload posts nothing again, and what may be seen only once is in no history. In
//! memory: after a restart the change itself is on the page all the same.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentflow_events::Moment;
use axum::response::Response;
use maud::{Markup, html};
use zeroize::Zeroizing;

use super::Dashboard;
use super::access::Visitor;
use crate::id::SessionId;
use crate::reply;

/// What is told at the next opportunity.
pub(super) enum Notice {
    /// What was done, in a line that any page can show.
    Done(String),
    /// What was not, and why.
    Refused(String),
    /// For the page with this path alone: a value to copy, under what it is.
    Value { page: String, title: String, value: Zeroizing<String> },
    /// For the page with this path alone: a longer report.
    Report { page: String, report: Markup },
}

impl Notice {
    /// The page that it waits for; absent: any.
    fn page(&self) -> Option<&str> {
        match self {
            Notice::Done(_) | Notice::Refused(_) => None,
            Notice::Value { page, .. } | Notice::Report { page, .. } => Some(page),
        }
    }
}

/// Notices that wait for their page, by session, each with when it was put here.
#[derive(Default)]
pub(super) struct Once(Mutex<HashMap<SessionId, Vec<(Moment, Notice)>>>);

impl Once {
    /// A page that nobody opens within this time tells nothing.
    const KEPT: Duration = Duration::from_secs(600);
    /// Notices of a session; the oldest go first, lines before what is told on one page alone.
    const NOTICES_MAX: usize = 8;

    pub(super) fn put(&self, session: SessionId, notice: Notice, now: Moment) {
        let mut all = self.lock_at(now);
        let kept = all.entry(session).or_default();
        if kept.len() >= Self::NOTICES_MAX {
            let line = kept.iter().position(|(_, notice)| notice.page().is_none());
            kept.remove(line.unwrap_or(0));
        }
        kept.push((now, notice));
    }

    /// Takes the notices that wait for this page, or those for any, in their order.
    fn take(&self, session: SessionId, page: Option<&str>, now: Moment) -> Vec<Notice> {
        let mut all = self.lock_at(now);
        let Some(kept) = all.get_mut(&session) else { return Vec::new() };
        let taken = kept.extract_if(.., |(_, notice)| notice.page() == page);
        taken.map(|(_, notice)| notice).collect()
    }

    /// Those that still wait. One of the future was put here before the clock was set back.
    fn lock_at(&self, now: Moment) -> MutexGuard<'_, HashMap<SessionId, Vec<(Moment, Notice)>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, kept| {
            kept.retain(|(at, _)| *at <= now && now.since(*at) < Self::KEPT);
            !kept.is_empty()
        });
        all
    }
}

/// A value to copy, under what it is.
pub(super) fn shown_once(title: &str, value: &str) -> Markup {
    html! {
        section.notice.good.once role="status" {
            p { (title) }
            pre data-copy tabindex="0" { (value) }
        }
    }
}

impl Dashboard {
    /// 303 to the page that says what was done.
    pub(super) fn done(&self, visitor: &Visitor, path: &str, text: impl Into<String>) -> Response {
        self.tell(visitor, Notice::Done(text.into()));
        reply::see_other(path)
    }

    /// 303 to the page that says what was not done.
    pub(super) fn refused(&self, visitor: &Visitor, path: &str, text: impl Into<String>) -> Response {
        self.tell(visitor, Notice::Refused(text.into()));
        reply::see_other(path)
    }

    /// Keeps a notice for the visitor's next page.
    pub(super) fn tell(&self, visitor: &Visitor, notice: Notice) {
        self.once.put(visitor.session.id, notice, self.clock.now());
    }

    /// Keeps a value that may be seen once, on the page with this path.
    pub(super) fn tell_value(&self, visitor: &Visitor, page: &str, title: impl Into<String>, value: &str) {
        let (page, value) = (page.to_owned(), Zeroizing::new(value.to_owned()));
        self.tell(visitor, Notice::Value { page, title: title.into(), value });
    }

    /// The lines that wait for this visitor. A HEAD shows nothing, so it takes nothing.
    pub(super) fn told_lines(&self, visitor: &Visitor) -> Markup {
        let lines = if visitor.reads { self.taken(visitor, None) } else { Vec::new() };
        html! {
            @for line in &lines {
                @match line {
                    Notice::Done(text) => p.notice.good data-seconds="8" { (text) },
                    Notice::Refused(text) => p.notice.bad { (text) },
                    Notice::Value { .. } | Notice::Report { .. } => {},
                }
            }
        }
    }

    /// The values and reports that wait for this visitor on the page with this path.
    pub(super) fn told(&self, visitor: &Visitor, page: &str) -> Markup {
        let notices = if visitor.reads { self.taken(visitor, Some(page)) } else { Vec::new() };
        html! {
            @for notice in &notices {
                @match notice {
                    Notice::Value { title, value, .. } => (shown_once(title, value)),
                    Notice::Report { report, .. } => (report),
                    Notice::Done(_) | Notice::Refused(_) => {},
                }
            }
        }
    }

    fn taken(&self, visitor: &Visitor, page: Option<&str>) -> Vec<Notice> {
        self.once.take(visitor.session.id, page, self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentflow_events::Moment;
    use zeroize::Zeroizing;

    use super::{Notice, Once};
    use crate::id::mint;

    const START: Moment = Moment::from_unix_millis(1_700_000_000_000);

    fn lines(once: &Once, session: crate::id::SessionId, now: Moment) -> Vec<String> {
        let text = |notice| match notice {
            Notice::Done(text) | Notice::Refused(text) => text,
            Notice::Value { .. } | Notice::Report { .. } => panic!("no line"),
        };
        once.take(session, None, now).into_iter().map(text).collect()
    }

    #[test]
    fn a_notice_is_told_once_and_to_its_own_session() {
        let (once, ann, bob) = (Once::default(), mint(START), mint(START));
        once.put(ann, Notice::Done("Saved.".to_owned()), START);
        let secret = Zeroizing::new("whsec_x".to_owned());
        let (page, title) = ("/secrets".to_owned(), "Secret".to_owned());
        once.put(ann, Notice::Value { page, title, value: secret }, START);
        once.put(ann, Notice::Refused("Not saved.".to_owned()), START);
        assert!(lines(&once, bob, START).is_empty());
        assert_eq!(lines(&once, ann, START), ["Saved.", "Not saved."]);
        assert!(lines(&once, ann, START).is_empty());
        assert!(once.take(ann, Some("/tokens"), START).is_empty());
        assert_eq!(once.take(ann, Some("/secrets"), START).len(), 1, "the value waits for its own page");
        assert!(once.take(ann, Some("/secrets"), START).is_empty());
    }

    #[test]
    fn what_nobody_fetches_is_forgotten_and_few_are_kept() {
        let (once, session) = (Once::default(), mint(START));
        for number in 0..20 {
            once.put(session, Notice::Done(number.to_string()), START);
        }
        assert_eq!(lines(&once, session, START).len(), Once::NOTICES_MAX);
        let late = || Notice::Done("late".to_owned());
        once.put(session, late(), START);
        once.put(session, late(), START.plus(Duration::from_secs(1)));
        let told = lines(&once, session, START.plus(Duration::from_secs(600)));
        assert_eq!(told.len(), 1, "a later one keeps none before it");
        once.put(session, late(), START);
        assert!(
            lines(&once, session, START.minus(Duration::from_secs(1))).is_empty(),
            "the clock was set back"
        );
    }

    #[test]
    fn lines_that_nobody_reads_push_out_no_value() {
        let (once, session) = (Once::default(), mint(START));
        let (page, title) = ("/secrets".to_owned(), "Secret".to_owned());
        let value = Zeroizing::new("whsec_x".to_owned());
        once.put(session, Notice::Value { page, title, value }, START);
        for number in 0..20 {
            once.put(session, Notice::Done(number.to_string()), START);
        }
        assert_eq!(once.take(session, Some("/secrets"), START).len(), 1);
    }
}
