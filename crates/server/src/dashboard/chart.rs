//! Charts as inline SVG, each with the table behind it for whoever cannot see it, or wants the numbers.

use maud::{Markup, html};

/// One row of values with its name and colour.
pub(super) struct Series {
    pub(super) name: &'static str,
    /// `a` to `d`, a class of the stylesheet.
    pub(super) tone: &'static str,
    pub(super) values: Vec<u64>,
}

const WIDTH: usize = 960;
const HEIGHT: usize = 200;
const LEFT: usize = 44;
const BOTTOM: usize = 20;
const TOP: usize = 8;

/// Bars side by side, a group for each label; the sentence `none` where every value is zero.
pub(super) fn bars(title: &str, none: &str, labels: &[String], series: &[Series]) -> Markup {
    let greatest = series.iter().flat_map(|one| one.values.iter().copied()).max().unwrap_or(0);
    let top = round_up(greatest);
    let groups = labels.len().max(1);
    let group_width = (WIDTH - LEFT) / groups;
    let bar_width = (group_width * 8 / 10 / series.len().max(1)).max(1);
    let height = |value: u64| {
        let pixels = value.saturating_mul((HEIGHT - TOP - BOTTOM) as u64).div_ceil(top.max(1));
        usize::try_from(pixels).unwrap_or(0)
    };
    let every = groups.div_ceil(12);
    if greatest == 0 {
        return html! { p.hint { (none) } };
    }
    html! {
        figure.figure {
            div.legend aria-hidden="true" {
                @for one in series { span { svg.chart.key viewBox="0 0 10 10" width="10" height="10" { rect class=(one.tone) width="10" height="10" rx="2" {} } " " (one.name) } }
            }
            svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (title) ": a table with the numbers follows" } {
                @for quarter in [0, 2, 4] {
                    @let value = top * quarter / 4;
                    @let y = HEIGHT - BOTTOM - height(value);
                    line.grid x1=(LEFT) x2=(WIDTH) y1=(y) y2=(y) {}
                    text x=(LEFT - 8) y=(y + 4) text-anchor="end" { (value) }
                }
                @for (group, label) in labels.iter().enumerate() {
                    @let x = LEFT + group * group_width;
                    @if group % every == 0 { text x=(x + group_width / 2) y=(HEIGHT - 4) text-anchor="middle" { (label) } }
                    @for (index, one) in series.iter().enumerate() {
                        @let value = one.values.get(group).copied().unwrap_or(0);
                        @if value > 0 {
                            rect class=(one.tone) x=(x + group_width / 10 + index * bar_width) y=(HEIGHT - BOTTOM - height(value)) width=(bar_width.saturating_sub(1).max(1)) height=(height(value)) rx="1" {
                                title { (label) ": " (value) " " (one.name) }
                            }
                        }
                    }
                }
            }
            details { summary { "The numbers" }
                div.scroll { table {
                    thead { tr { th { "UTC" } @for one in series { th.number { (one.name) } } } }
                    tbody { @for (group, label) in labels.iter().enumerate() { tr {
                        td { (label) }
                        @for one in series { td.number { (one.values.get(group).copied().unwrap_or(0)) } }
                    } } }
                } }
            }
        }
    }
}

/// The next of 4, 8, 20, 40, 80, 200, …: halves and quarters of it are whole.
fn round_up(greatest: u64) -> u64 {
    let mut step: u64 = 4;
    loop {
        for times in [1, 2, 5] {
            if step.saturating_mul(times) >= greatest {
                return step.saturating_mul(times);
            }
        }
        step = step.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::{Series, bars, round_up};

    #[test]
    fn the_scale_ends_at_a_round_number() {
        let tops: Vec<u64> = [0, 4, 5, 9, 21, 41, 1_000].into_iter().map(round_up).collect();
        assert_eq!(tops, [4, 4, 8, 20, 40, 80, 2_000]);
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn every_number_is_in_the_table() {
        let labels = ["08:00".to_owned(), "09:00".to_owned()];
        let markup =
            bars("T", "None.", &labels, &[Series { name: "Arrived", tone: "a", values: vec![7, 0] }])
                .into_string();
        assert!(markup.contains(r#"<tr><td>08:00</td><td class="number">7</td></tr>"#), "{markup}");
        assert!(markup.contains(r#"<tr><td>09:00</td><td class="number">0</td></tr>"#));
        let none = [Series { name: "Arrived", tone: "a", values: vec![0, 0] }];
        assert_eq!(bars("T", "None.", &labels, &none).into_string(), r#"<p class="hint">None.</p>"#);
        assert_eq!(markup.matches("<rect").count(), 2, "one in the legend, one bar; nothing has none");
    }
}
