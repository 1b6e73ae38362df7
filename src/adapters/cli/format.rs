//! Numbers, times and names as people read them.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// Bytes: `17 B`, `1.5 KiB`, `2.0 GiB`.
pub fn bytes(count: u64) -> String {
    let mut size = count as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if size < 1023.95 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") }
}

/// A count with commas between the thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what is counted, in the plural where that is due.
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// How long: `3.1 ms`, `2.04 s`, `5 min 03 s`.
pub fn time(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1000.0)
    } else if seconds < 120.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{} min {:02} s", took.as_secs() / 60, took.as_secs() % 60)
    }
}

/// Bytes a second.
pub fn rate(count: u64, took: Duration) -> String {
    format!("{}/s", bytes(per_second(count, took)))
}

/// Things a second.
pub fn per_second(count: u64, took: Duration) -> u64 {
    (count as f64 / took.as_secs_f64().max(1e-6)) as u64
}

/// A moment of the past as people write it: the number of a commit, or `2026-02-03 04:05:06` in UTC, where a `T` may
/// stand for the space, a `Z` at the end, and the time may be left out.
pub fn as_of(text: &str) -> Result<crate::AsOf, String> {
    if let Ok(lsn) = text.parse::<u64>() {
        return Ok(crate::AsOf::Lsn(crate::Lsn(lsn)));
    }
    let wrong =
        || format!("`{text}` is no moment: write the number of a commit, or `2026-02-03 04:05:06` (UTC)");
    let plain = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = plain.split_once([' ', 'T']).unwrap_or((plain, "00:00:00"));
    let numbers = |text: &str, mark: char| -> Option<[u64; 3]> {
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok());
        let parts: Vec<u64> = text.split(mark).map(|part| number(part).flatten()).collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-').ok_or_else(wrong)?;
    let [hour, minute, second] = numbers(time, ':').ok_or_else(wrong)?;
    let sound = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !sound {
        return Err(wrong());
    }
    // Days since 1970 of a date of the civil calendar, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    // A day that its month does not have comes out as another one.
    if date_of_day(days as i64) != (year as i64, month as i64, day as i64) {
        return Err(format!("`{text}` is no moment: there is no day {day} in that month"));
    }
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Ok(crate::AsOf::Time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
}

/// A moment: `2026-02-03 04:05:06Z`.
pub fn moment(when: SystemTime) -> String {
    let seconds = match when.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of_day(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a count of days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
fn date_of_day(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A key or a name on one line: control characters are escaped, so that no name can command a terminal.
pub fn name(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// A path on one line.
pub fn path(path: &Path) -> String {
    name(&path.to_string_lossy())
}

/// A path as a shell takes it.
pub fn quoted(at: &Path) -> String {
    let shown = path(at);
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+:@,".contains(letter);
    if shown.chars().all(is_plain) { shown } else { format!("'{}'", shown.replace('\'', "'\\''")) }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let at = |text: &str| match as_of(text) {
            Ok(crate::AsOf::Time(time)) => moment(time),
            other => panic!("{other:?}"),
        };
        for text in
            ["1970-01-01 00:00:00", "2000-02-29 23:59:59", "2026-11-22 04:05:06", "2100-03-01 00:00:00"]
        {
            assert_eq!(at(text), format!("{text}Z"));
        }
        assert_eq!(at("2026-02-03T04:05:06Z"), "2026-02-03 04:05:06Z");
        assert_eq!(at("2026-02-03"), "2026-02-03 00:00:00Z");
        assert_eq!(as_of("17"), Ok(crate::AsOf::Lsn(crate::Lsn(17))));
        for wrong in
            ["", "now", "2026-13-01", "2026-02-03 24:00:00", "2026-02", "1969-12-31", "2026-02-03 1:2"]
        {
            assert!(as_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_that_its_month_does_not_have_is_no_moment() {
        for wrong in
            ["2026-02-29", "2026-02-31", "2026-04-31 10:00:00", "2100-02-29", "2026-02-03ZZ", "2026-02-+3"]
        {
            assert!(as_of(wrong).is_err(), "{wrong}");
        }
        for right in ["2024-02-29", "2000-02-29", "2026-12-31", "1970-01-01", "9999-12-31"] {
            let Ok(crate::AsOf::Time(time)) = as_of(right) else { panic!("{right}") };
            assert_eq!(moment(time), format!("{right} 00:00:00Z"));
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes((1 << 20) - 1), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(time(Duration::from_millis(2040)), "2.04 s");
        assert_eq!(time(Duration::from_secs(303)), "5 min 03 s");
    }

    #[test]
    fn moments_are_in_utc() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(moment(at(0)), "1970-01-01 00:00:00Z");
        assert_eq!(moment(at(951_782_400)), "2000-02-29 00:00:00Z");
        assert_eq!(moment(at(1_767_225_599)), "2025-12-31 23:59:59Z");
        assert_eq!(moment(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "1969-12-31 23:59:59Z");
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert_eq!(name("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
    }
}
