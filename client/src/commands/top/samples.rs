//! Prometheus's text form, as far as `begat top` reads it: names, labels, values.

use std::collections::BTreeMap;

/// A series' labels.
type Labels = Vec<(String, String)>;

/// What `/metrics` said.
#[derive(Debug, Clone, Default)]
pub struct Samples(BTreeMap<String, Vec<(Labels, f64)>>);

impl Samples {
    /// Reads a text; a line that is no sample is passed over, and so are histograms' buckets, which nothing here shows.
    pub fn parse(text: &str) -> Self {
        let mut samples = Self::default();
        for line in text.lines() {
            if let Some((name, labels, value)) = sample(line) {
                samples
                    .0
                    .entry(name.to_owned())
                    .or_default()
                    .push((labels, value));
            }
        }
        samples
    }

    /// Every series of a metric.
    pub fn series(&self, name: &str) -> &[(Labels, f64)] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of a metric without labels.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.series(name).first().map(|(_, value)| *value)
    }

    /// The value of the series whose `label` is `expected`.
    pub fn of(&self, name: &str, label: &str, expected: &str) -> Option<f64> {
        let mut series = self.series(name).iter();
        let found = series.find(|(labels, _)| self::label(labels, label) == Some(expected));
        found.map(|(_, value)| *value)
    }
}

/// The value of a label.
pub fn label<'a>(labels: &'a Labels, name: &str) -> Option<&'a str> {
    let found = labels.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

fn sample(line: &str) -> Option<(&str, Labels, f64)> {
    let line = line.trim();
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    if name.starts_with('#') || name.ends_with("_bucket") {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => self::labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name, labels, value))
}

/// The labels up to the closing brace, and what comes after it.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquoted(quoted)?;
        labels.push((name.trim().to_owned(), value));
        rest = after;
    }
}

/// A label's value up to the closing quote, and what comes after it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_values() {
        let samples = Samples::parse(
            "# HELP a what it is\n# TYPE a gauge\na 1.5\n\
             b{x=\"1\",y=\"q\\\"\\\\\\n} ,\"} 2 1700000000\nb{x=\"2\"} NaN\nc_bucket{le=\"1\"} 3\nd +Inf\n",
        );
        assert_eq!(samples.value("a"), Some(1.5));
        assert_eq!(samples.of("b", "x", "1"), Some(2.0));
        assert_eq!(label(&samples.series("b")[0].0, "y"), Some("q\"\\\n} ,"));
        assert!(samples.of("b", "x", "2").is_some_and(f64::is_nan));
        assert_eq!(samples.value("d"), Some(f64::INFINITY));
        assert!(samples.series("c_bucket").is_empty());
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        for line in [
            "",
            "a",
            "a{",
            "a{x=\"1\" 2",
            "a{x} 1",
            "a one",
            "{} 1 2",
            "a{x=\"\\",
        ] {
            let samples = Samples::parse(line);
            assert_eq!(samples.value("a"), None, "{line}");
        }
    }
}
