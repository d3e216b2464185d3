//! Times of signatures: YYYYMMDDHHMMSS in UTC, or seconds since 1970 (RFC 4034 section 3.2).
//!
//! On the wire they are seconds modulo 2^32; written, they are taken to be before 2106.

use crate::policy::zone::text::number;

const DAY: u64 = 86_400;

/// Reads a time.
pub(super) fn read(text: &[u8]) -> Option<u32> {
    let value = number(text)?;
    if text.len() != 14 {
        return u32::try_from(value).ok();
    }
    let part = |from: usize, to: usize| number(&text[from..to]);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let calendar = year >= 1970 && (1..=12).contains(&month) && hour < 24 && minute < 60;
    // A leap second is written as 60.
    if !calendar || second > 60 || day == 0 || day > days_in(year, month) {
        return None;
    }
    let years: u64 = (1970..year).map(days_of).sum();
    let months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    let seconds = (years + months + day - 1) * DAY + hour * 3_600 + minute * 60 + second;
    u32::try_from(seconds % (1 << 32)).ok()
}

/// Writes a time.
pub(in crate::policy::zone) fn text(seconds: u32) -> String {
    let seconds = u64::from(seconds);
    let (mut days, clock) = (seconds / DAY, seconds % DAY);
    let (mut year, mut month) = (1970, 1);
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    let day = days + 1;
    format!("{year}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
