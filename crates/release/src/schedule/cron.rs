//! Cron expressions of five fields: minute, hour, day of the month, month, day of the week.

use jiff::civil::{Date, DateTime, Time};
use std::fmt;

const EXPRESSION_CHARS_MAX: usize = 200;
/// A day that is in the calendar comes within forty years: a 29th of February that is a Sunday, over 2100.
const DAYS_MAX: usize = 40 * 366;
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTH_DAYS_MAX: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// An expression that was read: a bit for each number that it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Days of the month and of the week are both said: one of them is enough.
    is_either: bool,
}

/// What one field may hold.
struct Field {
    called: &'static str,
    low: u32,
    high: u32,
    /// Names for its numbers, from the lowest on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of the month", 1, 31, &[]),
    field("month", 1, 12, &MONTHS),
    // Sunday is 0 and 7.
    field("day of the week", 0, 7, &WEEKDAYS),
];

const fn field(called: &'static str, low: u32, high: u32, names: &'static [&'static str]) -> Field {
    Field {
        called,
        low,
        high,
        names,
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cron {
    /// Reads an expression; the error says which field is wrong and what it may hold.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > EXPRESSION_CHARS_MAX {
            return Err(format!(
                "a cron expression has at most {EXPRESSION_CHARS_MAX} characters"
            ));
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            return Err(format!(
                "a cron expression has 5 fields, minute hour day month weekday, and not {}",
                words.len()
            ));
        };
        let [minutes, hours, days, months, weekdays] = FIELDS;
        let mut read = Self {
            text: words.join(" "),
            minutes: minutes.read(minute)?,
            hours: hours.read(hour)?,
            days: days.read(day)?,
            months: months.read(month)?,
            weekdays: weekdays.read(weekday)?,
            is_either: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        if read.weekdays & (1 << 7) != 0 {
            read.weekdays |= 1;
        }
        if read.ever() {
            Ok(read)
        } else {
            Err(format!("{:?} names a day that never comes", read.text))
        }
    }

    /// Some month of it has one of its days. Days of the week are in every month.
    fn ever(&self) -> bool {
        let months = (1..=12).zip(MONTH_DAYS_MAX);
        let mut named = months.filter(|(month, _)| self.months & (1 << month) != 0);
        self.is_either || named.any(|(_, last)| self.days & ((1 << (last + 1)) - 1) != 0)
    }

    /// The first minute of it, on the clock on the wall, that is not before this one.
    #[must_use]
    pub fn from(&self, start: DateTime) -> Option<DateTime> {
        let mut earliest = minute_of(start.time());
        let mut day = start.date();
        for _ in 0..DAYS_MAX {
            if self.has_day(day)
                && let Some(minute) = (earliest..24 * 60).find(|minute| self.has_minute(*minute))
            {
                let part = |number: u32| i8::try_from(number).ok();
                let time = Time::new(part(minute / 60)?, part(minute % 60)?, 0, 0).ok()?;
                return Some(day.to_datetime(time));
            }
            earliest = 0;
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn has_minute(&self, minute: u32) -> bool {
        self.hours & (1 << (minute / 60)) != 0 && self.minutes & (1 << (minute % 60)) != 0
    }

    fn has_day(&self, date: Date) -> bool {
        let is_in = |set: u64, number: i8| set & (1 << number) != 0;
        let of_month = is_in(self.days, date.day());
        let of_week = is_in(self.weekdays, date.weekday().to_sunday_zero_offset());
        let is_day = if self.is_either {
            of_month || of_week
        } else {
            of_month && of_week
        };
        is_day && is_in(self.months, date.month())
    }
}

fn minute_of(time: Time) -> u32 {
    let part = |number: i8| u32::try_from(number).unwrap_or_default();
    part(time.hour()) * 60 + part(time.minute())
}

impl Field {
    fn read(&self, text: &str) -> Result<u64, String> {
        let mut set = 0;
        for part in text.split(',') {
            let (low, high, step) = self.part(part).ok_or_else(|| self.wrong(text))?;
            let mut number = low;
            while number <= high {
                set |= 1 << number;
                number += step;
            }
        }
        Ok(set)
    }

    /// One part of a list: from, to and step.
    fn part(&self, text: &str) -> Option<(u32, u32, u32)> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(digits(step).filter(|step| *step > 0)?)),
            None => (text, None),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.last()),
            Some((low, high)) => (self.number(low)?, self.end(high)?),
            // A step needs something to go through: from here to the end.
            None if step.is_some() => (self.number(range)?, self.last()),
            None => (self.number(range)?, self.number(range)?),
        };
        (low <= high).then_some((low, high, step.unwrap_or(1)))
    }

    /// Sunday is counted once in all the days of the week.
    fn last(&self) -> u32 {
        if self.high == 7 { 6 } else { self.high }
    }

    /// Sunday at the end of a range is the seventh day.
    fn end(&self, text: &str) -> Option<u32> {
        let number = self.number(text)?;
        let is_sunday = self.high == 7 && number == 0 && digits(text).is_none();
        Some(if is_sunday { 7 } else { number })
    }

    fn number(&self, text: &str) -> Option<u32> {
        let mut named = (self.low..).zip(self.names);
        let named = named.find(|(_, name)| name.eq_ignore_ascii_case(text));
        let number = digits(text).or_else(|| Some(named?.0))?;
        (self.low..=self.high).contains(&number).then_some(number)
    }

    fn wrong(&self, text: &str) -> String {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(", or {first} to {last}"),
            _ => String::new(),
        };
        format!(
            "{text:?} is no {}: numbers from {} to {}{names}, as 1, 1-5, 1,3 or */2",
            self.called, self.low, self.high
        )
    }
}

fn digits(text: &str) -> Option<u32> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}
