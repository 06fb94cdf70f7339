//! Who sends: the resource that every metric and span belongs to, by OpenTelemetry's semantic conventions.

use std::path::Path;

use opentelemetry_proto::tonic::resource::v1::Resource as Message;

use super::value::text;

/// Names and values that tell this daemon from other senders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource(Vec<(String, String)>);

impl Resource {
    /// The daemon that serves the folder `data`, with what the user says of it besides; a name that the user gives wins.
    pub fn new(given: &[(String, String)], data: &Path) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        let own = [
            ("service.name", "begatd".to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("host.name", host.to_owned()),
            ("service.instance.id", format!("{host}:{}", data.display())),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let is_given = |name: &str| given.iter().any(|(other, _)| other == name);
        let own = own.into_iter().filter(|(name, _)| !is_given(name));
        Self(own.chain(given.iter().cloned()).collect())
    }

    pub(super) fn message(&self) -> Message {
        let attributes = self.0.iter().map(|(name, value)| text(name, value.clone()));
        Message {
            attributes: attributes.collect(),
            ..Message::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_says_wins_and_stands_once() {
        let given = [
            ("service.name".to_owned(), "training".to_owned()),
            ("team".to_owned(), "alignment".to_owned()),
        ];
        let Resource(all) = Resource::new(&given, Path::new("/data"));
        let names = all.iter().filter(|(name, _)| name == "service.name");
        let names: Vec<&str> = names.map(|(_, value)| value.as_str()).collect();
        assert_eq!(names, ["training"]);
        assert!(all.contains(&given[1]));
        assert!(
            all.iter()
                .any(|(name, value)| name == "host.name" && !value.is_empty())
        );
    }
}
