//! Leads as a form sends them, about 600 bytes each.

use hyper::body::Bytes;

/// The body of one lead of a run; its email and its bytes are its own. By the rules' default thresholds four in ten
/// qualify, three in ten go to review and three in ten are rejected.
pub fn body(run: u64, number: u64) -> Bytes {
    let (message, source) = match number % 10 {
        0..=3 => (
            "We are evaluating tools to qualify the leads of our web forms and want to replace a manual process. Our team \
             of 40 sales reps would start with a pilot this quarter; a budget of $50k is approved. Could you show us a \
             demo next week and send us your pricing? We also need an integration with our CRM.",
            "website_contact_form",
        ),
        4..=6 => (
            "Please tell me more about the product. I have read the page about the way it works with forms, and I would \
             like to understand what it does with the answers afterwards, who gets to see them, and what the people who \
             filled in the form are told about it in the end.",
            "newsletter",
        ),
        _ => (
            "Dear webmaster, we offer SEO services with guaranteed first page rankings, cheap backlinks, crypto and casino \
             guest posts. Buy now and get two thousand visitors a day for your site, with no risk at all, from our \
             experienced team of link building experts.",
            "cold_list",
        ),
    };
    Bytes::from(format!(
        "{{\"name\":\"Jordan Ellis\",\"email\":\"jordan.ellis.{run:x}.{number}@stacklane.co\",\"company\":\"Stacklane\",\
         \"message\":\"{message}\",\"source\":\"{source}\",\"timestamp\":\"2024-11-14T08:44:00Z\",\
         \"form_id\":\"contact-7\",\"campaign\":\"autumn\",\"visit\":{number}}}"
    ))
}
