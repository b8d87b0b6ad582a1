package audit

import "time"

// InfinitePast and InfiniteFuture stand for PostgreSQL's '-infinity' and 'infinity',
// which a [time.Time] cannot hold. They are the microsecond before the earliest and the
// one after the latest finite time that PostgreSQL can store. So every finite time lies
// between them, and none can be mistaken for them.
//
// No record that this package validates has such a time. A row that was adopted or
// inserted by hand may have one, and reading returns it.
func InfinitePast() time.Time {
	return time.Date(-4713, time.November, 23, 23, 59, 59, 999_999_000, time.UTC)
}

// InfiniteFuture stands for 'infinity'. See [InfinitePast].
func InfiniteFuture() time.Time { return time.Date(294277, time.January, 1, 0, 0, 0, 0, time.UTC) }

// IsInfinite reports whether a time that was read stands for one of PostgreSQL's
// infinities.
func IsInfinite(at time.Time) bool {
	return !at.After(InfinitePast()) || !at.Before(InfiniteFuture())
}

// FormatTime writes a time as the JSON form of a record does. It is RFC 3339 in UTC and
// always has microseconds, so equal times are equal texts. Infinite times are
// "-infinity" and "infinity", as PostgreSQL writes them. A year after 9999 has as many
// digits as it needs, and a year before 0 has a sign.
func FormatTime(at time.Time) string {
	switch {
	case !at.After(InfinitePast()):
		return "-infinity"
	case !at.Before(InfiniteFuture()):
		return "infinity"
	default:
		return at.UTC().Format("2006-01-02T15:04:05.000000Z07:00")
	}
}
