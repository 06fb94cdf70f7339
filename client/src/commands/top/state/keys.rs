//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::list::Choice;
use super::{Action, Pane, State};
use begat_schemas::{RunId, Time};

/// A filter is being typed; what Esc goes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    filter: String,
    choice: Choice,
}

impl State {
    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent, now: Time) -> Action {
        self.now = now;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Action::Quit,
            KeyCode::Char('z') if control => return Action::Suspend,
            KeyCode::Char('l') if control => return Action::Repaint,
            KeyCode::Char(_) if control => {}
            code if self.typing.is_some() => self.type_filter(code),
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Esc if !self.close_something() => return Action::Quit,
            KeyCode::Esc => {}
            code => self.command(code),
        }
        Action::Draw
    }

    /// Closes what lies on top of everything else; false if nothing does.
    fn close_something(&mut self) -> bool {
        if self.help {
            self.help = false;
        } else if self.zoomed {
            self.zoomed = false;
        } else if !self.list.filter.is_empty() {
            self.set_filter(String::new());
        } else {
            return false;
        }
        true
    }

    fn command(&mut self, code: KeyCode) {
        if std::mem::take(&mut self.help) {
            return;
        }
        match code {
            KeyCode::Char('?') | KeyCode::F(1) => self.help = true,
            KeyCode::Char('/') => {
                let (filter, choice) = (self.list.filter.clone(), self.list.choice());
                self.typing = Some(Typed { filter, choice });
            }
            KeyCode::Char('f') => {
                self.list.shown = self.list.shown.next();
                self.keep_choice();
            }
            KeyCode::Tab => self.pane = self.pane.moved(1),
            KeyCode::BackTab => self.pane = self.pane.moved(Pane::ALL.len() - 1),
            KeyCode::Char('z') | KeyCode::Enter => self.zoomed = !self.zoomed,
            KeyCode::Char('l') => self.toggle_log(),
            KeyCode::Char('y') => self.scale = self.scale.next(),
            KeyCode::Right | KeyCode::Char('m') => self.choose_metric(1),
            KeyCode::Left | KeyCode::Char('M') => self.choose_metric(-1),
            code => self.go(code),
        }
    }

    fn toggle_log(&mut self) {
        let shown = self.zoomed && self.pane == Pane::Log;
        (self.pane, self.zoomed) = (Pane::Log, !shown);
    }

    /// Up and down: in the log where it has the screen, else in the list.
    fn go(&mut self, code: KeyCode) {
        let page = isize::try_from(self.page.max(1)).unwrap_or(isize::MAX);
        let by = match code {
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::Up | KeyCode::Char('k') => -1,
            KeyCode::PageDown => page,
            KeyCode::PageUp => -page,
            KeyCode::End | KeyCode::Char('G') => isize::MAX,
            KeyCode::Home | KeyCode::Char('g') => isize::MIN,
            _ => return,
        };
        if self.zoomed && self.pane == Pane::Log {
            self.scroll_log(by);
        } else if by == isize::MIN {
            self.list.choose_first();
        } else {
            let rows = self.rows();
            let row = self.list.row(&rows).saturating_add_signed(by);
            let rows: Vec<RunId> = rows.iter().map(|run| run.run).collect();
            self.list.choose(&rows, row);
        }
    }

    fn scroll_log(&mut self, by: isize) {
        let chosen = self.chosen().map(|run| run.run);
        let detail = chosen.and_then(|run| self.details.get_mut(run));
        if let Some(detail) = detail {
            match by {
                isize::MAX => detail.log.follow_end(),
                _ => detail.log.scroll(by),
            }
        }
    }

    fn choose_metric(&mut self, by: isize) {
        let curves = self.detail().map_or(&[][..], super::Detail::curves);
        let count = isize::try_from(curves.len()).unwrap_or(0);
        if count > 0 {
            let at = (self.metric() as isize + by).rem_euclid(count);
            self.metric = Some(curves[at as usize].name.clone());
        }
    }

    fn type_filter(&mut self, code: KeyCode) {
        let mut filter = self.list.filter.clone();
        match code {
            KeyCode::Enter => self.typing = None,
            KeyCode::Esc => {
                if let Some(before) = self.typing.take() {
                    self.list.go_back(before.choice);
                    self.set_filter(before.filter);
                }
            }
            KeyCode::Backspace => {
                filter.pop();
                self.set_filter(filter);
            }
            KeyCode::Char(character) => {
                filter.push(character);
                self.set_filter(super::clean(&filter));
            }
            KeyCode::Up | KeyCode::Down => self.go(code),
            _ => {}
        }
    }

    fn set_filter(&mut self, filter: String) {
        self.list.filter = filter;
        self.keep_choice();
    }
}
