//! A form's fields, filled with what was typed and marked where it cannot be used, so that nothing is typed twice.

use maud::{Markup, html};

use super::forms::Pairs;

/// What a form holds: nothing yet, or what was sent and what is wrong with it.
#[derive(Default)]
pub(super) struct Draft {
    given: Option<Pairs>,
    wrong: Vec<(&'static str, String)>,
}

/// One field of a form.
pub(super) struct Field<'a> {
    pub(super) name: &'static str,
    pub(super) label: &'a str,
    pub(super) kind: &'static str,
    /// What it holds where nothing was typed.
    pub(super) present: String,
    pub(super) range: Option<(u32, u32)>,
    pub(super) required: bool,
    pub(super) placeholder: Option<&'static str>,
}

impl<'a> Field<'a> {
    pub(super) fn text(name: &'static str, label: &'a str, present: impl Into<String>) -> Self {
        let present = present.into();
        Self { name, label, kind: "text", present, range: None, required: true, placeholder: None }
    }

    /// A whole number from `least` to `most`, or nothing.
    pub(super) fn number(
        name: &'static str,
        label: &'a str,
        present: Option<u32>,
        (least, most): (u32, u32),
    ) -> Self {
        let present = present.map(|number| number.to_string()).unwrap_or_default();
        let range = Some((least, most));
        Self { kind: "number", range, required: false, ..Self::text(name, label, present) }
    }
}

impl Draft {
    pub(super) fn of(given: Pairs) -> Self {
        Self { given: Some(given), wrong: Vec::new() }
    }

    /// A blank form with one field marked.
    pub(super) fn refused(field: &'static str, why: impl Into<String>) -> Self {
        Self { given: None, wrong: vec![(field, why.into())] }
    }

    /// Marks a field; the sentence is shown at it.
    pub(super) fn refuse(&mut self, field: &'static str, why: impl Into<String>) {
        self.wrong.push((field, why.into()));
    }

    /// What was sent, once nothing is wrong with it.
    pub(super) fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.given.as_ref()?.text(name)
    }

    /// The number in a field; a blank one, or one that is none or out of its range, is marked.
    pub(super) fn required_number(&mut self, name: &'static str, (least, most): (u32, u32)) -> u32 {
        match self.text(name).and_then(|text| text.parse().ok()).filter(|one| (least..=most).contains(one)) {
            Some(number) => number,
            None => {
                self.refuse(name, format!("This is a whole number from {least} to {most}."));
                least
            }
        }
    }

    /// The number in a field that may be blank.
    pub(super) fn number(&mut self, name: &'static str, range: (u32, u32)) -> Option<u32> {
        self.text(name)?;
        Some(self.required_number(name, range))
    }

    /// Whether a box is ticked.
    pub(super) fn is_ticked(&self, name: &str, value: &str, present: bool) -> bool {
        self.given.as_ref().map_or(present, |given| given.all(name).any(|ticked| ticked == value))
    }

    /// What a field holds.
    pub(super) fn value(&self, name: &str, present: &str) -> String {
        self.given.as_ref().map_or(present, |given| given.exact(name).unwrap_or_default()).to_owned()
    }

    pub(super) fn field(&self, field: &Field<'_>) -> Markup {
        let Field { name, label, kind, present, range, required, placeholder } = field;
        let wrong = self.is_wrong(name);
        html! {
            label {
                span { (label) }
                input type=(kind) name=(name) value=(self.value(name, present)) required[*required]
                    min=[range.map(|range| range.0)] max=[range.map(|range| range.1)] placeholder=[*placeholder]
                    aria-invalid=[wrong.then_some("true")] aria-describedby=[wrong.then(|| format!("wrong-{name}"))];
            }
            (self.told(name))
        }
    }

    /// A field for a password, which is never filled with what was typed.
    pub(super) fn password(
        &self,
        name: &'static str,
        label: &str,
        autocomplete: &str,
        chars: Option<(usize, usize)>,
    ) -> Markup {
        let wrong = self.is_wrong(name);
        html! {
            label {
                span { (label) }
                input type="password" name=(name) autocomplete=(autocomplete) required
                    minlength=[chars.map(|chars| chars.0)] maxlength=[chars.map(|chars| chars.1)]
                    aria-invalid=[wrong.then_some("true")] aria-describedby=[wrong.then(|| format!("wrong-{name}"))];
            }
            (self.told(name))
        }
    }

    pub(super) fn is_wrong(&self, name: &str) -> bool {
        self.wrong.iter().any(|(field, _)| *field == name)
    }

    /// What is wrong with a field.
    pub(super) fn told(&self, name: &str) -> Markup {
        html! {
            @if let Some((_, why)) = self.wrong.iter().find(|(field, _)| *field == name) {
                p.wrong id={ "wrong-" (name) } role="alert" { (why) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Draft, Field};
    use crate::dashboard::forms::Pairs;

    #[test]
    fn what_was_typed_stays_and_what_is_wrong_is_told_at_its_field() {
        let mut draft = Draft::of(Pairs::parse(b"overlap=&after=12&max=2000&name=+x"));
        assert_eq!(draft.required_number("after", (0, 720)), 12);
        assert_eq!(draft.number("none", (1, 9)), None);
        assert!(draft.is_right());
        draft.required_number("overlap", (0, 720));
        draft.number("max", (1, 1_024));
        assert!(draft.is_wrong("overlap") && draft.is_wrong("max") && !draft.is_wrong("after"));
        let field = |name, label| draft.field(&Field::text(name, label, "present")).into_string();
        assert!(field("name", "Name").contains(r#"value=" x""#), "as it was typed");
        let wrong = field("max", "At most");
        assert!(wrong.contains(r#"aria-invalid="true" aria-describedby="wrong-max""#), "{wrong}");
        assert!(wrong.contains("This is a whole number from 1 to 1024."), "{wrong}");
        assert!(Draft::default().field(&Field::text("a", "A", "present")).into_string().contains("present"));
    }
}
