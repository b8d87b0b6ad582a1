package seal

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
)

const (
	maxName     = 200
	maxOrigin   = 256
	epochMarker = "/epoch/"
)

// CheckName returns nil if a log may have the name. It has 1 to 200 bytes of printable
// UTF-8 without spaces and without "+", and does not end like the origin of an epoch. A
// schema-less URL such as audit.example.com/plant-7 makes collisions unlikely. The error
// matches [ErrName].
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("checking the log's name: it is empty, give one such as audit.example.com/plant-7: %w", ErrName)
	case len(name) > maxName:
		return fmt.Errorf("checking the log's name: it has %d bytes, use at most %d: %w", len(name), maxName, ErrName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, notInNames):
		return fmt.Errorf("checking the log's name %s: it has a space, a plus or a character that does not print, leave it out: %w", audit.Printable(name), ErrName)
	}
	if i := strings.LastIndex(name, epochMarker); i >= 0 && isNumber(name[i+len(epochMarker):]) {
		return fmt.Errorf("checking the log's name %s: it ends like an epoch, leave %s out: %w", audit.Printable(name), name[i:], ErrName)
	}
	return nil
}

func notInNames(r rune) bool { return r == '+' || unicode.IsSpace(r) || !strconv.IsPrint(r) }

// Origin returns the origin line of a log's checkpoints: its name in epoch 1, and name +
// "/epoch/" + N from epoch 2. It returns "", which no checkpoint has, for an epoch below 1.
func Origin(name string, epoch int64) string {
	switch {
	case epoch < 1:
		return ""
	case epoch == 1:
		return name
	default:
		return name + epochMarker + strconv.FormatInt(epoch, 10)
	}
}

// ParseOrigin returns the epoch of an origin of the log with this name. The error matches
// [ErrName], or [ErrOrigin] if it is the origin of another log.
func ParseOrigin(origin, name string) (epoch int64, err error) {
	if err := CheckName(name); err != nil {
		return 0, err
	}
	if origin == name {
		return 1, nil
	}
	if digits, found := strings.CutPrefix(origin, name+epochMarker); found && isNumber(digits) {
		epoch, err = strconv.ParseInt(digits, 10, 64)
		if err == nil && epoch > 1 {
			return epoch, nil
		}
	}
	return 0, fmt.Errorf("reading the origin %s: it is none of the log %s: %w", audit.Printable(origin), audit.Printable(name), ErrOrigin)
}

// logName is the name of the log that an origin is of.
func logName(origin string) string {
	if i := strings.LastIndex(origin, epochMarker); i > 0 {
		if _, err := ParseOrigin(origin, origin[:i]); err == nil {
			return origin[:i]
		}
	}
	return origin
}

// isNumber reports whether a text is a decimal number in its one spelling.
func isNumber(text string) bool {
	if text == "" || text[0] == '0' && text != "0" {
		return false
	}
	return strings.Trim(text, "0123456789") == ""
}

// parseNumber reads what isNumber takes.
func parseNumber(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && isNumber(text)
}
