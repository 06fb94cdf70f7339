//! Server-sent events from bytes, without I/O.
//!
//! The rules are those of the HTML standard (section "Server-sent events"): lines end in LF, CR or CRLF, a blank line
//! ends an event, `:` begins a comment, and an unfinished event at the end of the stream is dropped. A decoder of our
//! own, because what arrives may be cut anywhere and because one line's length is bounded here.

/// The longest line that is accepted, in bytes.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The last id that the stream gave, this event's or an earlier one's.
    pub id: Option<String>,
    /// The event's name; empty if it has none.
    pub event: String,
    /// The data, its lines joined by line feeds.
    pub data: String,
}

/// A line that is longer than [`LINE_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event stream has a line of more than {LINE_BYTES_MAX} bytes")]
pub struct LineTooLong;

/// Turns pieces of a stream into events.
#[derive(Debug, Default)]
pub struct Decoder {
    line: Vec<u8>,
    after_carriage_return: bool,
    first_line_seen: bool,
    id: Option<String>,
    event: String,
    data: Option<String>,
}

impl Decoder {
    /// Takes the next bytes and gives the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Message>, LineTooLong> {
        let mut messages = Vec::new();
        for &byte in bytes {
            let ends_crlf = byte == b'\n' && self.after_carriage_return;
            self.after_carriage_return = byte == b'\r';
            if ends_crlf {
                continue;
            }
            if byte == b'\n' || byte == b'\r' {
                messages.extend(self.end_of_line());
            } else if self.line.len() == LINE_BYTES_MAX {
                return Err(LineTooLong);
            } else {
                self.line.push(byte);
            }
        }
        Ok(messages)
    }

    fn end_of_line(&mut self) -> Option<Message> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        let line = match std::mem::replace(&mut self.first_line_seen, true) {
            true => line.as_str(),
            false => line.trim_start_matches('\u{feff}'),
        };
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.add_data(value),
            "event" => value.clone_into(&mut self.event),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            _ => {}
        }
        None
    }

    fn add_data(&mut self, value: &str) {
        match &mut self.data {
            None => self.data = Some(value.to_owned()),
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
        }
    }

    fn dispatch(&mut self) -> Option<Message> {
        let event = std::mem::take(&mut self.event);
        self.data.take().map(|data| Message {
            id: self.id.clone(),
            event,
            data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(text: &str) -> Vec<Message> {
        Decoder::default().push(text.as_bytes()).unwrap()
    }

    fn message(id: Option<&str>, event: &str, data: &str) -> Message {
        Message {
            id: id.map(str::to_owned),
            event: event.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn examples_of_the_html_standard() {
        // https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
        assert_eq!(
            decode("data: YHOO\ndata: +2\ndata: 10\n\n"),
            [message(None, "", "YHOO\n+2\n10")]
        );
        assert_eq!(
            decode(
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
            ),
            [
                message(Some("1"), "", "first event"),
                message(Some(""), "", "second event"),
                message(Some(""), "", " third event"),
            ]
        );
        assert_eq!(
            decode("data\n\ndata\ndata\n\ndata:"),
            [message(None, "", ""), message(None, "", "\n")]
        );
    }

    #[test]
    fn an_id_holds_for_the_events_after_it() {
        assert_eq!(
            decode("id: 1.7\ndata: a\n\nevent: x\ndata: b\n\n"),
            [
                message(Some("1.7"), "", "a"),
                message(Some("1.7"), "x", "b")
            ]
        );
    }

    #[test]
    fn every_line_ending_and_a_byte_order_mark() {
        assert_eq!(
            decode("\u{feff}data: a\r\n\r\ndata: b\r\rdata: c\n\n"),
            [
                message(None, "", "a"),
                message(None, "", "b"),
                message(None, "", "c")
            ]
        );
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut decoder = Decoder::default();
        let piece = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(decoder.push(&piece), Ok(vec![]));
        assert_eq!(decoder.push(b"x"), Err(LineTooLong));
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_does_not_matter(
            text in "(data|id|event|:|x)?[: ]{0,2}[a-zé]{0,3}(\r\n|\n|\r|\n\n){1,2}.{0,40}(\r\n|\n|\r|\n\n|data: y){0,6}",
            cuts in proptest::collection::vec(0usize..80, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut decoder = Decoder::default();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                pieces.extend(decoder.push(&bytes[from..cut]).unwrap());
                from = cut;
            }
            prop_assert_eq!(pieces, decode(&text));
        }
    }
}
