//! Where OpenTelemetry is sent to: the file's `[otlp]`, and the variables that OpenTelemetry's specification names
//! ("OpenTelemetry Protocol Exporter"), which are stronger, as they are for every program that has them.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::resolve::value;
use super::{ConfigError, RawConfig};

/// What would make another request of the one that is sent.
const OWN_HEADERS: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TRANSFER_ENCODING,
];
const INTERVAL_SECONDS: f64 = 15.0;
const INTERVAL_SECONDS_MAX: f64 = 86_400.0;

/// The variable that may hold a secret: it is the daemon's, and is not handed on to what it starts.
pub const SECRET_VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// OpenTelemetry's variables, as they were found.
#[derive(Debug, Clone, Default)]
pub struct OtlpEnvironment {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_HEADERS`; may hold secrets.
    pub headers: Option<Secret>,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource_attributes: Option<String>,
    /// `OTEL_SERVICE_NAME`.
    pub service_name: Option<String>,
    /// `OTEL_SDK_DISABLED`.
    pub disabled: Option<String>,
}

/// Text that is not shown.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(not shown)")
    }
}

impl OtlpEnvironment {
    /// What `variable` finds.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
        Self {
            endpoint: variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
            headers: variable(SECRET_VARIABLE).map(Secret),
            resource_attributes: variable("OTEL_RESOURCE_ATTRIBUTES"),
            service_name: variable("OTEL_SERVICE_NAME"),
            disabled: variable("OTEL_SDK_DISABLED"),
        }
    }
}

/// Where to send, and what.
#[derive(Debug, Clone)]
pub struct OtlpConfig {
    /// The collector, `http://HOST:PORT` and perhaps a path, without a slash at its end.
    pub endpoint: String,
    /// The time between two tellings.
    pub interval: Duration,
    /// Headers of every request; their values are not shown.
    pub headers: HeaderMap,
    /// What the user says of this daemon.
    pub resource: Vec<(String, String)>,
}

/// None if no endpoint is named.
pub(super) fn otlp(
    sources: &[RawConfig],
    environment: &OtlpEnvironment,
) -> Result<Option<OtlpConfig>, ConfigError> {
    let disabled = environment.disabled.as_deref();
    if disabled.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let named = sources.iter().find_map(|raw| raw.otlp.endpoint.clone());
    let endpoint = match &environment.endpoint {
        Some(text) => endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", text)?,
        None => match named {
            Some(text) => endpoint("otlp.endpoint", &text)?,
            None => return Ok(None),
        },
    };
    let headers = environment.headers.as_ref();
    Ok(Some(OtlpConfig {
        endpoint,
        interval: interval(sources)?,
        headers: headers.map_or_else(|| Ok(HeaderMap::new()), headers_of)?,
        resource: resource(environment)?,
    }))
}

fn endpoint(key: &str, text: &str) -> Result<String, ConfigError> {
    let expected = "http://HOST:PORT of an OpenTelemetry collector; begatd speaks no TLS, a collector beside it does";
    let wrong = || {
        // Whatever precedes an @, or follows a ?, may be a password.
        let shown = text.rsplit('@').next().unwrap_or_default();
        let shown = shown.split(['?', '#']).next().unwrap_or_default();
        value(key, expected, shown)
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_plain = url.scheme() == "http"
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match is_plain {
        true => Ok(url.as_str().trim_end_matches('/').to_owned()),
        false => Err(wrong()),
    }
}

fn interval(sources: &[RawConfig]) -> Result<Duration, ConfigError> {
    let named = sources.iter().find_map(|raw| raw.otlp.interval_seconds);
    let seconds = named.unwrap_or(INTERVAL_SECONDS);
    if (0.1..=INTERVAL_SECONDS_MAX).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        let expected = "0.1 to 86400 seconds";
        Err(value("otlp.interval_seconds", expected, seconds))
    }
}

fn headers_of(text: &Secret) -> Result<HeaderMap, ConfigError> {
    let key = "OTEL_EXPORTER_OTLP_HEADERS";
    let wrong = || {
        value(
            key,
            "NAME=VALUE,…, values percent-encoded",
            "something else",
        )
    };
    let mut headers = HeaderMap::new();
    for (name, text) in pairs(&text.0).ok_or_else(wrong)? {
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        if OWN_HEADERS.contains(&name) {
            let expected = "no header that begatd sets itself";
            return Err(value(key, expected, name));
        }
        let mut text = HeaderValue::try_from(text).map_err(|_| wrong())?;
        text.set_sensitive(true);
        headers.insert(name, text);
    }
    Ok(headers)
}

fn resource(environment: &OtlpEnvironment) -> Result<Vec<(String, String)>, ConfigError> {
    let text = environment
        .resource_attributes
        .as_deref()
        .unwrap_or_default();
    let expected = "NAME=VALUE,…, values percent-encoded";
    let mut given = pairs(text).ok_or_else(|| value("OTEL_RESOURCE_ATTRIBUTES", expected, text))?;
    if let Some(name) = &environment.service_name {
        given.retain(|(key, _)| key != "service.name");
        given.push(("service.name".to_owned(), name.clone()));
    }
    Ok(given)
}

/// `a=1,b=2%2C3`, as W3C's baggage is written.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let pairs = parts.map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().to_owned(), value.into_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::super::RawOtlp;
    use super::*;

    fn resolved(
        endpoint: Option<&str>,
        environment: &OtlpEnvironment,
    ) -> Result<Option<OtlpConfig>, String> {
        let raw = RawConfig {
            otlp: RawOtlp {
                endpoint: endpoint.map(str::to_owned),
                interval_seconds: Some(2.0),
            },
            ..RawConfig::default()
        };
        otlp(&[RawConfig::default(), raw], environment).map_err(|error| error.to_string())
    }

    #[test]
    fn without_an_endpoint_nothing_is_sent() {
        let nothing = OtlpEnvironment::default();
        assert!(resolved(None, &nothing).unwrap().is_none());
        let disabled = OtlpEnvironment {
            disabled: Some("TRUE".to_owned()),
            ..nothing
        };
        assert!(resolved(Some("http://a:1"), &disabled).unwrap().is_none());
    }

    #[test]
    fn the_environment_is_stronger_than_the_file() {
        let environment = OtlpEnvironment::read(|name| {
            let text = match name {
                "OTEL_EXPORTER_OTLP_ENDPOINT" => "http://collector:4318/base/",
                "OTEL_EXPORTER_OTLP_HEADERS" => "authorization=Basic%20c2VjcmV0, x-team = a",
                "OTEL_RESOURCE_ATTRIBUTES" => "service.name=first,site=b%2Cc",
                "OTEL_SERVICE_NAME" => "second",
                _ => return None,
            };
            Some(text.to_owned())
        });
        let config = resolved(Some("http://a:1"), &environment).unwrap().unwrap();
        assert_eq!(config.endpoint, "http://collector:4318/base");
        assert_eq!(config.interval, Duration::from_secs(2));
        assert_eq!(config.headers["authorization"], "Basic c2VjcmV0");
        assert_eq!(config.headers["x-team"], "a");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            config.resource,
            [pair("site", "b,c"), pair("service.name", "second")]
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let environment = OtlpEnvironment {
            headers: Some(Secret("authorization=hush".to_owned())),
            ..OtlpEnvironment::default()
        };
        let config = resolved(Some("http://a:1"), &environment).unwrap();
        assert!(!format!("{environment:?}{config:?}").contains("hush"));
        let broken = OtlpEnvironment {
            headers: Some(Secret("hush".to_owned())),
            ..OtlpEnvironment::default()
        };
        let told = resolved(Some("http://a:1"), &broken).unwrap_err();
        assert!(
            told.starts_with("OTEL_EXPORTER_OTLP_HEADERS: expected NAME=VALUE")
                && !told.contains("hush"),
            "{told}"
        );
        let framing = OtlpEnvironment {
            headers: Some(Secret("host=evil".to_owned())),
            ..OtlpEnvironment::default()
        };
        let told = resolved(Some("http://a:1"), &framing).unwrap_err();
        assert!(told.contains("no header that begatd sets itself"), "{told}");
        let told = resolved(Some("http://a:1/?token=hush"), &environment).unwrap_err();
        assert!(!told.contains("hush"), "{told}");
        let told = resolved(Some("http://user:hush@a:1"), &environment).unwrap_err();
        assert!(!told.contains("hush"), "{told}");
    }

    #[test]
    fn an_endpoint_is_plain_http() {
        for wrong in [
            "a:4318",
            "https://a:4318",
            "http://",
            "http://a:1/?x=1",
            "ftp://a",
        ] {
            let told = resolved(Some(wrong), &OtlpEnvironment::default()).unwrap_err();
            assert!(
                told.starts_with("otlp.endpoint: expected http://HOST:PORT"),
                "{told}"
            );
        }
    }
}
