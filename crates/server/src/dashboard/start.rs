//! The beginning, when nothing has arrived yet: commands that send a first lead, ready to be pasted.

use maud::{Markup, html};

use super::Dashboard;
use super::access::Visitor;
use super::elements::token;
use super::once::Notice;
use crate::record::Role;
use crate::setup::curl::{self, curl_line};

/// Pages that show the commands, and that a reveal for them leads back to.
const PAGES: [&str; 3] = ["/dashboard/review", "/dashboard/leads", "/dashboard/inbound"];

/// The page of these that a form names.
pub(super) fn page(path: &str) -> Option<&'static str> {
    PAGES.into_iter().find(|page| *page == path)
}

impl Dashboard {
    /// What an empty list shows: the commands that fill it. They ask for URL and secret, which are shown to admins alone, after
    /// their password.
    /// `told`: what waited for the page, these commands with everything filled in, it may be.
    pub(super) fn first_lead(&self, visitor: &Visitor, page: &str, told: &Markup) -> Markup {
        if !told.0.is_empty() {
            return told.clone();
        }
        html! {
            section.start { h2 { "Send a first lead" }
                (self.commands(None, None))
                @if visitor.may(Role::Admin) {
                    form.stack method="post" action="/dashboard/settings/secrets/inbound/reveal" data-plain {
                        (token(visitor))
                        input type="hidden" name="for" value=(page);
                        label { span { "Your password, to have URL and secret filled in" } input type="password" name="password" autocomplete="current-password" required; }
                        div { button { "Fill in" } }
                    }
                } @else {
                    p.hint { "An admin can fill in the inbound URL and the secret here." }
                }
            }
        }
    }

    /// Keeps the commands with everything filled in for the page that they are to be shown on.
    pub(super) fn tell_first_leads(&self, visitor: &Visitor, page: &str, url: &str, secret: &str) {
        let report = html! {
            section.start.once { h2 { "Send a first lead" }
                (self.commands(Some(url), Some(secret)))
                p.hint { "URL and secret are in these lines in the clear. They are shown this once; a reload hides them." }
            }
        };
        self.tell(visitor, Notice::Report { page: page.to_owned(), report });
    }

    fn commands(&self, url: Option<&str>, secret: Option<&str>) -> Markup {
        let to = curl::Endpoint { url, secret, certificate: self.own_certificate.as_deref() };
        html! {
            p { "Paste a line into bash on this machine. The first one's lead is approved automatically:" }
            pre data-copy tabindex="0" { (curl_line(to, curl::FIRST_LEAD)) }
            p { "This one's waits in review:" }
            pre data-copy tabindex="0" { (curl_line(to, curl::LEAD_FOR_REVIEW)) }
            @if url.is_none() { p.hint { "They ask for the inbound URL and the secret, which the first start told." } }
        }
    }
}
