//! What a page says once: the outcome of a form that was posted, told by the page that the browser is sent to.
//!
//! It is kept here and not in the URL, so a reload posts nothing again, and what may be seen only once is in no history. In
//! memory: after a restart the change itself is on the page all the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
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

struct Kept {
    last: Moment,
    notices: Vec<Notice>,
}

/// Notices that wait for their page, by session.
#[derive(Default)]
pub(super) struct Once(Mutex<HashMap<SessionId, Kept>>);

impl Once {
    /// A page that nobody opens within this time tells nothing.
    const KEPT: Duration = Duration::from_secs(600);
    /// Notices of a session; the oldest go first.
    const NOTICES_MAX: usize = 8;

    pub(super) fn put(&self, session: SessionId, notice: Notice, now: Moment) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, kept| now.since(kept.last) < Self::KEPT);
        let kept = all.entry(session).or_insert_with(|| Kept { last: now, notices: Vec::new() });
        kept.last = now;
        if kept.notices.len() >= Self::NOTICES_MAX {
            kept.notices.remove(0);
        }
        kept.notices.push(notice);
    }

    /// Takes the notices that wait for this page, or those for any, in their order.
    fn take(&self, session: SessionId, page: Option<&str>, now: Moment) -> Vec<Notice> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, kept| now.since(kept.last) < Self::KEPT);
        let Some(kept) = all.get_mut(&session) else { return Vec::new() };
        let notices = std::mem::take(&mut kept.notices);
        let (taken, rest) = notices.into_iter().partition(|notice| notice.page() == page);
        kept.notices = rest;
        if kept.notices.is_empty() {
            all.remove(&session);
        }
        taken
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
        once.put(session, Notice::Done("late".to_owned()), START);
        assert!(lines(&once, session, START.plus(Duration::from_secs(600))).is_empty());
    }
}
