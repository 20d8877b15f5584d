//! A line for bash that signs a lead with openssl and sends it with curl.

use std::path::Path;

/// A lead that the built-in rules approve by themselves.
pub(crate) const FIRST_LEAD: &str = r#"{"name":"Jordan Ellis","email":"jordan.ellis@stacklane.co","company":"Stacklane","message":"We want to roll out to 40 seats this quarter. Can we talk about pricing?","source":"website_contact_form"}"#;

/// A lead that they leave to an operator, under the thresholds that a workspace begins with.
pub(crate) const LEAD_FOR_REVIEW: &str = r#"{"name":"Sam Okafor","email":"sam.okafor@brightpath.com","company":"Brightpath","message":"Hi, tell me more.","source":"website_contact_form"}"#;

/// Where the line sends to and what it signs with. What is absent it asks for, once it runs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Endpoint<'a> {
    pub(crate) url: Option<&'a str>,
    pub(crate) secret: Option<&'a str>,
    /// What curl must be told to trust; absent where the certificate is of an authority that everybody trusts.
    pub(crate) certificate: Option<&'a Path>,
}

/// The line. In parentheses, so that the secret stays in no variable of the shell.
pub(crate) fn curl_line(to: Endpoint<'_>, body: &str) -> String {
    let secret = to.secret.map_or_else(
        || "read -rsp 'Inbound secret: ' secret; echo".to_owned(),
        |secret| format!("secret={}", quoted(secret)),
    );
    let url = to
        .url
        .map_or_else(|| "read -rp 'Inbound URL: ' url".to_owned(), |url| format!("url={}", quoted(url)));
    let trust = to
        .certificate
        .map(|path| format!(" --cacert {}", quoted(&path.to_string_lossy())))
        .unwrap_or_default();
    format!(
        "({secret}; {url}; body={body}; time=$(date +%s); \
         mac=$(printf '%s.%s' \"$time\" \"$body\" | openssl dgst -sha256 -hmac \"$secret\" | awk '{{print $NF}}'); \
         curl -sS{trust} -H 'Content-Type: application/json' \
         -H \"X-AgentFlow-Timestamp: $time\" -H \"X-AgentFlow-Signature: sha256=$mac\" \
         --data-binary \"$body\" \"$url\"; echo)",
        body = quoted(body),
    )
}

/// A word of a shell, whatever it holds.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use agentflow_events::Outcome;
    use agentflow_lead::Submission;

    use super::{Endpoint, FIRST_LEAD, LEAD_FOR_REVIEW, curl_line};
    use crate::qualify::rules::Rules;
    use crate::qualify::{self, Scorer};
    use crate::record::Settings;

    #[test]
    fn the_leads_get_the_decisions_that_they_are_there_for() {
        let settings = Settings::default();
        let outcome = |body: &str| {
            let lead = Submission::parse(body.as_bytes()).unwrap();
            qualify::decide(Rules.score(&lead, &settings.scoring).qualification.score, &settings)
        };
        assert_eq!(outcome(FIRST_LEAD), Outcome::Approved);
        assert_eq!(outcome(LEAD_FOR_REVIEW), Outcome::ReviewRequested);
    }

    #[test]
    fn what_may_not_be_shown_is_asked_for() {
        let line = curl_line(Endpoint::default(), "{}");
        assert!(
            line.starts_with("(read -rsp 'Inbound secret: ' secret; echo; read -rp 'Inbound URL: ' url;")
        );
        assert!(!line.contains("--cacert"), "{line}");
    }
}
